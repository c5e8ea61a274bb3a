// What is refused of a request before anybody looks at what it asks for: all on
// which two parsers may disagree, so that what one takes for the end of a
// request another takes for the beginning of the next (request smuggling).
//
// The parser of the library refuses much of it by itself; what it lets pass is
// refused here.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_HTTP_REQUEST_CHECK_H_
#define LEASEHOLD_SERVICE_HTTP_REQUEST_CHECK_H_

#include <cstddef>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "service/http/http_message.h"

namespace leasehold {

// An answer that ends the connection.
struct HttpRefusal {
  int status;
  absl::Status why;
};

// Looks at the bytes of a head, or at as many of them as there are: lines that
// do not end in CR LF, a field that goes on in the next line, a NUL, or what is
// not HTTP/1 at all. Those before `from` were looked at before.
std::optional<HttpRefusal> CheckBytes(std::string_view head, size_t from = 0);

// Looks at a head that was parsed: method, `Host`, how the body's end is found,
// `Expect`. `is_1_0`: it is HTTP/1.0.
std::optional<HttpRefusal> CheckHead(const HttpRequest& request, bool is_1_0);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_REQUEST_CHECK_H_
