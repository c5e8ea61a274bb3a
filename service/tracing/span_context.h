// SpanContext: where a piece of work stands in a trace, as the W3C
// recommendation "Trace Context" has it.
//
//   traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
//                |  the trace                        the span         flags
//                version
//   tracestate:  vendor=opaque,tenant@system=1
//
// What a stranger sends is read strictly. A `traceparent` that breaks a rule is
// as good as none; it is never an error. A `tracestate` that breaks one is left
// out alone.
//
// Thread-safety: values and pure functions.
#ifndef LEASEHOLD_SERVICE_TRACING_SPAN_CONTEXT_H_
#define LEASEHOLD_SERVICE_TRACING_SPAN_CONTEXT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leasehold {

// Names of headers and of gRPC metadata.
inline constexpr char kTraceParentHeader[] = "traceparent";
inline constexpr char kTraceStateHeader[] = "tracestate";

// 16 bytes; not all zero in a valid context.
struct TraceId {
  uint64_t high = 0;
  uint64_t low = 0;
  friend bool operator==(const TraceId&, const TraceId&) = default;
};
// 8 bytes; 0: none.
using SpanId = uint64_t;

struct SpanContext {
  static constexpr uint8_t kSampled = 1;

  TraceId trace;
  SpanId span = 0;
  uint8_t flags = 0;
  // The list of vendors' members, without spaces around them; empty: none.
  std::string state = {};

  bool sampled() const { return (flags & kSampled) != 0; }
  friend bool operator==(const SpanContext&, const SpanContext&) = default;
};

// At most this much of a `tracestate` is passed on; and it has at most this
// many members.
inline constexpr size_t kTraceStateBytesMax = 512;
inline constexpr size_t kTraceStateMembersMax = 32;

// nullopt: it is not valid. Its state is empty.
std::optional<SpanContext> ParseTraceParent(std::string_view text);
// `lines`: the values of all headers of that name, in their order. Empty: none
// has anything to say, or they break a rule.
std::string ReadTraceState(const std::vector<std::string_view>& lines);

// Of a caller's headers. nullopt: there is not exactly one `traceparent`, or it
// is not valid.
std::optional<SpanContext> ReadSpanContext(
    const std::vector<std::string_view>& trace_parents,
    const std::vector<std::string_view>& trace_states);

// The value of `traceparent`, of version 00.
std::string FormatTraceParent(const SpanContext& context);
// 16 lower-case hex digits.
std::string HexOf(SpanId id);
// nullopt: these are not 16 lower-case hex digits, or they are all zero.
std::optional<SpanId> ParseSpanId(std::string_view text);

// As bytes, as they stand in OTLP.
std::string BytesOf(const TraceId& id);
std::string BytesOf(SpanId id);

// The ID of a span that is found again after a restart, because it is always
// the same for the same words. Never 0.
SpanId DerivedSpanId(std::string_view seed, uint64_t number = 0);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_TRACING_SPAN_CONTEXT_H_
