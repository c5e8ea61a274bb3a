// OtlpSender: sends spans to an OpenTelemetry collector by OTLP over gRPC.
//
// Thread-safety: as SpanSender.   Lifetime: the clock outlives it.
#ifndef LEASEHOLD_SERVICE_HOST_OTLP_SENDER_H_
#define LEASEHOLD_SERVICE_HOST_OTLP_SENDER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/host/trace_options.h"
#include "service/tracing/span.h"
#include "service/tracing/span_exporter.h"

namespace leasehold {

class OtlpSender final : public SpanSender {
 public:
  //   InvalidArgument: the certificate of the authority cannot be read.
  static absl::StatusOr<std::unique_ptr<OtlpSender>> Make(
      Clock& clock, OtlpSettings settings);
  ~OtlpSender() override;

  absl::Status Send(const std::vector<Span>& spans, absl::Duration timeout,
                    uint64_t& refused) override;
  void Hurry(absl::Duration timeout) override;

 private:
  struct Collector;  // Its stub, and the queue of answers.

  OtlpSender(Clock& clock, OtlpSettings settings,
             std::unique_ptr<Collector> collector);

  // Without the secrets that a collector may repeat.
  absl::Status StatusOf(int code, const std::string& message) const;

  // Constant after construction.
  Clock& clock_;
  const OtlpSettings settings_;
  const std::unique_ptr<Collector> collector_;

  // Nothing is waited for any longer.
  Instant end() const { return {end_ns_.load()}; }
  std::atomic<int64_t> end_ns_ = Instant::Infinite().ns;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_OTLP_SENDER_H_
