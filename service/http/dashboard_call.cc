#include "service/http/dashboard_call.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"

namespace leasehold {

HttpRoute DashboardRoute(
    std::string method, std::string_view path, std::string row,
    std::function<absl::Status(const HttpCallPtr&)> handler) {
  return {.method = std::move(method),
          .pattern = absl::StrCat(View(kDashboardApi), View(path)),
          .row = std::move(row),
          .handler = [handler = std::move(handler)](const HttpCallPtr& call) {
            const absl::Status status = handler(call);
            if (!status.ok()) call->Fail(status);
          }};
}

absl::StatusOr<InstanceKey> KeyIn(const HttpRequest& request) {
  return MakeInstanceKey(request.caller->tenant, request.params.Get("id"),
                         "the instance ID in the path");
}

absl::StatusOr<size_t> LimitIn(const HttpRequest& request) {
  const std::optional<std::string_view> text = request.query.Find("limit");
  if (!text.has_value()) return kLimitDefault;
  size_t limit = 0;
  if (!absl::SimpleAtoi(View(*text), &limit) || limit < 1 ||
      limit > kLimitMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("limit: must be a number from 1 to ", kLimitMax,
                     ", and is ", QuoteForMessage(*text)));
  }
  return limit;
}

absl::StatusOr<std::optional<absl::Time>> TimeIn(const HttpRequest& request,
                                                 std::string_view name) {
  const std::optional<std::string_view> text = request.query.Find(name);
  if (!text.has_value() || text->empty()) return std::nullopt;
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, View(*text), &time, &error)) {
    return absl::InvalidArgumentError(absl::StrCat(
        View(name), ": must be a time such as 2026-11-30T05:00:00Z, and is ",
        QuoteForMessage(*text)));
  }
  return time;
}

absl::StatusOr<std::vector<size_t>> WordsIn(
    const HttpRequest& request, std::string_view name,
    const std::vector<std::string>& words) {
  std::vector<size_t> found;
  for (const std::string_view value : request.query.All(name)) {
    for (const absl::string_view word :
         absl::StrSplit(View(value), ',', absl::SkipEmpty())) {
      const auto place = std::find_if(
          words.begin(), words.end(), [word](const std::string& one) {
            return absl::EqualsIgnoreCase(one, word);
          });
      if (place == words.end()) {
        return absl::InvalidArgumentError(absl::StrCat(
            View(name), ": there is no ",
            QuoteForMessage(std::string_view(word.data(), word.size())),
            "; there are: ", absl::StrJoin(words, ", ")));
      }
      found.push_back(static_cast<size_t>(place - words.begin()));
    }
  }
  return found;
}

}  // namespace leasehold
