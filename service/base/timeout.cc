#include "service/base/timeout.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"

namespace leasehold {

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
