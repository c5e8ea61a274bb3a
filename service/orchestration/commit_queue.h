// CommitQueue: group commit.
//
// There is one writer. It takes everything that is queued and makes one commit
// of it; what is queued meanwhile is the next one. So nobody waits for others
// to come, a lone commit is as fast as the disk, and the more there is to do
// the more shares one sync.
//
// Thread-safety: safe.   Lifetime: clock, store and executor outlive it. The
// executor runs one task at a time.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_COMMIT_QUEUE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_COMMIT_QUEUE_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "lease/mutex.h"
#include "service/instance/executor.h"
#include "service/storage/store.h"

namespace leasehold {

// Changes that are there together or not at all.
struct PendingCommit {
  std::vector<Change> changes;
  // Once they are durable, in this order: what the engine knows of it. Under
  // the engine's lock.
  std::vector<std::function<void()>> apply;
  // After that, or when they have failed: who waits is told. Under no lock.
  std::function<void(const absl::Status&)> done;
};

class CommitQueue {
 public:
  struct Counts {
    uint64_t commits = 0;  // That the store was asked for.
    uint64_t pending = 0;  // PendingCommits in them.
    absl::Duration time;   // That the store took for them.
  };

  // `committed` is told of each batch, in order, on the writer: with OK, it is
  // durable; else it has failed, and so will all that is queued until Resume.
  CommitQueue(const Clock& clock, Store& store, Executor& writer,
              std::function<void(std::vector<PendingCommit> batch,
                                 const absl::Status& status)>
                  committed)
      : clock_(clock),
        store_(store),
        writer_(writer),
        committed_(std::move(committed)) {}
  CommitQueue(const CommitQueue&) = delete;
  CommitQueue& operator=(const CommitQueue&) = delete;

  // Queues it behind all that is queued. Never blocks.
  void Submit(PendingCommit commit) ABSL_LOCKS_EXCLUDED(mu_);

  // The store is open again.
  void Resume() ABSL_LOCKS_EXCLUDED(mu_);

  Counts counts() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void CommitAll() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const Clock& clock_;
  Store& store_;
  Executor& writer_;
  const std::function<void(std::vector<PendingCommit>, const absl::Status&)>
      committed_;

  mutable Mutex mu_;
  std::vector<PendingCommit> queue_ ABSL_GUARDED_BY(mu_);
  bool posted_ ABSL_GUARDED_BY(mu_) = false;  // CommitAll is, or runs.
  absl::Status failed_ ABSL_GUARDED_BY(mu_);
  Counts counts_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_COMMIT_QUEUE_H_
