// Damage to the rows that say who may write, and to those of the outbox: it is
// found when they are read, and by the check of a closed file.
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/storage/sqlite_check.h"
#include "service/storage/sqlite_store.h"
#include "tests/support/partition_writer.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::SizeIs;

using Code = absl::StatusCode;

class SqlitePartitionDamageTest : public testing::Test {
 protected:
  // A closed store with two rows in its outbox.
  SqlitePartitionDamageTest() : data_(directory_.path() + "/data") {
    EXPECT_TRUE(Open().ok());
    EXPECT_TRUE(writer_
                    .Commit(*store_, {PutOutbox{{.ordinal = 1, .body = "one"}},
                                      PutOutbox{{.ordinal = 2, .body = "two"}}})
                    .ok());
    store_.reset();
  }

  absl::Status Open() {
    store_.reset();
    store_ = std::make_unique<SqliteStore>(
        SqliteStoreOptions{.directory = data_}, clock_);
    return writer_.Open(*store_);
  }
  void RunSql(const std::string& sql) {
    SqliteConnection file(data_ + "/leasehold.db", "",
                          SqliteConnection::Access::kWrite);
    const absl::Status done = file.Run(sql);
    ASSERT_TRUE(done.ok()) << done;
  }
  std::unique_ptr<SqliteCheck> Check() {
    store_.reset();
    auto check = SqliteCheck::Begin(data_, clock_);
    EXPECT_TRUE(check.ok()) << check.status();
    return *std::move(check);
  }
  static CheckReport Look(SqliteCheck& check) {
    const auto any = [](std::string_view) { return true; };
    return check.Look({any, any, any, any});
  }

  SimulatedClock clock_;
  TemporaryDirectory directory_;
  const std::string data_;
  std::unique_ptr<SqliteStore> store_;
  PartitionWriter writer_;
};

TEST_F(SqlitePartitionDamageTest, WholeOneIsWhole) {
  const CheckReport report = Look(*Check());
  EXPECT_TRUE(report.whole()) << report.damage.front();
  EXPECT_EQ(report.rows.at("outbox"), 2);
  EXPECT_EQ(report.rows.at("partition"), 1);
}

TEST_F(SqlitePartitionDamageTest, ChangedRowOfTheOutboxIsMarked) {
  RunSql("UPDATE outbox SET body = x'00' WHERE ordinal = 2");
  ASSERT_TRUE(Open().ok());
  const auto rows = store_->ReadOutbox(kOnlyPartition);
  ASSERT_THAT(*rows, SizeIs(2));
  EXPECT_FALSE((*rows)[0].damaged);
  EXPECT_TRUE((*rows)[1].damaged);
  EXPECT_EQ((*rows)[1].ordinal, 2);
  EXPECT_THAT(Look(*Check()).damage,
              Contains(HasSubstr("1 rows of table outbox")));
}

TEST_F(SqlitePartitionDamageTest, VanishedRowOfTheOutboxIsMissed) {
  RunSql("DELETE FROM outbox WHERE ordinal = 1");
  ASSERT_TRUE(Open().ok());
  const absl::Status status = store_->ReadOutbox(kOnlyPartition).status();
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("1 rows of the outbox found, 2 expected"));
  const auto check = Check();
  EXPECT_THAT(Look(*check).damage,
              Contains("1 rows of the outbox found, 2 expected"));
  // What is left can be accepted.
  ASSERT_TRUE(check->AcceptWhatIsThere().ok());
  EXPECT_TRUE(Look(*check).whole());
}

TEST_F(SqlitePartitionDamageTest, LedgerOfAnotherCountIsFound) {
  RunSql("UPDATE ledger SET outbox = 3");
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(store_->ReadOutbox(kOnlyPartition).status().code(),
            Code::kDataLoss);
  EXPECT_EQ(store_->ReadOpen(kOnlyPartition, [](OpenRun) {}).code(),
            Code::kDataLoss);
}

// With a wrong epoch, a writer that was replaced could go on.
TEST_F(SqlitePartitionDamageTest, StoreWithoutASoundEpochIsRefused) {
  for (const char* sql :
       {"UPDATE partition SET epoch = 7", "DELETE FROM partition"}) {
    RunSql(sql);
    const absl::Status status = Open();
    EXPECT_EQ(status.code(), Code::kDataLoss) << sql;
    EXPECT_THAT(std::string(status.message()), HasSubstr("partition"));
    const auto check = Check();
    ASSERT_TRUE(check->AcceptWhatIsThere().ok());
    EXPECT_TRUE(Look(*check).whole());
  }
  EXPECT_TRUE(Open().ok());
  EXPECT_THAT(*store_->ReadOutbox(kOnlyPartition), SizeIs(2));
}

}  // namespace
}  // namespace leasehold
