#include "service/instance/alarm_clock.h"

#include <utility>

namespace leasehold {

void AlarmClock::Set(const std::shared_ptr<Alarm>& alarm,
                     absl::Duration delay) {
  {
    MutexLock lock(mu_);
    set_.emplace(alarm.get(), alarm);
  }
  leases_.Grant(*alarm, delay);
}

void AlarmClock::Cancel(Alarm& alarm) {
  if (leases_.Revoke(alarm)) Take(alarm);
}

void AlarmClock::OnLeasesOver(absl::Span<Lease* const> leases) {
  for (Lease* lease : leases) {
    if (const auto alarm = Take(*static_cast<Alarm*>(lease))) alarm->OnDue();
  }
}

std::shared_ptr<Alarm> AlarmClock::Take(const Alarm& alarm) {
  MutexLock lock(mu_);
  const auto found = set_.find(&alarm);
  if (found == set_.end()) return nullptr;
  std::shared_ptr<Alarm> taken = std::move(found->second);
  set_.erase(found);
  return taken;
}

}  // namespace leasehold
