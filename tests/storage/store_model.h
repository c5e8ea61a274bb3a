// StoreModel: what a store should contain, in the simplest form: lists of rows.
//
// Thread-safety: one thread.   Lifetime: a value; copies are snapshots.
#ifndef LEASEHOLD_TESTS_STORAGE_STORE_MODEL_H_
#define LEASEHOLD_TESTS_STORAGE_STORE_MODEL_H_

#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "service/storage/records.h"
#include "service/storage/run_counts.h"
#include "tests/support/seed.h"

namespace leasehold {

class StoreModel {
 public:
  // The tenants, and the names of settings and requests, that RandomStep uses.
  static const std::vector<std::string>& Tenants();
  static const std::vector<std::string>& Names();

  void Commit(absl::Span<const Change> changes);
  // Like Dump of a store with the same contents.
  std::vector<std::string> Dump() const;

  // What the rows of a tenant take: row by row.
  uint64_t StoredBytes(const std::string& tenant) const;
  RunCounts::ByStatus Runs(const std::string& tenant) const {
    RunCounts::ByStatus runs;
    for (const RunRow& row : instances_) {
      if (row.tenant == tenant) ++runs[row.status];
    }
    return runs;
  }

  // A change that fits the model's contents, occasionally one that does not;
  // or one that takes a row from an outbox, with its effects. `next_number`: of
  // the instance that it may create.
  std::vector<Change> RandomStep(Random& random, RunNumber& next_number) const;

 private:
  struct HistoryRow {
    RunNumber number;
    int64_t chunk;
    std::string events;
  };

  void Apply(const PutRun& change);
  void Apply(const UpdateRun& change);
  void Apply(const FinishRun& change);
  void Apply(const AppendHistory& change);
  void Apply(const ClearExecution& change);
  void Apply(const PutMessage& change);
  void Apply(const TakeMessages& change);
  void Apply(const PutTimer& change);
  void Apply(const DropTimer& change);
  void Apply(const PutTask& change);
  void Apply(const DropTask& change);
  void Apply(const EraseRun& change);
  void Apply(const EraseTenant& change);
  void Apply(const PutRequest& change);
  void Apply(const PutSetting& change);
  void Apply(const PutOutbox& change);
  void Apply(const TakeOutbox& change);
  void Apply(const PutEntity& change);
  void Apply(const TouchEntity& change);
  void Apply(const EraseEntity& change);
  void Apply(const PutOperation& change);
  void Apply(const DropOperation& change);
  void Apply(const PutCall& change);
  void Apply(const DropCall& change);

  Change RandomChange(Random& random, RunNumber& next_number) const;
  Change RandomEntityChange(Random& random, RunNumber& next_number) const;
  void DumpEntities(std::vector<std::string>& lines) const;
  // The entity of that key; nullptr: none.
  const EntityRow* Find(const std::string& tenant, const std::string& id) const;
  bool Exists(RunNumber number) const;
  bool IsOpen(RunNumber number) const;
  // Erases messages, timers and tasks.
  void EraseInbox(RunNumber number);
  // Erases the instance or the replaced run with this number.
  void EraseRows(RunNumber number);

  // In order of numbers, then of sequences.
  std::vector<RunRow> instances_;
  std::vector<RunRow> replaced_;
  std::vector<HistoryRow> history_;
  std::vector<MessageRow> messages_;
  std::vector<TimerRow> timers_;
  std::vector<TaskRow> tasks_;
  std::vector<RequestRow> requests_;
  std::map<std::string, std::string> settings_;
  std::vector<OutboxRow> outbox_;
  std::vector<EntityRow> entities_;  // In order of tenants, then of IDs.
  std::vector<OperationRow> operations_;
  std::vector<CallRow> calls_;  // In the order in which they were put.
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_STORAGE_STORE_MODEL_H_
