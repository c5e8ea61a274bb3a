// SpanQueue: spans that wait to be sent, with a bound.
//
// Whoever ends a span adds it and goes on: if the queue is full, the span is
// dropped and counted. One thread takes batches.
//
// Thread-safety: safe. The lock is held for moments only, and never while
// something is sent.   Lifetime: the clock outlives it.
#ifndef LEASEHOLD_SERVICE_TRACING_SPAN_QUEUE_H_
#define LEASEHOLD_SERVICE_TRACING_SPAN_QUEUE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/tracing/span.h"

namespace leasehold {

class SpanQueue {
 public:
  struct Limits {
    size_t spans_max = 2048;
    size_t batch_max = 512;
    // A span waits at most this long for others.
    absl::Duration patience = absl::Seconds(5);
  };

  SpanQueue(Clock& clock, Limits limits) : clock_(clock), limits_(limits) {}

  void Add(Span span) ABSL_LOCKS_EXCLUDED(mu_);

  // The next batch; blocks until it is full, or its first span has waited for
  // long enough, or the queue is closed. Empty: it is closed, and has nothing
  // left.
  std::vector<Span> Take() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until then, or until the queue is closed. False: it is.
  bool WaitUntil(Instant time) ABSL_LOCKS_EXCLUDED(mu_);

  // From now on spans are dropped, without being counted, and nobody waits.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);
  bool closed() const ABSL_LOCKS_EXCLUDED(mu_);

  // So many were dropped since the start: because the queue was full, or
  // because they could not be sent (CountDropped).
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  void CountDropped(uint64_t count) {
    dropped_.fetch_add(count, std::memory_order_relaxed);
  }

 private:
  struct Waiting {
    Instant since;
    Span span;
  };

  // Constant after construction.
  Clock& clock_;
  const Limits limits_;

  std::atomic<uint64_t> dropped_ = 0;

  mutable Mutex mu_;
  CondVar changed_;
  std::deque<Waiting> spans_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_TRACING_SPAN_QUEUE_H_
