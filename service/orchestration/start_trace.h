// TraceStart: gives a start its place in its caller's trace, at every door.
//
// Thread-safety: a pure function; what it returns may be called from any
// thread.   Lifetime: the tracer outlives what it returns.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_START_TRACE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_START_TRACE_H_

#include "service/orchestration/requests.h"
#include "service/tracing/span.h"

namespace leasehold {

// The context that `request` names stays: its caller has made a span for the
// start. Otherwise that of the call goes on and, if it is recorded, below it a
// span `create_orchestration:NAME`, until the start is answered. Returns what
// takes the answer, and passes it on to `done`.
Done<StartReceipt> TraceStart(const CallTrace& trace, StartRequest& request,
                              Done<StartReceipt> done);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_START_TRACE_H_
