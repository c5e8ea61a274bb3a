// FaultStore: a Store around another one, whose calls fail when a test says so.
//
// A commit can fail before or after it took effect: its outcome is unknown, and
// the caller must find out by reopening the store. Until then no commit is
// possible, but everything can be read, as the contract says. Or it is refused
// or fenced, and then known not to have taken effect.
//
// Thread-safety: as Store; faults may be set from any thread.   Lifetime: the
// other store outlives it.
#ifndef LEASEHOLD_TESTS_SUPPORT_FAULT_STORE_H_
#define LEASEHOLD_TESTS_SUPPORT_FAULT_STORE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lease/base/mutex.h"
#include "service/storage/store.h"

namespace leasehold {

class FaultStore final : public Store {
 public:
  enum class Effect {
    kNone,     // Nothing of the batch takes effect; the outcome is unknown.
    kWhole,    // All of it takes effect, but the outcome is unknown.
    kRefused,  // Nothing takes effect, and the outcome says so.
    kFenced,   // The same: somebody else has opened the partition.
  };

  explicit FaultStore(Store& store) : store_(store) {}

  // The n-th commit from now (0: the next one) fails, once; with Unavailable,
  // or Aborted if it is fenced.
  void FailCommit(int64_t n, Effect effect) ABSL_LOCKS_EXCLUDED(mu_);
  // The n-th call from now of Open, or of any reading method, fails, once.
  void FailOpen(int64_t n, absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);
  void FailRead(int64_t n, absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);

  // Runs `what` before the n-th commit from now, once, on its thread.
  void BeforeCommit(int64_t n, std::function<void()> what)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Runs `what` before the n-th reading call, once, on its thread.
  void BeforeRead(int64_t n, std::function<void()> what)
      ABSL_LOCKS_EXCLUDED(mu_);

  // In whose name the store was last opened: for tests that write beside the
  // engine.
  Fence fence() const ABSL_LOCKS_EXCLUDED(mu_);

  // Calls so far.
  int64_t commits() const ABSL_LOCKS_EXCLUDED(mu_);
  int64_t opens() const ABSL_LOCKS_EXCLUDED(mu_);
  int64_t reads() const ABSL_LOCKS_EXCLUDED(mu_);

  std::string name() const override { return "faulty " + store_.name(); }
  Witness* witness() override { return store_.witness(); }
  uint64_t StoredBytes(std::string_view tenant) const override {
    return store_.StoredBytes(tenant);
  }
  const RunCounts& run_counts() const override { return store_.run_counts(); }
  absl::Status Open() override ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<OpenedPartition> OpenPartition(PartitionId partition,
                                                int64_t generation_min) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status ReadOpen(PartitionId partition,
                        absl::FunctionRef<void(OpenRun instance)> each) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<RunNumber> ReadLastNumber(PartitionId partition) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::vector<OutboxRow>> ReadOutbox(PartitionId source) override
      ABSL_LOCKS_EXCLUDED(mu_);
  CommitResult Commit(absl::Span<const Fence> fences,
                      absl::Span<const Change> changes) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::optional<RunRow>> Find(std::string_view tenant,
                                             std::string_view id) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::vector<RunRow>> ReadReplaced(std::string_view tenant,
                                                   std::string_view id) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::vector<std::string>> ReadHistory(
      RunNumber number) override ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<HistoryPart> ReadHistoryPart(RunNumber number, int64_t first,
                                              size_t bytes_max) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<HistoryEnds> ReadHistoryEnds(RunNumber number) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::vector<MessageRow>> ReadMessages(
      RunNumber number, const MessageRange& range) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::optional<TaskRow>> ReadTask(RunNumber number,
                                                  int64_t sequence) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<RowPage> Query(const RowQuery& query) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<RowCounts> Count(const RowQuery& query) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<FinishedPage> ListFinished(const FinishedQuery& query) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::optional<RequestRow>> FindRequest(
      std::string_view tenant, std::string_view request) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status ReadAwake(PartitionId partition,
                         absl::FunctionRef<void(AwakeEntity entity)> each)
      override ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::optional<EntityRow>> FindEntity(
      std::string_view tenant, std::string_view id) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<EntityPage> QueryEntities(const EntityQuery& query) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status ReadCalls(PartitionId partition,
                         absl::FunctionRef<void(CallMark call)> each) override;
  absl::StatusOr<std::optional<CallRow>> FindCall(
      std::string_view tenant, std::string_view request) override;
  absl::StatusOr<std::optional<std::string>> ReadSetting(
      std::string_view name) override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Calls of one kind, and which of them fails.
  struct Calls {
    int64_t count = 0;
    std::optional<int64_t> fails_at;
    absl::Status status;

    void FailAt(int64_t n, absl::Status with);
    // Counts a call; returns the planned failure, or OK.
    absl::Status Next();
  };

  // Counts a reading call.
  absl::Status NextRead() ABSL_LOCKS_EXCLUDED(mu_);

  Store& store_;  // Synchronises itself.

  mutable Mutex mu_;
  Fence fence_ ABSL_GUARDED_BY(mu_);
  Calls opens_ ABSL_GUARDED_BY(mu_);
  Calls commits_ ABSL_GUARDED_BY(mu_);
  Calls reads_ ABSL_GUARDED_BY(mu_);
  int64_t runs_before_ ABSL_GUARDED_BY(mu_) = 0;
  std::function<void()> before_read_ ABSL_GUARDED_BY(mu_);
  int64_t runs_before_commit_ ABSL_GUARDED_BY(mu_) = 0;
  std::function<void()> before_commit_ ABSL_GUARDED_BY(mu_);
  Effect effect_ ABSL_GUARDED_BY(mu_) = Effect::kNone;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;  // For commits.
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SUPPORT_FAULT_STORE_H_
