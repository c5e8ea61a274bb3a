#include "service/host/trace_host.h"

#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/host/otlp_sender.h"
#include "service/tracing/span_exporter.h"
#include "service/tracing/span_queue.h"

namespace leasehold {
namespace {

// Lines about spans that were dropped.
constexpr absl::Duration kBetweenLines = absl::Minutes(1);

}  // namespace

class TraceHost::Sending {
 public:
  Sending(Clock& clock, ServerLog& log, const OtlpSettings& settings,
          std::unique_ptr<OtlpSender> sender)
      : clock_(clock),
        log_(log),
        queue_(clock, settings.queue),
        tracer_(clock, settings.sampler, queue_),
        sender_(std::move(sender)),
        exporter_(clock, queue_, *sender_, settings.timeout,
                  [this](uint64_t count, const absl::Status& why) {
                    OnDropped(count, why);
                  }) {}

  Tracer& tracer() { return tracer_; }

 private:
  void OnDropped(uint64_t count, const absl::Status& why) {
    untold_ += count;
    const Instant now = clock_.Now();
    if (now < next_line_) return;
    next_line_ = now + kBetweenLines;
    log_.Warning("spans_dropped", {{"count", std::exchange(untold_, 0)},
                                   {"reason", why.ToString()}});
  }

  Clock& clock_;
  ServerLog& log_;

  // Of the exporter's thread.
  Instant next_line_ = {};
  uint64_t untold_ = 0;

  SpanQueue queue_;
  Tracer tracer_;
  const std::unique_ptr<OtlpSender> sender_;
  SpanExporter exporter_;  // Ends first.
};

absl::StatusOr<std::unique_ptr<TraceHost>> TraceHost::Open(
    const TraceOptions& options, Clock& clock, ServerLog& log) {
  absl::StatusOr<std::optional<OtlpSettings>> settings = ReadOtlpSettings(
      options, [](const char* name) { return std::getenv(name); });
  if (!settings.ok()) return settings.status();
  std::unique_ptr<Sending> sending;
  if (settings->has_value()) {
    absl::StatusOr<std::unique_ptr<OtlpSender>> sender =
        OtlpSender::Make(clock, **settings);
    if (!sender.ok()) return sender.status();
    sending =
        std::make_unique<Sending>(clock, log, **settings, *std::move(sender));
  }
  return std::unique_ptr<TraceHost>(new TraceHost(std::move(sending)));
}

TraceHost::TraceHost(std::unique_ptr<Sending> sending)
    : sending_(std::move(sending)) {}

TraceHost::~TraceHost() = default;

Tracer* TraceHost::tracer() {
  return sending_ == nullptr ? nullptr : &sending_->tracer();
}

uint64_t TraceHost::dropped_spans() const {
  return sending_ == nullptr ? 0 : sending_->tracer().dropped();
}

}  // namespace leasehold
