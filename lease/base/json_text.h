// IsJson and JsonString: JSON as text, which is passed on as it came.
//
// A payload that is parsed and written again loses what its writer meant: large
// integers, the order of members, members that are there twice. So a text that
// is JSON goes into a larger one byte for byte.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_LEASE_BASE_JSON_TEXT_H_
#define LEASEHOLD_LEASE_BASE_JSON_TEXT_H_

#include <string>
#include <string_view>

namespace leasehold {

// Whether `text` is one JSON value (RFC 8259), nested no deeper than
// kJsonDepthMax (json.h), and so can stand inside of another. A byte order mark
// is not JSON.
bool IsJson(std::string_view text);

// `text` as a JSON string, in quotes. Bytes that are not UTF-8 become U+FFFD.
std::string JsonString(std::string_view text);

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_JSON_TEXT_H_
