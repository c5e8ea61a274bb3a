// StoreBackupTest: a store, its backups, and what is in them.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_TESTS_STORAGE_STORE_BACKUP_FIXTURE_H_
#define LEASEHOLD_TESTS_STORAGE_STORE_BACKUP_FIXTURE_H_

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/storage/sqlite_connection.h"
#include "service/storage/sqlite_store.h"
#include "service/storage/store_backup.h"
#include "service/storage/store_restore.h"
#include "tests/storage/store_dump.h"
#include "tests/support/partition_writer.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {

using Rows = std::vector<std::string>;

inline std::string Read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string{std::istreambuf_iterator<char>(in), {}};
}

inline void Write(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}

inline std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename());
  }
  return names;
}

// Files of a process that is killed before its n-th step.
inline DurableFiles KilledBefore(int n) {
  return DurableFiles([left = n]() mutable {
    return left-- > 0 ? absl::OkStatus() : absl::UnavailableError("killed");
  });
}

// A data directory and its store.
class TestStore {
 public:
  TestStore(std::string directory, const Clock& clock)
      : directory_(std::move(directory)), clock_(clock) {}

  absl::Status Open() {
    store_ = std::make_unique<SqliteStore>(
        SqliteStoreOptions{
            .directory = directory_,
            .note = [this](std::string_view event,
                           const std::string&) { notes_.emplace_back(event); }},
        clock_);
    return writer_.Open(*store_);
  }
  void Close() { store_.reset(); }

  // An orchestration with a history of so many bytes.
  void Add(RunNumber number, size_t bytes = 100) {
    ASSERT_TRUE(writer_
                    .Commit(*store_,
                            {PutRun{{.number = number,
                                     .tenant = "t",
                                     .id = absl::StrCat("id-", number),
                                     .status = 1,
                                     .created = number,
                                     .finished = std::nullopt,
                                     .summary = "summary"}},
                             AppendHistory{number, 0, std::string(bytes, 'h')}})
                    .ok());
  }
  Rows Dump() const {
    const auto rows = leasehold::Dump(*store_, {"t"}, {});
    return rows.ok() ? *rows : Rows{rows.status().ToString()};
  }
  int64_t generation() const { return writer_.generation(); }
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  const std::string directory_;
  const Clock& clock_;
  std::unique_ptr<SqliteStore> store_;
  PartitionWriter writer_;
  std::vector<std::string> notes_;
};

class StoreBackupTest : public testing::Test {
 protected:
  StoreBackupTest()
      : data_(directory_.path() + "/data"),
        to_(directory_.path() + "/backups"),
        other_(directory_.path() + "/other"),
        store_(data_, clock_) {}

  absl::StatusOr<BackupMade> Back(DurableFiles files = DurableFiles()) {
    return MakeBackup(options(), clock_, files);
  }
  BackupOptions options() const {
    return {.data = data_, .to = to_, .program = "1.2.3", .files = {"keys"}};
  }
  // The folder of a new backup.
  std::string Made() {
    const auto made = Back();
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? made->path : "";
  }
  absl::StatusOr<Restored> Restore(const std::string& from,
                                   const std::string& data,
                                   bool replace = false,
                                   DurableFiles files = DurableFiles()) {
    return RestoreBackup({.from = from, .data = data, .replace = replace},
                         clock_, files);
  }
  // What a server finds in a data directory. Closes its store again.
  Rows Found(const std::string& data) {
    TestStore store(data, clock_);
    const absl::Status opened = store.Open();
    return opened.ok() ? store.Dump() : Rows{opened.ToString()};
  }
  // What is restored of a backup.
  Rows InBackup(const std::string& path) {
    std::filesystem::remove_all(other_);
    const auto restored = Restore(path, other_);
    return restored.ok() ? Found(other_) : Rows{restored.status().ToString()};
  }
  void RunSql(const std::string& sql) {
    SqliteConnection file(data_ + "/leasehold.db", "",
                          SqliteConnection::Access::kWrite);
    const absl::Status done = file.Run(sql);
    ASSERT_TRUE(done.ok()) << done;
  }

  SimulatedClock clock_;
  TemporaryDirectory directory_;
  const std::string data_, to_, other_;
  TestStore store_;
};

inline void ExpectFailure(const absl::Status& status, absl::StatusCode code,
                          const std::vector<std::string>& parts) {
  EXPECT_EQ(status.code(), code) << status;
  for (const std::string& part : parts) {
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(part));
  }
  EXPECT_FALSE(absl::StrContains(status.message(), "\n")) << status;
}

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_STORAGE_STORE_BACKUP_FIXTURE_H_
