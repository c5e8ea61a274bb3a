#include "service/tracing/tracer.h"

#include <utility>

#include "absl/random/random.h"

namespace leasehold {
namespace {

uint64_t RandomNumber() {
  static thread_local absl::BitGen random;
  uint64_t number = 0;
  while (number == 0) number = absl::Uniform<uint64_t>(random);
  return number;
}

}  // namespace

Span Tracer::Begin(const std::optional<SpanContext>& parent, std::string name,
                   SpanKind kind) const {
  Span span;
  if (parent.has_value()) {
    span.context = *parent;
    span.parent = parent->span;
  } else {
    span.context.trace = {RandomNumber(), RandomNumber()};
  }
  span.context.span = RandomNumber();
  const bool sampled = sampler_.Samples(parent.has_value() ? &*parent : nullptr,
                                        span.context.trace);
  span.context.flags = sampled ? SpanContext::kSampled : 0;
  span.name = std::move(name);
  span.kind = kind;
  if (sampled) span.begin = clock_.WallNow();
  return span;
}

void Tracer::End(Span span) {
  if (!span.context.sampled()) return;
  if (span.end == absl::Time()) span.end = clock_.WallNow();
  // The wall clock may have been set back.
  if (span.end < span.begin) span.end = span.begin;
  queue_.Add(std::move(span));
}

}  // namespace leasehold
