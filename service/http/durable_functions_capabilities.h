// CapabilityUrls: check-status URLs that can be handed on, because each bears a
// capability for its instance (service/security/capability.h).
//
// By default one may ask for the status, raise events, terminate, suspend and
// resume; `?capabilities=se` at the start narrows or widens that. Purges,
// rewinds and restarts are for operators and users with a credential of their
// own.
//
// Thread-safety: safe.   Lifetime: see below.
#ifndef LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_CAPABILITIES_H_
#define LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_CAPABILITIES_H_

#include "absl/time/time.h"
#include "service/http/durable_functions_starts.h"
#include "service/security/capability.h"

namespace leasehold {

// URLs that are good for `lifetime`. `capabilities` outlives what is returned.
ManagementUrlsOf CapabilityUrls(const Capabilities& capabilities,
                                absl::Duration lifetime);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_CAPABILITIES_H_
