// The numbers of orchestrations, work, workers and the store.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_SERVICE_HOST_WORK_STATS_H_
#define LEASEHOLD_SERVICE_HOST_WORK_STATS_H_

#include "service/host/orchestration_host.h"
#include "service/metrics/stat_list.h"

namespace leasehold {

void AddWorkStats(const OrchestrationHost::Stats& stats, StatList& list);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_WORK_STATS_H_
