// ManagementUrls: the check-status URLs of the Durable Functions HTTP API,
// which a start is answered with, and the form of IDs in them.
//
// Clients work on the texts: they put names in the place of `{eventName}` and
// `{text}`, append `&showHistory=true`, and cut the ID out. So the placeholders
// stand there as they are, and every URL has a `?`.
//
// Thread-safety: pure functions and values.
#ifndef LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_URLS_H_
#define LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_URLS_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leasehold {

// Where the API is served; literal segments may be in any case. The second is
// what SDKs in a Functions app call.
inline constexpr std::string_view kDurableFunctionsPrefix =
    "/runtime/webhooks/durabletask";
inline constexpr std::string_view kDurableFunctionsAlias = "/durabletask";

struct ManagementUrls {
  std::string origin;  // `http://127.0.0.1:4002`, without a slash at the end.
  std::string_view prefix = kDurableFunctionsPrefix;
  // The last parameter of each URL.
  std::string query = "taskHub=default";

  // The URLs of an instance by their known names, with `id` first.
  std::vector<std::pair<std::string_view, std::string>> Of(
      std::string_view instance_id) const;
  // The first of the URLs: `statusQueryGetUri`.
  std::string StatusOf(std::string_view instance_id) const;
};

// Them as a JSON object.
std::string CheckStatusJson(const ManagementUrls& urls,
                            std::string_view instance_id);

// `text` as a segment of a path: all bytes but letters, digits and `-._~` as
// `%XX`.
std::string PathSegment(std::string_view text);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_URLS_H_
