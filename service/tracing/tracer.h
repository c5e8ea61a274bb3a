// Tracer: begins spans, and gives those that are recorded to a queue.
//
// Thread-safety: safe; it never blocks.   Lifetime: clock and queue outlive it.
#ifndef LEASEHOLD_SERVICE_TRACING_TRACER_H_
#define LEASEHOLD_SERVICE_TRACING_TRACER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/tracing/sampler.h"
#include "service/tracing/span.h"
#include "service/tracing/span_queue.h"

namespace leasehold {

class Tracer final : public SpanSink {
 public:
  Tracer(Clock& clock, Sampler sampler, SpanQueue& queue)
      : clock_(clock), sampler_(sampler), queue_(queue) {}

  // A span that begins now, as a child of `parent`; nullopt: as a root. If it
  // is not sampled, it is only there to be passed on.
  Span Begin(const std::optional<SpanContext>& parent, std::string name,
             SpanKind kind) const;

  // If it has no end yet, it ends now.
  void End(Span span) override;

  // Spans that could not be sent since the start.
  uint64_t dropped() const { return queue_.dropped(); }

 private:
  // Constant after construction.
  Clock& clock_;
  const Sampler sampler_;
  SpanQueue& queue_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_TRACING_TRACER_H_
