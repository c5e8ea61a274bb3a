#include "service/tracing/span_queue.h"

#include <algorithm>
#include <utility>

namespace leasehold {

void SpanQueue::Add(Span span) {
  const Instant now = clock_.Now();
  MutexLock lock(mu_);
  if (closed_) return;
  if (spans_.size() >= limits_.spans_max) {
    CountDropped(1);
    return;
  }
  spans_.push_back({now, std::move(span)});
  // The first one begins the wait, a whole batch ends it.
  if (spans_.size() == 1 || spans_.size() == limits_.batch_max) {
    changed_.NotifyOne();
  }
}

std::vector<Span> SpanQueue::Take() {
  MutexLock lock(mu_);
  while (!closed_ && spans_.size() < limits_.batch_max) {
    const Instant due = spans_.empty()
                            ? Instant::Infinite()
                            : spans_.front().since + limits_.patience;
    if (clock_.Now() >= due) break;
    clock_.WaitUntil(changed_, mu_, due);
  }
  std::vector<Span> batch;
  const size_t count = std::min(spans_.size(), limits_.batch_max);
  batch.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    batch.push_back(std::move(spans_.front().span));
    spans_.pop_front();
  }
  return batch;
}

bool SpanQueue::WaitUntil(Instant time) {
  MutexLock lock(mu_);
  while (!closed_ && clock_.Now() < time) {
    clock_.WaitUntil(changed_, mu_, time);
  }
  return !closed_;
}

void SpanQueue::Close() {
  MutexLock lock(mu_);
  closed_ = true;
  changed_.NotifyAll();
}

bool SpanQueue::closed() const {
  MutexLock lock(mu_);
  return closed_;
}

}  // namespace leasehold
