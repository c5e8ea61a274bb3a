#include "service/orchestration/commit_queue.h"

#include <iterator>
#include <utility>

namespace leasehold {

void CommitQueue::Submit(PendingCommit commit) {
  {
    MutexLock lock(mu_);
    queue_.push_back(std::move(commit));
    if (std::exchange(posted_, true)) return;
  }
  writer_.Post([this] { CommitAll(); });
}

void CommitQueue::CommitAll() {
  std::vector<Change> changes;
  for (;;) {
    std::vector<PendingCommit> batch;
    absl::Status status;
    {
      MutexLock lock(mu_);
      if (queue_.empty()) {
        posted_ = false;
        return;
      }
      batch = std::exchange(queue_, {});
      status = failed_;
    }
    if (status.ok()) {
      changes.clear();
      for (PendingCommit& commit : batch) {
        std::move(commit.changes.begin(), commit.changes.end(),
                  std::back_inserter(changes));
        commit.changes.clear();
      }
      const Instant begin = clock_.Now();
      status = changes.empty() ? absl::OkStatus() : store_.Commit(changes);
      const absl::Duration time = clock_.Now() - begin;
      MutexLock lock(mu_);
      if (!changes.empty()) {
        ++counts_.commits;
        counts_.time += time;
      }
      counts_.pending += batch.size();
      if (!status.ok()) failed_ = status;
    }
    committed_(std::move(batch), status);
  }
}

void CommitQueue::Resume() {
  MutexLock lock(mu_);
  failed_ = absl::OkStatus();
}

CommitQueue::Counts CommitQueue::counts() const {
  MutexLock lock(mu_);
  return counts_;
}

}  // namespace leasehold
