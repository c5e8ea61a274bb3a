// What the Durable Task contract says of traces (its messages TraceContext and
// OrchestrationTraceContext), as contexts of spans.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_TRACE_MESSAGE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_TRACE_MESSAGE_H_

#include <optional>

#include "service/orchestration/wire.h"
#include "service/tracing/span_context.h"

namespace leasehold {

// nullopt: it is absent, or not valid.
std::optional<SpanContext> ContextIn(const OpaqueMessage& trace);

OpaqueMessage TraceMessage(const SpanContext& context);

// Whether the worker that has sent this OrchestrationTraceContext makes the
// spans of the orchestration itself.
bool NamesSpan(const OpaqueMessage& orchestration_trace);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_TRACE_MESSAGE_H_
