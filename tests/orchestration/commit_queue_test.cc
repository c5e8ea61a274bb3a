#include "service/orchestration/commit_queue.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/storage/memory_store.h"
#include "tests/support/fault_store.h"
#include "tests/support/manual_executor.h"
#include "tests/support/partition_writer.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class CommitQueueTest : public testing::Test {
 protected:
  CommitQueueTest() {
    EXPECT_TRUE(partition_.Open(store_).ok());
    queue_.Resume(partition_.fence());
  }

  // Writes a setting; records under its name what happens to it.
  PendingCommit Write(const std::string& name, const std::string& value = "") {
    PendingCommit commit;
    commit.changes.push_back(PutSetting{name, value});
    commit.apply.push_back([this, name] { journal_.push_back(name); });
    commit.done = [this, name](const absl::Status& status) {
      journal_.push_back(
          absl::StrCat(name, ": ", absl::StatusCodeToString(status.code())));
    };
    return commit;
  }
  // Like the engine: applies durable changes, then notifies everyone.
  void OnCommitted(std::vector<PendingCommit> batch,
                   const CommitResult& result) {
    const absl::Status& status = result.status();
    outcomes_.push_back(result.outcome());
    batches_.push_back(batch.size());
    for (PendingCommit& commit : batch) {
      for (const auto& apply : commit.apply) {
        if (status.ok()) apply();
      }
    }
    for (PendingCommit& commit : batch) {
      if (commit.done) commit.done(status);
    }
  }
  std::string Value(const std::string& name) {
    const auto value = memory_.ReadSetting(name);
    return value.ok() ? value->value_or("none") : "not open";
  }

  SimulatedClock clock_;
  MemoryStore memory_;
  FaultStore store_{memory_};
  PartitionWriter partition_;
  ManualExecutor writer_;
  CommitQueue queue_{
      clock_, store_, writer_,
      [this](std::vector<PendingCommit> batch, const CommitResult& result) {
        OnCommitted(std::move(batch), result);
      }};
  std::vector<std::string> journal_;
  std::vector<size_t> batches_;
  std::vector<CommitOutcome> outcomes_;
};

TEST_F(CommitQueueTest, SubmitWritesNothingItself) {
  queue_.Submit(Write("a"));
  EXPECT_EQ(store_.commits(), 0);
  EXPECT_THAT(journal_, IsEmpty());
  EXPECT_EQ(writer_.size(), 1u);
}

TEST_F(CommitQueueTest, EverythingThatIsQueuedSharesOneCommit) {
  for (const char* name : {"a", "b", "c"}) queue_.Submit(Write(name));
  EXPECT_EQ(writer_.RunAll(), 1u);
  EXPECT_EQ(store_.commits(), 1);
  EXPECT_THAT(batches_, ElementsAre(3u));
  EXPECT_EQ(queue_.counts().commits, 1u);
  EXPECT_EQ(queue_.counts().pending, 3u);
}

TEST_F(CommitQueueTest, AppliedInOrderAndBeforeAnybodyIsTold) {
  queue_.Submit(Write("a"));
  queue_.Submit(Write("b"));
  writer_.RunAll();
  EXPECT_THAT(journal_, ElementsAre("a", "b", "a: OK", "b: OK"));
}

TEST_F(CommitQueueTest, LaterOneWinsInTheStore) {
  queue_.Submit(Write("a", "1"));
  queue_.Submit(Write("a", "2"));
  writer_.RunAll();
  EXPECT_EQ(Value("a"), "2");
}

TEST_F(CommitQueueTest, WhatIsQueuedMeanwhileIsTheNextCommit) {
  PendingCommit first = Write("a");
  first.apply.push_back([this] {
    queue_.Submit(Write("b"));
    queue_.Submit(Write("c"));
  });
  queue_.Submit(std::move(first));
  EXPECT_EQ(writer_.RunAll(), 1u);
  EXPECT_THAT(batches_, ElementsAre(1u, 2u));
  EXPECT_EQ(store_.commits(), 2);
}

TEST_F(CommitQueueTest, DelayIsThatOfTheOldestCommitThatIsNotDurable) {
  EXPECT_EQ(queue_.delay(), absl::ZeroDuration());
  queue_.Submit(Write("a"));
  clock_.Advance(absl::Seconds(2));
  queue_.Submit(Write("b"));
  EXPECT_EQ(queue_.delay(), absl::Seconds(2));
  PendingCommit slow = Write("c");
  slow.apply.push_back([this] {  // It is still being committed.
    PendingCommit next = Write("d");
    next.apply.push_back(
        [this] { EXPECT_EQ(queue_.delay(), absl::Seconds(3)); });
    queue_.Submit(std::move(next));
    clock_.Advance(absl::Seconds(3));
    EXPECT_EQ(queue_.delay(), absl::Seconds(5));
  });
  queue_.Submit(std::move(slow));
  writer_.RunAll();
  EXPECT_THAT(batches_, ElementsAre(3u, 1u));
  EXPECT_EQ(queue_.delay(), absl::ZeroDuration());
}

TEST_F(CommitQueueTest, IsWrittenAgainAfterItWasEmpty) {
  queue_.Submit(Write("a"));
  writer_.RunAll();
  queue_.Submit(Write("b"));
  EXPECT_EQ(writer_.RunAll(), 1u);
  EXPECT_EQ(Value("b"), "");
  EXPECT_THAT(batches_, ElementsAre(1u, 1u));
}

// It only waits its turn, after commits that others have queued.
TEST_F(CommitQueueTest, CommitWithoutChangesAsksNoStore) {
  PendingCommit nothing;
  nothing.done = [this](const absl::Status& status) {
    journal_.push_back(status.ok() ? "nothing" : "failed");
  };
  queue_.Submit(std::move(nothing));
  writer_.RunAll();
  EXPECT_THAT(journal_, ElementsAre("nothing"));
  EXPECT_EQ(store_.commits(), 0);
}

TEST_F(CommitQueueTest, CommitWithoutAnybodyToTellIsMade) {
  PendingCommit commit;
  commit.changes.push_back(PutSetting{"a", "1"});
  queue_.Submit(std::move(commit));
  writer_.RunAll();
  EXPECT_EQ(Value("a"), "1");
}

TEST_F(CommitQueueTest, FailureFailsAllThatShareTheCommitAndNothingIsApplied) {
  store_.FailCommit(0, FaultStore::Effect::kNone);
  queue_.Submit(Write("a"));
  queue_.Submit(Write("b"));
  writer_.RunAll();
  EXPECT_THAT(journal_, ElementsAre("a: UNAVAILABLE", "b: UNAVAILABLE"));
  EXPECT_EQ(Value("a"), "none");
}

TEST_F(CommitQueueTest, FailureFailsAllThatIsQueuedUntilItIsResumed) {
  store_.FailCommit(0, FaultStore::Effect::kNone);
  PendingCommit first = Write("a");
  first.done = [this](const absl::Status&) { queue_.Submit(Write("b")); };
  queue_.Submit(std::move(first));
  writer_.RunAll();
  ASSERT_TRUE(
      partition_.Open(store_).ok());  // An open store is not enough: Resume
  queue_.Submit(Write("c"));          // follows only once its content was read.
  PendingCommit nothing;
  nothing.done = [this](const absl::Status& status) {
    journal_.push_back(status.ok() ? "nothing: OK" : "nothing: failed");
  };
  queue_.Submit(std::move(nothing));
  writer_.RunAll();
  EXPECT_THAT(journal_, ElementsAre("b: UNAVAILABLE", "c: UNAVAILABLE",
                                    "nothing: failed"));
  EXPECT_EQ(store_.commits(), 1);
  EXPECT_EQ(queue_.counts().commits, 1u);

  queue_.Resume(partition_.fence());
  queue_.Submit(Write("d", "4"));
  writer_.RunAll();
  EXPECT_EQ(Value("d"), "4");
  EXPECT_EQ(Value("c"), "none");
}

TEST_F(CommitQueueTest, WhatComesAfterAnUnknownCommitIsKnownNotToBeThere) {
  store_.FailCommit(0, FaultStore::Effect::kWhole);
  queue_.Submit(Write("a", "1"));
  writer_.RunAll();
  queue_.Submit(Write("b", "2"));
  writer_.RunAll();
  EXPECT_THAT(outcomes_,
              ElementsAre(CommitOutcome::kUnknown, CommitOutcome::kRefused));
  EXPECT_EQ(Value("a"), "1");
  EXPECT_EQ(Value("b"), "none");
}

TEST_F(CommitQueueTest, WriterThatWasReplacedIsFencedAndStoresNothing) {
  PartitionWriter other;
  ASSERT_TRUE(other.Open(store_).ok());
  queue_.Submit(Write("a"));
  writer_.RunAll();
  queue_.Submit(Write("b"));
  writer_.RunAll();
  EXPECT_THAT(outcomes_,
              ElementsAre(CommitOutcome::kFenced, CommitOutcome::kRefused));
  EXPECT_THAT(journal_, ElementsAre("a: ABORTED", "b: ABORTED"));
  EXPECT_EQ(Value("a"), "none");
  queue_.Resume(other.fence());
  queue_.Submit(Write("c", "3"));
  writer_.RunAll();
  EXPECT_EQ(Value("c"), "3");
}

TEST_F(CommitQueueTest, CommitsNothingBeforeItIsResumedWithAFence) {
  queue_.Resume({});
  queue_.Submit(Write("a"));
  writer_.RunAll();
  EXPECT_THAT(outcomes_, ElementsAre(CommitOutcome::kFenced));
  EXPECT_EQ(store_.commits(), 1);
  EXPECT_EQ(Value("a"), "none");
}

}  // namespace
}  // namespace leasehold
