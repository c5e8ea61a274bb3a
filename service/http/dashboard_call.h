// What the handlers of the dashboard's API have in common: which instance a
// call is about, and which part of a list it wants.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_HTTP_DASHBOARD_CALL_H_
#define LEASEHOLD_SERVICE_HTTP_DASHBOARD_CALL_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/http/http_call.h"
#include "service/http/http_route.h"
#include "service/instance/instance_info.h"
#include "service/instance/instance_key.h"

namespace leasehold {

// What all of its paths begin with.
inline constexpr std::string_view kDashboardApi = "/api/v1";

// The route of a verb: `handler`, whose status is the call's if it is not OK;
// then the handler has kept nothing of the call.
HttpRoute DashboardRoute(
    std::string method, std::string_view path, std::string row,
    std::function<absl::Status(const HttpCallPtr&)> handler);

// The instance that `{id}` names.
//   InvalidArgument: it breaks a rule of IDs.
absl::StatusOr<InstanceKey> KeyIn(const HttpRequest& request);

// `limit`: how many at a time.
//   InvalidArgument: it is no number from 1 to kLimitMax.
absl::StatusOr<size_t> LimitIn(const HttpRequest& request);
inline constexpr size_t kLimitDefault = 100;
inline constexpr size_t kLimitMax = 1000;

// `NAME`: a time as RFC 3339 writes it; nullopt: it is not there.
//   InvalidArgument: it is something else.
absl::StatusOr<std::optional<absl::Time>> TimeIn(const HttpRequest& request,
                                                 std::string_view name);

// The words in `name`, separated by commas, each one's place in `words`, in any
// case. Empty: it is not there.
//   InvalidArgument: there is no such word; the message says which there are.
absl::StatusOr<std::vector<size_t>> WordsIn(
    const HttpRequest& request, std::string_view name,
    const std::vector<std::string>& words);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DASHBOARD_CALL_H_
