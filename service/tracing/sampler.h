// Sampler: decides which traces are recorded, as OTEL_TRACES_SAMPLER names it.
//
// Thread-safety: a value that does not change.
#ifndef LEASEHOLD_SERVICE_TRACING_SAMPLER_H_
#define LEASEHOLD_SERVICE_TRACING_SAMPLER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "service/tracing/span_context.h"

namespace leasehold {

class Sampler {
 public:
  // Everything, but for what a caller does not want: parentbased_always_on.
  Sampler() = default;

  // `name` is one of always_on, always_off, traceidratio and, with the prefix
  // `parentbased_`, the same where the caller has not decided. `argument` is
  // the share of traces from 0 to 1, of the ratio; empty: 1.
  //   InvalidArgument: it is another name, or no such share.
  static absl::StatusOr<Sampler> Make(std::string_view name,
                                      const std::string& argument);

  // `parent`: the caller's span; null: this is a root.
  bool Samples(const SpanContext* parent, const TraceId& trace) const;

 private:
  bool follows_parent_ = true;
  // Of 2^63: traces whose ID is below are recorded, so that all who see a trace
  // decide alike.
  uint64_t bound_ = uint64_t{1} << 63;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_TRACING_SAMPLER_H_
