// The engine's memory is bounded, and the bound changes no answers.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using Code = absl::StatusCode;

class EngineMemoryTest : public EngineTest {
 protected:
  // Starts an orchestration whose history has one chunk for each of three
  // turns.
  FakeItem StartWithChunks(FakeWorker& worker, std::string_view id) {
    Run(worker, id);
    Raise(id, "one");
    Settle();
    Answer(worker.TakeTurn());
    Settle();
    Raise(id, "two");
    Settle();
    Answer(worker.TakeTurn());
    Raise(id, "three");
    Settle();
    return worker.TakeTurn();
  }
};

TEST_F(EngineMemoryTest, HistoryIsReadInParts) {
  FakeWorker& worker = Connect();
  StartWithChunks(worker, "a");
  const auto first = Page("a", {.bytes_max = 1});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(first.value().chunks, SizeIs(1));
  ASSERT_TRUE(first.value().next.has_value());
  const auto second = Page("a", *first.value().next);
  EXPECT_THAT(second.value().chunks, SizeIs(1));
  ASSERT_TRUE(second.value().next.has_value());
  const auto third = Page("a", *second.value().next);
  EXPECT_THAT(third.value().chunks, SizeIs(1));
  EXPECT_EQ(third.value().next, std::nullopt);
  // Together they are the whole history.
  const auto whole = Page("a", {});
  EXPECT_THAT(whole.value().chunks,
              ElementsAre(first.value().chunks[0], second.value().chunks[0],
                          third.value().chunks[0]));
  EXPECT_EQ(whole.value().next, std::nullopt);
}

TEST_F(EngineMemoryTest, PartsHaveWhatWasAddedMeanwhile) {
  FakeWorker& worker = Connect();
  const FakeItem turn = StartWithChunks(worker, "a");
  const auto first = Page("a", {.bytes_max = 1});
  ASSERT_TRUE(first.ok() && first.value().next.has_value());
  Answer(turn, {Complete()});
  Settle();
  HistoryQuery rest = *first.value().next;
  rest.bytes_max = 1 << 20;
  EXPECT_THAT(Page("a", rest).value().chunks, SizeIs(3));
}

TEST_F(EngineMemoryTest, PartsAreOfOneHistoryOnly) {
  FakeWorker& worker = Connect();
  const FakeItem turn = StartWithChunks(worker, "a");
  const auto first = Page("a", {.bytes_max = 1});
  ASSERT_TRUE(first.ok() && first.value().next.has_value());
  Answer(turn, {AsNew("again")});
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  const auto second = Page("a", *first.value().next);
  EXPECT_EQ(second.code(), Code::kAborted);
  EXPECT_THAT(second.status().message(), HasSubstr("\"a\""));
}

TEST_F(EngineMemoryTest, PartsOfOneThatIsReplacedGoOn) {
  FakeWorker& worker = Connect();
  StartWithChunks(worker, "a");
  const auto first = Page("a", {.bytes_max = 1});
  ASSERT_TRUE(first.ok() && first.value().next.has_value());
  StartRequest request = Request("a");
  request.policy = PolicyOf(IfActive::kTerminate, IfFinished::kReplace);
  Start(request);
  Settle();
  const auto second = Page("a", *first.value().next);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_THAT(second.value().chunks, SizeIs(1));
  // A purged history has no next part.
  Terminate("a");
  Settle();
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  Purge("a");
  Settle();
  EXPECT_EQ(Page("a", *first.value().next).code(), Code::kAborted);
}

// The execution changes between the lookup and the read.
TEST_F(EngineMemoryTest, FirstPartIsOfTheExecutionThatIsThere) {
  FakeWorker& worker = Connect();
  const FakeItem turn = StartWithChunks(worker, "a");
  store_.BeforeRead(1, [&] {  // Of the history; the row was read before.
    Answer(turn, {AsNew("again")});
    writer_.RunAll();
  });
  const auto page = Page("a", {});
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page.value().chunks, Page("a", {}).value().chunks);
}

TEST_F(EngineMemoryTest, ThoseWhoWaitShareWhatTheyAreTold) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  std::vector<Engine::SharedInfo> told;
  for (int i = 0; i < 3; ++i) {
    engine().Wait({.key = Key("a"), .payloads = true},
                  [&told](const absl::StatusOr<Engine::SharedInfo>& info) {
                    told.push_back(info.value());
                  });
  }
  Answer(worker.TakeTurn(), {Complete(std::string(1000, 'x'))});
  Settle();
  ASSERT_THAT(told, SizeIs(3));
  EXPECT_EQ(told[0]->output, std::string(1000, 'x'));
  EXPECT_EQ(told[0].get(), told[1].get());
  EXPECT_EQ(told[0].get(), told[2].get());
}

// ---- Waiting messages -------------------------------------------------------

std::string Large(char of = 'x', size_t bytes = 20'000) {
  return std::string(bytes, of);
}

class EngineInboxTest : public EngineTest {
 protected:
  AskedStatus RaiseWith(std::string_view id, std::string input) {
    AskedStatus asked;
    engine().RaiseEvent(Key(id), "event", std::move(input), asked.done());
    Settle();
    return asked;
  }
  // The inputs of a turn's raised events; other events as words.
  static std::vector<std::string> Inputs(const FakeItem& turn) {
    std::vector<std::string> inputs;
    for (const HistoryEvent& event : turn.events) {
      const auto* raised = event.As<EventRaised>();
      inputs.push_back(raised == nullptr ? Word(event)
                                         : raised->input.value_or(""));
    }
    return inputs;
  }
};

TEST_F(EngineInboxTest, LargeEventsAreReadWhenATurnIsMade) {
  Start("a", Large('i'));
  Settle();
  RaiseWith("a", Large('1'));
  RaiseWith("a", "small");
  RaiseWith("a", Large('2'));
  const int64_t before = store_.reads();
  FakeWorker& worker = Connect();
  Settle();
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Inputs(turn), ElementsAre("turn", "started(" + Large('i') + ")",
                                        Large('1'), "small", Large('2')));
  EXPECT_EQ(store_.reads(), before + 1);
  Answer(turn, {Complete()});
  Settle();
  EXPECT_THAT(History("a"),
              ElementsAre("turn", "started(" + Large('i') + ")", "raised event",
                          "raised event", "raised event", "ended(1)"));
}

TEST_F(EngineInboxTest, SmallEventsAreNotRead) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  const int64_t before = store_.reads();
  RaiseWith("a", "small");
  EXPECT_THAT(Inputs(worker.TakeTurn()), ElementsAre("turn", "small"));
  EXPECT_EQ(store_.reads(), before);
}

TEST_F(EngineInboxTest, LargeEventsAreThereAfterARestart) {
  Start("a", Large('i'));
  Settle();
  RaiseWith("a", Large('1'));
  RaiseWith("a", "small");
  Reopen();
  EXPECT_EQ(Get("a").code(), Code::kUnknown);  // It is being read.
  Settle();
  FakeWorker& worker = Connect();
  Settle();
  EXPECT_THAT(
      Inputs(worker.TakeTurn()),
      ElementsAre("turn", "started(" + Large('i') + ")", Large('1'), "small"));
}

TEST_F(EngineInboxTest, PendingOneShowsALargeInput) {
  Start("a", Large('i'));
  Settle();
  RaiseWith("a", Large('1'));
  for (int i = 0; i < 2; ++i) {
    const AskedInfo info = Get("a");
    Settle();
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info.value()->input, Large('i'));
    Reopen();
  }
}

TEST_F(EngineInboxTest, TurnHasFourMebibytesBesideItsFirst) {
  options_.limits.payload_bytes_max = 16 << 20;
  Start("a");
  Settle();
  const size_t half = Inbox::kTurnBytesMax / 2 - 100;
  for (const char one : {'1', '2', '3'}) RaiseWith("a", Large(one, half));
  FakeWorker& worker = Connect();
  Settle();
  const FakeItem first = worker.TakeTurn();
  EXPECT_THAT(Inputs(first), ElementsAre("turn", "started()", Large('1', half),
                                         Large('2', half)));
  Answer(first);
  Settle();
  // Events that did not fit come with the next turn, at once.
  EXPECT_THAT(Inputs(worker.TakeTurn()), ElementsAre("turn", Large('3', half)));
}

TEST_F(EngineInboxTest, ManySmallEventsAreReadToo) {
  Start("a");
  Settle();
  const std::string small(10'000, 's');
  for (int i = 0; i < 40; ++i) RaiseWith("a", small);
  FakeWorker& worker = Connect();
  Settle();
  std::vector<std::string> inputs = Inputs(worker.TakeTurn());
  ASSERT_THAT(inputs, SizeIs(42));
  inputs.erase(inputs.begin(), inputs.begin() + 2);
  EXPECT_THAT(inputs, testing::Each(small));
}

TEST_F(EngineInboxTest, WhatWouldBeTooMuchIsRefused) {
  options_.inbox_bytes_max = 100'000;
  Start("a");
  Settle();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(RaiseWith("a", Large()).ok()) << i;
  const AskedStatus refused = RaiseWith("a", Large());
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
  EXPECT_THAT(refused.status().message(), HasSubstr("--max-inbox-bytes"));
  EXPECT_THAT(refused.status().message(), HasSubstr("100000"));
  EXPECT_THAT(refused.status().message(), HasSubstr("\"a\""));
  // A smaller event may fit, and other orchestrations have their own inboxes.
  EXPECT_TRUE(RaiseWith("a", "small").ok());
  Start("b");
  Settle();
  EXPECT_TRUE(RaiseWith("b", Large()).ok());
  // The same holds after a restart.
  Reopen();
  EXPECT_EQ(RaiseWith("a", Large()).code(), Code::kResourceExhausted);
  // It can still be terminated; and a turn makes room.
  const AskedStatus terminate = Terminate("a");
  Settle();
  EXPECT_TRUE(terminate.ok()) << terminate.status();
  FakeWorker& worker = Connect();
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  EXPECT_TRUE(RaiseWith("b", Large()).ok());
}

TEST_F(EngineInboxTest, WhatIsOnItsWayCountsToo) {
  options_.inbox_bytes_max = 50'000;
  Start("a");
  Settle();
  AskedStatus first, second, third;
  engine().RaiseEvent(Key("a"), "event", Large(), first.done());
  engine().RaiseEvent(Key("a"), "event", Large(), second.done());
  engine().RaiseEvent(Key("a"), "event", Large(), third.done());
  Settle();
  EXPECT_TRUE(first.ok());
  EXPECT_TRUE(second.ok());
  EXPECT_EQ(third.code(), Code::kResourceExhausted);
}

TEST_F(EngineInboxTest, OneThatIsPutBackMeanwhileIsReadAgain) {
  FakeWorker& first = Connect();
  Run(first, "a");
  AskedStatus raise;
  engine().RaiseEvent(Key("a"), "event", Large('1'), raise.done());
  while (writer_.RunAll() + tasks_.RunAll() > 0) {
  }
  // Its turn is out, and is being read.
  EXPECT_TRUE(first.items.empty());
  work().Disconnect(first.id);
  FakeWorker& second = Connect();
  Settle();
  EXPECT_TRUE(first.items.empty());
  const FakeItem turn = second.TakeTurn();
  EXPECT_THAT(Inputs(turn), ElementsAre("turn", Large('1')));
  EXPECT_TRUE(second.items.empty());
  Answer(turn, {Complete()});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Completed");
}

TEST_F(EngineInboxTest, OneThatIsReleasedMeanwhileIsReadAgain) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  AskedStatus raise;
  engine().RaiseEvent(Key("a"), "event", Large('1'), raise.done());
  while (writer_.RunAll() + tasks_.RunAll() > 0) {
  }
  EXPECT_EQ(registry_->Release(Key("a"), /*force=*/true), absl::OkStatus());
  Settle();
  EXPECT_THAT(Inputs(worker.TakeTurn()), ElementsAre("turn", Large('1')));
  EXPECT_TRUE(worker.items.empty());
}

TEST_F(EngineInboxTest, ReadThatFailsIsTriedAgain) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  store_.FailRead(0, absl::UnavailableError("not now"));
  RaiseWith("a", Large('1'));
  EXPECT_TRUE(worker.items.empty());
  Pass(absl::Seconds(1));
  EXPECT_THAT(Inputs(worker.TakeTurn()), ElementsAre("turn", Large('1')));
}

TEST_F(EngineInboxTest, OneWhoseEventCannotBeReadIsSetAside) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  store_.FailRead(0, absl::DataLossError("its message has no checksum"));
  RaiseWith("a", Large('1'));
  EXPECT_TRUE(worker.items.empty());
  EXPECT_EQ(StatusOf("a"), "Damaged");
  EXPECT_EQ(CountTold(WorkEventKind::kSetAside), 1u);
}

TEST_F(EngineInboxTest, CarriedOverEventsMayBeLarge) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  RaiseWith("a", "go");
  const HistoryEvent carried{
      HistoryEvent::kFromOutside, {}, EventRaised{"event", Large('c')}};
  const FakeItem turn = worker.TakeTurn();
  RaiseWith("a", Large('1'));
  Answer(turn, {AsNew(Large('i'), {EncodeEvent(carried)})});
  Settle();
  EXPECT_THAT(Inputs(worker.TakeTurn()),
              ElementsAre("turn", "started(" + Large('i') + ")", Large('c'),
                          Large('1')));
}

TEST_F(EngineInboxTest, PendingOneWithALargeInputIsReplacedWhole) {
  Start("a", Large('i'));
  Settle();
  const std::string before = [this] {
    const AskedInfo info = Get("a");
    Settle();
    return info.value()->summary.execution_id;
  }();
  StartRequest request = Request("a", "new");
  request.policy = PolicyOf(IfActive::kTerminate, IfFinished::kReplace);
  const auto start = Start(request);
  Settle();
  ASSERT_TRUE(start.ok()) << start.status();
  EXPECT_TRUE(start.value().created);
  EXPECT_THAT(History("a", before),
              ElementsAre("turn", "started(" + Large('i') + ")", "terminated",
                          "ended(5)"));
}

TEST_F(EngineInboxTest, PendingOneWithALargeInputIsEndedWithoutAWorker) {
  Start("a", Large('i'));
  Settle();
  Asked<std::vector<InstanceKey>> ended;
  engine().TerminateNow({Key("a")}, std::nullopt, ended.done());
  Settle();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_THAT(ended.value(), testing::IsEmpty());
  EXPECT_THAT(History("a"), ElementsAre("turn", "started(" + Large('i') + ")",
                                        "terminated", "ended(5)"));
}

TEST_F(EngineInboxTest, LargeTerminateIsUrgentAfterARestartToo) {
  options_.limits.payload_bytes_max = 1 << 20;
  FakeWorker* worker = &Connect();
  Run(*worker, "a");
  Suspend("a");
  Settle();
  Answer(worker->TakeTurn());
  Settle();
  RaiseWith("a", Large('1'));
  EXPECT_TRUE(worker->items.empty());  // It is suspended.
  Reopen();
  worker = &Connect();
  Settle();
  EXPECT_TRUE(worker->items.empty());
  AskedStatus terminate;
  engine().Terminate(Key("a"), Large('t'), false, terminate.done());
  Settle();
  EXPECT_EQ(StatusOf("a"), "Suspended");  // A worker was told.
  Reopen();
  Settle();
  EXPECT_EQ(StatusOf("a"), "Terminated");  // No worker is left.
}

// ---- Waiting activities -----------------------------------------------------

class EngineTaskTest : public EngineTest {
 protected:
  // Starts an orchestration that has called a large activity.
  void CallLarge() {
    FakeWorker& worker = Connect(TurnsOnly());
    OrchestratorAction large = CallTask(1, "Large");
    auto& task = std::get<TaskScheduled>(large.what);
    task.input = Large('t');
    task.version = "7";
    std::vector<OrchestratorAction> actions;
    actions.push_back(std::move(large));
    actions.push_back(CallTask(2, "Small"));
    Run(worker, "a", std::move(actions));
  }
  static WorkerOptions TurnsOnly() {
    WorkerOptions options;
    options.filters[1] = std::vector<WorkFilter>();
    return options;
  }
};

TEST_F(EngineTaskTest, LargeOneIsReadWhenItGoesOut) {
  CallLarge();
  for (int i = 0; i < 2; ++i) {
    const int64_t before = store_.reads();
    FakeWorker& worker = Connect();
    Settle();
    EXPECT_EQ(store_.reads(), before + 1);  // The small activity is not read.
    ASSERT_THAT(worker.items, SizeIs(2));
    const FakeItem small = worker.TakeActivity();
    const FakeItem large = worker.TakeActivity();
    EXPECT_EQ(small.name, "Small");
    EXPECT_EQ(large.name, "Large");
    EXPECT_EQ(large.version, "7");
    EXPECT_EQ(large.input, Large('t'));
    if (i == 0) Reopen();  // The same holds after a restart.
  }
}

TEST_F(EngineTaskTest, OneThatIsPutBackWhileItIsReadIsSentOnce) {
  CallLarge();
  FakeWorker& first = Connect();
  while (writer_.RunAll() + tasks_.RunAll() > 0) {
  }
  work().Disconnect(first.id);
  FakeWorker& second = Connect();
  Settle();
  ASSERT_THAT(second.items, SizeIs(2));
  const FakeItem small = second.TakeActivity();
  const AskedStatus done = Done(second.TakeActivity());
  Settle();
  EXPECT_TRUE(done.ok()) << done.status();
}

TEST_F(EngineTaskTest, ReadThatFailsIsTriedAgainAndDamageIsFound) {
  CallLarge();
  store_.FailRead(0, absl::UnavailableError("not now"));
  FakeWorker& worker = Connect();
  Settle();
  EXPECT_THAT(worker.items, SizeIs(1));
  store_.FailRead(0, absl::DataLossError("it has no checksum"));
  Pass(absl::Seconds(1));
  EXPECT_THAT(worker.items, SizeIs(1));
  EXPECT_EQ(StatusOf("a"), "Damaged");
}

// ---- Workers that do not read -----------------------------------------------

class EngineRoomTest : public EngineTest {
 protected:
  static constexpr size_t kBytes = WorkSink::kUntakenBytesMax / 2 + 1;

  // Starts `count` orchestrations with turns of that size.
  void StartLarge(int count) {
    for (int i = 0; i < count; ++i) {
      Start(absl::StrCat("large-", started_++), std::string(kBytes, 'x'));
    }
    Settle();
  }

 private:
  int started_ = 0;
};

TEST_F(EngineRoomTest, WorkerThatTakesNothingGetsNoMoreThanFits) {
  FakeWorker& worker = Connect();
  worker.takes_nothing = true;
  StartLarge(5);
  EXPECT_THAT(worker.items, SizeIs(2));  // It had less before each.
  EXPECT_EQ(engine().counts().queued, 3u);
  // The rest does not wait for that worker: others get it.
  FakeWorker& other = Connect();
  Settle();
  EXPECT_THAT(other.items, SizeIs(3));
  EXPECT_THAT(worker.items, SizeIs(2));
}

TEST_F(EngineRoomTest, WorkerThatHasTakenSomeGetsMore) {
  FakeWorker& worker = Connect();
  worker.takes_nothing = true;
  StartLarge(3);
  ASSERT_THAT(worker.items, SizeIs(2));
  worker.untaken_bytes = 0;
  work().OnWorkTaken();
  Settle();
  EXPECT_THAT(worker.items, SizeIs(3));
}

TEST_F(EngineRoomTest, WorkThatWasHandedOutBeforeItWasFullGoesToOthers) {
  FakeWorker& worker = Connect();
  StartLarge(4);
  for (int i = 0; i < 4; ++i) {
    Answer(worker.TakeTurn(), {CallTask(1, "Work")});
  }
  Settle();
  for (int i = 0; i < 4; ++i) worker.TakeActivity();
  // All get an event at once, and are thawed before any is sent.
  Pass(kLease * 3);
  worker.takes_nothing = true;
  for (int i = 0; i < 4; ++i) Raise(absl::StrCat("large-", i), "go");
  FakeWorker& other = Connect();
  Settle();
  EXPECT_EQ(worker.items.size() + other.items.size(), 4u);
  EXPECT_LE(worker.items.size(), 2u);
  EXPECT_EQ(engine().counts().queued, 0u);
}

TEST_F(EngineRoomTest, ActivitiesWaitForRoomToo) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  std::vector<OrchestratorAction> actions;
  for (int32_t id = 1; id <= 3; ++id) {
    OrchestratorAction action = CallTask(id, "Work");
    std::get<TaskScheduled>(action.what).input = std::string(kBytes, 'x');
    actions.push_back(std::move(action));
  }
  worker.takes_nothing = true;
  Answer(worker.TakeTurn(), std::move(actions));
  Settle();
  EXPECT_THAT(worker.items, SizeIs(2));
  worker.untaken_bytes = 0;
  work().OnWorkTaken();
  Settle();
  EXPECT_THAT(worker.items, SizeIs(3));
}

}  // namespace
}  // namespace leasehold
