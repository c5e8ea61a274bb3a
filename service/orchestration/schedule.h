// Schedule: what the engine does later, on two clocks.
//
// Orchestrators' timers and scheduled starts are due at times of day. Work that
// was given back goes out again after a span, on the monotonic clock. If the
// wall clock is set back, orchestrators' timers move with it
// (Timers::MoveBack); Follow notices that.
//
// Thread-safety: none; callers synchronise.   Lifetime: the clock outlives it.
// `changed` may be called by each method that is not const, and outlives it.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_SCHEDULE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_SCHEDULE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/orchestration/timers.h"
#include "service/orchestration/wire.h"
#include "service/storage/records.h"

namespace leasehold {

class Schedule {
 public:
  // One moment on both clocks, in microseconds.
  struct Moment {
    StoredTime wall = 0;
    StoredTime monotonic = 0;
    // What is due then on the monotonic clock, as a time of day.
    StoredTime ToWall(StoredTime at) const { return at + wall - monotonic; }
  };

  // `changed` is notified when something may be due earlier than before.
  Schedule(const Clock& clock, CondVar& changed)
      : clock_(clock), changed_(changed) {}
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;

  Moment Now() const;
  // For anything but times of day.
  StoredTime MonotonicNow() const { return clock_.Now().ns / 1000; }

  // `early`: see Timers::Add.
  void AddTimer(const Timers::Entry& entry, StoredTime early = 0);
  void CancelTimer(const Timers::Entry& entry) { timers_.Cancel(entry); }
  // The timers of an execution, with their times.
  void CancelTimers(RunNumber number,
                    const std::map<int32_t, Timestamp>& timers);
  // What is left of orchestrations that are gone.
  void CancelAll(const absl::flat_hash_set<RunNumber>& numbers);
  // `kind`: kRetryTurn or kRetryActivity.
  void AddRetry(absl::Duration delay, RunNumber number, Timers::Kind kind,
                int32_t id);

  // Checks whether the wall clock was set back since the last call.
  void Follow();
  // Takes the next entry that is due, timers first; nullopt: none is.
  std::optional<Timers::Entry> TakeDue(const Moment& now);
  // When the next entry is due, as a time of day; nullopt: there is none.
  std::optional<StoredTime> NextDue(const Moment& now) const;

  void Clear();

 private:
  const Clock& clock_;
  CondVar& changed_;
  Timers timers_;
  Timers retries_;  // On the monotonic clock.
  // Both clocks, as last read together.
  std::optional<std::pair<absl::Time, Instant>> followed_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_SCHEDULE_H_
