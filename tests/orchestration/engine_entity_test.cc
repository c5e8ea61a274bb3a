// Entities: their messages, batches and states.
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/entity_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Code = absl::StatusCode;

// ---- Signals ----------------------------------------------------------------

TEST_F(EntityTest, ASignalCreatesAnEntity) {
  FakeWorker& worker = Connect();
  const AskedStatus signal = Signal(kCounter, "add");
  EXPECT_FALSE(signal.answered());
  Settle();
  EXPECT_TRUE(signal.ok()) << signal.status();
  EXPECT_EQ(StateOf(kCounter), "none");
  const FakeItem batch = worker.TakeBatch();
  EXPECT_EQ(batch.instance_id, kCounter);
  EXPECT_EQ(batch.state, std::nullopt);
  EXPECT_THAT(Operations(batch), ElementsAre("add"));
  EXPECT_EQ(batch.events[0].As<EntityOperationSignaled>()->input, "in");
  EXPECT_EQ(batch.events[0].As<EntityOperationSignaled>()->request_id.size(),
            36u);
  EXPECT_TRUE(Complete(batch, "1").ok());
  EXPECT_EQ(StateOf(kCounter), "1");
}

TEST_F(EntityTest, WhatComesWhileABatchIsOutGoesOutInOrderAfterIt) {
  FakeWorker& worker = Connect();
  Signal(kCounter, "first");
  Settle();
  const FakeItem first = worker.TakeBatch();
  Signal(kCounter, "second");
  Signal(kCounter, "third");
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  Complete(first, "1");
  const FakeItem second = worker.TakeBatch();
  EXPECT_EQ(second.state, "1");
  EXPECT_THAT(Operations(second), ElementsAre("second", "third"));
}

TEST_F(EntityTest, AThousandSignalsAreAFewBatchesInOrder) {
  FakeWorker& worker = Connect();
  for (int i = 0; i < 1000; ++i) Signal(kCounter, std::to_string(i));
  Settle();
  std::vector<std::string> ran;
  int batches = 0;
  for (; !worker.items.empty(); ++batches) {
    const FakeItem batch = worker.TakeBatch();
    for (std::string& name : Operations(batch)) ran.push_back(std::move(name));
    Complete(batch, "s");
  }
  EXPECT_LE(batches, 3);
  ASSERT_THAT(ran, SizeIs(1000));
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(ran[i], std::to_string(i));
}

TEST_F(EntityTest, ASignalForLaterWaitsAndHoldsNothingUp) {
  FakeWorker& worker = Connect();
  Signal(kCounter, "later", ToTimestamp(Now() + absl::Seconds(10)));
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_EQ(Entity(kCounter)->waiting, 1u);
  Signal(kCounter, "now");
  Settle();
  const FakeItem batch = worker.TakeBatch();
  EXPECT_THAT(Operations(batch), ElementsAre("now"));
  Complete(batch, "1");
  Pass(absl::Seconds(9));
  EXPECT_THAT(worker.items, IsEmpty());
  Pass(absl::Seconds(1));
  EXPECT_THAT(Operations(worker.TakeBatch()), ElementsAre("later"));
}

TEST_F(EntityTest, RefusesWhatIsNoSignal) {
  EXPECT_EQ(Signal("counter", "add").code(), Code::kInvalidArgument);
  EXPECT_EQ(Signal(kCounter, std::string(1025, 'x')).code(),
            Code::kInvalidArgument);
  options_.limits.payload_bytes_max = 1;
  Reopen();
  EXPECT_EQ(Signal(kCounter, "add").code(), Code::kResourceExhausted);
}

TEST_F(EntityTest, TooMuchThatWaitsIsRefused) {
  options_.inbox_bytes_max = 200;
  EXPECT_FALSE(Signal(kCounter, "add").answered());
  Signal(kCounter, "add");
  const AskedStatus refused = Signal(kCounter, "add");
  Settle();
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("--max-inbox-bytes"));
}

// ---- Calls ------------------------------------------------------------------

TEST_F(EntityTest, ACallIsAnsweredInATurnOfItsCaller) {
  FakeWorker& worker = Connect();
  Run(worker, "p", {CallEntity(1, kCounter, "get")});
  const FakeItem batch = worker.TakeBatch();
  EXPECT_THAT(Operations(batch), ElementsAre("get?"));
  Complete(batch, "7");
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn", "answer 7"));
}

TEST_F(EntityTest, AFailedCallFailsItsCallerAndNotTheOthers) {
  FakeWorker& worker = Connect();
  Run(worker, "p",
      {CallEntity(1, kCounter, "bad"), CallEntity(2, kCounter, "good")});
  BatchAnswer answer;
  answer.results = {{std::nullopt, MakeFailure("Bad", "it broke")},
                    {"fine", {}}};
  answer.state = "1";
  Complete(worker.TakeBatch(), std::move(answer));
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "no answer", "answer fine"));
  EXPECT_EQ(StateOf(kCounter), "1");
}

TEST_F(EntityTest, AnAnswerIsForTheExecutionThatCalled) {
  FakeWorker& worker = Connect();
  Run(worker, "p", {CallEntity(1, kCounter, "get"), AsNew("again")});
  Complete(worker.TakeBatch(), "7");
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "started(again)"));
  EXPECT_THAT(worker.items, IsEmpty());
}

TEST_F(EntityTest, ASignalOfAnOrchestrationThatEndsIsSent) {
  FakeWorker& worker = Connect();
  Run(worker, "p", {SignalTo(1, kCounter, "add"), leasehold::Complete()});
  EXPECT_EQ(StatusOf("p"), "Completed");
  EXPECT_THAT(Operations(worker.TakeBatch()), ElementsAre("add"));
}

// ---- What entities do -------------------------------------------------------

TEST_F(EntityTest, AnEntitySignalsOthersAndItself) {
  FakeWorker& worker = Connect();
  Signal(kCounter, "go");
  Settle();
  BatchAnswer answer;
  answer.results.resize(1);
  answer.state = "1";
  answer.actions.push_back(
      EntityOperationSignaled{.operation = "self", .target = kCounter});
  answer.actions.push_back(
      EntityOperationSignaled{.operation = "other", .target = "@Counter@b"});
  Complete(worker.TakeBatch(), std::move(answer));
  std::vector<std::string> went;
  while (!worker.items.empty()) {
    const FakeItem batch = worker.TakeBatch();
    went.push_back(batch.instance_id + " " + Operations(batch).at(0));
    Complete(batch, "2");
  }
  EXPECT_THAT(went, testing::UnorderedElementsAre("@counter@a self",
                                                  "@counter@b other"));
}

TEST_F(EntityTest, AnEntityStartsOrchestrations) {
  FakeWorker& worker = Connect();
  Signal(kCounter, "go");
  Settle();
  ExecutionStarted started;
  started.name = "Main";
  started.input = "in";
  started.orchestration.instance_id = "o";
  BatchAnswer answer;
  answer.results.resize(1);
  answer.actions.push_back(EntityStart{started});
  Complete(worker.TakeBatch(), std::move(answer));
  const FakeItem turn = worker.TakeTurn();
  EXPECT_EQ(turn.instance_id, "o");
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "started(in)"));
}

// ---- Coming and going -------------------------------------------------------

TEST_F(EntityTest, AnAbsentStateDeletesIt) {
  FakeWorker& worker = Connect();
  Put(worker, kCounter, "1");
  Put(worker, kCounter, std::nullopt);
  EXPECT_EQ(Entity(kCounter), std::nullopt);
  EXPECT_EQ(*memory_.FindEntity(Key(kCounter).tenant, kCounter), std::nullopt);
}

TEST_F(EntityTest, AnIdleEntityIsOnlyARow) {
  FakeWorker& worker = Connect();
  Put(worker, kCounter, "1");
  EXPECT_THAT(Awake(), IsEmpty());
  EXPECT_EQ(registry_->size(), 1u);
  Pass(kLease);
  EXPECT_EQ(registry_->size(), 0u);
  EXPECT_EQ(StateOf(kCounter), "1");
  Signal(kCounter, "add");
  Settle();
  EXPECT_EQ(worker.TakeBatch().state, "1");
}

TEST_F(EntityTest, AHotEntityCallsNothing) {
  FakeWorker& worker = Connect();
  Put(worker, kCounter, "1");
  const int64_t reads = store_.reads();
  Put(worker, kCounter, "2");
  EXPECT_EQ(store_.reads(), reads);
}

TEST_F(EntityTest, ContinuesAfterARestart) {
  FakeWorker& worker = Connect();
  Put(worker, kCounter, "1");
  Signal(kCounter, "first");
  Settle();
  worker.TakeBatch();
  Signal(kCounter, "second");
  Signal(kCounter, "later", ToTimestamp(Now() + absl::Seconds(10)));
  Crash();
  FakeWorker& next = Connect();
  Settle();
  const FakeItem batch = next.TakeBatch();
  EXPECT_EQ(batch.state, "1");
  EXPECT_THAT(Operations(batch), ElementsAre("first", "second"));
  Complete(batch, "2");
  Pass(absl::Seconds(10));
  EXPECT_THAT(Operations(next.TakeBatch()), ElementsAre("later"));
}

TEST_F(EntityTest, ItsStateCanBePurged) {
  FakeWorker& worker = Connect();
  Put(worker, kCounter, "1");
  const auto purge = Purge(kCounter);
  Settle();
  EXPECT_EQ(purge.value().erased, 1);
  EXPECT_EQ(Entity(kCounter), std::nullopt);
  const auto again = Purge(kCounter);
  Settle();
  EXPECT_EQ(again.value().erased, 0);
  Signal(kCounter, "add");
  Settle();
  EXPECT_EQ(worker.TakeBatch().state, std::nullopt);
}

TEST_F(EntityTest, APurgeTakesABatchBackAndItRunsAgain) {
  FakeWorker& worker = Connect();
  Put(worker, kCounter, "1");
  Signal(kCounter, "add");
  Settle();
  const FakeItem late = worker.TakeBatch();
  Purge(kCounter);
  Settle();
  const FakeItem again = worker.TakeBatch();
  EXPECT_EQ(again.state, std::nullopt);
  EXPECT_THAT(Operations(again), ElementsAre("add"));
  EXPECT_EQ(Complete(late, "2").code(), Code::kNotFound);
  Complete(again, "3");
  EXPECT_EQ(StateOf(kCounter), "3");
}

// ---- Workers ----------------------------------------------------------------

TEST_F(EntityTest, ABatchOfAWorkerThatGoesIsGivenToAnother) {
  FakeWorker& worker = Connect();
  Signal(kCounter, "add");
  Settle();
  const FakeItem lost = worker.TakeBatch();
  work().Disconnect(worker.id);
  FakeWorker& other = Connect();
  Settle();
  const FakeItem batch = other.TakeBatch();
  EXPECT_THAT(Operations(batch), ElementsAre("add"));
  EXPECT_EQ(Complete(lost, "lost").code(), Code::kNotFound);
  EXPECT_TRUE(Complete(batch, "1").ok());
  EXPECT_EQ(StateOf(kCounter), "1");
}

TEST_F(EntityTest, AnAbandonedBatchGoesOutAgainAfterADelay) {
  FakeWorker& worker = Connect();
  Signal(kCounter, "add");
  Settle();
  Abandon(worker.TakeBatch());
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  Pass(absl::Milliseconds(200));
  EXPECT_THAT(Operations(worker.TakeBatch()), ElementsAre("add"));
}

TEST_F(EntityTest, ABatchThatAWorkerCouldNotRunGoesOutAgain) {
  FakeWorker& worker = Connect();
  Put(worker, kCounter, "1");
  Signal(kCounter, "add");
  Settle();
  BatchAnswer answer;
  answer.failure = MakeFailure("Odd", "not today");
  EXPECT_TRUE(Complete(worker.TakeBatch(), std::move(answer)).ok());
  Pass(absl::Milliseconds(200));
  const FakeItem again = worker.TakeBatch();
  EXPECT_EQ(again.state, "1");
  EXPECT_THAT(Operations(again), ElementsAre("add"));
}

TEST_F(EntityTest, AnAnswerWithoutAResultCountsForNothing) {
  options_.deliveries_max = 2;
  FakeWorker& worker = Connect();
  Put(worker, kCounter, "1");
  Signal(kCounter, "add");
  Settle();
  for (int i = 0; i < 2; ++i) {
    BatchAnswer answer;
    answer.state = "lost";
    const FakeItem batch = worker.TakeBatch();
    EXPECT_EQ(batch.state, "1");
    EXPECT_TRUE(Complete(batch, std::move(answer)).ok());
    Pass(absl::Seconds(30));
  }
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_THAT(Told(WorkEventKind::kFailedByLimit).reason,
              HasSubstr("its worker's answer has no result"));
}

TEST_F(EntityTest, AnOperationThatIsLostTooOftenFails) {
  options_.deliveries_max = 3;
  FakeWorker* worker = &Connect();
  Put(*worker, kCounter, "1");
  Run(*worker, "p",
      {CallEntity(1, kCounter, "kill"), CallEntity(2, kCounter, "get")});
  for (int i = 0; i < 3; ++i) {
    Pass(absl::Seconds(30));
    const FakeItem batch = worker->TakeBatch();
    // Once it is suspect it goes alone.
    EXPECT_THAT(Operations(batch), SizeIs(i < 2 ? 2 : 1));
    work().Disconnect(worker->id);
    worker = &Connect();
    Settle();
  }
  const FakeItem batch = worker->TakeBatch();
  EXPECT_EQ(batch.state, "1");
  EXPECT_THAT(Operations(batch), ElementsAre("get?"));
  EXPECT_THAT(Words(worker->TakeTurn().events),
              ElementsAre("turn", "no answer"));
  EXPECT_THAT(Told(WorkEventKind::kFailedByLimit).reason,
              HasSubstr("--max-deliveries"));
}

TEST_F(EntityTest, OnlyWorkersThatTakeItsNameGetIt) {
  WorkerOptions none;
  none.filters[static_cast<size_t>(WorkKind::kEntity)].emplace();
  FakeWorker& other = Connect(none);
  Signal("@Counter@a", "add");
  Settle();
  EXPECT_THAT(other.items, IsEmpty());
  WorkerOptions counters;
  counters.filters[static_cast<size_t>(WorkKind::kEntity)] = {
      WorkFilter{"Counter", {}}};
  FakeWorker& worker = Connect(counters);
  Settle();
  EXPECT_THAT(Operations(worker.TakeBatch()), ElementsAre("add"));
}

TEST_F(EntityTest, AWorkerGetsAsManyBatchesAsItHasSlots) {
  WorkerOptions options;
  options.slots[static_cast<size_t>(WorkKind::kEntity)] = 2;
  FakeWorker& worker = Connect(options);
  for (const char* id : {"@c@1", "@c@2", "@c@3"}) Signal(id, "add");
  Settle();
  EXPECT_THAT(worker.items, SizeIs(2));
  Complete(worker.TakeBatch(), "1");
  EXPECT_THAT(worker.items, SizeIs(2));
}

TEST_F(EntityTest, AnUnknownNameGoesToTheNextWorker) {
  FakeWorker& first = Connect();
  Signal(kCounter, "add");
  Settle();
  BatchAnswer answer;
  answer.results = {
      {std::nullopt,
       MakeFailure("EntityNotRegisteredError",
                   "Entity function named 'counter' was not registered!")}};
  EXPECT_TRUE(Complete(first.TakeBatch(), std::move(answer)).ok());
  EXPECT_THAT(first.items, IsEmpty());
  FakeWorker& second = Connect();
  Settle();
  EXPECT_THAT(Operations(second.TakeBatch()), ElementsAre("add"));
}

// ---- Failures of the store --------------------------------------------------

TEST_F(EntityTest, AnAnswerWhoseCommitFailsCountsForNothing) {
  FakeWorker& worker = Connect();
  Put(worker, kCounter, "1");
  Signal(kCounter, "add");
  Settle();
  const FakeItem batch = worker.TakeBatch();
  store_.FailCommit(0, FaultStore::Effect::kNone);
  EXPECT_FALSE(Complete(batch, "2").ok());
  Pass(absl::Seconds(1));
  EXPECT_EQ(StateOf(kCounter), "1");
  EXPECT_THAT(Operations(worker.TakeBatch()), ElementsAre("add"));
}

// ---- Lists ------------------------------------------------------------------

TEST_F(EntityTest, ListsEntitiesPageByPage) {
  FakeWorker& worker = Connect();
  for (const char* id : {"@c@2", "@c@1", "@d@1"}) Put(worker, id, id);
  Put(worker, "@c@3", std::nullopt);
  std::vector<std::string> ids;
  EntityListQuery query{.tenant = Key("a").tenant,
                        .id_prefix = "@c@",
                        .with_state = true,
                        .count_max = 1};
  do {
    Asked<EntityList> asked;
    engine().entities().QueryEntities(query, asked.done());
    Settle();
    ASSERT_TRUE(asked.ok()) << asked.status();
    for (const EntityInfo& info : asked.value().entities) {
      ids.push_back(info.id);
      EXPECT_EQ(info.state, info.id);
    }
    query.page_token.text = asked.value().next_page_token;
  } while (!query.page_token.text.empty());
  EXPECT_THAT(ids, ElementsAre("@c@1", "@c@2"));
  query.page_token.text = "QGM.AAAA";
  Asked<EntityList> asked;
  engine().entities().QueryEntities(query, asked.done());
  Settle();
  EXPECT_EQ(asked.code(), Code::kInvalidArgument);
}

TEST_F(EntityTest, APageHasNoMoreStatesThanAnyClientCanRead) {
  FakeWorker& worker = Connect();
  const auto mib = [](double count) {
    return std::string(static_cast<size_t>(count * (1 << 20)), 'x');
  };
  Put(worker, "@c@1", mib(1));
  Put(worker, "@c@2", mib(3));  // Has a page of its own.
  Put(worker, "@c@3", mib(0.5));
  Put(worker, "@c@4", mib(1));
  Put(worker, "@c@5", mib(1));
  EntityListQuery query{.tenant = Key("a").tenant, .with_state = true};
  std::vector<std::vector<std::string>> pages;
  do {
    Asked<EntityList> asked;
    engine().entities().QueryEntities(query, asked.done());
    Settle();
    ASSERT_TRUE(asked.ok()) << asked.status();
    pages.emplace_back();
    for (const EntityInfo& info : asked.value().entities) {
      pages.back().push_back(info.id);
    }
    query.page_token.text = asked.value().next_page_token;
  } while (!query.page_token.text.empty());
  EXPECT_THAT(pages,
              ElementsAre(ElementsAre("@c@1"), ElementsAre("@c@2"),
                          ElementsAre("@c@3", "@c@4"), ElementsAre("@c@5")));
}

}  // namespace
}  // namespace leasehold
