// Damage to the files of a SqliteStore from outside, while it is closed and
// while it is open: it is detected, and never silently ignored.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/storage/sqlite_store.h"
#include "tests/support/partition_writer.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

using Code = absl::StatusCode;

RunRow Row(RunNumber number, const std::string& id) {
  return {.number = number,
          .tenant = "t",
          .id = id,
          .status = 1,
          .created = number,
          .finished = std::nullopt,
          .summary = absl::StrCat("summary of ", id)};
}

class SqliteDamageTest : public testing::Test {
 protected:
  SqliteDamageTest() : data_(directory_.path() + "/data") { Start(); }

  void Start() {
    store_ = std::make_unique<SqliteStore>(
        SqliteStoreOptions{
            .directory = data_,
            .note =
                [this](std::string_view event, const std::string& message) {
                  notes_.push_back(
                      absl::StrCat(std::string(event), ": ", message));
                }},
        clock_);
  }
  void Stop() { store_.reset(); }
  absl::Status Open() {
    Stop();
    Start();
    return writer_.Open(*store_);
  }
  std::string Path(const std::string& name = "leasehold.db") const {
    return data_ + "/" + name;
  }
  static std::string Read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream contents;
    contents << in.rdbuf();
    return contents.str();
  }
  static void Write(const std::string& path, const std::string& contents) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
  }
  void RunSql(const std::string& sql) {
    SqliteConnection file(Path(), "", SqliteConnection::Access::kWrite);
    const absl::Status done = file.Run(sql);
    ASSERT_TRUE(done.ok()) << done;
  }

  // Orchestrations 1 to `count`, each with one row of everything.
  void Fill(int count) {
    ASSERT_TRUE(writer_.Open(*store_).ok());
    for (int i = 1; i <= count; ++i) {
      ASSERT_TRUE(
          writer_
              .Commit(*store_, {PutRun{Row(i, absl::StrCat("id-", i))},
                                AppendHistory{i, 0, std::string(300, 'h')},
                                PutMessage{{i, 1, "x", std::string(99, 'm')}},
                                PutTimer{{i, 2, 50}},
                                PutTask{{i, 3, std::string(99, 't')}}})
              .ok());
    }
  }
  std::map<RunNumber, OpenRun> ReadOpen(absl::Status& status) {
    std::map<RunNumber, OpenRun> open;
    status = store_->ReadOpen(kOnlyPartition, [&open](OpenRun one) {
      const RunNumber number = one.row.number;
      open.emplace(number, std::move(one));
    });
    return open;
  }

  SimulatedClock clock_;
  TemporaryDirectory directory_;
  const std::string data_;
  std::vector<std::string> notes_;
  std::unique_ptr<SqliteStore> store_;
  PartitionWriter writer_;
};

// ---- Damage while it is closed ----------------------------------------------

// Goal: no loss goes unreported, whatever bytes change. Method: change some
// bytes anywhere in the file; then the store refuses, or reports everything
// that differs from what was written as damaged.
TEST_F(SqliteDamageTest, FlippedBytesAreNeverPassedOver) {
  constexpr int kCount = 60;
  Fill(kCount);
  absl::Status status;
  const auto before = ReadOpen(status);
  ASSERT_EQ(before.size(), size_t{kCount});
  Stop();
  const std::string whole = Read(Path());
  int refused = 0;
  int set_aside = 0;
  ForEachSeed(60, [&](Random& random) {
    std::string damaged = whole;
    for (uint64_t i = Uniform(random, 1, 8); i > 0; --i) {
      const size_t at = Uniform(random, 0, damaged.size() - 1);
      damaged[at] = static_cast<char>(
          damaged[at] ^ static_cast<char>(Uniform(random, 1, 255)));
    }
    Write(Path(), damaged);
    absl::Status status = Open();
    std::map<RunNumber, OpenRun> open;
    if (status.ok()) open = ReadOpen(status);
    if (!status.ok()) {
      ++refused;
      Stop();
      return;
    }
    size_t claimed = 0;  // Rows reported as damaged.
    size_t differs = 0;  // Rows that differ.
    for (const auto& [number, one] : open) {
      const bool said = one.row.damaged || !one.damage.empty();
      claimed += said ? 1 : 0;
      const auto was = before.find(number);
      if (was == before.end()) {
        EXPECT_TRUE(said) << number << " was never there";
        continue;
      }
      if (said) continue;
      EXPECT_EQ(one.row, was->second.row);
      if (one.messages != was->second.messages ||
          one.timers != was->second.timers || one.tasks != was->second.tasks) {
        ++differs;
      }
      const auto history = store_->ReadHistory(number);
      if (history.ok() && !history->empty()) {
        EXPECT_EQ(history->front(), std::string(300, 'h')) << number;
      }
      const auto row = store_->Find("t", absl::StrCat("id-", number));
      if (row.ok() && row->has_value() && !(*row)->damaged) {
        EXPECT_EQ(**row, was->second.row);
      }
    }
    // A part whose number was changed has a wrong checksum wherever it is now.
    EXPECT_LE(differs, claimed);
    EXPECT_EQ(open.size(), size_t{kCount});
    set_aside += claimed > 0 ? 1 : 0;
    Stop();
  });
  EXPECT_GT(refused, 0);
  EXPECT_GT(set_aside, 0);
}

TEST_F(SqliteDamageTest, OneChangedRowSetsOneAside) {
  Fill(5);
  Stop();
  for (const char* sql : {"UPDATE instance SET status = 3 WHERE number = 2",
                          "UPDATE message SET event = x'00' WHERE number = 2",
                          "UPDATE timer SET due = 51 WHERE number = 2",
                          "UPDATE task SET task = x'00' WHERE number = 2"}) {
    const std::string whole = Read(Path());
    RunSql(sql);
    ASSERT_TRUE(Open().ok()) << sql;
    absl::Status status;
    const auto open = ReadOpen(status);
    EXPECT_TRUE(status.ok()) << status;
    for (const auto& [number, one] : open) {
      EXPECT_EQ(one.row.damaged || !one.damage.empty(), number == 2) << sql;
    }
    Stop();
    Write(Path(), whole);
  }
  RunSql("UPDATE history SET events = x'00' WHERE number = 2");
  ASSERT_TRUE(Open().ok());
  EXPECT_TRUE(store_->ReadHistory(1).ok());
  EXPECT_EQ(store_->ReadHistory(2).status().code(), Code::kDataLoss);
  EXPECT_EQ(store_->ReadHistoryEnds(2).status().code(), Code::kDataLoss);
}

TEST_F(SqliteDamageTest, RowsThatHaveVanishedAreCounted) {
  Fill(5);
  Stop();
  for (const auto& [sql, says] :
       {std::pair("DELETE FROM instance WHERE number = 2",
                  "4 open orchestrations found, 5 expected"),
        std::pair("DELETE FROM message WHERE number = 2",
                  "4 messages found, 5 expected"),
        std::pair("DELETE FROM timer", "0 timers found, 5 expected"),
        std::pair("DELETE FROM task WHERE number = 2",
                  "4 activities found, 5 expected"),
        std::pair("DELETE FROM ledger",
                  "0 commits, but 5 were acknowledged")}) {
    const std::string whole = Read(Path());
    RunSql(sql);
    absl::Status status = Open();
    if (status.ok()) ReadOpen(status);
    EXPECT_EQ(status.code(), Code::kDataLoss) << sql;
    EXPECT_THAT(std::string(status.message()), HasSubstr(says));
    Stop();
    Write(Path(), whole);
  }
  EXPECT_TRUE(Open().ok());
}

TEST_F(SqliteDamageTest, ADamagedIndexIsRebuilt) {
  Fill(50);
  Stop();
  // The index claims that there is nothing; its table has everything.
  RunSql(
      "PRAGMA writable_schema = ON;"
      "UPDATE sqlite_schema SET sql = 'CREATE INDEX instance_finished ON "
      "instance (finished) WHERE finished > 0' WHERE name = "
      "'instance_finished'");
  RunSql("REINDEX instance_finished");
  RunSql(
      "PRAGMA writable_schema = ON;"
      "UPDATE sqlite_schema SET sql = 'CREATE INDEX instance_finished ON "
      "instance (finished)' WHERE name = 'instance_finished'");
  const absl::Status opened = Open();
  ASSERT_TRUE(opened.ok()) << opened;
  absl::Status status;
  EXPECT_EQ(ReadOpen(status).size(), 50u);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(notes_, testing::Contains(HasSubstr("store_repaired")));
}

TEST_F(SqliteDamageTest, AnEmptiedOrMissingFileIsNotReplacedByANewOne) {
  Fill(3);
  Stop();
  const std::string whole = Read(Path());
  for (const bool missing : {false, true}) {
    missing ? void(fs::remove(Path())) : Write(Path(), "");
    const absl::Status status = Open();
    EXPECT_EQ(status.code(), Code::kDataLoss);
    EXPECT_THAT(
        std::string(status.message()),
        AllOf(HasSubstr(Path()), HasSubstr(missing ? "missing" : "empty"),
              HasSubstr("leasehold.witness")));
    Stop();
    Write(Path(), whole);
  }
  EXPECT_TRUE(Open().ok());
  // Emptying all files at once is detected too.
  Stop();
  Write(Path(), "");
  Write(Path("leasehold.witness"), "");
  EXPECT_EQ(Open().code(), Code::kDataLoss);
  // To begin again, remove the witness.
  Stop();
  fs::remove(Path("leasehold.witness"));
  EXPECT_TRUE(Open().ok());
}

TEST_F(SqliteDamageTest, AFileOlderThanWhatWasAcknowledgedIsRefused) {
  Fill(3);
  Stop();
  const std::string older = Read(Path());
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(writer_.Commit(*store_, {PutRun{Row(9, "nine")}}).ok());
  Stop();
  Write(Path(), older);
  const absl::Status status = Open();
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("older"), HasSubstr("3 commits"),
                    HasSubstr("4 were acknowledged"), HasSubstr("witness")));
  Stop();
  fs::remove(Path("leasehold.witness"));  // This is a restored backup.
  EXPECT_TRUE(Open().ok());
}

// ---- While it is open -------------------------------------------------------

class SqliteFoulTest : public SqliteDamageTest {
 protected:
  SqliteFoulTest() { Fill(3); }

  // Nothing is acknowledged any more, and no file is created.
  void ExpectRefusal(const std::string& name, const std::string& what) {
    for (int i = 0; i < 3; ++i) {
      const absl::Status status =
          writer_.Commit(*store_, {PutRun{Row(10 + i, "new")}});
      EXPECT_EQ(status.code(), Code::kUnavailable);
      EXPECT_THAT(std::string(status.message()),
                  AllOf(HasSubstr(name), HasSubstr(what)));
      EXPECT_EQ(writer_.Open(*store_).code(), Code::kUnavailable);
      EXPECT_EQ(store_->Find("t", "id-1").status().code(), Code::kUnavailable);
    }
  }
};

TEST_F(SqliteFoulTest, ADeletedFileIsNoticed) {
  fs::remove(Path());
  ExpectRefusal("leasehold.db", "was deleted");
  EXPECT_FALSE(fs::exists(Path()));
}

TEST_F(SqliteFoulTest, AFileThatComesBackIsGoneOnWith) {
  fs::rename(Path(), Path("aside"));
  ExpectRefusal("leasehold.db", "was deleted");
  fs::rename(Path("aside"), Path());
  ASSERT_TRUE(writer_.Open(*store_).ok());
  EXPECT_TRUE(store_->Find("t", "id-1")->has_value());
  EXPECT_TRUE(writer_.Commit(*store_, {PutRun{Row(20, "new")}}).ok());
}

TEST_F(SqliteFoulTest, AReplacedFileIsNoticed) {
  fs::copy_file(Path(), Path("other"));
  fs::rename(Path("other"), Path());
  ExpectRefusal("leasehold.db", "was replaced");
}

TEST_F(SqliteFoulTest, ACutFileIsNoticed) {
  fs::resize_file(Path(), 0);
  ExpectRefusal("leasehold.db", "was truncated");
}

TEST_F(SqliteFoulTest, AFileThatIsWrittenOverIsNoticed) {
  const std::string whole = Read(Path());
  Write(Path(), whole + std::string(4096, 'x'));
  fs::last_write_time(
      Path(), fs::file_time_type::clock::now() + std::chrono::seconds(5));
  ExpectRefusal("leasehold.db", "was written by another program");
}

TEST_F(SqliteFoulTest, ADeletedLogIsNoticed) {
  fs::remove(Path("leasehold.db-wal"));
  ExpectRefusal("leasehold.db-wal", "was deleted");
}

TEST_F(SqliteFoulTest, ACutLogIsNoticed) {
  fs::resize_file(Path("leasehold.db-wal"), 0);
  ExpectRefusal("leasehold.db-wal", "was truncated");
}

TEST_F(SqliteFoulTest, ADirectoryThatIsMovedAwayIsNoticed) {
  fs::rename(data_, data_ + "-moved");
  ExpectRefusal("leasehold.db", "was deleted");
  EXPECT_FALSE(fs::exists(data_));
  fs::rename(data_ + "-moved", data_);
  EXPECT_TRUE(writer_.Open(*store_).ok());
}

TEST_F(SqliteFoulTest, ItsOwnWritingIsNot) {
  for (int i = 0; i < 300; ++i) {  // The log is copied into the file.
    const absl::Status status = writer_.Commit(
        *store_, {AppendHistory{1, 1 + i, std::string(200'000, 'h')}});
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_TRUE(writer_.Open(*store_).ok());
}

// After one large commit the log is longer than the part of it that is kept;
// the next commit restarts it and truncates it.
TEST_F(SqliteFoulTest, ALogThatItCutsItselfIsNot) {
  std::vector<Change> changes;
  for (int i = 0; i < 90; ++i) {
    changes.push_back(AppendHistory{1, 1 + i, std::string(1 << 20, 'h')});
  }
  ASSERT_TRUE(writer_.Commit(*store_, changes).ok());
  const std::string log = Path("leasehold.db-wal");
  const auto long_log = fs::file_size(log);
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = writer_.Commit(
        *store_, {AppendHistory{2, 1 + i, std::string(100, 'h')}});
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_LT(fs::file_size(log), long_log);
}

TEST_F(SqliteFoulTest, WithoutItsLockFileTheDirectoryIsStillInUse) {
  fs::remove(Path("leasehold.lock"));
  SqliteStore second({.directory = data_}, clock_);
  const absl::Status status = second.Open();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(data_), HasSubstr("in use by another process")));
  EXPECT_TRUE(writer_.Commit(*store_, {PutRun{Row(20, "new")}}).ok());
}

}  // namespace
}  // namespace leasehold
