// Overload: notices that a server has more to do than it can do in time, and
// says which calls to refuse meanwhile.
//
// Two delays are watched: how long what arrives waits for the server, and how
// long commits wait to be durable. As in CoDel, only a delay that lasts counts:
// its shortest sample in an interval must be above the limit, so that bursts
// that the server works off are served as a whole. While it lasts, the pressure
// grows from 0 to 4, and it falls when the delay is over. Each step refuses one
// more class of calls, the cheapest loss first, the part of a step that part of
// its calls:
//
//   0 to 1   reads: dashboards, lists, watches
//   1 to 2   starts
//   2 to 3   events
//   3 to 4   calls
//
// It passes over classes that nobody calls.
//
// Reads make no commits: commits that wait begin with the starts. Essential
// calls, and those that keep a lease (method_info.h), are never refused.
//
// Thread-safety: safe.   Lifetime: the clock outlives it; it outlives the
// server.
#ifndef LEASEHOLD_SERVICE_RPC_OVERLOAD_H_
#define LEASEHOLD_SERVICE_RPC_OVERLOAD_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lease/base/cells.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/rpc/method_info.h"
#include "service/rpc/refusal_pace.h"

namespace leasehold {

struct OverloadLimits {
  // How long what arrives may wait (`--overload-delay`).
  absl::Duration queue_delay_max = absl::Milliseconds(50);
  absl::Duration commit_delay_max = absl::Milliseconds(250);
};

class Overload {
 public:
  // A delay that is above its limit for so long is no burst.
  static constexpr absl::Duration kInterval = absl::Milliseconds(100);
  // Between two samples that are further apart, nothing is known of the delay.
  static constexpr absl::Duration kSilence = absl::Milliseconds(500);
  // By how much the pressure grows in an interval at most (more if the delay is
  // longer), and by how much it falls.
  static constexpr double kGrowth = 0.25;
  static constexpr double kFall = 0.125;
  static constexpr double kPressureMax = 4;
  // When refused calls may be tried again: at various times up to three halves
  // of this, so that they do not come back all at once.
  static constexpr absl::Duration kRetry = absl::Seconds(1);
  // Refusals are told no later than that: measured, with longer delays a server
  // at the edge of an overload has too little to do.
  static constexpr absl::Duration kTellAfterMax = absl::Milliseconds(250);

  enum class Cause : uint8_t { kQueue, kCommits };

  // The overload has begun or ended.
  struct Change {
    bool begins = false;
    Cause cause = Cause::kQueue;
    absl::Duration delay = {};   // At the beginning: the shortest one.
    absl::Duration limit = {};   // That it is above.
    absl::Duration lasted = {};  // At the end.
    uint64_t refused_calls = 0;  // At the end.
  };

  // `on_change` may be null. It is called on the thread that reports delays,
  // under no lock.
  Overload(const Clock& clock, OverloadLimits limits,
           std::function<void(const Change&)> on_change);
  Overload(const Overload&) = delete;
  Overload& operator=(const Overload&) = delete;

  // Whether a call of that method may be served.
  //   ResourceExhausted: not now; the message names the limit, and the status
  //     says when to try again.
  absl::Status Admit(const MethodInfo& method) {
    if (!refuses_.load(std::memory_order_relaxed)) return absl::OkStatus();
    return method.keeps_lease ? absl::OkStatus() : AdmitSome(method.call_class);
  }

  // What arrives now waits for so long; a sample. They come about twice an
  // interval while anybody calls; a silence is no overload, and ends one.
  void OnQueueDelay(absl::Duration delay) { OnDelay(Cause::kQueue, delay); }
  // The oldest commit that is not durable has waited for so long.
  void OnCommitDelay(absl::Duration delay) { OnDelay(Cause::kCommits, delay); }
  // Takes such a sample from `commit_delay`, if there is one: it is set before
  // the server starts, and stays until the server has stopped.
  void LookAtCommits() {
    if (commit_delay_ != nullptr) OnCommitDelay(commit_delay_());
  }
  void WatchCommits(std::function<absl::Duration()> commit_delay) {
    commit_delay_ = std::move(commit_delay);
  }

  // From 0 to 4.
  double pressure() const ABSL_LOCKS_EXCLUDED(mu_);
  // Whether calls are refused: more samples have to say when that ends.
  bool overloaded() const { return refuses_.load(std::memory_order_relaxed); }
  const Clock& clock() const { return clock_; }
  uint64_t refused_calls() const {
    uint64_t refused = 0;
    for (const SharedCell& of_class : refused_) refused += of_class.value();
    return refused;
  }
  uint64_t refused_calls(CallClass call_class) const {
    return refused_[static_cast<size_t>(call_class)].value();
  }
  // The last sample of how long what arrives waits.
  absl::Duration queue_delay() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  static constexpr size_t kCauses = 2;

  // One delay.
  struct Gauge {
    absl::Duration limit;
    double pressure = 0;
    Instant sampled;  // The last time.
    // Since when it is above its limit, or below, counted anew in each
    // interval.
    std::optional<Instant> above;
    std::optional<Instant> below;
    absl::Duration shortest;  // Since `above`.
    absl::Duration delay;     // The last sample.
  };

  void OnDelay(Cause cause, absl::Duration delay) ABSL_LOCKS_EXCLUDED(mu_);
  static void Sample(Gauge& gauge, absl::Duration delay, Instant now);
  // What classes lose, by the pressures.
  void ShareLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::optional<Change> ChangeLocked(Cause cause, Instant now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status AdmitSome(CallClass call_class) ABSL_LOCKS_EXCLUDED(pace_mu_);

  // Constant after construction.
  const Clock& clock_;
  const OverloadLimits limits_;
  const std::function<void(const Change&)> on_change_;
  std::function<absl::Duration()> commit_delay_;  // From the start on.

  Mutex pace_mu_;  // Held for no other.
  RefusalPace pace_ ABSL_GUARDED_BY(pace_mu_){kTellAfterMax};

  // Synchronises itself; written under the lock, but for the counts.
  std::atomic<bool> refuses_ = false;
  std::atomic<Cause> cause_ = Cause::kQueue;  // Of the greater pressure.
  // How many of 65,536 calls are refused, by class.
  std::array<std::atomic<uint32_t>, kCallClasses> shares_ = {};
  std::array<std::atomic<uint32_t>, kCallClasses> asked_ = {};
  std::array<SharedCell, kCallClasses> refused_ = {};

  mutable Mutex mu_;
  std::array<Gauge, kCauses> gauges_ ABSL_GUARDED_BY(mu_);
  bool overloaded_ ABSL_GUARDED_BY(mu_) = false;
  Instant began_ ABSL_GUARDED_BY(mu_);
  uint64_t refused_before_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_OVERLOAD_H_
