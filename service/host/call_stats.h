// The numbers of calls over gRPC, and of overloads that refuse them.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_SERVICE_HOST_CALL_STATS_H_
#define LEASEHOLD_SERVICE_HOST_CALL_STATS_H_

#include "service/embed/instances.h"
#include "service/metrics/stat_list.h"

namespace leasehold {

void AddCallStats(const Instances& instances, StatList& list);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_CALL_STATS_H_
