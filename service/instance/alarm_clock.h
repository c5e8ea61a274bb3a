// AlarmClock: calls back later, where no lease of a context does.
//
// For timeouts that few contexts need at any moment, such as the open timeout:
// an Alarm is a separate object, whereas every context contains its lease.
//
// Thread-safety: safe.   Lifetime: the clock outlives it. It keeps a set alarm
// alive; alarms that are still set when it is destroyed are forgotten.
#ifndef LEASEHOLD_SERVICE_INSTANCE_ALARM_CLOCK_H_
#define LEASEHOLD_SERVICE_INSTANCE_ALARM_CLOCK_H_

#include <cstddef>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "lease/lease_manager.h"

namespace leasehold {

// Rings once, unless cancelled first. Its owner derives from it.
class Alarm : private Lease {
 public:
  virtual ~Alarm() = default;

  // Runs on the AlarmClock's thread (or in RunDue), without a lock; must not
  // block.
  virtual void OnDue() = 0;

 private:
  friend class AlarmClock;
};

class AlarmClock final : private LeaseListener {
 public:
  explicit AlarmClock(Clock& clock) : leases_(clock, *this) {}
  ~AlarmClock() override { leases_.Stop(); }

  // Starts the thread. Without it, alarms ring when RunDue is called.
  void Start() { leases_.Start(); }
  void Stop() { leases_.Stop(); }
  size_t RunDue() { return leases_.RunDue(); }
  Instant NextDue() const { return leases_.NextDue(); }

  // `alarm` rings after `delay`. REQUIRES: it was never set before.
  void Set(const std::shared_ptr<Alarm>& alarm, absl::Duration delay)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The alarm no longer rings, unless it is ringing already.
  void Cancel(Alarm& alarm) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void OnLeasesOver(absl::Span<Lease* const> leases) override
      ABSL_LOCKS_EXCLUDED(mu_);
  std::shared_ptr<Alarm> Take(const Alarm& alarm) ABSL_LOCKS_EXCLUDED(mu_);

  Mutex mu_;
  absl::flat_hash_map<const Alarm*, std::shared_ptr<Alarm>> set_
      ABSL_GUARDED_BY(mu_);
  LeaseManager leases_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_ALARM_CLOCK_H_
