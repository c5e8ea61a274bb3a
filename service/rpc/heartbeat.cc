#include "service/rpc/heartbeat.h"

#include <algorithm>

#include "lease/base/header_names.h"
#include "service/base/timeout.h"

namespace leasehold {

absl::StatusOr<absl::Duration> HeartbeatTimer::Asked(
    std::string_view value) const {
  const absl::StatusOr<absl::Duration> asked =
      ParseTimeout(kHeartbeatHeader, value);
  if (!asked.ok()) return asked.status();
  return std::min(interval_, std::max(*asked, kHeartbeatIntervalMin));
}

void HeartbeatTimer::OnLeasesOver(absl::Span<Lease* const> leases) {
  for (Lease* lease : leases) static_cast<Silence*>(lease)->OnQuiet();
}

}  // namespace leasehold
