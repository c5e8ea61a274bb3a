// Files written by older versions of the program: this test contains their
// tables, so that a changed migration is noticed.
#include "service/storage/sqlite_schema.h"

#include <sqlite3.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/storage/sqlite_store.h"
#include "service/storage/sqlite_tenants.h"
#include "tests/storage/store_dump.h"
#include "tests/support/partition_writer.h"
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
    (1, -2063270485185562487, 2803564746770552201, x'74', x'72',
     x'6f726465722d31', x'69');
)sql";

// What version 3 changed: checksums, which are those that version 3 computed,
// and the ledger.
constexpr char kVersion3[] = R"sql(
  ALTER TABLE instance ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE replaced ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE history ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE message ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE timer ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE task ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE request ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE setting ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
  UPDATE instance SET sum = 3074875307822397374 WHERE number = 7;
  UPDATE instance SET sum = -6761149308068585185 WHERE number = 8;
  UPDATE replaced SET sum = -2685895996534677946;
  UPDATE history SET sum = -9139708779806220591 WHERE number = 3;
  UPDATE history SET sum = 2740944996588790543 WHERE number = 7;
  UPDATE history SET sum = 3726902613380183887 WHERE number = 8 AND chunk = 0;
  UPDATE history SET sum = 3566445427923029345 WHERE number = 8 AND chunk = 1;
  UPDATE message SET sum = -6297359583425460285;
  UPDATE timer SET sum = -3079446024480707103;
  UPDATE task SET sum = 4633544528368501362;
  UPDATE request SET sum = 4268715464459415889;
  UPDATE setting SET sum = -6231712334623172709;
  CREATE TABLE ledger (
    line      INTEGER PRIMARY KEY CHECK (line = 1),
    commits   INTEGER NOT NULL,
    instances INTEGER NOT NULL,
    open      INTEGER NOT NULL,
    messages  INTEGER NOT NULL,
    timers    INTEGER NOT NULL,
    tasks     INTEGER NOT NULL,
    sum       INTEGER NOT NULL
  ) STRICT;
  INSERT INTO ledger VALUES (1, 3, 2, 1, 1, 1, 1, -7420524508265037202);
  PRAGMA user_version = 3;
)sql";

// What version 4 changed: the partition, the outbox and the ledger.
constexpr char kVersion4[] = R"sql(
  CREATE TABLE partition (
    id         INTEGER PRIMARY KEY,
    epoch      INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    sum        INTEGER NOT NULL
  ) STRICT;
  INSERT INTO partition VALUES (0, 6, 700, -3677666525544335291);
  CREATE TABLE outbox (
    source  INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    target  INTEGER NOT NULL,
    body    BLOB NOT NULL,
    sum     INTEGER NOT NULL,
    PRIMARY KEY (source, ordinal)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO outbox VALUES (0, 9, 1, x'6f', -2232912034853534712);
  DROP TABLE ledger;
  CREATE TABLE ledger (
    line      INTEGER PRIMARY KEY CHECK (line = 1),
    commits   INTEGER NOT NULL,
    instances INTEGER NOT NULL,
    open      INTEGER NOT NULL,
    messages  INTEGER NOT NULL,
    timers    INTEGER NOT NULL,
    tasks     INTEGER NOT NULL,
    outbox    INTEGER NOT NULL,
    sum       INTEGER NOT NULL
  ) STRICT;
  INSERT INTO ledger VALUES (1, 4, 2, 1, 1, 1, 1, 1, -7535014282475432344);
  PRAGMA user_version = 4;
)sql";

// What version 5 added: entities; and the ledger, which counts them.
constexpr char kVersion5[] = R"sql(
  CREATE TABLE entity (
    ordinal  INTEGER PRIMARY KEY,
    number   INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    present  INTEGER NOT NULL,
    tenant   BLOB NOT NULL,
    id       BLOB NOT NULL,
    header   BLOB NOT NULL,
    state    BLOB NOT NULL,
    sum      INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX entity_key ON entity (tenant, id);
  CREATE INDEX entity_awake ON entity (number) WHERE number <> 0;
  CREATE TABLE operation (
    number   INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    event    BLOB NOT NULL,
    sum      INTEGER NOT NULL,
    PRIMARY KEY (number, sequence)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO entity VALUES (1, 9, 1020, 1, x'74', x'4065', x'68', x'73', 6458347633205785040);
  INSERT INTO operation VALUES (9, 1, x'6f', -189056860365817019);
  DROP TABLE ledger;
  CREATE TABLE ledger (
    line       INTEGER PRIMARY KEY CHECK (line = 1),
    commits    INTEGER NOT NULL,
    instances  INTEGER NOT NULL,
    open       INTEGER NOT NULL,
    messages   INTEGER NOT NULL,
    timers     INTEGER NOT NULL,
    tasks      INTEGER NOT NULL,
    outbox     INTEGER NOT NULL,
    entities   INTEGER NOT NULL,
    awake      INTEGER NOT NULL,
    operations INTEGER NOT NULL,
    sum        INTEGER NOT NULL
  ) STRICT;
  INSERT INTO ledger VALUES (1, 5, 2, 1, 1, 1, 1, 1, 1, 1, 1, -1103158404799741266);
  PRAGMA user_version = 5;
)sql";

// Versions 6 and 7 added tables for calls, and for what tenants take.
const std::string kVersion7 = R"sql(
  CREATE TABLE call (
    ordinal     INTEGER PRIMARY KEY,
    tenant      BLOB NOT NULL,
    request     BLOB NOT NULL,
    ended       INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,
    id          BLOB NOT NULL,
    outcome     BLOB NOT NULL,
    sum         INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX call_name ON call (tenant, request);
  CREATE TABLE tenant_bytes (
    tenant BLOB NOT NULL PRIMARY KEY,
    bytes  INTEGER NOT NULL,
    sum    INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO tenant_bytes VALUES (x'74', 881, 7504779889887240734);
  PRAGMA user_version = 7;
)sql";

const std::string kVersion8 = R"sql(
  CREATE INDEX instance_created ON instance (tenant, created);
  PRAGMA user_version = 8;
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
    EXPECT_TRUE(writer_.Open(store_).ok());
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
  PartitionWriter writer_;
};

class FileOfVersion2 : public FileOfVersion1 {
 protected:
  FileOfVersion2() : FileOfVersion2("") {}
  explicit FileOfVersion2(const std::string& more)
      : FileOfVersion1(kVersion2 + more) {}
};

class FileOfVersion3 : public FileOfVersion2 {
 protected:
  FileOfVersion3() : FileOfVersion3("") {}
  explicit FileOfVersion3(const std::string& more)
      : FileOfVersion2(kVersion3 + more) {}
};

class FileOfVersion4 : public FileOfVersion3 {
 protected:
  FileOfVersion4() : FileOfVersion4("") {}
  explicit FileOfVersion4(const std::string& more)
      : FileOfVersion3(kVersion4 + more) {}
};

class FileOfVersion5 : public FileOfVersion4 {
 protected:
  FileOfVersion5() : FileOfVersion5("") {}
  explicit FileOfVersion5(const std::string& more)
      : FileOfVersion4(kVersion5 + more) {}
};

class FileOfVersion7 : public FileOfVersion5 {
 protected:
  FileOfVersion7() : FileOfVersion7("") {}
  explicit FileOfVersion7(const std::string& more)
      : FileOfVersion5(kVersion7 + more) {}
};

class FileOfVersion8 : public FileOfVersion7 {
 protected:
  FileOfVersion8() : FileOfVersion7(kVersion8) {}
};

// The ledger was changed by hand: it says that there are two timers.
class DamagedFileOfVersion3 : public FileOfVersion3 {
 protected:
  DamagedFileOfVersion3() : FileOfVersion3("UPDATE ledger SET timers = 2;") {}
};

TEST_F(FileOfVersion1, IsOfTheNewestVersionOnceItWasOpened) {
  SqliteConnection file(store_.path(), "", SqliteConnection::Access::kReadOnly);
  EXPECT_EQ(*SqliteVersion(file, SqliteMigrations()), 9);
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
  ASSERT_TRUE(
      writer_.Commit(store_, {PutRun{Row(9)}, PutRequest{request}}).ok());
  EXPECT_EQ(*store_.Find("t", "order-1"), Row(9));
  EXPECT_THAT(*store_.ReadReplaced("t", "order-1"), ElementsAre(Row(7)));
  EXPECT_THAT(*store_.ReadHistory(7), ElementsAre("a"));
  EXPECT_EQ(*store_.FindRequest("t", "r"), request);
  ASSERT_TRUE(writer_.Commit(store_, {EraseRun{9}}).ok());
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
      store_
          .ReadOpen(kOnlyPartition,
                    [&open](OpenRun one) { open.push_back(std::move(one)); })
          .ok());
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0].damage, "");
  EXPECT_EQ(open[0].messages.size(), 1u);
  ASSERT_TRUE(
      writer_
          .Commit(store_, {TakeMessages{7, 3}, DropTimer{7, 4}, DropTask{7, 2},
                           UpdateRun{7, 1, 2000, "done"}})
          .ok());
  ASSERT_TRUE(store_.ReadOpen(kOnlyPartition, [](OpenRun) {}).ok());
  EXPECT_EQ((*store_.Find("t", "order-1"))->finished, 2000);
}

TEST_F(FileOfVersion2, SaysThatItWasMigratedAndLeavesACopy) {
  const std::string copy = store_.path() + ".schema-2";
  EXPECT_THAT(notes_, ElementsAre(testing::AllOf(
                          testing::StartsWith("store_migrated: "),
                          testing::HasSubstr("from schema 2 to 9"),
                          testing::HasSubstr(copy))));
  SqliteConnection file(copy, "", SqliteConnection::Access::kReadOnly);
  EXPECT_EQ(*SqliteVersion(file, SqliteMigrations()), 2);
  EXPECT_EQ(*file.AskNumber("SELECT count(*) FROM instance"), 2);
  EXPECT_EQ(*file.AskNumber("SELECT count(*) FROM replaced"), 1);
}

TEST_F(FileOfVersion3, GoesOnWithAllThatItHas) {
  const RunRow finished = {.number = 8,
                           .tenant = "t",
                           .id = "order-2",
                           .status = 1,
                           .created = 1010,
                           .finished = 1090,
                           .summary = "\x02"};
  RunRow replaced = Row(3);
  replaced.status = 1;
  replaced.created = 900;
  replaced.finished = 950;
  replaced.summary = "\x03";
  const std::vector<std::string> before = {Line(Row(7)),
                                           HistoryLine(7, "a"),
                                           "replaced: " + Line(replaced),
                                           HistoryLine(3, "h"),
                                           Line(finished),
                                           HistoryLine(8, "b"),
                                           HistoryLine(8, "c"),
                                           "finished: " + Line(finished),
                                           "open: " + Line(Row(7)),
                                           Line(MessageRow{7, 3, "", "d"}),
                                           Line(TimerRow{7, 4, 5000}),
                                           Line(TaskRow{7, 2, "e"}),
                                           SettingLine("f", "g"),
                                           "last number 8"};
  EXPECT_THAT(*Dump(store_, {"t"}, {"f"}), testing::ElementsAreArray(before));
  EXPECT_EQ(*store_.FindRequest("t", "r"),
            (RequestRow{"t", "r", "order-1", "i"}));
  EXPECT_EQ(writer_.fence(), (Fence{kOnlyPartition, 1}));
  EXPECT_EQ(writer_.generation(), PartitionWriter::kFirstGeneration);
  // It can also be written, with what is new.
  ASSERT_TRUE(
      writer_
          .Commit(store_, {PutOutbox{{.ordinal = 1, .target = 1, .body = "o"}},
                           FinishRun{7, 1, 2000, "end"}})
          .ok());
  ASSERT_TRUE(store_.ReadOpen(kOnlyPartition, [](OpenRun) {}).ok());
  EXPECT_EQ(store_.ReadOutbox(kOnlyPartition)->size(), 1u);
  EXPECT_THAT(*store_.ReadHistory(7), ElementsAre("a", "end"));
}

TEST_F(FileOfVersion3, CountsItsCommitsOn) {
  EXPECT_EQ(store_.witness()->commits(), 3u);
  ASSERT_TRUE(writer_.Commit(store_, {PutSetting{"a", "b"}}).ok());
  EXPECT_EQ(store_.witness()->commits(), 4u);
}

TEST_F(FileOfVersion3, SaysThatItWasMigratedAndLeavesACopy) {
  EXPECT_THAT(notes_, ElementsAre(testing::HasSubstr("from schema 3 to 9")));
  SqliteConnection file(store_.path() + ".schema-3", "",
                        SqliteConnection::Access::kReadOnly);
  EXPECT_EQ(*SqliteVersion(file, SqliteMigrations()), 3);
  EXPECT_EQ(*file.AskNumber("SELECT commits FROM ledger"), 3);
}

TEST_F(FileOfVersion4, GoesOnWithAllThatItHas) {
  EXPECT_THAT(notes_, ElementsAre(testing::HasSubstr("from schema 4 to 9")));
  EXPECT_EQ(writer_.fence(), (Fence{kOnlyPartition, 7}));
  EXPECT_EQ(writer_.generation(), 700 + kGenerationsPerOpen);
  const auto outbox = store_.ReadOutbox(kOnlyPartition);
  ASSERT_TRUE(outbox.ok()) << outbox.status();
  EXPECT_THAT(*outbox,
              ElementsAre(OutboxRow{.ordinal = 9, .target = 1, .body = "o"}));
  ASSERT_TRUE(store_.ReadOpen(kOnlyPartition, [](OpenRun) {}).ok());
  EXPECT_EQ(*store_.Find("t", "order-1"), Row(7));
  EXPECT_EQ(store_.witness()->commits(), 4u);
}

TEST_F(FileOfVersion4, CanHaveEntitiesFromNowOn) {
  EXPECT_EQ(*store_.FindEntity("t", "@e@1"), std::nullopt);
  const EntityRow row{.tenant = "t",
                      .id = "@e@1",
                      .number = 9,
                      .modified = 2,
                      .header = "",
                      .state = "state"};
  ASSERT_TRUE(
      writer_.Commit(store_, {PutEntity{row}, PutOperation{{9, 1, "o"}}}).ok());
  EXPECT_EQ(*store_.FindEntity("t", "@e@1"), row);
  std::vector<AwakeEntity> awake;
  ASSERT_TRUE(
      store_
          .ReadAwake(kOnlyPartition,
                     [&](AwakeEntity one) { awake.push_back(std::move(one)); })
          .ok());
  ASSERT_EQ(awake.size(), 1u);
  EXPECT_THAT(awake[0].operations, ElementsAre(OperationRow{9, 1, "o"}));
}

TEST_F(FileOfVersion5, GoesOnWithItsEntitiesAndCanKeepCalls) {
  EXPECT_THAT(notes_, ElementsAre(testing::HasSubstr("from schema 5 to 9")));
  EXPECT_EQ(store_.witness()->commits(), 5u);
  EXPECT_EQ(*store_.FindEntity("t", "@e"), (EntityRow{.tenant = "t",
                                                      .id = "@e",
                                                      .number = 9,
                                                      .modified = 1020,
                                                      .header = "h",
                                                      .state = "s"}));
  std::vector<OperationRow> operations;
  ASSERT_TRUE(
      store_
          .ReadAwake(kOnlyPartition,
                     [&](AwakeEntity one) { operations = one.operations; })
          .ok());
  EXPECT_THAT(operations, ElementsAre(OperationRow{9, 1, "o"}));
  ASSERT_TRUE(store_.ReadOpen(kOnlyPartition, [](OpenRun) {}).ok());
  EXPECT_EQ(*store_.FindCall("t", "r"), std::nullopt);
  const CallRow call{"t", "r", 1030, 7, "@e", "outcome"};
  ASSERT_TRUE(
      writer_.Commit(store_, {DropOperation{9, 1}, PutCall{call}}).ok());
  EXPECT_EQ(*store_.FindCall("t", "r"), call);
}

TEST_F(FileOfVersion5, HasWhatItsTenantsTakeCounted) {
  // Two orchestrations and one that was replaced, their histories, a message, a
  // timer, an activity, a request, an entity and its operation.
  EXPECT_EQ(store_.StoredBytes("t"), 13 * kRowBytes + 49);
  SqliteConnection file(store_.path(), "", SqliteConnection::Access::kReadOnly);
  EXPECT_EQ(*file.AskNumber("SELECT sum(bytes) FROM tenant_bytes"),
            *file.AskNumber(absl::StrCat("SELECT sum(bytes) FROM (",
                                         std::string(CountTenantsSql()), ")")));
}

TEST_F(FileOfVersion7, ListsTheNewestFirst) {
  EXPECT_THAT(notes_, ElementsAre(testing::HasSubstr("from schema 7 to 9")));
  EXPECT_EQ(store_.witness()->commits(), 5u);
  EXPECT_EQ(store_.StoredBytes("t"), 881u);
  const RowQuery newest{
      .tenant = "t", .order = RowOrder::kNewestFirst, .count_max = 1};
  const auto ids = [&] {
    std::vector<std::string> found;
    const auto rows = AllRows(store_, newest);
    EXPECT_TRUE(rows.ok()) << rows.status();
    for (const RunRow& row : *rows) found.push_back(row.id);
    return found;
  };
  EXPECT_THAT(ids(), ElementsAre("order-2", "order-1"));
  RunRow third = Row(9);
  third.id = "order-3";
  third.created = 1005;
  ASSERT_TRUE(writer_.Commit(store_, {PutRun{third}, EraseRun{7}}).ok());
  EXPECT_THAT(ids(), ElementsAre("order-2", "order-3"));
  ASSERT_TRUE(store_.ReadOpen(kOnlyPartition, [](OpenRun) {}).ok());
  SqliteConnection file(store_.path(), "", SqliteConnection::Access::kReadOnly);
  EXPECT_EQ(*file.Ask("PRAGMA integrity_check"), "ok");
}

TEST_F(FileOfVersion8, HasItsOrchestrationsCountedByStatus) {
  EXPECT_THAT(notes_, ElementsAre(testing::HasSubstr("from schema 8 to 9")));
  RunCounts::ByStatus expected;
  for (const RunRow& row : *AllRows(store_, {.tenant = "t"})) {
    ++expected[row.status];
  }
  EXPECT_FALSE(expected.empty());
  EXPECT_EQ(store_.run_counts().Of("t"), expected);
}

TEST_F(DamagedFileOfVersion3, IsNotMadeWholeByItsMigration) {
  EXPECT_EQ(store_.ReadOpen(kOnlyPartition, [](OpenRun) {}).code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace leasehold
