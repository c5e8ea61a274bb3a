#include "tests/support/fault_store.h"

#include <optional>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "service/storage/memory_store.h"
#include "tests/support/partition_writer.h"

namespace leasehold {
namespace {

class FaultStoreTest : public testing::Test {
 protected:
  FaultStoreTest() { EXPECT_TRUE(writer_.Open(store_).ok()); }

  absl::Status Put(const std::string& value) {
    return writer_.Commit(store_, {PutSetting{"name", value}});
  }

  MemoryStore memory_;
  FaultStore store_{memory_};
  PartitionWriter writer_;
};

TEST_F(FaultStoreTest, CommitFailsOnceAndOnlyReadsGoOnUntilItIsOpened) {
  store_.FailCommit(1, FaultStore::Effect::kNone);
  EXPECT_TRUE(Put("a").ok());
  EXPECT_EQ(Put("b").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Put("c").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(*store_.ReadSetting("name"), "a");
  ASSERT_TRUE(writer_.Open(store_).ok());
  EXPECT_EQ(*store_.ReadSetting("name"), "a");
  EXPECT_TRUE(Put("d").ok());
}

TEST_F(FaultStoreTest, CommitThatFailsMayHaveTakenEffect) {
  store_.FailCommit(0, FaultStore::Effect::kWhole);
  EXPECT_EQ(Put("a").code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(writer_.Open(store_).ok());
  EXPECT_EQ(*store_.ReadSetting("name"), "a");
}

TEST_F(FaultStoreTest, CommitSaysWhetherItIsKnownNotToHaveTakenEffect) {
  using Effect = FaultStore::Effect;
  const std::pair<Effect, CommitOutcome> cases[] = {
      {Effect::kNone, CommitOutcome::kUnknown},
      {Effect::kWhole, CommitOutcome::kUnknown},
      {Effect::kRefused, CommitOutcome::kRefused},
      {Effect::kFenced, CommitOutcome::kFenced}};
  for (const auto& [effect, outcome] : cases) {
    ASSERT_TRUE(writer_.Open(store_).ok());
    ASSERT_TRUE(Put("before").ok());
    store_.FailCommit(0, effect);
    const CommitResult result =
        writer_.Try(store_, {PutSetting{"name", "after"}});
    EXPECT_EQ(result.outcome(), outcome);
    EXPECT_FALSE(result.status().ok());
    ASSERT_TRUE(writer_.Open(store_).ok());
    EXPECT_EQ(*store_.ReadSetting("name"),
              effect == Effect::kWhole ? "after" : "before");
  }
}

TEST_F(FaultStoreTest, OpenAndReadsFailWithWhatTheTestSays) {
  store_.FailOpen(0, absl::DataLossError("damaged"));
  EXPECT_EQ(writer_.Open(store_).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Put("a").code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(writer_.Open(store_).ok());
  store_.FailRead(1, absl::DataLossError("damaged"));
  EXPECT_TRUE(store_.ReadLastNumber(kOnlyPartition).ok());
  EXPECT_EQ(store_.Find("t", "a").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(store_.Find("t", "a").ok());
  EXPECT_EQ(store_.opens(), 3);
  EXPECT_EQ(store_.reads(), 3);
  EXPECT_EQ(store_.commits(), 0);
}

}  // namespace
}  // namespace leasehold
