// The methods of the Durable Task protocol with which callers use entities.
// (Workers': durable_task_worker.h.)
//
// Thread-safety: safe.   Lifetime: the service and the entities outlive the
// server.
#ifndef LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_ENTITIES_H_
#define LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_ENTITIES_H_

#include <vector>

#include "service/doors/durable_task_service.h"
#include "service/orchestration/entities.h"
#include "service/rpc/served.h"

namespace leasehold {

std::vector<HostedService::Method> EntityMethods(DurableTaskService& service,
                                                 Entities& entities);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_ENTITIES_H_
