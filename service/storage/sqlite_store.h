// SqliteStore: a Store in one SQLite file, `leasehold.db` in a data directory.
//
// One connection writes and a few read beside it. The file has a write-ahead
// log: a commit appends to the log and syncs it once, and is then durable;
// every few thousand pages the log is copied into the file. README.md has the
// tables, and what happens when something fails.
//
//   closed ──Open──▶ open ──a Commit fails──▶ closed
//
// Thread-safety: as Store.   Lifetime: as Store; the clock outlives it. The
// data directory is held from the first Open until the store is destroyed.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_STORE_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_STORE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lease/clock.h"
#include "lease/mutex.h"
#include "service/storage/data_directory.h"
#include "service/storage/sqlite_connection.h"
#include "service/storage/sqlite_reader.h"
#include "service/storage/sqlite_writer.h"
#include "service/storage/store.h"

namespace leasehold {

// What survives when the machine loses power. A process that is killed loses
// nothing with any of them.
enum class Durability {
  kFull,    // All that was acknowledged.
  kNormal,  // A whole past state: the last moments may be missing.
  kOff,     // Perhaps nothing: the file may be damaged.
};

struct SqliteStoreOptions {
  std::string directory;
  Durability durability = Durability::kFull;
  int readers = 2;  // Reads that can go on at the same time; at least 1.
  // For tests: the SQLite VFS that has the file. With one, the directory is
  // only the beginning of a name: neither created nor locked.
  std::string vfs = {};
};

class SqliteStore final : public Store {
 public:
  SqliteStore(SqliteStoreOptions options, const Clock& clock);
  ~SqliteStore() override;

  std::string name() const override { return "sqlite " + path_; }
  absl::Status Open() override ABSL_LOCKS_EXCLUDED(mu_);
  // `each` is called while the file is being read, without a lock held.
  absl::Status ReadOpen(absl::FunctionRef<void(OpenInstance instance)> each)
      override ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<InstanceNumber> ReadLastNumber() override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Commit(absl::Span<const Change> changes) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::optional<InstanceRow>> Find(std::string_view tenant,
                                                  std::string_view id) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::vector<InstanceRow>> ReadReplaced(
      std::string_view tenant, std::string_view id) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::vector<std::string>> ReadHistory(
      InstanceNumber number) override ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<HistoryEnds> ReadHistoryEnds(InstanceNumber number) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<RowPage> Query(const RowQuery& query) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<FinishedPage> ListFinished(const FinishedQuery& query) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::optional<RequestRow>> FindRequest(
      std::string_view tenant, std::string_view request) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::optional<std::string>> ReadSetting(
      std::string_view name) override ABSL_LOCKS_EXCLUDED(mu_);

  // The file.
  const std::string& path() const { return path_; }

 private:
  absl::Status OpenFile() ABSL_LOCKS_EXCLUDED(mu_);
  // As far as a second tells.
  absl::Status CheckIntegrity();
  absl::Status OpenReaders() ABSL_LOCKS_EXCLUDED(mu_);
  // Breaks reads off, waits until they have ended, and closes all connections.
  // From then on reads are told why.
  void Close(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_);
  // Reads with a reader that nobody else has; waits for one.
  template <typename Result, typename... Parameters, typename... Arguments>
  Result Read(Result (SqliteReader::*read)(Parameters...),
              const Arguments&... arguments) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const SqliteStoreOptions options_;
  const Clock& clock_;
  const std::string path_;

  // The writer's thread alone.
  std::unique_ptr<DataDirectory> directory_;
  std::unique_ptr<SqliteConnection> connection_;  // nullptr: it is closed.
  std::unique_ptr<SqliteWriter> writer_;

  // Guarded by mu_.
  Mutex mu_;
  CondVar returned_;
  absl::Status state_ ABSL_GUARDED_BY(mu_);  // What a read gets now.
  std::vector<std::unique_ptr<SqliteReader>> readers_ ABSL_GUARDED_BY(mu_);
  std::vector<SqliteReader*> idle_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_STORE_H_
