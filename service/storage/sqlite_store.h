// SqliteStore: a Store in one SQLite file, `leasehold.db` in a data directory.
//
// One connection writes, and a few others read. The file has a write-ahead log:
// a commit appends to the log and syncs it once, and is then durable; every few
// thousand pages the log is copied into the file. README.md has the tables, and
// explains what happens when something fails.
//
//   closed ──Open──▶ open ──a Commit fails──▶ read only ──Open──▶ open
//                      └──its files were changed by others──▶ refusing
//
// Thread-safety: as Store.   Lifetime: as Store; the clock outlives it. The
// data directory is locked from the first Open until the store is destroyed.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_STORE_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_STORE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/storage/data_directory.h"
#include "service/storage/file_guard.h"
#include "service/storage/sqlite_connection.h"
#include "service/storage/sqlite_reader.h"
#include "service/storage/sqlite_writer.h"
#include "service/storage/store.h"
#include "service/storage/tenant_bytes.h"

namespace leasehold {

// What survives when the machine loses power. A process that is killed loses
// nothing in any of these modes.
enum class Durability {
  kFull,    // Everything that was acknowledged.
  kNormal,  // A consistent past state: the latest commits may be missing.
  kOff,     // Perhaps nothing: the file may be damaged.
};

struct SqliteStoreOptions {
  std::string directory;
  Durability durability = Durability::kFull;
  int readers = 2;  // Number of concurrent reads; at least 1.
  // Receives what deserves a line in a log: an event, and a sentence about it.
  // Called on the writer's thread.
  std::function<void(std::string_view event, const std::string& message)> note =
      {};
  // For tests: the SQLite VFS that has the file. If set, the directory is only
  // a name prefix: neither created nor locked.
  std::string vfs = {};
};

class SqliteStore final : public Store {
 public:
  SqliteStore(SqliteStoreOptions options, const Clock& clock);
  ~SqliteStore() override;

  std::string name() const override { return "sqlite " + path_; }
  // In `leasehold.witness`, beside the file.
  Witness* witness() override { return witness_.get(); }
  absl::Status Open() override ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<OpenedPartition> OpenPartition(PartitionId partition,
                                                int64_t generation_min) override
      ABSL_LOCKS_EXCLUDED(mu_);
  // `each` is called while the file is being read, without a lock held.
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

  // The file.
  const std::string& path() const { return path_; }

 private:
  // Locks the directory and opens the witness.
  absl::Status Prepare();
  // DataLoss: commits to this directory were acknowledged, but the file is
  // gone.
  absl::Status CheckPresence();
  absl::Status CheckCommits();
  absl::Status OpenFile();
  // Copies the whole log into the file, and empties it.
  absl::Status CopyLog();
  absl::Status Migrate();
  // Checks as much as it can in a second. Repairs indexes.
  absl::Status CheckIntegrity();
  // What the check reports; empty: no damage, or not enough time.
  absl::StatusOr<std::string> FindDamage();
  absl::Status OpenReaders() ABSL_LOCKS_EXCLUDED(mu_);
  // The writer has committed. Not OK: nobody can rely on it.
  absl::Status AfterCommit() ABSL_LOCKS_EXCLUDED(mu_);
  void CloseWriter(const absl::Status& why);
  // Makes new reads wait, and waits for those in progress.
  void PauseReads() ABSL_LOCKS_EXCLUDED(mu_);
  // OK: reads continue. Otherwise reads get this status.
  void EndPause(const absl::Status& state) ABSL_LOCKS_EXCLUDED(mu_);
  // Not OK: the files were changed by others; reads get the same status.
  absl::Status CheckFiles() ABSL_LOCKS_EXCLUDED(mu_);
  void Note(std::string_view event, const std::string& message) const {
    if (options_.note) options_.note(event, message);
  }
  // Reads with a reader of the pool; waits until one is free.
  template <typename Result, typename... Parameters, typename... Arguments>
  Result Read(Result (SqliteReader::*read)(Parameters...),
              const Arguments&... arguments) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const SqliteStoreOptions options_;
  const Clock& clock_;
  const std::string path_;

  // Used by the writer's thread alone.
  std::unique_ptr<DataDirectory> directory_;
  std::unique_ptr<Witness> witness_;  // Created once, before the first commit.
  std::unique_ptr<SqliteConnection> connection_;  // nullptr if closed.
  std::unique_ptr<SqliteWriter> writer_;
  absl::Status write_state_;  // Why there is no writer.
  FileGuard guard_;

  // Synchronises itself. As of the last commit.
  TenantBytes tenant_bytes_;
  RunCounts run_counts_;

  // Guarded by mu_.
  Mutex mu_;
  CondVar returned_;
  absl::Status state_ ABSL_GUARDED_BY(mu_);  // What reads get now, if not OK.
  bool paused_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::unique_ptr<SqliteReader>> readers_ ABSL_GUARDED_BY(mu_);
  std::vector<SqliteReader*> idle_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_STORE_H_
