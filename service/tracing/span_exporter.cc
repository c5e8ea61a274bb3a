#include "service/tracing/span_exporter.h"

#include <utility>

namespace leasehold {
namespace {

constexpr int kTries = 5;
constexpr absl::Duration kFirstPause = absl::Seconds(1);
// How long the end of the server may wait for what is left.
constexpr absl::Duration kLastSending = absl::Seconds(1);

}  // namespace

SpanExporter::SpanExporter(Clock& clock, SpanQueue& queue, SpanSender& sender,
                           absl::Duration timeout, OnDropped on_dropped)
    : clock_(clock),
      queue_(queue),
      sender_(sender),
      timeout_(timeout),
      on_dropped_(std::move(on_dropped)),
      thread_([this] { Run(); }) {}

void SpanExporter::Stop() {
  if (!thread_.joinable()) return;
  sender_.Hurry(kLastSending);
  queue_.Close();
  thread_.join();
}

absl::Status SpanExporter::SendWithPatience(const std::vector<Span>& batch) {
  absl::Duration pause = kFirstPause;
  for (int tries = 1;; ++tries) {
    uint64_t refused = 0;
    absl::Status status = sender_.Send(batch, timeout_, refused);
    if (status.ok()) {
      queue_.CountDropped(refused);
      return refused == 0 ? status
                          : absl::InvalidArgumentError(
                                "the collector has refused some of them");
    }
    if (!absl::IsUnavailable(status) || tries == kTries ||
        !queue_.WaitUntil(clock_.Now() + pause)) {
      queue_.CountDropped(batch.size());
      return status;
    }
    pause *= 2;
  }
}

void SpanExporter::Run() {
  for (;;) {
    const std::vector<Span> batch = queue_.Take();
    if (batch.empty()) return;
    const absl::Status status = SendWithPatience(batch);
    const uint64_t dropped = queue_.dropped();
    if (dropped == told_) continue;
    on_dropped_(dropped - std::exchange(told_, dropped),
                status.ok() ? absl::ResourceExhaustedError(
                                  "more spans than the collector takes")
                            : status);
  }
}

}  // namespace leasehold
