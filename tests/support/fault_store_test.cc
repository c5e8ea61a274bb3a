#include "tests/support/fault_store.h"

#include <optional>

#include "gtest/gtest.h"
#include "service/storage/memory_store.h"

namespace leasehold {
namespace {

class FaultStoreTest : public testing::Test {
 protected:
  FaultStoreTest() { EXPECT_TRUE(store_.Open().ok()); }

  absl::Status Put(const std::string& value) {
    return store_.Commit({PutSetting{"name", value}});
  }

  MemoryStore memory_;
  FaultStore store_{memory_};
};

TEST_F(FaultStoreTest, CommitFailsOnceAndOnlyReadsGoOnUntilItIsOpened) {
  store_.FailCommit(1, FaultStore::Effect::kNone);
  EXPECT_TRUE(Put("a").ok());
  EXPECT_EQ(Put("b").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Put("c").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(*store_.ReadSetting("name"), "a");
  ASSERT_TRUE(store_.Open().ok());
  EXPECT_EQ(*store_.ReadSetting("name"), "a");
  EXPECT_TRUE(Put("d").ok());
}

TEST_F(FaultStoreTest, CommitThatFailsMayHaveTakenEffect) {
  store_.FailCommit(0, FaultStore::Effect::kWhole);
  EXPECT_EQ(Put("a").code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(store_.Open().ok());
  EXPECT_EQ(*store_.ReadSetting("name"), "a");
}

TEST_F(FaultStoreTest, OpenAndReadsFailWithWhatTheTestSays) {
  store_.FailOpen(0, absl::DataLossError("damaged"));
  EXPECT_EQ(store_.Open().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Put("a").code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(store_.Open().ok());
  store_.FailRead(1, absl::DataLossError("damaged"));
  EXPECT_TRUE(store_.ReadLastNumber().ok());
  EXPECT_EQ(store_.Find("t", "a").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(store_.Find("t", "a").ok());
  EXPECT_EQ(store_.opens(), 3);
  EXPECT_EQ(store_.reads(), 3);
  EXPECT_EQ(store_.commits(), 0);
}

}  // namespace
}  // namespace leasehold
