#include "service/host/context_tally.h"

#include "lease/base/view.h"

namespace leasehold {

ContextTally::Counts ContextTally::counts() const {
  Counts counts{.created = created_.value(),
                .expired = expired_.value(),
                .open_failed = open_failed_.value(),
                .detach_failed = detach_failed_.value(),
                .threw = threw_.value()};
  for (size_t reason = 0; reason < kDetachReasons; ++reason) {
    counts.closed[reason] = closed_[reason].value();
  }
  MutexLock lock(mu_);
  counts.tenants = {tenants_.begin(), tenants_.end()};
  return counts;
}

void ContextTally::OnEvent(const InstanceEvent& event) {
  switch (event.kind) {
    case InstanceEventKind::kCreated: {
      created_.Add();
      MutexLock lock(mu_);
      ++tenants_[View(event.tenant)].created;
      break;
    }
    case InstanceEventKind::kClosed: {
      closed_[static_cast<size_t>(event.reason)].Add();
      MutexLock lock(mu_);
      ++tenants_[View(event.tenant)].closed;
      break;
    }
    case InstanceEventKind::kExpired:
      expired_.Add();
      break;
    case InstanceEventKind::kOpenFailed:
      open_failed_.Add();
      break;
    case InstanceEventKind::kDetachFailed:
      detach_failed_.Add();
      break;
    case InstanceEventKind::kThrew:
      threw_.Add();
      break;
    case InstanceEventKind::kIdle:
    case InstanceEventKind::kBusy:
    case InstanceEventKind::kRenewed:
    case InstanceEventKind::kClosing:
    case InstanceEventKind::kPinsChanged:
    case InstanceEventKind::kHeldByProvider:
      break;
  }
}

}  // namespace leasehold
