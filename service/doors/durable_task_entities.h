// The methods of the Durable Task protocol for entities, which this server does
// not support yet: each answers UNIMPLEMENTED.
//
// Thread-safety: safe.   Lifetime: the service outlives the server.
#ifndef LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_ENTITIES_H_
#define LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_ENTITIES_H_

#include <vector>

#include "service/doors/durable_task_service.h"
#include "service/rpc/served.h"

namespace leasehold {

std::vector<HostedService::Method> EntityMethods(DurableTaskService& service);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_ENTITIES_H_
