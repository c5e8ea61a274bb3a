#include "service/rpc/overload.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lease/base/view.h"
#include "service/base/retry_after.h"

namespace leasehold {
namespace {

constexpr double kWhole = 65'536;

// By how much the pressure grows in an interval whose shortest delay was at the
// limit; by more, the longer it was. Measured: where a little is too much, a
// quarter at once refuses so many calls that the server has nothing to do.
constexpr double kGrowthAtLimit = 0.02;

// In the order in which they are refused.
constexpr std::array kByLoss = {CallClass::kRead, CallClass::kStart,
                                CallClass::kEvent, CallClass::kCall};

// The n-th of numbers below 65,536 of which any few that follow each other are
// spread evenly.
uint32_t Spread(uint32_t n) {
  constexpr uint32_t kGoldenRatio = 2'654'435'769;  // Of 2^32.
  return (n * kGoldenRatio) >> 16;
}

// The pressure at which the first call of `step` of kByLoss is refused.
double Begin(size_t step, bool reads) {
  return static_cast<double>(step) - (reads ? 0 : 1);
}

// How many calls of each step of kByLoss came.
using Calls = std::array<uint32_t, kByLoss.size()>;

// A pressure that has grown to `grown`, kept where it has an effect: with the
// classes that are called. To refuse what nobody calls would help nobody, and
// whoever calls it next would be refused without need.
double Steer(double grown, double growth, const Calls& calls, bool reads) {
  std::optional<double> least;
  double most = Overload::kPressureMax;
  for (size_t step = reads ? 0 : 1; step < kByLoss.size(); ++step) {
    if (calls[step] == 0) continue;
    if (!least.has_value()) least = Begin(step, reads) + growth;
    most = Begin(step, reads) + 1;
  }
  return std::min(std::max(grown, least.value_or(0)), most);
}

}  // namespace

Overload::Overload(const Clock& clock, OverloadLimits limits,
                   std::function<void(const Change&)> on_change)
    : clock_(clock), limits_(limits), on_change_(std::move(on_change)) {
  gauges_[static_cast<size_t>(Cause::kQueue)].limit = limits.queue_delay_max;
  gauges_[static_cast<size_t>(Cause::kCommits)].limit = limits.commit_delay_max;
}

void Overload::OnDelay(Cause cause, absl::Duration delay) {
  std::optional<Change> change;
  {
    MutexLock lock(mu_);
    const Instant now = clock_.Now();
    Gauge& gauge = gauges_[static_cast<size_t>(cause)];
    const double before = gauge.pressure;
    Sample(gauge, delay, now);
    if (gauge.pressure > before) {
      Calls calls = {};
      for (size_t step = 0; step < calls.size(); ++step) {
        calls[step] = asked_[static_cast<size_t>(kByLoss[step])].exchange(
            0, std::memory_order_relaxed);
      }
      gauge.pressure = Steer(gauge.pressure, gauge.pressure - before, calls,
                             cause == Cause::kQueue);
    }
    ShareLocked();
    change = ChangeLocked(cause, now);
  }
  if (change.has_value() && on_change_ != nullptr) on_change_(*change);
}

void Overload::Sample(Gauge& gauge, absl::Duration delay, Instant now) {
  const Instant last = std::exchange(gauge.sampled, now);
  gauge.delay = delay;
  const absl::Duration silence = now - last;
  if (silence > kSilence) {
    gauge.above.reset();
    gauge.below.reset();
    gauge.pressure -= kFall * absl::FDivDuration(silence, kInterval);
  }
  if (delay > gauge.limit) {
    gauge.below.reset();
    if (!gauge.above.has_value()) {
      gauge.above = now;
      gauge.shortest = delay;
    }
    // Of each interval anew.
    gauge.shortest =
        last == *gauge.above ? delay : std::min(gauge.shortest, delay);
    if (now - *gauge.above >= kInterval) {
      gauge.pressure += std::min(
          kGrowth,
          kGrowthAtLimit * absl::FDivDuration(gauge.shortest, gauge.limit));
      gauge.above = now;
    }
  } else {
    gauge.above.reset();
    if (!gauge.below.has_value()) gauge.below = now;
    if (now - *gauge.below >= kInterval) {
      gauge.pressure -= kFall;
      gauge.below = now;
    }
  }
  gauge.pressure = std::clamp(gauge.pressure, 0.0, kPressureMax);
}

void Overload::ShareLocked() {
  const double queue = gauges_[static_cast<size_t>(Cause::kQueue)].pressure;
  const double commits = gauges_[static_cast<size_t>(Cause::kCommits)].pressure;
  for (size_t step = 0; step < kByLoss.size(); ++step) {
    const bool commits_too = kByLoss[step] != CallClass::kRead;
    const double share =
        std::max(queue - Begin(step, /*reads=*/true),
                 commits_too ? commits - Begin(step, /*reads=*/false) : 0);
    shares_[static_cast<size_t>(kByLoss[step])].store(
        static_cast<uint32_t>(kWhole * std::clamp(share, 0.0, 1.0)),
        std::memory_order_relaxed);
  }
  cause_.store(commits > queue ? Cause::kCommits : Cause::kQueue,
               std::memory_order_relaxed);
  refuses_.store(queue > 0 || commits > 0, std::memory_order_relaxed);
}

std::optional<Overload::Change> Overload::ChangeLocked(Cause cause,
                                                       Instant now) {
  const bool overloaded = refuses_.load(std::memory_order_relaxed);
  if (overloaded == overloaded_) return std::nullopt;
  overloaded_ = overloaded;
  const Gauge& gauge = gauges_[static_cast<size_t>(cause)];
  const uint64_t refused = refused_calls();
  if (overloaded) {
    began_ = now;
    refused_before_ = refused;
    return Change{.begins = true,
                  .cause = cause,
                  .delay = gauge.shortest,
                  .limit = gauge.limit};
  }
  return Change{.cause = cause,
                .limit = gauge.limit,
                .lasted = now - began_,
                .refused_calls = refused - refused_before_};
}

double Overload::pressure() const {
  MutexLock lock(mu_);
  double greatest = 0;
  for (const Gauge& gauge : gauges_) {
    greatest = std::max(greatest, gauge.pressure);
  }
  return greatest;
}

absl::Duration Overload::queue_delay() const {
  MutexLock lock(mu_);
  const Gauge& gauge = gauges_[static_cast<size_t>(Cause::kQueue)];
  return clock_.Now() - gauge.sampled > kSilence ? absl::ZeroDuration()
                                                 : gauge.delay;
}

absl::Status Overload::AdmitSome(CallClass call_class) {
  const auto of = static_cast<size_t>(call_class);
  // Those that come before the pressure grows again.
  const uint32_t place =
      Spread(asked_[of].fetch_add(1, std::memory_order_relaxed));
  if (place >= shares_[of].load(std::memory_order_relaxed)) {
    return absl::OkStatus();
  }
  const uint64_t n = refused_calls();
  refused_[of].Add();
  const bool commits =
      cause_.load(std::memory_order_relaxed) == Cause::kCommits;
  const absl::Duration retry =
      kRetry * (0.5 + Spread(static_cast<uint32_t>(n)) / kWhole);
  absl::Status refusal = WithRetryAfter(
      absl::ResourceExhaustedError(absl::StrCat(
          "the server is overloaded: ",
          commits ? absl::StrCat("changes wait for the store for longer than ",
                                 absl::FormatDuration(limits_.commit_delay_max))
                  : absl::StrCat("calls wait for longer than ",
                                 absl::FormatDuration(limits_.queue_delay_max),
                                 " (--overload-delay)"),
          "; meanwhile it does not serve every ", View(NameOf(call_class)))),
      absl::Floor(retry, absl::Milliseconds(1)));
  MutexLock lock(pace_mu_);
  return pace_.Pace(std::move(refusal), clock_.Now());
}

}  // namespace leasehold
