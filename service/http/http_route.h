// HttpRoute: a method, a path, what it asks of its callers, and who serves it.
// HttpRouter finds the route of a request.
//
// A pattern is a path. In it, `{name}` stands for one segment that is not
// empty, and `*` at the end for the rest, whatever it is:
//
//   /healthz                         exactly that
//   /instances/{id}/raiseEvent/{e}   two parameters
//   /contexts/{id}:release           a parameter, and a verb of it
//   /instances/                      with and without the slash at the end
//   /ui/*                            /ui, and all below it
//
// Segments are compared after they were decoded, literal ones without regard to
// the case of ASCII letters; so no spelling of a path reaches a handler except
// through its route, and what the route asks for. The route that was added
// first counts, among those that match.
//
// What a route asks for is the row of a gRPC method (service/rpc/served.h): who
// may do something over HTTP is whoever may do it over gRPC, and it counts for
// the same limits.
//
// Thread-safety: safe once all routes are added.   Lifetime: handlers own or
// outlive what they use until the listener has stopped.
#ifndef LEASEHOLD_SERVICE_HTTP_HTTP_ROUTE_H_
#define LEASEHOLD_SERVICE_HTTP_HTTP_ROUTE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "service/http/http_call.h"
#include "service/http/http_message.h"
#include "service/rpc/method_info.h"

namespace leasehold {

// What a route is a part of: requests are counted by it.
enum class HttpGroup : uint8_t {
  kNone,  // There is no such route.
  kHealth,
  kMetrics,
  kDurableFunctions,
  kDashboard,  // Its API.
  kUi,         // Its pages.
};
inline constexpr size_t kHttpGroups = 6;
// `none`, `health`, `metrics`, `durable_functions`, `dashboard`, `ui`.
std::string_view NameOf(HttpGroup group);

struct HttpRoute {
  std::string method;   // "GET" serves HEAD too.
  std::string pattern;  // See above.
  // The gRPC method that does the same, as `leasehold.v1.Orchestration/Get`.
  std::string row;
  HttpHandler handler;
  // Instead of `row`: a method that gRPC does not have.
  std::optional<MethodInfo> own = std::nullopt;
  Lasting lasting = Lasting::kNo;  // How it stays open, if it may.
  // Whether a request waits for something, so that it stays open as kWait;
  // null: none does.
  bool (*waits)(const HttpRequest&) = nullptr;
  // A letter of service/security/capability.h: a URL with a `code` for this
  // verb of the instance `{id}` may be used without any other credential.
  // '\0': it may not.
  char capability = '\0';
  // 0: as large as the listener allows.
  size_t body_bytes_max = 0;
};

class HttpRouter {
 public:
  // A route, and what its row says.
  struct Entry {
    HttpRoute route;
    MethodInfo method;
    std::vector<std::string> pattern;  // Its segments.
    HttpGroup group = HttpGroup::kNone;
  };

  // `methods`: all rows there are. REQUIRES: the route's row is among them, or
  // it has its own.
  void Add(HttpRoute route, const std::vector<MethodInfo>& methods);

  // The route of `request`, whose `params` it sets. nullptr: there is none, and
  // `allowed` has the methods that its path has (`GET, HEAD`); empty: the path
  // is not known.
  const Entry* Find(HttpRequest& request, std::string& allowed) const;

 private:
  std::vector<Entry> entries_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_HTTP_ROUTE_H_
