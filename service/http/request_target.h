// Request targets: how a path and a query are taken apart, and how one segment
// is written.
//
// The path is split at '/' first; then each segment is percent-decoded, once.
// So an ID may hold a slash (`a%2Fb`), and `%252F` is the text "%2F". There are
// no dot segments: ".." is a text like any other.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_HTTP_REQUEST_TARGET_H_
#define LEASEHOLD_SERVICE_HTTP_REQUEST_TARGET_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "service/http/http_message.h"

namespace leasehold {

// Sets target, path, segments and query of `request`.
//   InvalidArgument: `target` is not a path with or without a query; the
//     message says why. It is not a path if it is a whole URL, has a fragment,
//     a bad escape, an escaped NUL, or is not UTF-8 when decoded.
absl::Status ParseTarget(std::string_view target, HttpRequest& request);

// `text` as a segment of a path, or as a name or value of a query: whatever is
// not a letter, a digit or one of `-._~` is escaped.
std::string PercentEncode(std::string_view text);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_REQUEST_TARGET_H_
