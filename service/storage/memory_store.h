// MemoryStore: a Store that forgets everything when the process ends.
//
// It is the specification of the other stores: it defines in the fewest words
// what each change does to the rows. It never fails and is never damaged.
//
// Thread-safety: safe.   Lifetime: as Store.
#ifndef LEASEHOLD_SERVICE_STORAGE_MEMORY_STORE_H_
#define LEASEHOLD_SERVICE_STORAGE_MEMORY_STORE_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lease/base/mutex.h"
#include "service/storage/counted_rows.h"
#include "service/storage/store.h"
#include "service/storage/tenant_bytes.h"

namespace leasehold {

class MemoryStore final : public Store {
 public:
  std::string name() const override { return "memory"; }
  // Ends with the store, like everything else.
  Witness* witness() override { return &witness_; }
  absl::Status Open() override ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<OpenedPartition> OpenPartition(PartitionId partition,
                                                int64_t generation_min) override
      ABSL_LOCKS_EXCLUDED(mu_);
  // Reads everything before it calls `each` for the first time.
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
  uint64_t StoredBytes(std::string_view tenant) const override {
    return tenant_bytes_.Of(tenant);
  }
  const RunCounts& run_counts() const override { return run_counts_; }

 private:
  // Tenant and ID, or tenant and request.
  using Key = std::pair<std::string, std::string>;

  struct Instance {
    RunRow row;
    CountedRows<std::string> history;
    CountedRows<MessageRow> messages;
    CountedRows<TimerRow> timers;
    CountedRows<TaskRow> tasks;

    int64_t bytes() const {
      return BytesOf(row) + history.bytes() + messages.bytes() +
             timers.bytes() + tasks.bytes();
    }
  };
  // Counts what a change does to an instance, or to an entity.
  template <typename Counted>
  class Recounted;

  void Apply(const PutRun& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const UpdateRun& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const FinishRun& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const AppendHistory& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const ClearExecution& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const PutMessage& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const TakeMessages& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const PutTimer& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const DropTimer& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const PutTask& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const DropTask& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const EraseRun& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const EraseTenant& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const PutRequest& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const PutCall& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const DropCall& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const PutSetting& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const PutOutbox& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const TakeOutbox& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const PutEntity& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const TouchEntity& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const EraseEntity& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const PutOperation& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const DropOperation& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  struct Entity {
    EntityRow row;
    CountedRows<OperationRow> operations;

    int64_t bytes() const { return BytesOf(row) + operations.bytes(); }
  };

  void SetEntity(EntityRow row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EraseRequest(const Key& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Calls `each` with the instances that match, in the query's order, until it
  // returns false.
  void ForEachMatch(const RowQuery& query,
                    absl::FunctionRef<bool(const RunRow& row)> each)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Adds an instance to the indexes over instances_, or takes it from there.
  void AddToIndexes(const RunRow& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeFromIndexes(const RunRow& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Replaces the instance with this number. REQUIRES: it exists.
  void Replace(RunNumber number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Erases the instance or replaced run with this number.
  void EraseRows(RunNumber number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // nullptr: there is none with this number, or it is not open.
  Instance* At(RunNumber number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Instance* OpenAt(RunNumber number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // An instance or a replaced run; nullptr if there is neither.
  const Instance* RunAt(RunNumber number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Witness witness_;  // Synchronised by its users.
  TenantBytes tenant_bytes_;
  RunCounts run_counts_;

  Mutex mu_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  Epoch epoch_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<RunNumber, Instance> instances_ ABSL_GUARDED_BY(mu_);
  // Only their row and history are kept.
  std::map<RunNumber, Instance> replaced_ ABSL_GUARDED_BY(mu_);
  std::map<Key, RequestRow> requests_ ABSL_GUARDED_BY(mu_);
  // By their order, and the order of each.
  std::map<int64_t, CallRow> calls_ ABSL_GUARDED_BY(mu_);
  std::map<Key, int64_t> call_orders_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::string, std::less<>> settings_
      ABSL_GUARDED_BY(mu_);
  std::map<OutboxKey, OutboxRow> outbox_ ABSL_GUARDED_BY(mu_);
  std::map<Key, Entity> entities_ ABSL_GUARDED_BY(mu_);
  std::map<RunNumber, Key> awake_ ABSL_GUARDED_BY(mu_);  // Of entities_.
  // Indexes over instances_: the number of each key, all by the time of their
  // creation, and the finished ones by that of their end.
  std::map<Key, RunNumber> by_key_ ABSL_GUARDED_BY(mu_);
  std::set<std::pair<StoredTime, RunNumber>> created_ ABSL_GUARDED_BY(mu_);
  std::set<std::pair<StoredTime, RunNumber>> finished_ ABSL_GUARDED_BY(mu_);
  // Indexes over replaced_ and requests_ by an instance's key. A set may be
  // empty.
  std::map<Key, std::set<RunNumber>> replaced_of_ ABSL_GUARDED_BY(mu_);
  std::map<Key, std::set<std::string>> requests_of_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_MEMORY_STORE_H_
