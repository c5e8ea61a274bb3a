// AddContext: why an instance context stays open, or has not opened.
//
// Thread-safety: a pure function.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_CONTEXT_CAUSES_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_CONTEXT_CAUSES_H_

#include "service/instance/instance_info.h"
#include "service/orchestration/explanation.h"

namespace leasehold {

// Adds what the context says to what is already known of its ID. If that is
// nothing but the context, it says its status, too.
void AddContext(const InstanceInfo& info, Explanation& explanation);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_CONTEXT_CAUSES_H_
