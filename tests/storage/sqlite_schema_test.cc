// Files written by older versions of the program: this test contains their
// tables, so that a changed migration is noticed.
#include "service/storage/sqlite_schema.h"

#include <sqlite3.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/storage/sqlite_store.h"
#include "tests/storage/store_dump.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kVersion1[] = R"sql(
  PRAGMA journal_mode = WAL;
  CREATE TABLE instance (
    number   INTEGER PRIMARY KEY,
    key_hash INTEGER NOT NULL,
    status   INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    finished INTEGER,
    tenant   BLOB NOT NULL,
    id       BLOB NOT NULL,
    summary  BLOB NOT NULL
  ) STRICT;
  CREATE INDEX instance_key ON instance (key_hash);
  CREATE INDEX instance_finished ON instance (finished);
  CREATE TABLE history (
    number INTEGER NOT NULL,
    chunk  INTEGER NOT NULL,
    events BLOB NOT NULL,
    PRIMARY KEY (number, chunk)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE message (
    number    INTEGER NOT NULL,
    sequence  INTEGER NOT NULL,
    execution BLOB NOT NULL,
    event     BLOB NOT NULL,
    PRIMARY KEY (number, sequence)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE timer (
    number   INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    PRIMARY KEY (number, sequence)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE task (
    number   INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    task     BLOB NOT NULL,
    PRIMARY KEY (number, sequence)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE setting (
    name  BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;
  PRAGMA application_id = 0x4c454153;
  PRAGMA user_version = 1;

  -- Tenant "t", IDs "order-1" (open) and "order-2" (finished). The hashes are those
  -- that version 1 computed.
  INSERT INTO instance VALUES
    (7, 2803564746770552201, 0, 1000, NULL, x'74', x'6f726465722d31', x'01'),
    (8, 1115869042244183519, 1, 1010, 1090, x'74', x'6f726465722d32', x'02');
  INSERT INTO history VALUES (7, 0, x'61'), (8, 0, x'62'), (8, 1, x'63');
  INSERT INTO message VALUES (7, 3, x'', x'64');
  INSERT INTO timer VALUES (7, 4, 5000);
  INSERT INTO task VALUES (7, 2, x'65');
  INSERT INTO setting VALUES (x'66', x'67');
)sql";

// What version 2 added.
constexpr char kVersion2[] = R"sql(
  CREATE TABLE replaced (
    number   INTEGER PRIMARY KEY,
    key_hash INTEGER NOT NULL,
    status   INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    finished INTEGER,
    tenant   BLOB NOT NULL,
    id       BLOB NOT NULL,
    summary  BLOB NOT NULL
  ) STRICT;
  CREATE INDEX replaced_key ON replaced (key_hash);
  CREATE TABLE request (
    ordinal      INTEGER PRIMARY KEY,
    request_hash INTEGER NOT NULL,
    key_hash     INTEGER NOT NULL,
    tenant       BLOB NOT NULL,
    request      BLOB NOT NULL,
    id           BLOB NOT NULL,
    receipt      BLOB NOT NULL
  ) STRICT;
  CREATE INDEX request_name ON request (request_hash);
  CREATE INDEX request_key ON request (key_hash);
  PRAGMA user_version = 2;

  -- A former run of "order-1", and request "r" of it.
  INSERT INTO replaced VALUES
    (3, 2803564746770552201, 1, 900, 950, x'74', x'6f726465722d31', x'03');
  INSERT INTO history VALUES (3, 0, x'68');
  INSERT INTO request VALUES
    (1, -2037022174217498386, 2803564746770552201, x'74', x'72',
     x'6f726465722d31', x'69');
)sql";

class FileOfVersion1 : public testing::Test {
 protected:
  FileOfVersion1() : FileOfVersion1("") {}
  explicit FileOfVersion1(const std::string& more)
      : store_({.directory = directory_.path(),
                .note =
                    [this](std::string_view event, const std::string& message) {
                      notes_.push_back(std::string(event) + ": " + message);
                    }},
               clock_) {
    const std::string path = directory_.path() + "/leasehold.db";
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    EXPECT_EQ(
        sqlite3_exec(db, (kVersion1 + more).c_str(), nullptr, nullptr, nullptr),
        SQLITE_OK)
        << sqlite3_errmsg(db);
    sqlite3_close(db);
    EXPECT_TRUE(store_.Open().ok());
  }

  static RunRow Row(RunNumber number) {
    return {.number = number,
            .tenant = "t",
            .id = "order-1",
            .status = 0,
            .created = 1000,
            .finished = std::nullopt,
            .summary = "\x01"};
  }

  SimulatedClock clock_;
  TemporaryDirectory directory_;
  std::vector<std::string> notes_;
  SqliteStore store_;
};

class FileOfVersion2 : public FileOfVersion1 {
 protected:
  FileOfVersion2() : FileOfVersion1(kVersion2) {}
};

TEST_F(FileOfVersion1, IsOfTheNewestVersionOnceItWasOpened) {
  SqliteConnection file(store_.path(), "", SqliteConnection::Access::kReadOnly);
  EXPECT_EQ(*SqliteVersion(file, SqliteMigrations()), 3);
}

TEST_F(FileOfVersion1, KeepsAllItsRows) {
  const RunRow finished = {.number = 8,
                           .tenant = "t",
                           .id = "order-2",
                           .status = 1,
                           .created = 1010,
                           .finished = 1090,
                           .summary = "\x02"};
  EXPECT_THAT(
      *Dump(store_, {"t"}, {"f"}),
      ElementsAre(Line(Row(7)), HistoryLine(7, "a"), Line(finished),
                  HistoryLine(8, "b"), HistoryLine(8, "c"),
                  "finished: " + Line(finished), "open: " + Line(Row(7)),
                  Line(MessageRow{7, 3, "", "d"}), Line(TimerRow{7, 4, 5000}),
                  Line(TaskRow{7, 2, "e"}), SettingLine("f", "g"),
                  "last number 8"));
  EXPECT_EQ(*store_.Find("t", "order-1"), Row(7));
}

TEST_F(FileOfVersion1, KeepsReplacedRunsAndRequestsFromNowOn) {
  const RequestRow request = {"t", "r", "order-1", "receipt"};
  ASSERT_TRUE(store_.Commit({PutRun{Row(9)}, PutRequest{request}}).ok());
  EXPECT_EQ(*store_.Find("t", "order-1"), Row(9));
  EXPECT_THAT(*store_.ReadReplaced("t", "order-1"), ElementsAre(Row(7)));
  EXPECT_THAT(*store_.ReadHistory(7), ElementsAre("a"));
  EXPECT_EQ(*store_.FindRequest("t", "r"), request);
  ASSERT_TRUE(store_.Commit({EraseRun{9}}).ok());
  EXPECT_THAT(*store_.ReadReplaced("t", "order-1"), IsEmpty());
  EXPECT_EQ(*store_.FindRequest("t", "r"), std::nullopt);
}

TEST_F(FileOfVersion2, GoesOnWithAllThatItHas) {
  EXPECT_EQ(*store_.Find("t", "order-1"), Row(7));
  const auto replaced = store_.ReadReplaced("t", "order-1");
  ASSERT_EQ(replaced->size(), 1u);
  EXPECT_EQ(replaced->front().number, 3);
  EXPECT_FALSE(replaced->front().damaged);
  EXPECT_THAT(*store_.ReadHistory(3), ElementsAre("h"));
  std::vector<OpenRun> open;
  ASSERT_TRUE(
      store_.ReadOpen([&open](OpenRun one) { open.push_back(std::move(one)); })
          .ok());
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0].damage, "");
  EXPECT_EQ(open[0].messages.size(), 1u);
  ASSERT_TRUE(store_
                  .Commit({TakeMessages{7, 3}, DropTimer{7, 4}, DropTask{7, 2},
                           UpdateRun{7, 1, 2000, "done"}})
                  .ok());
  ASSERT_TRUE(store_.ReadOpen([](OpenRun) {}).ok());
  EXPECT_EQ((*store_.Find("t", "order-1"))->finished, 2000);
}

TEST_F(FileOfVersion2, SaysThatItWasMigratedAndLeavesACopy) {
  const std::string copy = store_.path() + ".schema-2";
  EXPECT_THAT(notes_, ElementsAre(testing::AllOf(
                          testing::StartsWith("store_migrated: "),
                          testing::HasSubstr("from schema 2 to 3"),
                          testing::HasSubstr(copy))));
  SqliteConnection file(copy, "", SqliteConnection::Access::kReadOnly);
  EXPECT_EQ(*SqliteVersion(file, SqliteMigrations()), 2);
  EXPECT_EQ(*file.AskNumber("SELECT count(*) FROM instance"), 2);
  EXPECT_EQ(*file.AskNumber("SELECT count(*) FROM replaced"), 1);
}

}  // namespace
}  // namespace leasehold
