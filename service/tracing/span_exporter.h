// SpanExporter: sends the spans of a queue to a collector, on a thread of its
// own. SpanSender: how.
//
// A batch that the collector cannot take now (Unavailable) is sent again after
// 1, 2, 4 and 8 s; meanwhile the queue fills, and drops what has no room. One
// that it refuses is dropped. Nothing else waits for it.
//
// Thread-safety: Stop belongs to one thread, once; `dropped` is safe.
// Lifetime: clock and sender outlive it, and the queue does.
#ifndef LEASEHOLD_SERVICE_TRACING_SPAN_EXPORTER_H_
#define LEASEHOLD_SERVICE_TRACING_SPAN_EXPORTER_H_

#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/tracing/span.h"
#include "service/tracing/span_queue.h"

namespace leasehold {

class SpanSender {
 public:
  virtual ~SpanSender() = default;

  // Sends them; blocks for at most `timeout`. On the exporter's thread. The
  // collector may have taken only a part: `refused` becomes the number of those
  // that it has not.
  //   Unavailable: not now.
  virtual absl::Status Send(const std::vector<Span>& spans,
                            absl::Duration timeout, uint64_t& refused) = 0;
  // From now on nothing blocks for longer than `timeout`, all told. On another
  // thread.
  virtual void Hurry(absl::Duration timeout) = 0;
};

class SpanExporter {
 public:
  // How many spans were dropped, and why.
  using OnDropped = std::function<void(uint64_t count, const absl::Status&)>;

  // `on_dropped` is called on the exporter's thread.
  SpanExporter(Clock& clock, SpanQueue& queue, SpanSender& sender,
               absl::Duration timeout, OnDropped on_dropped);
  ~SpanExporter() { Stop(); }
  SpanExporter(const SpanExporter&) = delete;
  SpanExporter& operator=(const SpanExporter&) = delete;

  // Closes the queue and sends what is left in it, within a second. Idempotent.
  void Stop();

 private:
  void Run();
  // False: the queue was closed while it waited to try again.
  absl::Status SendWithPatience(const std::vector<Span>& batch);

  // Constant after construction.
  Clock& clock_;
  SpanQueue& queue_;
  SpanSender& sender_;
  const absl::Duration timeout_;
  const OnDropped on_dropped_;

  // Of the thread alone.
  uint64_t told_ = 0;  // Those that were dropped, as far as it was told.

  std::thread thread_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_TRACING_SPAN_EXPORTER_H_
