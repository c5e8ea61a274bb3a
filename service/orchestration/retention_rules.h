// RetentionRules: for how long orchestrations are kept after they have ended.
//
// Thread-safety: a value.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_RETENTION_RULES_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_RETENTION_RULES_H_

#include <map>

#include "absl/time/time.h"
#include "service/orchestration/history.h"

namespace leasehold {

struct RetentionRules {
  // By the status with which they ended. The others are kept for good.
  std::map<OrchestrationStatus, absl::Duration> ages = {};

  friend bool operator==(const RetentionRules&,
                         const RetentionRules&) = default;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_RETENTION_RULES_H_
