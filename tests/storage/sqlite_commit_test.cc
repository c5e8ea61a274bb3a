// Commits of the SQLite store, counted and failing, on a disk in memory.

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/storage/sqlite_store.h"
#include "tests/storage/store_dump.h"
#include "tests/support/partition_writer.h"
#include "tests/support/power_vfs.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::HasSubstr;

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

class SqliteStoreOnPowerVfs : public testing::Test {
 protected:
  SqliteStoreOnPowerVfs()
      : store_({.directory = "data", .vfs = vfs_.name()}, clock_) {
    EXPECT_TRUE(writer_.Open(store_).ok());
  }

  std::vector<Change> Turn(RunNumber number, int chunk) {
    return {UpdateRun{number, 2, std::nullopt, "s"},
            AppendHistory{number, chunk, std::string(200, 'e')},
            TakeMessages{number, chunk}, PutTask{{number, chunk, "task"}}};
  }

  SimulatedClock clock_;
  PowerVfs vfs_;
  SqliteStore store_;
  PartitionWriter writer_;
};

TEST_F(SqliteStoreOnPowerVfs, CommitIsOneSync) {
  ASSERT_TRUE(writer_.Commit(store_, {PutRun{Row(1, "a")}}).ok());
  for (int i = 0; i < 20; ++i) {
    const int64_t before = vfs_.syncs("");
    ASSERT_TRUE(writer_.Commit(store_, Turn(1, i)).ok());
    EXPECT_EQ(vfs_.syncs(""), before + 1);
  }
  EXPECT_EQ(vfs_.syncs("leasehold.db-wal"), vfs_.syncs("-wal"));
}

TEST_F(SqliteStoreOnPowerVfs, ReopeningProvesThatItCanWrite) {
  const int64_t before = vfs_.syncs("-wal");
  EXPECT_TRUE(store_.Open().ok());
  EXPECT_EQ(vfs_.syncs("-wal"), before + 1);
  vfs_.FailFrom(0);
  ExpectStatus(store_.Open(), absl::StatusCode::kUnavailable,
               HasSubstr("data/leasehold.db"));
  ExpectStatus(writer_.Commit(store_, {PutSetting{"a", "b"}}),
               absl::StatusCode::kUnavailable, HasSubstr("leasehold.db"));
  vfs_.FailFrom(std::nullopt);
  EXPECT_TRUE(store_.Open().ok());
}

TEST_F(SqliteStoreOnPowerVfs, AfterAFailedCommitOnlyReadsGoOnUntilItIsOpened) {
  ASSERT_TRUE(writer_.Commit(store_, {PutRun{Row(1, "a")}}).ok());
  vfs_.FailSync(0);
  ExpectStatus(
      writer_.Commit(store_, Turn(1, 0)), absl::StatusCode::kUnavailable,
      AllOf(HasSubstr("cannot read or write"), HasSubstr("data/leasehold.db")));
  // What was acknowledged is there, and nothing of what failed.
  EXPECT_EQ(*store_.Find("t", "a"), Row(1, "a"));
  EXPECT_TRUE(store_.ReadHistory(1)->empty());
  EXPECT_EQ(writer_.Commit(store_, Turn(1, 0)).code(),
            absl::StatusCode::kUnavailable);
  ASSERT_TRUE(writer_.Open(store_).ok());
  EXPECT_TRUE(store_.Find("t", "a")->has_value());
  EXPECT_TRUE(writer_.Commit(store_, Turn(1, 0)).ok());
}

TEST_F(SqliteStoreOnPowerVfs, FullDiskIsSaidAndOverWhenThereIsRoom) {
  ASSERT_TRUE(writer_.Commit(store_, {PutRun{Row(1, "a")}}).ok());
  vfs_.FillUp(100'000);
  absl::Status status;
  for (int i = 0; status.ok(); ++i) {
    ASSERT_LT(i, 1000);
    status =
        writer_.Commit(store_, {AppendHistory{1, i, std::string(1000, 'e')}});
  }
  ExpectStatus(status, absl::StatusCode::kUnavailable,
               AllOf(HasSubstr("data/leasehold.db"), HasSubstr("full")));
  for (int i = 0; i < 3; ++i) {  // Also during the retries.
    EXPECT_TRUE(store_.Find("t", "a")->has_value());
    EXPECT_GT(store_.ReadHistory(1)->size(), 1u);
    EXPECT_EQ(AllRows(store_, {.tenant = "t"})->size(), 1u);
    ExpectStatus(writer_.Open(store_), absl::StatusCode::kUnavailable,
                 HasSubstr("full"));
  }
  vfs_.FillUp(std::nullopt);
  ASSERT_TRUE(writer_.Open(store_).ok());
  EXPECT_TRUE(writer_.Commit(store_, {PutSetting{"a", "b"}}).ok());
}

TEST_F(SqliteStoreOnPowerVfs, CommitThatCannotBeSyncedHasAnUnknownOutcome) {
  ASSERT_TRUE(writer_.Commit(store_, {PutRun{Row(1, "a")}}).ok());
  vfs_.FailSync(0);
  EXPECT_EQ(writer_.Try(store_, Turn(1, 0)).outcome(), CommitOutcome::kUnknown);
  // Until the store is open again, it is clear that nothing is stored.
  const CommitResult next = writer_.Try(store_, Turn(1, 1));
  EXPECT_EQ(next.outcome(), CommitOutcome::kRefused);
  EXPECT_EQ(next.status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(writer_.Open(store_).ok());
  EXPECT_THAT(*store_.ReadHistory(1), testing::SizeIs(testing::Le(1u)));
}

// A transaction that is larger than the cache is written before its end: a
// failure there is known to leave nothing.
TEST_F(SqliteStoreOnPowerVfs, CommitThatFailsBeforeItsEndIsRefused) {
  ASSERT_TRUE(writer_.Commit(store_, {PutRun{Row(1, "a")}}).ok());
  const Fence before = writer_.fence();
  vfs_.FailFrom(0);
  std::vector<Change> large;
  for (int i = 0; i < 50; ++i) {
    large.push_back(AppendHistory{1, i, std::string(1 << 20, 'e')});
  }
  EXPECT_EQ(writer_.Try(store_, large).outcome(), CommitOutcome::kRefused);
  EXPECT_TRUE(store_.ReadHistory(1)->empty());
  vfs_.FailFrom(std::nullopt);
  ASSERT_TRUE(writer_.Open(store_).ok());
  EXPECT_TRUE(store_.ReadHistory(1)->empty());
  EXPECT_EQ(writer_.fence().epoch, before.epoch + 1);
}

TEST_F(SqliteStoreOnPowerVfs, EpochOutlivesALossOfPower) {
  Random random(1);
  const Fence before = writer_.fence();
  vfs_.PowerLoss(random);
  SqliteStore after({.directory = "data", .vfs = vfs_.name()}, clock_);
  ASSERT_TRUE(after.Open().ok());
  EXPECT_EQ(after.Commit({before}, {PutSetting{"a", "b"}}).outcome(),
            CommitOutcome::kDone);
  PartitionWriter next;
  ASSERT_TRUE(next.Open(after).ok());
  EXPECT_EQ(next.fence().epoch, before.epoch + 1);
  EXPECT_EQ(next.generation(), writer_.generation() + kGenerationsPerOpen);
  EXPECT_EQ(after.Commit({before}, {PutSetting{"a", "c"}}).outcome(),
            CommitOutcome::kFenced);
  EXPECT_EQ(*after.ReadSetting("a"), "b");
}

// A batch that fails half way leaves nothing, wherever it fails.
TEST_F(SqliteStoreOnPowerVfs, BatchThatFailsIsNotThereInPart) {
  for (int fails_at = 0; fails_at < 40; ++fails_at) {
    const std::string id = std::to_string(fails_at);
    vfs_.FailFrom(fails_at);
    std::vector<Change> batch = {PutRun{Row(2 * fails_at + 1, id)},
                                 PutSetting{"both", id}};
    for (int i = 0; i < 10; ++i) {
      batch.push_back(
          AppendHistory{2 * fails_at + 1, i, std::string(20'000, 'e')});
    }
    const bool ok = writer_.Commit(store_, batch).ok();
    vfs_.FailFrom(std::nullopt);
    ASSERT_TRUE(writer_.Open(store_).ok());
    const bool there = store_.Find("t", id)->has_value();
    EXPECT_EQ(there, *store_.ReadSetting("both") == id);
    EXPECT_EQ(store_.ReadHistory(2 * fails_at + 1)->size(), there ? 10u : 0u);
    EXPECT_TRUE(there || !ok);
  }
}

// Reads in progress when a commit fails continue while the store is reopened.
TEST_F(SqliteStoreOnPowerVfs, ReadsGoOnWhenACommitFails) {
  for (int i = 1; i <= 500; ++i) {
    ASSERT_TRUE(
        writer_.Commit(store_, {PutRun{Row(i, std::to_string(i))}}).ok());
  }
  std::atomic<bool> done = false;
  // The first wrong result of each reader.
  std::string failures[3];
  std::vector<std::thread> readers;
  for (std::string& failure : failures) {
    readers.emplace_back([&] {
      while (!done && failure.empty()) {
        const auto rows = AllRows(store_, {.tenant = "t", .count_max = 50});
        if (!rows.ok()) {
          failure = rows.status().ToString();
        } else if (rows->size() != 500) {
          failure = std::to_string(rows->size()) + " rows";
        }
      }
    });
  }
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(writer_.Commit(store_, Turn(1, 2 * round)).ok());
    vfs_.FailSync(0);
    EXPECT_FALSE(writer_.Commit(store_, Turn(1, 2 * round + 1)).ok());
    ASSERT_TRUE(writer_.Open(store_).ok());
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  for (const std::string& failure : failures) EXPECT_EQ(failure, "");
}

}  // namespace
}  // namespace leasehold
