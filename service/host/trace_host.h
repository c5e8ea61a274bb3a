// TraceHost: spans, from the tracer to the collector, as one part of
// leasehold-server.
//
// It ends after them, and sends the spans that their end has made.
//
// Thread-safety: one thread, except for the tracer and dropped_spans.
// Lifetime: clock and log outlive it; it outlives all that makes spans.
#ifndef LEASEHOLD_SERVICE_HOST_TRACE_HOST_H_
#define LEASEHOLD_SERVICE_HOST_TRACE_HOST_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "lease/clock.h"
#include "service/host/server_log.h"
#include "service/host/trace_options.h"
#include "service/tracing/tracer.h"

namespace leasehold {

class TraceHost {
 public:
  // By the settings and the environment of the process.
  //   InvalidArgument: as ReadOtlpSettings and OtlpSender::Make.
  static absl::StatusOr<std::unique_ptr<TraceHost>> Open(
      const TraceOptions& options, Clock& clock, ServerLog& log);
  // Sends what is left, for a second at most.
  ~TraceHost();
  TraceHost(const TraceHost&) = delete;
  TraceHost& operator=(const TraceHost&) = delete;

  // Null: no spans are made.
  Tracer* tracer();
  // Spans that were not sent since the start. On any thread.
  uint64_t dropped_spans() const;

 private:
  class Sending;  // From the tracer to the collector.

  explicit TraceHost(std::unique_ptr<Sending> sending);

  const std::unique_ptr<Sending> sending_;  // Null: no spans are made.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_TRACE_HOST_H_
