// What tenants' rows take, as a SqliteStore counts it: after damage from
// outside it is right again. That changes are counted right is shown by the
// suite for every Store.
#include "service/storage/sqlite_tenants.h"

#include <memory>
#include <string>
#include <utility>
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
using testing::IsEmpty;

class SqliteTenantsTest : public testing::Test {
 protected:
  SqliteTenantsTest() : data_(directory_.path() + "/data") {
    Start();
    // Number 3 is an entity's.
    Commit({PutRun{Row(1, "a")}, AppendHistory{1, 0, std::string(300, 'h')},
            PutMessage{{1, 1, "x", std::string(99, 'm')}}, PutTimer{{1, 2, 50}},
            PutTask{{1, 3, std::string(99, 't')}}, PutRun{Row(2, "b")},
            PutEntity{{.tenant = "t",
                       .id = "@e@1",
                       .number = 3,
                       .modified = 1,
                       .header = "head",
                       .state = "state"}},
            PutOperation{{3, 1, "event"}}});
  }

  static RunRow Row(RunNumber number, const std::string& id) {
    return {.number = number,
            .tenant = "t",
            .id = id,
            .status = 1,
            .created = number,
            .finished = std::nullopt,
            .summary = "summary"};
  }
  void Start() {
    store_ = std::make_unique<SqliteStore>(
        SqliteStoreOptions{.directory = data_}, clock_);
    ASSERT_TRUE(writer_.Open(*store_).ok());
  }
  void Commit(const std::vector<Change>& changes) {
    const absl::Status status = writer_.Commit(*store_, changes);
    ASSERT_TRUE(status.ok()) << status;
  }
  // While no store has the file.
  void Damage(const std::string& sql) {
    store_.reset();
    {
      SqliteConnection file(data_ + "/leasehold.db", "",
                            SqliteConnection::Access::kWrite);
      const absl::Status done = file.Run(sql);
      ASSERT_TRUE(done.ok()) << done;
    }
    Start();
  }
  std::unique_ptr<SqliteCheck> Check() {
    store_.reset();
    auto check = SqliteCheck::Begin(data_, clock_);
    EXPECT_TRUE(check.ok()) << check.status();
    return *std::move(check);
  }
  static CheckReport Look(SqliteCheck& check) {
    const auto any = [](std::string_view) { return true; };
    return check.Look(
        {.summary = any, .events = any, .event = any, .task = any});
  }

  SimulatedClock clock_;
  TemporaryDirectory directory_;
  const std::string data_;
  std::unique_ptr<SqliteStore> store_;
  PartitionWriter writer_;
};

TEST_F(SqliteTenantsTest, TheCheckFindsNothingWhereNothingIs) {
  EXPECT_THAT(Look(*Check()).damage, IsEmpty());
}

TEST_F(SqliteTenantsTest, ARestartKeepsTheCount) {
  const uint64_t bytes = store_->StoredBytes("t");
  EXPECT_GT(bytes, 300u);
  store_.reset();
  Start();
  EXPECT_EQ(store_->StoredBytes("t"), bytes);
}

TEST_F(SqliteTenantsTest, ErasingADamagedRowLeavesTheCountRight) {
  for (const std::string damage :
       {"UPDATE message SET event=x'ff' WHERE number=1",
        "UPDATE history SET events=x'' WHERE number=1",
        "UPDATE task SET task=zeroblob(5000) WHERE number=1",
        "UPDATE instance SET summary=zeroblob(5000) WHERE number=1",
        "UPDATE instance SET tenant=x'75' WHERE number=1"}) {
    const uint64_t before = store_->StoredBytes("t");
    Damage(damage);
    Commit({EraseRun{1}});
    const uint64_t after = store_->StoredBytes("t");
    EXPECT_LT(after, before) << damage;
    EXPECT_EQ(store_->StoredBytes("u"), 0u) << damage;
    EXPECT_THAT(Look(*Check()).damage, IsEmpty()) << damage;
    Start();
    EXPECT_EQ(store_->StoredBytes("t"), after) << damage;
    Commit({PutRun{Row(1, "a")}, AppendHistory{1, 0, std::string(300, 'h')},
            PutMessage{{1, 1, "x", std::string(99, 'm')}}, PutTimer{{1, 2, 50}},
            PutTask{{1, 3, std::string(99, 't')}}});
    EXPECT_EQ(store_->StoredBytes("t"), before) << damage;
  }
}

TEST_F(SqliteTenantsTest, ErasingADamagedEntityLeavesTheCountRight) {
  for (const std::string damage :
       {"UPDATE entity SET state=zeroblob(5000)",
        "UPDATE operation SET event=zeroblob(5000)"}) {
    Damage(damage);
    Commit({EraseEntity{"t", "@e@1"}});
    EXPECT_THAT(Look(*Check()).damage, IsEmpty()) << damage;
    Start();
    Commit({PutEntity{{.tenant = "t",
                       .id = "@e@1",
                       .number = 3,
                       .modified = 1,
                       .header = "head",
                       .state = "state"}},
            PutOperation{{3, 1, "event"}}});
  }
}

TEST_F(SqliteTenantsTest, ADamagedCountIsMadeAnewByTheNextCommit) {
  const uint64_t bytes = store_->StoredBytes("t");
  Damage("UPDATE tenant_bytes SET bytes=7");
  Commit({PutSetting{"name", "value"}});
  EXPECT_EQ(store_->StoredBytes("t"), bytes);
  EXPECT_THAT(Look(*Check()).damage, IsEmpty());
}

TEST_F(SqliteTenantsTest, TheCheckFindsAWrongCountAndAcceptingRightsIt) {
  const uint64_t bytes = store_->StoredBytes("t");
  Damage("UPDATE tenant_bytes SET bytes=bytes+7, sum=row_sum(tenant,bytes+7)");
  EXPECT_EQ(store_->StoredBytes("t"), bytes + 7);
  const auto check = Check();
  EXPECT_THAT(Look(*check).damage,
              Contains(HasSubstr("tenant \"t\" was counted 7 bytes too many")));
  ASSERT_TRUE(check->AcceptWhatIsThere().ok());
  EXPECT_THAT(Look(*check).damage, IsEmpty());
}

TEST_F(SqliteTenantsTest, TheCheckFindsATenantThatIsNotCounted) {
  Damage("DELETE FROM tenant_bytes");
  EXPECT_EQ(store_->StoredBytes("t"), 0u);
  EXPECT_THAT(Look(*Check()).damage, Contains(HasSubstr("bytes too few")));
}

TEST_F(SqliteTenantsTest, ATenantWithNothingHasNoRow) {
  Commit({EraseRun{1}, EraseRun{2}, EraseEntity{"t", "@e@1"}});
  EXPECT_EQ(store_->StoredBytes("t"), 0u);
  store_.reset();
  SqliteConnection file(data_ + "/leasehold.db", "",
                        SqliteConnection::Access::kReadOnly);
  EXPECT_EQ(*file.AskNumber("SELECT count(*) FROM tenant_bytes"), 0);
}

TEST_F(SqliteTenantsTest, StatusesAreCountedInTheFile) {
  Commit({UpdateRun{1, 5, 70, "ended"}});
  Start();
  EXPECT_EQ(store_->run_counts().Of("t"),
            (RunCounts::ByStatus{{1, 1}, {5, 1}}));
  EXPECT_THAT(Look(*Check()).damage, IsEmpty());
}

TEST_F(SqliteTenantsTest, ADamagedCountOfStatusesIsMadeAnewByTheNextCommit) {
  Damage("UPDATE run_count SET runs=7");
  Commit({PutSetting{"name", "value"}});
  EXPECT_EQ(store_->run_counts().Of("t"), (RunCounts::ByStatus{{1, 2}}));
  EXPECT_THAT(Look(*Check()).damage, IsEmpty());
}

TEST_F(SqliteTenantsTest, ErasingADamagedRowLeavesTheStatusesRight) {
  Damage("UPDATE instance SET status=9 WHERE number=1");
  Commit({EraseRun{1}});
  EXPECT_EQ(store_->run_counts().Of("t"), (RunCounts::ByStatus{{1, 1}}));
}

TEST_F(SqliteTenantsTest, TheCheckFindsWrongStatusesAndAcceptingRightsThem) {
  Damage("UPDATE run_count SET runs=5, sum=row_sum(tenant,status,5)");
  const auto check = Check();
  EXPECT_THAT(Look(*check).damage,
              Contains(HasSubstr("tenant \"t\" was counted 3 orchestrations of "
                                 "status 1 too many")));
  ASSERT_TRUE(check->AcceptWhatIsThere().ok());
  EXPECT_THAT(Look(*check).damage, IsEmpty());
}

}  // namespace
}  // namespace leasehold
