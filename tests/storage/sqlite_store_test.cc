#include "service/storage/sqlite_store.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/storage/sqlite_schema.h"
#include "tests/storage/store_dump.h"
#include "tests/support/partition_writer.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

RunRow Row(RunNumber number, std::string id) {
  return {.number = number,
          .tenant = "t",
          .id = std::move(id),
          .status = 1,
          .created = number,
          .finished = std::nullopt,
          .summary = "summary"};
}

// Expects a status with this code, and a message that matches.
void ExpectStatus(const absl::Status& status, absl::StatusCode code,
                  const testing::Matcher<std::string>& message) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), message);
}

// Uses real files.
class SqliteStoreTest : public testing::Test {
 protected:
  SqliteStoreTest() : data_(directory_.path() + "/data") { Start(); }

  void Start() {
    store_ = std::make_unique<SqliteStore>(
        SqliteStoreOptions{.directory = data_}, clock_);
  }

  void Stop() { store_.reset(); }

  void OpenAndCommit(const std::vector<Change>& changes) {
    ASSERT_TRUE(writer_.Open(*store_).ok());
    ASSERT_TRUE(writer_.Commit(*store_, changes).ok());
  }

  std::string Path() const { return data_ + "/leasehold.db"; }

  // Runs statements on the file, as another program would.
  void RunSql(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(Path().c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr),
              SQLITE_OK)
        << sqlite3_errmsg(db);
    sqlite3_close(db);
  }

  std::string ReadFile() const {
    std::ifstream in(Path(), std::ios::binary);
    std::ostringstream contents;
    contents << in.rdbuf();
    return contents.str();
  }

  void WriteFile(const std::string& contents) {
    std::ofstream(Path(), std::ios::binary | std::ios::trunc) << contents;
  }

  SimulatedClock clock_;
  TemporaryDirectory directory_;
  const std::string data_;
  std::unique_ptr<SqliteStore> store_;
  PartitionWriter writer_;
};

// ---- Opening ----------------------------------------------------------------

TEST_F(SqliteStoreTest, KeepsEverythingOverARestart) {
  OpenAndCommit({PutRun{Row(1, "a")}, AppendHistory{1, 0, "events"},
                 PutTask{{1, 1, "task"}}, PutSetting{"name", "value"},
                 PutRequest{{"t", "name", "a", "receipt"}},
                 PutRun{Row(2, "a")}});
  const auto before = Dump(*store_, {"t"}, {"name"});
  EXPECT_THAT(*before, AllOf(Contains(StartsWith("replaced: instance 1")),
                             Contains(StartsWith("request t/name"))));
  Stop();
  Start();
  ASSERT_TRUE(writer_.Open(*store_).ok());
  EXPECT_EQ(*Dump(*store_, {"t"}, {"name"}), *before);
}

TEST_F(SqliteStoreTest, CreatesTheDirectoryForThisUserAlone) {
  Stop();
  store_ = std::make_unique<SqliteStore>(
      SqliteStoreOptions{.directory = data_ + "/deep/er"}, clock_);
  ASSERT_TRUE(writer_.Open(*store_).ok());
  struct stat found;
  ASSERT_EQ(stat((data_ + "/deep/er").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0700u);
}

TEST_F(SqliteStoreTest, SecondStoreIsToldWhoHasTheDirectory) {
  ASSERT_TRUE(writer_.Open(*store_).ok());
  SqliteStore second({.directory = data_}, clock_);
  const absl::Status status = second.Open();
  ExpectStatus(
      status, absl::StatusCode::kFailedPrecondition,
      AllOf(HasSubstr(data_), HasSubstr(absl::StrCat("process ", getpid(),
                                                     ", since "
                                                     "2020-01-01T"))));
  Stop();
  EXPECT_TRUE(second.Open().ok());
}

// A child locks the directory, and is killed: the lock is released.
TEST_F(SqliteStoreTest, LockEndsWithItsProcess) {
  Stop();
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = DataDirectory::Lock(data_, clock_);
    const char answer = lock.ok() ? '1' : '0';
    if (write(ready[1], &answer, 1) != 1) _exit(1);
    while (true) pause();
  }
  char answer = 0;
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, '1');
  close(ready[0]);
  close(ready[1]);
  Start();
  ExpectStatus(writer_.Open(*store_), absl::StatusCode::kFailedPrecondition,
               HasSubstr(absl::StrCat("process ", child)));
  ASSERT_EQ(kill(child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(writer_.Open(*store_).ok());
}

TEST_F(SqliteStoreTest, DirectoryThatCannotBeIsUnavailable) {
  Stop();
  std::ofstream(directory_.path() + "/file") << "x";
  SqliteStore store({.directory = directory_.path() + "/file"}, clock_);
  ExpectStatus(writer_.Open(store), absl::StatusCode::kUnavailable,
               AllOf(HasSubstr("/file"), HasSubstr("Not a directory")));
  SqliteStore below({.directory = directory_.path() + "/file/below"}, clock_);
  ExpectStatus(below.Open(), absl::StatusCode::kUnavailable,
               HasSubstr("/file"));
}

TEST_F(SqliteStoreTest, FileThatCannotBeOpenedIsUnavailable) {
  ASSERT_TRUE(std::filesystem::create_directories(Path()));
  ExpectStatus(writer_.Open(*store_), absl::StatusCode::kUnavailable,
               AllOf(HasSubstr(Path()), HasSubstr("cannot open")));
}

// ---- Damage -----------------------------------------------------------------

TEST_F(SqliteStoreTest, AFileThatIsNotADatabaseIsDataLoss) {
  std::filesystem::create_directories(data_);
  WriteFile(std::string(10'000, 'x'));
  ExpectStatus(writer_.Open(*store_), absl::StatusCode::kDataLoss,
               AllOf(HasSubstr(Path()), HasSubstr("not a database"),
                     HasSubstr("restore it from a backup")));
  ExpectStatus(writer_.Commit(*store_, {PutSetting{"a", "b"}}),
               absl::StatusCode::kUnavailable, HasSubstr("not a database"));
}

TEST_F(SqliteStoreTest, FileThatWasCutIsDataLoss) {
  std::vector<Change> changes;
  for (int i = 1; i < 100; ++i) {
    changes.push_back(PutRun{Row(i, std::to_string(i))});
    changes.push_back(AppendHistory{i, 0, std::string(1000, 'x')});
  }
  OpenAndCommit(changes);
  Stop();
  const std::string whole = ReadFile();
  WriteFile(whole.substr(0, whole.size() / 2));
  Start();
  ExpectStatus(writer_.Open(*store_), absl::StatusCode::kDataLoss,
               AllOf(HasSubstr(Path()), HasSubstr("backup")));
}

// Goal: damage is an error, never a crash, and never goes unreported. Method:
// fill a page with noise; opening reports it, or every later read returns some
// status.
TEST_F(SqliteStoreTest, NoiseInAPageIsFoundAndNeverACrash) {
  std::vector<Change> changes;
  for (int i = 1; i < 100; ++i) {
    changes.push_back(PutRun{Row(i, std::to_string(i))});
    changes.push_back(AppendHistory{i, 0, std::string(1000, 'x')});
  }
  OpenAndCommit(changes);
  Stop();
  const std::string whole = ReadFile();
  int refused = 0;
  ForEachSeed(30, [&](Random& random) {
    std::string damaged = whole;
    const size_t page = Uniform(random, 1, whole.size() / 4096 - 1);
    for (size_t i = 0; i < 4096; ++i) {
      damaged[page * 4096 + i] = static_cast<char>(random());
    }
    WriteFile(damaged);
    Start();
    const absl::Status status = writer_.Open(*store_);
    if (!status.ok()) {
      ++refused;
      ExpectStatus(status, absl::StatusCode::kDataLoss, HasSubstr(Path()));
    } else {
      Dump(*store_, {"t"}, {}).status().IgnoreError();
    }
    Stop();
  });
  EXPECT_GT(refused, 0);
}

TEST_F(SqliteStoreTest, MissingTableIsDataLoss) {
  OpenAndCommit({PutSetting{"a", "b"}});
  Stop();
  RunSql("DROP TABLE timer");
  Start();
  ExpectStatus(writer_.Open(*store_), absl::StatusCode::kDataLoss,
               AllOf(HasSubstr(Path()), HasSubstr("timer")));
}

TEST_F(SqliteStoreTest, DatabaseOfAnotherProgramIsRefused) {
  std::filesystem::create_directories(data_);
  RunSql("CREATE TABLE theirs (x)");
  const std::string before = ReadFile();
  ExpectStatus(writer_.Open(*store_), absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr(Path()), HasSubstr("not a file of this")));
  Stop();
  EXPECT_EQ(ReadFile(), before);
}

// ---- Versions ---------------------------------------------------------------

TEST_F(SqliteStoreTest, NewerSchemaIsRefusedAndNotTouched) {
  OpenAndCommit({PutSetting{"a", "b"}});
  Stop();
  RunSql("PRAGMA user_version = 42");
  const std::string before = ReadFile();
  Start();
  ExpectStatus(
      writer_.Open(*store_), absl::StatusCode::kFailedPrecondition,
      AllOf(HasSubstr("version 42"),
            HasSubstr(absl::StrCat("up to ", SqliteMigrations().size(), ";"))));
  Stop();
  EXPECT_EQ(ReadFile(), before);
}

// A later version of this program, with one more migration.
std::vector<std::string_view> LaterMigrations() {
  std::vector<std::string_view> migrations(SqliteMigrations().begin(),
                                           SqliteMigrations().end());
  migrations.push_back("ALTER TABLE task ADD COLUMN worker BLOB");
  return migrations;
}

TEST_F(SqliteStoreTest, OlderFileIsMigratedAndKeepsItsRows) {
  OpenAndCommit({PutRun{Row(1, "a")}, PutTask{{1, 1, "task"}}});
  Stop();
  SqliteConnection file(Path(), "", SqliteConnection::Access::kWrite);
  const std::vector<std::string_view> migrations = LaterMigrations();
  const auto present = static_cast<int64_t>(SqliteMigrations().size());
  EXPECT_EQ(*SqliteVersion(file, migrations), present);
  ASSERT_TRUE(MigrateSqlite(file, migrations).ok());
  EXPECT_EQ(*SqliteVersion(file, migrations), present + 1);
  EXPECT_EQ(*file.AskNumber("SELECT count(*) FROM task WHERE worker IS NULL"),
            1);
  ASSERT_TRUE(MigrateSqlite(file, migrations).ok());  // Nothing is left to do.
  // The program that does not know the next version refuses it.
  ExpectStatus(MigrateSqlite(file, SqliteMigrations()),
               absl::StatusCode::kFailedPrecondition,
               HasSubstr(absl::StrCat("version ", present + 1)));
}

TEST_F(SqliteStoreTest, MigrationThatFailsChangesNothing) {
  OpenAndCommit({PutRun{Row(1, "a")}});
  Stop();
  SqliteConnection file(Path(), "", SqliteConnection::Access::kWrite);
  std::vector<std::string_view> migrations = LaterMigrations();
  migrations.push_back("DROP TABLE nothing");
  EXPECT_FALSE(MigrateSqlite(file, migrations).ok());
  EXPECT_EQ(*SqliteVersion(file, migrations),
            static_cast<int64_t>(SqliteMigrations().size()));
  EXPECT_EQ(*file.AskNumber("SELECT count(*) FROM pragma_table_info('task')"),
            4);
}

// The hash is part of the file format: these numbers never change.
TEST(SqliteKeyHash, IsTheSameForEver) {
  EXPECT_EQ(SqliteKeyHash("", ""), 8922497616986557598);
  EXPECT_EQ(SqliteKeyHash("t", "order-1"), 2803564746770552201);
  EXPECT_EQ(SqliteKeyHash("t", "\xff"), -1652009504238834788);
  EXPECT_NE(SqliteKeyHash("a", "bc"), SqliteKeyHash("ab", "c"));
}

// Two keys with the same hash are rarer than any test could find, so the test
// modifies the file.
TEST_F(SqliteStoreTest, KeysOfTheSameHashAreKeptApart) {
  const RequestRow request_a = {"t", "ra", "a", "receipt"};
  const RequestRow request_b = {"t", "rb", "b", "receipt"};
  OpenAndCommit({PutRun{Row(1, "a")}, PutRun{Row(2, "b")}, PutRun{Row(3, "b")},
                 PutRequest{request_a}, PutRequest{request_b}});
  Stop();
  // All keys get the hash of this ID, and all requests that of this name.
  const auto give_hash = [this](const std::string& id,
                                const std::string& name) {
    const int64_t key = SqliteKeyHash("t", id);
    const int64_t request = SqliteKeyHash("t", name);
    const std::string set =
        absl::StrCat(" SET key_hash = ", key, ", sum = row_sum(number, ", key,
                     ", status, created, finished, tenant, id, summary);");
    SqliteConnection file(Path(), "", SqliteConnection::Access::kWrite);
    return file.Run(absl::StrCat("UPDATE instance", set, "UPDATE replaced", set,
                                 "UPDATE request SET key_hash = ", key,
                                 ", request_hash = ", request,
                                 ", sum = row_sum(", request, ", ", key,
                                 ", tenant, request, id, receipt)"));
  };
  ASSERT_TRUE(give_hash("a", "ra").ok());
  Start();
  ASSERT_TRUE(writer_.Open(*store_).ok());
  EXPECT_EQ(*store_->Find("t", "a"), Row(1, "a"));
  EXPECT_THAT(*store_->ReadReplaced("t", "a"), IsEmpty());
  EXPECT_EQ(*store_->FindRequest("t", "ra"), request_a);
  ASSERT_TRUE(
      writer_.Commit(*store_, {PutRun{Row(4, "a")}, PutRequest{request_a}})
          .ok());
  EXPECT_EQ(*store_->Find("t", "a"), Row(4, "a"));
  EXPECT_EQ(AllRows(*store_, {.tenant = "t"})->size(), 2u);  // "b" is there.
  EXPECT_THAT(*store_->ReadReplaced("t", "a"), ElementsAre(Row(1, "a")));
  ASSERT_TRUE(writer_.Commit(*store_, {EraseRun{4}}).ok());
  EXPECT_EQ(*store_->FindRequest("t", "ra"), std::nullopt);
  // Nothing of "b" was touched.
  ASSERT_TRUE(give_hash("b", "rb").ok());
  EXPECT_EQ(*store_->Find("t", "b"), Row(3, "b"));
  EXPECT_THAT(*store_->ReadReplaced("t", "b"), ElementsAre(Row(2, "b")));
  EXPECT_EQ(*store_->FindRequest("t", "rb"), request_b);
}

// Data that nobody can read any more must not stay in the file forever.
TEST_F(SqliteStoreTest, NothingIsLeftOfWhatCannotBeRead) {
  const auto everything = [](RunNumber number) -> std::vector<Change> {
    return {PutRun{Row(number, "a")}, AppendHistory{number, 0, "events"},
            PutMessage{{number, 1, "", "event"}}, PutTimer{{number, 2, 50}},
            PutTask{{number, 3, "task"}}};
  };
  const auto count = [this](const std::string& table) {
    SqliteConnection file(Path(), "", SqliteConnection::Access::kReadOnly);
    return *file.AskNumber("SELECT count(*) FROM " + table);
  };
  OpenAndCommit({PutRequest{{"t", "r", "a", "receipt"}}});
  for (int i = 1; i <= 15; ++i) OpenAndCommit(everything(i));
  for (const char* table : {"instance", "message", "timer", "task"}) {
    EXPECT_EQ(count(table), 1) << table;
  }
  EXPECT_EQ(count("replaced"), 10);
  EXPECT_EQ(count("history"), 11);
  OpenAndCommit({EraseRun{15}});
  for (const char* table : {"instance", "message", "timer", "task", "history",
                            "replaced", "request"}) {
    EXPECT_EQ(count(table), 0) << table;
  }
}

// ---- Reads beside the writer, and reads that are cut ------------------------

// A clock that advances each time it is read.
class HurryingClock final : public Clock {
 public:
  Instant Now() const override { return {now_ns_ += step_ns}; }
  absl::Time WallNow() const override { return absl::UnixEpoch(); }
  void WaitUntil(CondVar&, Mutex&, Instant) override {}

  int64_t step_ns = 0;

 private:
  mutable int64_t now_ns_ = 0;
};

TEST_F(SqliteStoreTest, ReadThatLastsTooLongIsCutAndGoesOnWhereItWas) {
  Stop();
  HurryingClock hurrying;
  SqliteStore store({.directory = data_}, hurrying);
  ASSERT_TRUE(writer_.Open(store).ok());
  std::vector<Change> changes;
  for (int i = 1; i <= 1000; ++i) {
    RunRow row = Row(i, std::to_string(i));
    row.finished = i % 3;
    changes.push_back(PutRun{row});
  }
  ASSERT_TRUE(writer_.Commit(store, changes).ok());
  hurrying.step_ns = absl::ToInt64Nanoseconds(absl::Milliseconds(600));
  RowQuery query = {.tenant = "t", .id_prefix = "99", .count_max = 1000};
  const auto first = store.Query(query);
  EXPECT_EQ(first->rows.size(), 1u);
  ASSERT_TRUE(first->next.has_value());
  EXPECT_EQ(first->next->number, 128);  // At the second look at the clock.
  EXPECT_EQ(AllRows(store, query)->size(), 11u);
  query.order = RowOrder::kNewestFirst;
  EXPECT_EQ(store.Query(query)->next->number, 873);
  EXPECT_EQ(AllRows(store, query)->size(), 11u);
  EXPECT_EQ(store.Count(query)->next->number, 873);
  EXPECT_EQ(CountAll(store, query)->by_status,
            (std::map<int32_t, int64_t>{{1, 11}}));
  FinishedQuery finished = {.tenant = "t", .count_max = 1000};
  EXPECT_LT(store.ListFinished(finished)->rows.size(), 1000u);
  EXPECT_EQ(AllFinished(store, finished)->size(), 1000u);
}

TEST_F(SqliteStoreTest, DamageIsLookedForNoLongerThanASecond) {
  std::vector<Change> changes;
  for (int i = 1; i <= 20'000; ++i) {
    changes.push_back(PutRun{Row(i, std::to_string(i))});
  }
  OpenAndCommit(changes);
  Stop();
  HurryingClock hurrying;
  hurrying.step_ns = absl::ToInt64Nanoseconds(absl::Seconds(2));
  SqliteStore store({.directory = data_}, hurrying);
  EXPECT_TRUE(writer_.Open(store).ok());
  EXPECT_EQ(*store.ReadLastNumber(kOnlyPartition), 20'000);
}

}  // namespace
}  // namespace leasehold
