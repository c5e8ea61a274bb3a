// Restores of backups, also those that end at any step: the directory has the
// former state or the new one, and generations do not repeat.
#include "service/storage/store_restore.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/storage/backup_manifest.h"
#include "service/storage/partition.h"
#include "service/storage/sqlite_check.h"
#include "service/storage/sqlite_schema.h"
#include "service/storage/store_backup.h"
#include "tests/storage/store_backup_fixture.h"

namespace leasehold {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Code = absl::StatusCode;

class StoreRestoreTest : public StoreBackupTest {
 protected:
  // A backup with one orchestration, and a store that has gone on since.
  void SetUp() override {
    ASSERT_TRUE(store_.Open().ok());
    store_.Add(1);
    Write(data_ + "/keys", "backed up");
    backed_up_ = store_.Dump();
    path_ = Made();
    store_.Add(2);
    Write(data_ + "/keys", "former");
    former_ = store_.Dump();
    store_.Close();
  }
  // Generations are as far as if it had been.
  void OpenMillionTimes() {
    RunSql(absl::StrCat(
        "UPDATE partition SET generation=generation+",
        1'000'000 * kGenerationsPerOpen,
        "; UPDATE partition SET sum=row_sum(id,epoch,generation)"));
  }
  // The only folder with former files in a data directory.
  static std::string ReplacedIn(const std::string& data) {
    std::string found;
    for (const std::string& name : NamesIn(data)) {
      if (!absl::StartsWith(name, "replaced-")) continue;
      EXPECT_EQ(found, "");
      found = data + "/" + name;
    }
    return found;
  }

  std::string path_;
  Rows backed_up_;
  Rows former_;
};

TEST_F(StoreRestoreTest, AStoreIsOnlyReplacedIfThatIsWanted) {
  const auto refused = Restore(path_, data_);
  ExpectFailure(refused.status(), Code::kFailedPrecondition,
                {data_, "--replace"});
  EXPECT_EQ(Found(data_), former_);
  const auto restored = Restore(path_, data_, /*replace=*/true);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(Found(data_), backed_up_);
  EXPECT_EQ(Read(data_ + "/keys"), "backed up");
  EXPECT_EQ(restored->former, ReplacedIn(data_));
  EXPECT_EQ(Found(restored->former), former_);
  EXPECT_EQ(Read(restored->former + "/keys"), "former");
}

TEST_F(StoreRestoreTest, AServersDirectoryIsRefused) {
  ASSERT_TRUE(store_.Open().ok());
  const auto refused = Restore(path_, data_, /*replace=*/true);
  ExpectFailure(refused.status(), Code::kFailedPrecondition,
                {data_, "in use by process"});
  store_.Add(3);
}

TEST_F(StoreRestoreTest, ADirectoryOfSomethingElseIsRefused) {
  fs::create_directory(other_);
  Write(other_ + "/letters.txt", "dear");
  for (const bool replace : {false, true}) {
    ExpectFailure(Restore(path_, other_, replace).status(),
                  Code::kFailedPrecondition, {other_, "not empty"});
  }
  EXPECT_EQ(Read(other_ + "/letters.txt"), "dear");
  fs::remove(other_ + "/letters.txt");
  fs::create_directory(other_ + "/lost+found");  // Of a disk of its own.
  EXPECT_TRUE(Restore(path_, other_).ok());
}

TEST_F(StoreRestoreTest, AFolderThatIsNoBackupIsRefused) {
  ExpectFailure(Restore(other_, data_).status(), Code::kNotFound,
                {other_, "not a backup"});
  ExpectFailure(Restore(to_, data_).status(), Code::kNotFound,
                {"the newest is \"" + path_ + "\""});
}

TEST_F(StoreRestoreTest, EachChangedFileIsFound) {
  for (const char* name : {"leasehold.db", "keys", "MANIFEST"}) {
    SCOPED_TRACE(name);
    const std::string file = path_ + "/" + name;
    const std::string whole = Read(file);
    std::string changed = whole;
    changed[changed.size() / 2] ^= 1;
    for (const std::string& damaged : {changed, whole + "x", std::string()}) {
      Write(file, damaged);
      ExpectFailure(Restore(path_, data_, /*replace=*/true).status(),
                    Code::kDataLoss, {name, "use another backup"});
      EXPECT_EQ(Found(data_), former_);
    }
    if (std::string(name) != "MANIFEST") {
      fs::remove(file);
      ExpectFailure(Restore(path_, data_, /*replace=*/true).status(),
                    Code::kDataLoss, {name, "missing"});
    }
    Write(file, whole);
  }
  EXPECT_TRUE(Restore(path_, data_, /*replace=*/true).ok());
}

TEST_F(StoreRestoreTest, ABackupOfANewerProgramIsRefused) {
  auto manifest = BackupManifest::Read(path_);
  ASSERT_TRUE(manifest.ok());
  manifest->schema = 1000;
  Write(path_ + "/MANIFEST", manifest->Encode());
  ExpectFailure(Restore(path_, other_).status(), Code::kFailedPrecondition,
                {"1000", "1.2.3"});
  EXPECT_FALSE(fs::exists(other_));
}

TEST_F(StoreRestoreTest, OneThatEndsAtAnyStepLeavesTheFormerStateOrTheNew) {
  int failed = 0;
  int former = 0;
  for (bool done = false; !done; ++failed) {
    SCOPED_TRACE(absl::StrCat("step ", failed));
    // What comes next: a server, or (every other time) the restore again.
    for (const bool server_next : {true, false}) {
      if (!server_next && failed % 2 == 0) continue;
      fs::remove_all(other_);
      fs::copy(data_, other_, fs::copy_options::recursive);
      done =
          Restore(path_, other_, /*replace=*/true, KilledBefore(failed)).ok();
      if (server_next) {  // A server is started.
        const Rows found = Found(other_);
        if (found == former_) {
          ++former;
          EXPECT_EQ(Read(other_ + "/keys"), "former");
        } else {
          EXPECT_EQ(found, backed_up_);
          EXPECT_EQ(Read(other_ + "/keys"), "backed up");
          EXPECT_EQ(Found(ReplacedIn(other_)), former_);
          EXPECT_FALSE(RestoreIsUnfinished(other_));
          continue;
        }
      }
      const auto again = Restore(path_, other_, /*replace=*/true);
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(Found(other_), backed_up_);
      EXPECT_EQ(Read(other_ + "/keys"), "backed up");
      EXPECT_THAT(NamesIn(other_),
                  testing::Not(testing::Contains(HasSubstr("restore"))));
    }
  }
  EXPECT_GT(failed, 20);
  EXPECT_GT(former, 5);
  EXPECT_LT(former, failed - 5);
}

TEST_F(StoreRestoreTest, OneIntoAnEmptyDirectoryThatWasDecidedIsEnded) {
  int unfinished = 0;
  bool done = false;
  for (int step = 0; !done; ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    fs::remove_all(other_);
    done = Restore(path_, other_, /*replace=*/false, KilledBefore(step)).ok();
    if (!RestoreIsUnfinished(other_)) continue;
    ++unfinished;
    // No backup can be made of it; a check, or the same restore, ends it.
    BackupOptions of_other = options();
    of_other.data = other_;
    DurableFiles files;
    ExpectFailure(MakeBackup(of_other, clock_, files).status(),
                  Code::kFailedPrecondition, {"interrupted", other_});
    if (step % 2 == 0) {
      const auto check = SqliteCheck::Begin(other_, clock_);
      EXPECT_TRUE(check.ok()) << check.status();
    } else {
      const auto again = Restore(path_, other_);
      EXPECT_TRUE(again.ok()) << again.status();
    }
    EXPECT_FALSE(RestoreIsUnfinished(other_));
    EXPECT_EQ(Found(other_), backed_up_);
    EXPECT_EQ(ReplacedIn(other_), "");
  }
  EXPECT_GT(unfinished, 5);
}

TEST_F(StoreRestoreTest, AServerThatEndsARestoreSaysSo) {
  bool unfinished = false;
  for (int step = 0; !unfinished; ++step) {
    Restore(path_, other_, /*replace=*/false, KilledBefore(step))
        .status()
        .IgnoreError();
    unfinished = RestoreIsUnfinished(other_);
  }
  TestStore store(other_, clock_);
  ASSERT_TRUE(store.Open().ok());
  EXPECT_THAT(store.notes(), ElementsAre("store_restored"));
}

TEST_F(StoreRestoreTest, GenerationsDoNotRepeat) {
  // The former store has been opened more often than any restore allows for.
  OpenMillionTimes();
  ASSERT_TRUE(store_.Open().ok());
  const int64_t reached = store_.generation();
  store_.Close();
  ASSERT_TRUE(Restore(path_, data_, /*replace=*/true).ok());
  ASSERT_TRUE(store_.Open().ok());
  EXPECT_GT(store_.generation(), reached + kGenerationsPerOpen);
}

TEST_F(StoreRestoreTest, GenerationsDoNotRepeatIfTheFormerStoreIsLost) {
  OpenMillionTimes();  // So that the clock's time is of no help.
  ASSERT_TRUE(store_.Open().ok());
  const int64_t backed_up = store_.generation();
  path_ = Made();
  clock_.SetWall(absl::Minutes(100));
  ASSERT_TRUE(Restore(path_, other_).ok());
  TestStore other(other_, clock_);
  ASSERT_TRUE(other.Open().ok());
  // A thousand starts since the backup, and one a minute.
  EXPECT_GE(other.generation(), backed_up + 1'100 * kGenerationsPerOpen);
}

TEST_F(StoreRestoreTest, ABackupOfAnOlderSchemaIsMigrated) {
  const std::string old = directory_.path() + "/old";
  fs::create_directory(old);
  {
    SqliteConnection file(old + "/leasehold.db", "",
                          SqliteConnection::Access::kWrite);
    ASSERT_TRUE(file.Run("PRAGMA journal_mode = WAL").ok());
    ASSERT_TRUE(MigrateSqlite(file, SqliteMigrations().first(5)).ok());
  }
  BackupOptions of_old = options();
  of_old.data = old;
  DurableFiles files;
  const auto made = MakeBackup(of_old, clock_, files);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->manifest.schema, 5);
  ASSERT_TRUE(Restore(made->path, other_).ok());
  TestStore other(other_, clock_);
  ASSERT_TRUE(other.Open().ok());
  EXPECT_THAT(other.notes(), IsEmpty());
  EXPECT_GT(other.generation(), 1'000 * kGenerationsPerOpen);
}

}  // namespace
}  // namespace leasehold
