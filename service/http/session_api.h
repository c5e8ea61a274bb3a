// The routes by which a browser signs in and out:
//
//   POST /login    {"token": "lh_..."}   204, with the cookie of a new session
//   POST /logout                         204; the session has ended
//
// The dashboard uses them. Whoever can keep a token sends it with each request
// instead (Authorization).
#ifndef LEASEHOLD_SERVICE_HTTP_SESSION_API_H_
#define LEASEHOLD_SERVICE_HTTP_SESSION_API_H_

#include <string_view>
#include <vector>

#include "service/http/http_route.h"
#include "service/security/access_control.h"
#include "service/security/sessions.h"

namespace leasehold {

// What the audit log calls them: `leasehold.http.Session/Login`, `/Logout`.
inline constexpr std::string_view kSessionService = "leasehold.http.Session";

// Both null: nobody needs to sign in, and the routes say so. Otherwise both
// outlive the routes.
std::vector<HttpRoute> SessionRoutes(AccessControl* access, Sessions* sessions);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_SESSION_API_H_
