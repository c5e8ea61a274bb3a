#include "service/orchestration/trace_message.h"

#include <string>
#include <string_view>
#include <vector>

namespace leasehold {
namespace {

struct TraceFields {
  std::string trace_parent = {};
  std::string span_id = {};  // Deprecated, and read by some workers.
  Payload trace_state = {};

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.trace_parent);
    field(2, self.span_id);
    field(3, self.trace_state);
  }
};

struct OrchestrationTraceFields {
  Payload span_id = {};

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.span_id);
  }
};

}  // namespace

std::optional<SpanContext> ContextIn(const OpaqueMessage& trace) {
  if (!trace.has_value()) return std::nullopt;
  const auto fields = DecodeMessage<TraceFields>(*trace.bytes);
  if (!fields.has_value()) return std::nullopt;
  std::vector<std::string_view> states;
  if (fields->trace_state.has_value()) states.push_back(*fields->trace_state);
  return ReadSpanContext({fields->trace_parent}, states);
}

OpaqueMessage TraceMessage(const SpanContext& context) {
  TraceFields fields{.trace_parent = FormatTraceParent(context),
                     .span_id = HexOf(context.span)};
  if (!context.state.empty()) fields.trace_state = context.state;
  return {EncodeMessage(fields)};
}

bool NamesSpan(const OpaqueMessage& orchestration_trace) {
  if (!orchestration_trace.has_value()) return false;
  const auto fields =
      DecodeMessage<OrchestrationTraceFields>(*orchestration_trace.bytes);
  return fields.has_value() && !fields->span_id.value_or("").empty();
}

}  // namespace leasehold
