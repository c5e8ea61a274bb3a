// Fuzzes the trace context that callers send: the input is a `traceparent` and,
// after zero bytes, the values of `tracestate`.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "service/tracing/span_context.h"
#include "tests/fuzz/property.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using leasehold::Property;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= input.size();) {
    const size_t end = std::min(input.find('\0', at), input.size());
    parts.push_back(input.substr(at, end - at));
    at = end + 1;
  }
  const std::vector<std::string_view> states(parts.begin() + 1, parts.end());
  const auto context = leasehold::ReadSpanContext({parts.front()}, states);
  if (context.has_value()) {
    Property(context->span != 0, "a context has a span");
    Property(context->trace != leasehold::TraceId{}, "a context has a trace");
    Property(context->flags <= 1, "flags that are not known are left out");
    const std::string text = leasehold::FormatTraceParent(*context);
    Property(text.substr(2, 51) == parts.front().substr(2, 51),
             "a context says again what it was");
    const auto again = leasehold::ReadSpanContext({text}, {context->state});
    Property(again == context, "a context is read again as it was written");
  }
  const std::string state = leasehold::ReadTraceState(states);
  Property(state.size() <= leasehold::kTraceStateBytesMax,
           "a state is within its bound");
  Property(leasehold::IsCleanUtf8(state), "a state can be sent anywhere");
  size_t members = state.empty() ? 0 : 1;
  for (const char c : state) members += c == ',' ? 1 : 0;
  Property(members <= leasehold::kTraceStateMembersMax,
           "a state has not too many members");
  return 0;
}
