#include "service/base/timeout.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "service/base/quote.h"

namespace leasehold {
namespace {

absl::string_view View(std::string_view s) { return {s.data(), s.size()}; }

}  // namespace

absl::StatusOr<absl::Duration> ParseTimeout(std::string_view source,
                                            std::string_view text) {
  absl::Duration timeout;
  if (!absl::ParseDuration(View(text), &timeout) ||
      timeout < absl::ZeroDuration() || timeout == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        View(source),
        ": must be a finite duration with its unit, such as 90s, 500ms or "
        "1h30m: ",
        QuoteForMessage(text)));
  }
  return timeout;
}

}  // namespace leasehold
