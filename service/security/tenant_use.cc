#include "service/security/tenant_use.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/base/retry_after.h"

namespace leasehold {
namespace {

// When it may be worth while to ask again for what others have open.
constexpr absl::Duration kOpenRetry = absl::Seconds(1);

absl::Status Refusal(const std::string& limit, absl::string_view number,
                     absl::Duration retry) {
  return WithRetryAfter(absl::ResourceExhaustedError(
                            absl::StrCat("the limit ", limit,
                                         " of this tenant is reached, which "
                                         "is ",
                                         number)),
                        retry);
}

}  // namespace

absl::StatusOr<std::unique_ptr<TenantUse::Open>> TenantUse::Enter(
    const TenantLimits& limits, const MethodInfo& method, Instant now) {
  calls_[static_cast<size_t>(method.call_class)].Add();
  const double rate = limits.rates[static_cast<size_t>(method.call_class)];
  const uint64_t open_max = limits.open[static_cast<size_t>(method.lasting)];
  if (rate == 0 && open_max == 0) return nullptr;
  MutexLock lock(mu_);
  uint64_t& open = open_[static_cast<size_t>(method.lasting)];
  if (open_max > 0 && open >= open_max) {
    too_many_[static_cast<size_t>(method.lasting)].Add();
    return pace_.Pace(
        Refusal(OpenName(method.lasting), absl::StrCat(open_max), kOpenRetry),
        now);
  }
  if (rate > 0) {
    absl::Status taken = TakeLocked(method.call_class, rate, now);
    if (!taken.ok()) {
      too_often_[static_cast<size_t>(method.call_class)].Add();
      return pace_.Pace(std::move(taken), now);
    }
  }
  if (open_max == 0) return nullptr;
  ++open;
  return std::make_unique<Open>(shared_from_this(), method.lasting);
}

absl::Status TenantUse::TakeLocked(CallClass call_class, double rate,
                                   Instant now) {
  Bucket& bucket = buckets_[static_cast<size_t>(call_class)];
  const double full = std::max(rate, 1.0);
  if (bucket.used) {
    bucket.calls += rate * absl::ToDoubleSeconds(now - bucket.filled);
    bucket.calls = std::min(bucket.calls, full);
  } else {
    bucket.calls = full;
  }
  bucket.used = true;
  bucket.filled = now;
  if (bucket.calls < 1) {
    return Refusal(RateName(call_class), absl::StrCat(rate),
                   absl::Seconds((1 - bucket.calls) / rate));
  }
  --bucket.calls;
  return absl::OkStatus();
}

TenantUse::Counts TenantUse::counts() const {
  Counts counts;
  for (size_t i = 0; i < kCallClasses; ++i) {
    counts.calls[i] = calls_[i].value();
    counts.too_often[i] = too_often_[i].value();
  }
  for (size_t i = 0; i < kLastings; ++i) {
    counts.too_many[i] = too_many_[i].value();
  }
  return counts;
}

void TenantUse::Close(Lasting lasting) {
  MutexLock lock(mu_);
  --open_[static_cast<size_t>(lasting)];
}

}  // namespace leasehold
