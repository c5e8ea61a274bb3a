// The setting `retention`: for how long orchestrations are kept after they have
// ended.
//
//   7d                         all of them
//   completed=1d,failed=30d    these, the others for good
//   7d,failed=off              all of them, but what failed is kept for good
//
// Thread-safety: pure functions.   Lifetime: the target outlives its setting.
#ifndef LEASEHOLD_SERVICE_HOST_RETENTION_SETTING_H_
#define LEASEHOLD_SERVICE_HOST_RETENTION_SETTING_H_

#include <string>

#include "absl/status/statusor.h"
#include "service/host/setting.h"
#include "service/orchestration/retention_rules.h"

namespace leasehold {

//   InvalidArgument: it is not written as above.
absl::StatusOr<RetentionRules> ReadRetention(const std::string& text);

// As it could be given: `off`, `168h`, `completed=24h,failed=720h`.
std::string RetentionText(const RetentionRules& rules);

Setting RetentionSetting(RetentionRules& target);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_RETENTION_SETTING_H_
