// What every Store says of a commit: partitions and epochs, outcomes, outboxes.
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/store_conformance.h"
#include "tests/support/fault_store.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr PartitionId kOther = 1;

OutboxRow Told(int64_t ordinal, std::string body = "body") {
  return {.source = kOnlyPartition,
          .ordinal = ordinal,
          .target = kOther,
          .body = std::move(body)};
}

OutboxKey KeyOf(const OutboxRow& row) { return {row.source, row.ordinal}; }

// ---- Partitions and epochs --------------------------------------------------

TEST_P(StoreConformance, EachOpeningOfAPartitionRaisesItsEpoch) {
  EXPECT_EQ(writer_.fence(), (Fence{kOnlyPartition, 1}));
  for (Epoch epoch = 2; epoch < 5; ++epoch) {
    const auto opened = store_->OpenPartition(kOnlyPartition, 7);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(opened->fence, (Fence{kOnlyPartition, epoch}));
  }
}

TEST_P(StoreConformance, EachOpeningOfAPartitionHasGenerationsOfItsOwn) {
  EXPECT_EQ(writer_.generation(), PartitionWriter::kFirstGeneration);
  int64_t last = PartitionWriter::kFirstGeneration;
  for (int opening = 0; opening < 3; ++opening) {
    last += kGenerationsPerOpen;
    EXPECT_EQ(store_->OpenPartition(kOnlyPartition, 7)->generation, last);
  }
  // Further ahead, if that is asked for; and never back.
  last += 2 * kGenerationsPerOpen;
  EXPECT_EQ(store_->OpenPartition(kOnlyPartition, last)->generation, last);
  EXPECT_EQ(store_->OpenPartition(kOnlyPartition, 7)->generation,
            last + kGenerationsPerOpen);
}

TEST_P(StoreConformance, CommitOfAnEarlierEpochIsFenced) {
  Commit({PutSetting{"a", "1"}});
  PartitionWriter next;
  ASSERT_TRUE(next.Open(*store_).ok());
  const CommitResult result = writer_.Try(*store_, {PutSetting{"a", "2"}});
  EXPECT_EQ(result.outcome(), CommitOutcome::kFenced);
  EXPECT_TRUE(result.known_not_committed());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Setting("a"), "1");
  // The present writer goes on.
  EXPECT_TRUE(next.Commit(*store_, {PutSetting{"a", "3"}}).ok());
  EXPECT_EQ(Setting("a"), "3");
}

TEST_P(StoreConformance, CommitOfAnEpochToComeIsFenced) {
  const Fence ahead = {kOnlyPartition, writer_.fence().epoch + 1};
  EXPECT_EQ(store_->Commit({ahead}, {PutSetting{"a", "1"}}).outcome(),
            CommitOutcome::kFenced);
  EXPECT_EQ(store_->Commit({Fence()}, {PutSetting{"a", "1"}}).outcome(),
            CommitOutcome::kFenced);
  EXPECT_EQ(Setting("a"), std::nullopt);
}

TEST_P(StoreConformance, PartitionThatNobodyOpenedTakesNoCommit) {
  TemporaryDirectory other;
  const auto store = GetParam().make(other.path(), clock_);
  ASSERT_TRUE(store->Open().ok());
  EXPECT_EQ(store->Commit({Fence()}, {PutSetting{"a", "1"}}).outcome(),
            CommitOutcome::kFenced);
  EXPECT_EQ(*store->ReadSetting("a"), std::nullopt);
}

TEST_P(StoreConformance, CommitIsRefusedIfAnyOfItsPartitionsIsUnknown) {
  const Fence unknown = {kOther, 1};
  const CommitResult result =
      store_->Commit({writer_.fence(), unknown}, {PutSetting{"a", "1"}});
  EXPECT_EQ(result.outcome(), CommitOutcome::kRefused);
  EXPECT_TRUE(result.known_not_committed());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->Commit({}, {PutSetting{"a", "1"}}).outcome(),
            CommitOutcome::kRefused);
  EXPECT_EQ(Setting("a"), std::nullopt);
  EXPECT_EQ(store_->OpenPartition(kOther, 1).status().code(),
            absl::StatusCode::kNotFound);
  // The store is none the worse for it.
  Commit({PutSetting{"a", "2"}});
}

TEST_P(StoreConformance, PartitionHasNoRowsOfOthers) {
  Commit({PutRun{Row(1, "a")}, PutOutbox{Told(1)}});
  int open = 0;
  EXPECT_TRUE(store_->ReadOpen(kOther, [&](OpenRun) { ++open; }).ok());
  EXPECT_EQ(open, 0);
  EXPECT_EQ(*store_->ReadLastNumber(kOther), 0);
  EXPECT_THAT(*store_->ReadOutbox(kOther), IsEmpty());
}

// ---- Outcomes of stores that fail -------------------------------------------

TEST_P(StoreConformance, UnknownCommitIsThereAsAWholeOrNotAtAll) {
  FaultStore faulty(*store_);
  using Effect = FaultStore::Effect;
  for (const Effect effect : {Effect::kNone, Effect::kWhole}) {
    PartitionWriter writer;
    ASSERT_TRUE(writer.Open(faulty).ok());
    Commit({EraseTenant{"t"}}, writer.fence());
    faulty.FailCommit(0, effect);
    const CommitResult result = writer.Try(
        faulty, {PutRun{Row(1, "a")}, PutOutbox{Told(1)}, PutRun{Row(2, "b")}});
    EXPECT_EQ(result.outcome(), CommitOutcome::kUnknown);
    EXPECT_FALSE(result.known_not_committed());
    EXPECT_EQ(writer.Try(faulty, {PutRun{Row(3, "c")}}).outcome(),
              CommitOutcome::kRefused);
    PartitionWriter next;
    ASSERT_TRUE(next.Open(faulty).ok());
    const size_t there = effect == Effect::kWhole ? 1 : 0;
    EXPECT_EQ(Open().size(), 2 * there);
    EXPECT_EQ(store_->ReadOutbox(kOnlyPartition)->size(), there);
    // What comes of it later is fenced.
    EXPECT_EQ(writer.Try(faulty, {PutRun{Row(3, "c")}}).outcome(),
              CommitOutcome::kFenced);
    writer_ = next;
  }
}

// ---- Outboxes ---------------------------------------------------------------

TEST_P(StoreConformance, OutboxIsReadInOrder) {
  Commit({PutOutbox{Told(7)}, PutOutbox{Told(-1)}, PutOutbox{Told(3, "")}});
  EXPECT_THAT(*store_->ReadOutbox(kOnlyPartition),
              ElementsAre(Told(-1), Told(3, ""), Told(7)));
  Commit({PutOutbox{Told(3, "again")}});
  EXPECT_THAT(*store_->ReadOutbox(kOnlyPartition),
              ElementsAre(Told(-1), Told(3, "again"), Told(7)));
}

TEST_P(StoreConformance, TakenRowIsGoneAndItsEffectsAreThere) {
  Commit({PutRun{Row(1, "a")}, PutOutbox{Told(1)}, PutOutbox{Told(2)}});
  const CommitResult result = writer_.Try(
      *store_,
      {TakeOutbox{KeyOf(Told(1)), 1}, PutMessage{{1, 1, "", "event"}}});
  ASSERT_TRUE(result.done());
  EXPECT_THAT(result.gone(), IsEmpty());
  EXPECT_THAT(*store_->ReadOutbox(kOnlyPartition), ElementsAre(Told(2)));
  EXPECT_EQ(OnlyOpen().messages.size(), 1u);
}

TEST_P(StoreConformance, RowIsActedOnOnceHoweverOftenItIsTaken) {
  Commit({PutRun{Row(1, "a")}, PutOutbox{Told(1)}});
  const std::vector<Change> push = {
      TakeOutbox{KeyOf(Told(1)), 2}, PutMessage{{1, 1, "", "event"}},
      PutTask{{1, 1, "task"}}, PutSetting{"after", "it"}};
  Commit(push);
  Commit({TakeMessages{1, 1}, DropTask{1, 1}, PutSetting{"after", "that"}});
  const CommitResult again = writer_.Try(*store_, push);
  ASSERT_TRUE(again.done());
  EXPECT_THAT(again.gone(), ElementsAre(KeyOf(Told(1))));
  EXPECT_THAT(OnlyOpen().messages, IsEmpty());
  EXPECT_THAT(OnlyOpen().tasks, IsEmpty());
  EXPECT_EQ(Setting("after"), "it");  // Not an effect of the row.
}

TEST_P(StoreConformance, RowIsActedOnOnceInOneBatch) {
  Commit({PutRun{Row(1, "a")}, PutOutbox{Told(1)}, PutOutbox{Told(2)}});
  const CommitResult result = writer_.Try(
      *store_, {TakeOutbox{KeyOf(Told(1)), 1}, PutMessage{{1, 1, "", "first"}},
                TakeOutbox{KeyOf(Told(1)), 1}, PutMessage{{1, 1, "", "second"}},
                TakeOutbox{KeyOf(Told(2)), 0}, TakeOutbox{{kOther, 2}, 0}});
  ASSERT_TRUE(result.done());
  EXPECT_THAT(result.gone(), ElementsAre(KeyOf(Told(1)), OutboxKey{kOther, 2}));
  EXPECT_THAT(OnlyOpen().messages, ElementsAre(MessageRow{1, 1, "", "first"}));
  EXPECT_THAT(*store_->ReadOutbox(kOnlyPartition), IsEmpty());
}

TEST_P(StoreConformance, RowOfTheSameBatchCanBeTaken) {
  const CommitResult result = writer_.Try(
      *store_,
      {PutOutbox{Told(1)}, TakeOutbox{KeyOf(Told(1)), 1}, PutRun{Row(1, "a")}});
  ASSERT_TRUE(result.done());
  EXPECT_THAT(result.gone(), IsEmpty());
  EXPECT_EQ(OnlyOpen().row, Row(1, "a"));
}

TEST_P(StoreConformance, OutboxOutlivesWhoeverToldIt) {
  Commit({PutRun{Row(1, "a")}, PutOutbox{Told(1)}});
  Commit({EraseRun{1}});
  EXPECT_THAT(*store_->ReadOutbox(kOnlyPartition), ElementsAre(Told(1)));
  Commit({EraseTenant{"t"}});
  EXPECT_THAT(*store_->ReadOutbox(kOnlyPartition), ElementsAre(Told(1)));
}

}  // namespace
}  // namespace leasehold
