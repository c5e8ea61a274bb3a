// TraceOptions: where spans are sent, as a setting and as OpenTelemetry's
// environment variables say it. OtlpSettings: what comes of both.
//
//   --otlp-endpoint=http://collector:4317      the setting comes first
//   OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT
//
// An empty variable is as good as none.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_HOST_TRACE_OPTIONS_H_
#define LEASEHOLD_SERVICE_HOST_TRACE_OPTIONS_H_

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/host/setting.h"
#include "service/tracing/sampler.h"
#include "service/tracing/span_queue.h"

namespace leasehold {

struct TraceOptions {
  std::string endpoint;  // Empty: as the environment says. `off`: nowhere.
};

// They write to `options`.
std::vector<Setting> TraceSettings(TraceOptions& options);

// How spans are sent.
struct OtlpSettings {
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  std::string target;   // HOST:PORT.
  bool secure = false;  // By TLS.
  std::string ca_file;  // Of its certificate; empty: whom the machine trusts.
  Pairs headers;        // Secrets may be among the values.
  Pairs resource;       // Who sends; with service.name.
  Sampler sampler;
  absl::Duration timeout = absl::Seconds(10);
  SpanQueue::Limits queue = {};
};

// The value of a variable; null: it is not set.
using Environment = std::function<const char*(const char* name)>;

// nullopt: spans are not sent.
//   InvalidArgument: the server cannot do what a variable asks for; the message
//     names the variable, and shows the value of none that may be secret.
absl::StatusOr<std::optional<OtlpSettings>> ReadOtlpSettings(
    const TraceOptions& options, const Environment& environment);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_TRACE_OPTIONS_H_
