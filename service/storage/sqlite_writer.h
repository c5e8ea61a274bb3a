// SqliteWriter: the one connection that changes a SqliteStore's file.
//
// Thread-safety: one thread.   Lifetime: while it lives, the file is open.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_WRITER_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "service/storage/records.h"
#include "service/storage/run_counts.h"
#include "service/storage/sqlite_calls.h"
#include "service/storage/sqlite_connection.h"
#include "service/storage/sqlite_entities.h"
#include "service/storage/sqlite_run_counts.h"
#include "service/storage/sqlite_tenants.h"
#include "service/storage/tenant_bytes.h"

namespace leasehold {

class SqliteWriter {
 public:
  // Takes a connection to a file that has the tables, and prepares its
  // statements; status() has the result.
  explicit SqliteWriter(SqliteConnection& connection);

  // Not OK (DataLoss, Unavailable): the writer can only be destroyed.
  const absl::Status& status() const {
    return damage_.ok() ? connection_.status() : damage_;
  }

  // As Store::OpenPartition, for the only partition. Counts as no commit: no
  // row depends on it.
  absl::StatusOr<OpenedPartition> OpenPartition(int64_t generation_min);

  // All or none, in one transaction; with full durability, one sync. Refused
  // (DataLoss, Unavailable): the transaction failed before its end; unknown:
  // its end failed. After either, the writer can only be destroyed.
  CommitResult Commit(absl::Span<const Change> changes);

  // A commit that changes nothing, but writes and syncs like any other.
  absl::Status CommitNothing();

  // The present epoch of the only partition.
  Epoch epoch() const { return epoch_; }

  // Tells what has changed of what tenants' rows take, after a commit.
  void Publish(TenantBytes& bytes) { tenants_.Publish(bytes); }
  // The same for how many instances have each status.
  void Publish(RunCounts& counts) { run_counts_.Publish(counts); }

  // Number of commits so far, as recorded in the file.
  uint64_t commits() const { return static_cast<uint64_t>(ledger_.commits); }

 private:
  // Runs `make` in a transaction.
  CommitResult Transact(absl::FunctionRef<absl::Status()> make);
  // Writes the ledger, too. Appends to `gone` what Store::Commit reports so.
  absl::Status ApplyAll(absl::Span<const Change> changes,
                        std::vector<OutboxKey>& gone);
  absl::Status Apply(const PutRun& change);
  absl::Status Apply(const UpdateRun& change);
  absl::Status Apply(const FinishRun& change);
  absl::Status Apply(const AppendHistory& change);
  absl::Status Apply(const ClearExecution& change);
  absl::Status Apply(const PutMessage& change);
  absl::Status Apply(const TakeMessages& change);
  absl::Status Apply(const PutTimer& change);
  absl::Status Apply(const DropTimer& change);
  absl::Status Apply(const PutTask& change);
  absl::Status Apply(const DropTask& change);
  absl::Status Apply(const EraseRun& change);
  absl::Status Apply(const EraseTenant& change);
  absl::Status Apply(const PutRequest& change);
  absl::Status Apply(const PutSetting& change);
  absl::Status Apply(const PutOutbox& change);
  absl::Status Apply(const TakeOutbox& change);
  // Those of entities.
  absl::Status Apply(const PutCall& change) { return calls_.Apply(change); }
  absl::Status Apply(const DropCall& change) { return calls_.Apply(change); }
  absl::Status Apply(const auto& change) { return entities_.Apply(change); }

  // The numbers of the rows of a key that `statement` finds by its hash.
  absl::StatusOr<std::vector<RunNumber>> FindKey(SqliteStatement& statement,
                                                 int64_t hash,
                                                 std::string_view tenant,
                                                 std::string_view id);
  // Inserts an instance; erases any other row with its number.
  absl::Status Insert(const RunRow& row, int64_t hash);
  // Turns an instance into a replaced run of its key, which now belongs to
  // another.
  absl::Status Replace(RunNumber number, int64_t hash, const RunRow& by);
  // Erases the replaced runs of a key, except the newest ones, which are kept.
  absl::Status EraseReplaced(int64_t hash, std::string_view tenant,
                             std::string_view id, size_t kept);
  // Erases the instance or replaced run with this number.
  absl::Status EraseRows(RunNumber number);

  // Runs statements that take a number, until one fails.
  absl::Status RunEach(RunNumber number,
                       std::initializer_list<SqliteStatement*> statements);
  // Runs a statement that erases rows counted in `count`.
  template <typename... Values>
  absl::Status Uncount(int64_t& count, SqliteStatement& statement,
                       const Values&... values);
  // The numbers that `statement` finds for a tenant.
  absl::StatusOr<std::vector<RunNumber>> NumbersOf(SqliteStatement& statement,
                                                   std::string_view tenant);
  // Erases the row of an instance.
  absl::Status EraseRow(RunNumber number);
  // Erases the messages, timers and tasks of an instance.
  absl::Status EraseParts(RunNumber number);
  // Takes parts of an instance.
  absl::Status TakePart(int64_t& count, SqliteStatement& take, RunNumber number,
                        int64_t sequence);
  // Puts a part of an instance, of so many bytes: `insert` does nothing if its
  // key exists, or if its instance does not; then `replace` does the rest.
  template <typename... Values>
  absl::Status PutPart(int64_t& count, int64_t bytes, SqliteStatement& insert,
                       SqliteStatement& replace, RunNumber number,
                       const Values&... values);
  // After the summary of an instance was changed, or not.
  absl::Status CountSummary(const UpdateRun& change, bool changed);
  // Puts any other row: `insert` does nothing if its key exists.
  template <typename... Values>
  absl::Status Put(int64_t& count, SqliteStatement& insert,
                   SqliteStatement& replace, const Values&... values);

  // The expected numbers of rows: they reveal a row that has vanished.
  struct Ledger {
    int64_t commits = 0;
    int64_t instances = 0;
    int64_t open = 0;
    int64_t messages = 0;
    int64_t timers = 0;
    int64_t tasks = 0;
    int64_t outbox = 0;
  };

  SqliteConnection& connection_;
  Ledger ledger_;  // As it will be after the commit in progress.
  absl::Status damage_;
  Epoch epoch_ = 0;
  int64_t generation_ = 0;
  SqliteTenantWriter tenants_;
  SqliteRunCounts run_counts_;
  SqliteEntityWriter entities_;
  SqliteCallWriter calls_;
  SqliteStatement begin_;
  SqliteStatement commit_;
  SqliteStatement find_key_;
  SqliteStatement find_replaced_;
  SqliteStatement key_of_;
  SqliteStatement is_replaced_;
  SqliteStatement put_instance_;
  SqliteStatement update_open_;
  SqliteStatement update_any_;
  SqliteStatement update_finish_;
  SqliteStatement finish_;
  SqliteStatement append_last_;
  SqliteStatement append_history_;
  SqliteStatement replace_history_;
  SqliteStatement put_message_;
  SqliteStatement replace_message_;
  SqliteStatement put_timer_;
  SqliteStatement replace_timer_;
  SqliteStatement put_task_;
  SqliteStatement replace_task_;
  SqliteStatement put_replaced_;
  SqliteStatement put_request_;
  SqliteStatement put_setting_;
  SqliteStatement take_messages_;
  SqliteStatement drop_timer_;
  SqliteStatement drop_task_;
  SqliteStatement drop_request_;
  SqliteStatement clear_history_;
  SqliteStatement erase_open_;
  SqliteStatement erase_instance_;
  SqliteStatement erase_history_;
  SqliteStatement erase_messages_;
  SqliteStatement erase_timers_;
  SqliteStatement erase_tasks_;
  SqliteStatement erase_replaced_;
  SqliteStatement erase_requests_;
  SqliteStatement open_of_tenant_;
  SqliteStatement runs_of_tenant_;
  SqliteStatement erase_requests_of_tenant_;
  SqliteStatement put_outbox_;
  SqliteStatement replace_outbox_;
  SqliteStatement take_outbox_;
  SqliteStatement write_partition_;
  SqliteStatement write_ledger_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_WRITER_H_
