// Backups of a store that is in use, also those that end at any step: there is
// nothing half that looks whole.
#include "service/storage/store_backup.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/storage/backup_manifest.h"
#include "service/storage/data_directory.h"
#include "service/storage/sqlite_schema.h"
#include "tests/storage/store_backup_fixture.h"

namespace leasehold {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

using Code = absl::StatusCode;

// ---- Backups ----------------------------------------------------------------

TEST_F(StoreBackupTest, HasWhatAnOpenStoreHasAcknowledged) {
  ASSERT_TRUE(store_.Open().ok());
  store_.Add(1);
  store_.Add(2);
  Write(data_ + "/keys", "secret");
  const Rows before = store_.Dump();
  const auto made = Back();
  ASSERT_TRUE(made.ok()) << made.status();
  store_.Add(3);  // The store goes on.

  EXPECT_THAT(NamesIn(to_), ElementsAre("leasehold-20200101T000000Z"));
  EXPECT_EQ(made->path, to_ + "/leasehold-20200101T000000Z");
  EXPECT_THAT(NamesIn(made->path),
              UnorderedElementsAre("leasehold.db", "keys", "MANIFEST"));
  EXPECT_EQ(Read(made->path + "/keys"), "secret");
  const auto manifest = BackupManifest::Read(made->path);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(*manifest, made->manifest);
  EXPECT_EQ(manifest->program, "1.2.3");
  EXPECT_EQ(manifest->made, clock_.WallNow());
  EXPECT_EQ(manifest->commits, 2);
  EXPECT_EQ(manifest->schema, static_cast<int64_t>(SqliteMigrations().size()));
  EXPECT_EQ(InBackup(made->path), before);
  EXPECT_EQ(Read(other_ + "/keys"), "secret");
}

TEST_F(StoreBackupTest, BelongsToItsUserAlone) {
  ASSERT_TRUE(store_.Open().ok());
  const std::string path = Made();
  const auto mode = [](const std::string& name) {
    struct stat found = {};
    EXPECT_EQ(stat(name.c_str(), &found), 0) << name;
    return found.st_mode & 0777;
  };
  EXPECT_EQ(mode(to_), 0700);
  EXPECT_EQ(mode(path), 0700);
  for (const std::string& name : NamesIn(path)) {
    EXPECT_EQ(mode(path + "/" + name), 0600) << name;
  }
  ASSERT_TRUE(Restore(path, other_).ok());
  EXPECT_EQ(mode(other_), 0700);
  for (const std::string& name : NamesIn(other_)) {
    EXPECT_EQ(mode(other_ + "/" + name), 0600) << name;
  }
}

TEST_F(StoreBackupTest, IsTheStateOfOneMoment) {
  ASSERT_TRUE(store_.Open().ok());
  for (int i = 1; i <= 50; ++i) store_.Add(i, 60'000);
  const Rows before = store_.Dump();
  BackupOptions with_commits = options();
  int parts = 0;
  with_commits.progress = [&](int64_t) {
    if (++parts <= 2) store_.Add(100 + parts, 60'000);
  };
  DurableFiles files;
  const auto made = MakeBackup(with_commits, clock_, files);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_GE(parts, 2);
  EXPECT_NE(store_.Dump(), before);
  EXPECT_EQ(InBackup(made->path), before);
}

TEST_F(StoreBackupTest, BackupsOfOneSecondHaveDifferentNames) {
  ASSERT_TRUE(store_.Open().ok());
  const Rows before = store_.Dump();
  const std::string first = Made();
  store_.Add(1);
  const std::string second = Made();
  EXPECT_EQ(second, first + "-2");
  EXPECT_EQ(InBackup(first), before);
  EXPECT_EQ(InBackup(second), store_.Dump());
  EXPECT_THAT(ListBackups(to_), ElementsAre(first, second));
}

TEST_F(StoreBackupTest, OneThatEndsAtAnyStepIsWholeOrIsNone) {
  ASSERT_TRUE(store_.Open().ok());
  store_.Add(1);
  Write(data_ + "/keys", "secret");
  const Rows rows = store_.Dump();
  int failed = 0;
  for (bool done = false; !done; ++failed) {
    SCOPED_TRACE(absl::StrCat("step ", failed));
    done = Back(KilledBefore(failed)).ok();
    for (const std::string& path : ListBackups(to_)) {
      EXPECT_EQ(InBackup(path), rows);
    }
    // The next one works, and clears away what is left.
    EXPECT_EQ(InBackup(Made()), rows);
    for (const std::string& name : NamesIn(to_)) {
      EXPECT_THAT(name, testing::Not(HasSubstr("partial")));
    }
    fs::remove_all(to_);
  }
  EXPECT_GT(failed, 8);
}

TEST_F(StoreBackupTest, AServerThatStartsGoesFirst) {
  ASSERT_TRUE(store_.Open().ok());
  for (int i = 1; i <= 50; ++i) store_.Add(i, 60'000);
  const Rows before = store_.Dump();
  store_.Close();
  RealClock clock;  // SQLite waits for locks in real time.
  TestStore next(data_, clock);
  absl::Status opened;
  std::thread server;
  BackupOptions with_server = options();
  const std::string mark = DataDirectory::ReadersMark(data_);
  int64_t left_before = 0;
  int begun = 0;
  with_server.progress = [&](int64_t left) {
    if (left >= left_before) ++begun;  // It shrinks until it begins anew.
    left_before = left;
    if (server.joinable()) return;
    server = std::thread([&] { opened = next.Open(); });
    while (DataDirectory::ReadersMark(data_) == mark) std::this_thread::yield();
  };
  DurableFiles files;
  const auto made = MakeBackup(with_server, clock, files);
  server.join();
  EXPECT_TRUE(opened.ok()) << opened;
  EXPECT_GE(begun, 2);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(InBackup(made->path), before);
}

TEST_F(StoreBackupTest, OfAServerThatWasKilledHasItsLog) {
  ASSERT_TRUE(store_.Open().ok());
  store_.Add(1);
  // As a killed server leaves it.
  fs::create_directory(other_ + "-killed");
  for (const char* name : {"leasehold.db", "leasehold.db-wal"}) {
    fs::copy_file(data_ + "/" + name, other_ + "-killed/" + name);
  }
  const Rows rows = store_.Dump();
  BackupOptions of_killed = options();
  of_killed.data = other_ + "-killed";
  DurableFiles files;
  const auto made = MakeBackup(of_killed, clock_, files);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(InBackup(made->path), rows);
}

TEST_F(StoreBackupTest, WhatIsNoDataDirectoryIsRefused) {
  ExpectFailure(Back().status(), Code::kNotFound, {data_, "--data"});
  fs::create_directory(data_);
  ExpectFailure(Back().status(), Code::kNotFound, {data_ + "/leasehold.db"});
  Write(data_ + "/leasehold.db", "");
  ExpectFailure(Back().status(), Code::kNotFound, {data_, "empty"});
  RunSql("CREATE TABLE customers (name TEXT)");
  ExpectFailure(Back().status(), Code::kFailedPrecondition, {"not a file of"});
  Write(data_ + "/leasehold.db", std::string(8192, 'x'));
  ExpectFailure(Back().status(), Code::kDataLoss, {"leasehold.db"});
  EXPECT_FALSE(fs::exists(to_));  // Nothing was made for it.
}

TEST_F(StoreBackupTest, ANewerSchemaIsRefused) {
  ASSERT_TRUE(store_.Open().ok());
  store_.Close();
  RunSql("PRAGMA user_version = 1000");
  ExpectFailure(Back().status(), Code::kFailedPrecondition,
                {"1000", "newer version"});
}

TEST_F(StoreBackupTest, ADirectoryInTheDataDirectoryIsRefused) {
  ASSERT_TRUE(store_.Open().ok());
  for (const char* name : {"", "/", "/backups", "/../data/backups"}) {
    BackupOptions inside = options();
    inside.to = data_ + name;
    DurableFiles files;
    ExpectFailure(MakeBackup(inside, clock_, files).status(),
                  Code::kInvalidArgument, {"somewhere else"});
  }
}

TEST_F(StoreBackupTest, OnlyOneIsMadeAtATime) {
  ASSERT_TRUE(store_.Open().ok());
  for (int i = 1; i <= 50; ++i) store_.Add(i, 60'000);
  absl::Status second;
  BackupOptions with_second = options();
  with_second.progress = [&](int64_t) { second = Back().status(); };
  DurableFiles files;
  EXPECT_TRUE(MakeBackup(with_second, clock_, files).ok());
  ExpectFailure(second, Code::kFailedPrecondition, {"being made", to_});
  EXPECT_THAT(NamesIn(to_), SizeIs(1));
}

TEST_F(StoreBackupTest, ADamagedDatabaseIsNotBackedUp) {
  ASSERT_TRUE(store_.Open().ok());
  for (int i = 1; i <= 50; ++i) store_.Add(i, 60'000);
  store_.Close();
  std::string contents = Read(data_ + "/leasehold.db");
  for (size_t at = 4096; at < contents.size(); at += 4096) {
    contents.replace(at, 64, std::string(64, '\xff'));
  }
  Write(data_ + "/leasehold.db", contents);
  ExpectFailure(Back().status(), Code::kDataLoss, {"damaged", data_});
  if (fs::exists(to_)) {
    EXPECT_THAT(NamesIn(to_), IsEmpty());
  }
}

// ---- The manifest -----------------------------------------------------------

TEST(BackupManifest, AnyChangeOfItIsFound) {
  const BackupManifest manifest{
      .made = absl::FromUnixMillis(1'600'000'000'250),
      .program = "1.2.3",
      .schema = 9,
      .commits = 1764,
      .files = {{"leasehold.db", {4096, Sha256Of("a")}},
                {"keys", {45, Sha256Of("b")}}}};
  const std::string text = manifest.Encode();
  const auto same = BackupManifest::Decode(text, "M");
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(*same, manifest);
  EXPECT_EQ(same->bytes(), 4141);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] ^= 1;
    EXPECT_FALSE(BackupManifest::Decode(changed, "M").ok()) << i;
    EXPECT_FALSE(BackupManifest::Decode(text.substr(0, i), "M").ok()) << i;
  }
  EXPECT_FALSE(BackupManifest::Decode(text + "x", "M").ok());
}

TEST(BackupManifest, NoNameLeadsOutOfTheFolder) {
  for (const char* name : {"../x", "/x", "a/b", "", ".", "..", "MANIFEST"}) {
    const BackupManifest manifest{.made = absl::UnixEpoch(),
                                  .files = {{name, {1, Sha256Of("a")}}}};
    EXPECT_EQ(BackupManifest::Decode(manifest.Encode(), "M").status().code(),
              Code::kDataLoss)
        << name;
  }
}

TEST(BackupManifest, ANewerFormatSaysSo) {
  ExpectFailure(BackupManifest::Decode("leasehold-backup 2\n", "M").status(),
                Code::kFailedPrecondition, {"newer", "M"});
}

}  // namespace
}  // namespace leasehold
