// CommitQueue: group commit.
//
// The one writer takes everything in the queue and makes one commit of it; what
// is queued meanwhile goes into the next. So no commit waits for others to join
// it, a lone commit is as fast as the disk, and the higher the load, the more
// commits share one sync.
//
// Thread-safety: safe.   Lifetime: clock, store and executor outlive it. The
// executor runs one task at a time.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_COMMIT_QUEUE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_COMMIT_QUEUE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lease/base/cells.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/instance/executor.h"
#include "service/storage/store.h"

namespace leasehold {

// Changes that are committed together or not at all.
struct PendingCommit {
  std::vector<Change> changes;
  // Called in this order once the changes are durable, under the engine's lock:
  // they update the engine's memory.
  std::vector<std::function<void()>> apply;
  // Called after that, or after a failure, under no lock: notifies waiters.
  std::function<void(const absl::Status&)> done;
};

class CommitQueue {
 public:
  struct Counts {
    uint64_t commits = 0;         // Requested from the store.
    uint64_t pending = 0;         // Contained in them.
    absl::Duration time;          // Spent in the store.
    uint64_t failed = 0;          // Those that were not done.
    HistogramReading times = {};  // The same, by commit.
    HistogramReading sizes = {};  // Contained in each.
  };

  // `committed` receives each batch, in order, on the writer, and what it has
  // come to. Once a batch is not done, or a part of it rests on a row of an
  // outbox that is gone, everything queued until Resume is refused: it may rest
  // on what that batch would have changed.
  CommitQueue(const Clock& clock, Store& store, Executor& writer,
              std::function<void(std::vector<PendingCommit> batch,
                                 const CommitResult& result)>
                  committed)
      : clock_(clock),
        store_(store),
        writer_(writer),
        committed_(std::move(committed)) {}
  CommitQueue(const CommitQueue&) = delete;
  CommitQueue& operator=(const CommitQueue&) = delete;

  // Queues a commit at the end. Never blocks.
  void Submit(PendingCommit commit) ABSL_LOCKS_EXCLUDED(mu_);

  // The partition is open (again), and its writer commits in this name.
  void Resume(const Fence& fence) ABSL_LOCKS_EXCLUDED(mu_);

  Counts counts() const ABSL_LOCKS_EXCLUDED(mu_);
  // How long the oldest commit that is not durable has waited; zero: none does.
  absl::Duration delay() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void CommitAll() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const Clock& clock_;
  Store& store_;
  Executor& writer_;
  const std::function<void(std::vector<PendingCommit>, const CommitResult&)>
      committed_;

  mutable Mutex mu_;
  std::vector<PendingCommit> queue_ ABSL_GUARDED_BY(mu_);
  // Since when the oldest in the queue waits, and the oldest of the batch that
  // is being committed.
  std::optional<Instant> queued_ ABSL_GUARDED_BY(mu_);
  std::optional<Instant> committing_ ABSL_GUARDED_BY(mu_);
  bool posted_ ABSL_GUARDED_BY(mu_) = false;  // CommitAll is posted or runs.
  Fence fence_ ABSL_GUARDED_BY(mu_);
  absl::Status failed_ ABSL_GUARDED_BY(mu_);  // Not OK: until Resume.
  Counts counts_ ABSL_GUARDED_BY(mu_);        // Without the histograms.
  // Counted under it, read without.
  TimeHistogram times_;
  SizeHistogram sizes_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_COMMIT_QUEUE_H_
