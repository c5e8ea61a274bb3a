// The cookie in which a browser keeps the ID of its session.
//
// Over TLS its name begins with `__Host-`: then no page of another host can set
// it, also not one of the same domain.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_HTTP_SESSION_COOKIE_H_
#define LEASEHOLD_SERVICE_HTTP_SESSION_COOKIE_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "service/http/http_message.h"

namespace leasehold {

// nullopt: the request names no session, or more than one.
std::optional<std::string> SessionOf(const HttpRequest& request);

// The value of Set-Cookie that has the browser keep the session for `lifetime`,
// and send it only with requests of pages of ours. Zero: it forgets it.
std::string SessionCookie(const HttpRequest& request, std::string_view id,
                          absl::Duration lifetime);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_SESSION_COOKIE_H_
