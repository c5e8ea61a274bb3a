#include "service/orchestration/commit_queue.h"

#include <iterator>
#include <utility>

namespace leasehold {

void CommitQueue::Submit(PendingCommit commit) {
  {
    MutexLock lock(mu_);
    if (queue_.empty()) queued_ = clock_.Now();
    queue_.push_back(std::move(commit));
    if (std::exchange(posted_, true)) return;
  }
  writer_.Post([this] { CommitAll(); });
}

void CommitQueue::CommitAll() {
  std::vector<Change> changes;
  for (;;) {
    std::vector<PendingCommit> batch;
    Fence fence;
    CommitResult result = CommitResult::Done();
    {
      MutexLock lock(mu_);
      committing_ = std::exchange(queued_, std::nullopt);
      if (queue_.empty()) {
        posted_ = false;
        return;
      }
      batch = std::exchange(queue_, {});
      fence = fence_;
      if (!failed_.ok()) result = CommitResult::Refused(failed_);
    }
    if (result.done()) {
      changes.clear();
      for (PendingCommit& commit : batch) {
        std::move(commit.changes.begin(), commit.changes.end(),
                  std::back_inserter(changes));
        commit.changes.clear();
      }
      const Instant begin = clock_.Now();
      if (!changes.empty()) result = store_.Commit({fence}, changes);
      const absl::Duration time = clock_.Now() - begin;
      MutexLock lock(mu_);
      if (!changes.empty()) {
        ++counts_.commits;
        counts_.time += time;
        if (!result.done()) ++counts_.failed;
        times_.Add(absl::ToInt64Nanoseconds(time));
        sizes_.Add(static_cast<int64_t>(batch.size()));
      }
      counts_.pending += batch.size();
      if (!result.done()) {
        failed_ = result.status();
      } else if (!result.gone().empty()) {
        failed_ = absl::AbortedError("an earlier commit was not made");
      }
    }
    committed_(std::move(batch), result);
  }
}

void CommitQueue::Resume(const Fence& fence) {
  MutexLock lock(mu_);
  fence_ = fence;
  failed_ = absl::OkStatus();
}

absl::Duration CommitQueue::delay() const {
  MutexLock lock(mu_);
  const std::optional<Instant> oldest =
      committing_.has_value() ? committing_ : queued_;
  return oldest.has_value() ? clock_.Now() - *oldest : absl::ZeroDuration();
}

CommitQueue::Counts CommitQueue::counts() const {
  MutexLock lock(mu_);
  Counts counts = counts_;
  counts.times = times_.Read();
  counts.sizes = sizes_.Read();
  return counts;
}

}  // namespace leasehold
