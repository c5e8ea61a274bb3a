// Span: a piece of work in a trace, from its beginning to its end, as it is
// sent to a collector. CallTrace: what a call gives on to the work that it
// begins.
//
// Attributes are names, numbers and codes: never payloads, headers or secrets.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_TRACING_SPAN_H_
#define LEASEHOLD_SERVICE_TRACING_SPAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "service/tracing/span_context.h"

namespace leasehold {

// Numbers as in OTLP.
enum class SpanKind : uint8_t {
  kInternal = 1,
  kServer = 2,    // Does what another span asks for.
  kClient = 3,    // Asks for something, and waits for it.
  kProducer = 4,  // Asks for something, and does not wait.
  kConsumer = 5,  // Takes what a producer has left.
};

struct Span {
  // Names of attributes are literals.
  using Value = std::variant<std::string, int64_t>;
  using Attribute = std::pair<std::string_view, Value>;

  SpanContext context = {};
  SpanId parent = 0;  // 0: this is a root.
  std::string name = {};
  SpanKind kind = SpanKind::kInternal;
  absl::Time begin = {};
  absl::Time end = {};
  std::vector<Attribute> attributes = {};
  bool failed = false;
  std::string message = {};  // Of the failure.
};

// The tenant on whose behalf it is, in every span.
inline constexpr std::string_view kTenantAttribute = "leasehold.tenant";

// Takes spans that have ended.
class SpanSink {
 public:
  virtual ~SpanSink() = default;
  // On any thread; never blocks. Those that are not sampled are ignored.
  virtual void End(Span span) = 0;
};

class Tracer;

struct CallTrace {
  Tracer* tracer = nullptr;  // Null: no spans are made.
  // The call's span or, without spans, that of its caller. nullopt: neither.
  std::optional<SpanContext> context = {};
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_TRACING_SPAN_H_
