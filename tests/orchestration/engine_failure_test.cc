// The engine when the store fails: every request is answered, memory is
// rebuilt, and nothing that was acknowledged is lost.
#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/engine_fixture.h"
#include "tests/support/seed.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using Code = absl::StatusCode;
using Effect = FaultStore::Effect;

class EngineFailureTest : public EngineTest {
 protected:
  // Longer than the engine's longest delay before a retry.
  void Recover() { Pass(absl::Seconds(3)); }

  // Random commands, answers and failures, and what was acknowledged of them.
  struct World {
    // One prefix per seed: the seeds share the store.
    std::string prefix;
    FakeWorker& worker;
    int32_t last_action = 0;
    std::map<std::string, Asked<StartReceipt>> starts = {};
    std::map<std::string, std::vector<std::pair<std::string, AskedStatus>>>
        raises = {};
  };
  void Step(World& world, Random& random, int number);
  // Histories only grow, occasionally by an activity or a timer.
  void AnswerSome(World& world, Random& random);
  // No one waits forever, not even for a turn that was given back.
  void AnswerAll(World& world);
  // REQUIRES: `id` was started.
  void ExpectNothingLost(World& world, const std::string& id);
};

TEST_F(EngineFailureTest, WhatWasStoredIsReadWhileNothingCanBeStored) {
  FakeWorker& worker = Connect();
  Run(worker, "running");
  Run(worker, "done", {Complete("out")});
  work().Disconnect(worker.id);
  Start("pending", "its input");
  Settle();
  store_.FailCommit(0, Effect::kNone);
  Raise("running", "e");
  Settle();
  for (int i = 0; i < 3; ++i) {  // Also during retries.
    EXPECT_EQ(Raise("running", "e").code(), Code::kUnavailable);
    EXPECT_EQ(StatusOf("running"), "Running");
    EXPECT_EQ(StatusOf("done"), "Completed");
    EXPECT_EQ(StatusOf("none"), "none");
    const AskedInfo pending = Get("pending");
    Asked<OrchestrationPage> query;
    engine().Query({.filter = {.tenant = std::string(kTestTenant)}},
                   query.done());
    Asked<FinishedIdsPage> list;
    engine().ListFinished({.tenant = std::string(kTestTenant)}, list.done());
    Settle();
    ASSERT_TRUE(pending.ok());
    EXPECT_EQ(pending.value()->input, "its input");
    EXPECT_THAT(query.value().orchestrations, SizeIs(3));
    EXPECT_THAT(list.value().ids, SizeIs(1));
    EXPECT_THAT(History("running"), ElementsAre("turn", "started()"));
    store_.FailOpen(0, absl::UnavailableError("it is full"));
    Pass(absl::Seconds(1));
  }
  Pass(absl::Seconds(5));
  EXPECT_THAT(recoveries_, SizeIs(1));
  const AskedStatus raised = Raise("running", "e");
  Settle();
  EXPECT_TRUE(raised.ok());
}

TEST_F(EngineFailureTest, ChangesAreUnavailableUntilTheStoreIsOpenAgain) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  const AskedInfo wait = Wait("a", Until::kFinished);
  store_.FailCommit(0, Effect::kNone);
  const auto start = Start("b");
  const AskedStatus raise = Raise("a", "e");  // Queued after it.
  Settle();
  EXPECT_EQ(start.code(), Code::kUnavailable);
  EXPECT_EQ(raise.code(), Code::kUnavailable);
  EXPECT_FALSE(wait.answered());  // It continues.
  EXPECT_THAT(std::string(start.status().message()),
              HasSubstr("whether this was stored is not known yet"));
  EXPECT_THAT(store_failures_, SizeIs(1));

  const auto second = Start("c");
  const AskedStatus suspend = Suspend("a");
  const auto purge = Purge("a");
  const AskedInfo late = Wait("a", Until::kFinished);
  const AskedStatus wipe = Wipe();
  Asked<StartReceipt> restart;
  engine().Restart(Key("a"), "new", {}, {}, restart.done());
  Settle();
  EXPECT_EQ(second.code(), Code::kUnavailable);
  EXPECT_EQ(suspend.code(), Code::kUnavailable);
  EXPECT_EQ(purge.code(), Code::kUnavailable);
  EXPECT_EQ(late.code(), Code::kUnavailable);
  EXPECT_EQ(wipe.code(), Code::kUnavailable);
  EXPECT_EQ(restart.code(), Code::kUnavailable);

  Recover();
  EXPECT_THAT(recoveries_, ElementsAre(1u));
  EXPECT_FALSE(wait.answered());
  EXPECT_EQ(StatusOf("a"), "Running");
  EXPECT_EQ(StatusOf("b"), "none");
  EXPECT_TRUE([&] {
    const auto again = Start("b");
    Settle();
    return again.ok();
  }());
}

TEST_F(EngineFailureTest, AnswerWhoseCommitFailsIsDoneAgainByAnotherTurn) {
  FakeWorker& worker = Connect();
  const auto start = Start("a", "in");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  store_.FailCommit(0, Effect::kNone);
  const AskedStatus answer = Answer(turn, {CallTask(1, "Work")});
  Settle();
  EXPECT_EQ(answer.code(), Code::kUnavailable);
  EXPECT_THAT(worker.items, IsEmpty());
  Recover();
  EXPECT_EQ(Answer(turn, {Complete()}).code(), Code::kNotFound);
  const FakeItem again = worker.TakeTurn();
  EXPECT_THAT(again.past, IsEmpty());
  EXPECT_THAT(Words(again.events), ElementsAre("turn", "started(in)"));
  EXPECT_EQ(again.execution_id, start.value().execution_id);
  EXPECT_NE(again.token, turn.token);
}

// A caller that was answered Unavailable cannot tell; the store can.
TEST_F(EngineFailureTest, CommitThatTookEffectAllTheSameIsFound) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const AskedInfo wait = Wait("a", Until::kFinished);
  store_.FailCommit(0, Effect::kWhole);
  const AskedStatus answer = Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  EXPECT_EQ(answer.code(), Code::kUnavailable);
  EXPECT_FALSE(wait.answered());
  Recover();
  ASSERT_TRUE(wait.ok());
  EXPECT_EQ(wait.value()->status, OrchestrationStatus::kCompleted);
  EXPECT_EQ(StatusOf("a"), "Completed");
  EXPECT_THAT(worker.items, IsEmpty());
}

// It is certain that nothing of it is stored; but later decisions rest on it.
TEST_F(EngineFailureTest, CommitThatIsKnownNotToBeMadeIsDoneAgain) {
  FakeWorker& worker = Connect();
  int failures = 0;
  for (const Effect effect : {Effect::kRefused, Effect::kFenced}) {
    const std::string id = absl::StrCat("a", failures);
    const auto start = Start(id);
    Settle();
    const Fence before = store_.fence();
    store_.FailCommit(0, effect);
    const AskedStatus answer = Answer(worker.TakeTurn(), {Complete("out")});
    const AskedStatus raise = Raise(id, "e");
    Settle();
    EXPECT_EQ(answer.code(), Code::kUnavailable);
    EXPECT_THAT(std::string(answer.status().message()),
                HasSubstr("nothing was done"));
    EXPECT_FALSE(raise.ok());
    EXPECT_THAT(store_failures_, SizeIs(++failures));
    Recover();
    EXPECT_EQ(store_.fence().epoch, before.epoch + 1);
    EXPECT_EQ(StatusOf(id), "Pending");
    Answer(worker.TakeTurn(), {Complete("out")});
    Settle();
    EXPECT_EQ(StatusOf(id), "Completed");
  }
}

// Somebody else has opened the partition: what is decided here from then on is
// not stored, until this engine opens it again.
TEST_F(EngineFailureTest, EngineThatWasReplacedStoresNothing) {
  Start("a");
  Settle();
  const auto other = memory_.OpenPartition(kOnlyPartition, 1);
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE(
      memory_.Commit({other->fence}, {EraseTenant{std::string(kTestTenant)}})
          .done());
  const auto late = Start("b");
  Settle();
  EXPECT_EQ(late.code(), Code::kUnavailable);
  EXPECT_FALSE(memory_.Find(std::string(kTestTenant), "b")->has_value());
  Recover();
  EXPECT_EQ(StatusOf("a"), "none");
  const auto again = Start("b");
  Settle();
  EXPECT_TRUE(again.ok());
}

TEST_F(EngineFailureTest, StoreIsTriedAgainLaterEachTime) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  store_.FailCommit(0, Effect::kNone);
  Raise("a", "e");
  Settle();
  absl::Duration last = absl::ZeroDuration();
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(engine().NextDue().has_value());
    const absl::Duration delay = FromStored(*engine().NextDue()) - Now();
    EXPECT_GE(delay, last);
    EXPECT_LE(delay, absl::Seconds(2));
    last = delay;
    store_.FailOpen(0, absl::UnavailableError("the disk is away"));
    Pass(delay);
    EXPECT_THAT(recoveries_, IsEmpty());
  }
  EXPECT_EQ(last, absl::Seconds(2));
  Pass(last);
  EXPECT_THAT(recoveries_, SizeIs(1));
  EXPECT_THAT(store_failures_, SizeIs(1));
  EXPECT_EQ(StatusOf("a"), "Running");
}

TEST_F(EngineFailureTest, AReadThatFailsWhileMemoryIsRebuiltIsRetried) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  store_.FailCommit(0, Effect::kNone);
  Raise("a", "e");
  Settle();
  store_.FailRead(1, absl::DataLossError("half of it"));  // ReadOpen.
  Pass(absl::Milliseconds(100));
  EXPECT_THAT(recoveries_, IsEmpty());
  Recover();
  EXPECT_THAT(recoveries_, SizeIs(1));
  EXPECT_EQ(StatusOf("a"), "Running");
}

TEST_F(EngineFailureTest, TimersAndActivitiesAreThereAfterwards) {
  FakeWorker& worker = Connect();
  Run(worker, "a",
      {CallTask(1, "Work"), TimerAt(2, Now() + absl::Seconds(10))});
  const FakeItem activity = worker.TakeActivity();
  store_.FailCommit(0, Effect::kNone);
  Start("b");
  Settle();
  Recover();
  // It goes out again: at least once.
  EXPECT_EQ(Done(activity).code(), Code::kNotFound);
  EXPECT_EQ(worker.TakeActivity().id, 1);
  Pass(absl::Seconds(10));
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "timer 2 fired"));
}

TEST_F(EngineFailureTest, FailureThatAThawFindsIsTriedAgain) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Pass(kLease + absl::Seconds(1));  // Parked.
  store_.FailRead(0, absl::UnavailableError("not now"));
  Raise("a", "e");
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  Pass(absl::Milliseconds(200));
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn", "raised e"));
}

void EngineFailureTest::Step(World& world, Random& random, int number) {
  const std::string id = absl::StrCat(world.prefix, Uniform(random, 0, 3));
  switch (Uniform(random, 0, 7)) {
    case 0:
      if (!world.starts.contains(id) ||
          world.starts.at(id).code() == Code::kUnavailable) {
        world.starts.insert_or_assign(id, Start(id));
      }
      break;
    case 1:
    case 2: {
      const std::string name = absl::StrCat("e", number);
      world.raises[id].emplace_back(name, Raise(id, name));
      break;
    }
    case 3:
      if (OneIn(random, 3)) {
        store_.FailCommit(static_cast<int64_t>(Uniform(random, 0, 2)),
                          OneIn(random, 2) ? Effect::kNone : Effect::kWhole);
      }
      break;
    case 4:
      writer_.RunOne();
      break;
    case 5:
      readers_.RunAny(random);
      tasks_.RunOne();
      break;
    case 6:
      AnswerSome(world, random);
      break;
    default:
      Pass(absl::Milliseconds(300));
      break;
  }
}

void EngineFailureTest::AnswerSome(World& world, Random& random) {
  while (!world.worker.items.empty()) {
    const FakeItem item = world.worker.items.front();
    world.worker.items.pop_front();
    if (item.kind == WorkKind::kActivity) {
      OneIn(random, 3) ? Abandon(item) : void(Done(item));
    } else if (OneIn(random, 5)) {
      Abandon(item);
    } else if (OneIn(random, 3)) {
      Answer(item, {CallTask(++world.last_action, "Work")});
    } else if (OneIn(random, 2)) {
      Answer(item, {TimerAt(++world.last_action, Now() + absl::Seconds(1))});
    } else {
      Answer(item);
    }
    if (OneIn(random, 3)) break;
  }
}

void EngineFailureTest::AnswerAll(World& world) {
  for (int i = 0; i < 20; ++i) {
    while (!world.worker.items.empty()) {
      const FakeItem item = world.worker.items.front();
      world.worker.items.pop_front();
      item.kind == WorkKind::kActivity ? Done(item) : Answer(item);
      Settle();
    }
    Pass(absl::Seconds(30));
  }
}

void EngineFailureTest::ExpectNothingLost(World& world, const std::string& id) {
  const Asked<StartReceipt>& start = world.starts.at(id);
  if (!start.answered()) {
    ADD_FAILURE() << "start of " << id << " was never answered";
  }
  const std::vector<std::string> history = History(id);
  if (start.ok()) {
    EXPECT_NE(StatusOf(id), "none") << id;
  }
  for (const auto& [name, raise] : world.raises[id]) {
    EXPECT_TRUE(raise.answered()) << name;
    const auto count =
        std::count(history.begin(), history.end(), "raised " + name);
    EXPECT_LE(count, 1) << name << " of " << id;
    if (raise.ok()) {
      EXPECT_EQ(count, 1) << name << " of " << id;
    }
  }
  // Everything that was begun has ended.
  const auto count = [&history](std::string_view begin, std::string_view end) {
    return std::count_if(
        history.begin(), history.end(), [&](const std::string& word) {
          return word.starts_with(begin) && word.ends_with(end);
        });
  };
  EXPECT_EQ(count("task ", "Work"), count("task ", "done")) << id;
  EXPECT_EQ(std::count(history.begin(), history.end(), "timer"),
            count("timer ", "fired"))
      << id;
  EXPECT_EQ(pins(id), 0u);
}

// Random commands, answers and failures; acknowledged changes survive.
TEST_F(EngineFailureTest, NothingAcknowledgedIsLost) {
  int count = 0;
  ForEachSeed(60, [&](Random& random) {
    World world{.prefix = absl::StrCat("w", ++count, "-"), .worker = Connect()};
    for (int i = 0; i < 80; ++i) Step(world, random, i);
    for (int i = 0; i < 40; ++i) {
      Settle();
      AnswerSome(world, random);
      Pass(absl::Seconds(3));
    }
    AnswerAll(world);
    for (const auto& [id, start] : world.starts) ExpectNothingLost(world, id);
    work().Disconnect(world.worker.id);
    const AskedStatus wipe = Wipe();
    Settle();
  });
}

// ---- Stop -------------------------------------------------------------------

TEST_F(EngineFailureTest, StopAnswersThoseWaitingAndRefusesTheRest) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  const AskedInfo wait = Wait("a", Until::kFinished);
  engine().Stop();
  EXPECT_EQ(wait.code(), Code::kUnavailable);
  EXPECT_EQ(Start("b").code(), Code::kUnavailable);
  EXPECT_EQ(Raise("a", "e").code(), Code::kUnavailable);
  EXPECT_EQ(Get("a").code(), Code::kUnavailable);
  engine().Stop();  // Idempotent.
  EXPECT_EQ(pins("a"), 0u);
}

class NullObserver final : public EngineObserver {
  void OnStoreFailed(const absl::Status&) override {}
  void OnStoreRecovered(size_t) override {}
  void OnWork(const WorkEvent&) override {}
  void OnStopped(const EngineCounts&) override {}
};

class AnsweringWorker final : public WorkSink {
 public:
  explicit AnsweringWorker(WorkExchange& work) : work_(work) {}
  void Send(std::string bytes) override {
    const FakeItem item = ParseItem(bytes);
    ++asked;
    const auto done = [this](const absl::Status&) { ++answered; };
    if (item.kind == WorkKind::kTurn) {
      TurnAnswer answer;
      if (item.past.empty()) answer.actions = {CallTask(1, "Work")};
      work_.CompleteTurn(item.work_name(), std::move(answer), done);
    } else {
      work_.CompleteActivity(item.work_name(), TaskCompleted{}, done);
    }
  }
  std::atomic<int> asked = 0;
  std::atomic<int> answered = 0;

 private:
  WorkExchange& work_;
};

}  // namespace

// Threads of the engine and of callers, all at once.
TEST(EngineStop, AnswersAllThatIsInFlightOnce) {
  ForEachSeed(20, [](Random& random) {
    SimulatedClock clock;
    ThreadExecutor tasks(1);
    ThreadExecutor writer(1);
    ThreadExecutor readers(2);
    MemoryStore store;
    SharedProvider provider;
    NullObserver observer;
    InstanceRegistry registry(clock, tasks, provider, {}, {}, {});
    {
      NodeWorkExchange work(clock, observer, {});
      Engine engine(clock, store, registry, writer, readers, work.dispatcher(),
                    observer, {});
      ASSERT_TRUE(engine.Open().ok());
      engine.StartTimers();
      auto worker = std::make_shared<AnsweringWorker>(work);
      work.Connect({.tenant = std::string(kTestTenant)}, worker);
      std::atomic<int> asked = 0;
      std::atomic<int> answered = 0;
      std::vector<std::thread> callers;
      for (int caller = 0; caller < 3; ++caller) {
        callers.emplace_back([&, caller] {
          for (int i = 0; i < 50; ++i) {
            StartRequest request;
            request.key = TestKey(absl::StrCat(caller, "-", i));
            request.name = "Main";
            asked += 4;
            engine.Start(request,
                         [&](absl::StatusOr<StartReceipt>) { ++answered; });
            engine.RaiseEvent(request.key, "e", std::nullopt,
                              [&](const absl::Status&) { ++answered; });
            engine.Wait({.key = request.key, .payloads = true},
                        [&](const auto&) { ++answered; });
            engine.Get(request.key, true, [&](const auto&) { ++answered; });
          }
        });
      }
      for (uint64_t i = Uniform(random, 0, 200); i > 0; --i) {
        std::this_thread::yield();
      }
      engine.Stop();
      const int at_stop = answered;
      for (std::thread& caller : callers) caller.join();
      EXPECT_LE(at_stop, answered);
      EXPECT_EQ(answered, asked);
      EXPECT_EQ(worker->answered, worker->asked);

      // Contexts end before the engine whose extensions they hold.
      std::promise<void> done;
      registry.Shutdown([&done] { done.set_value(); });
      done.get_future().wait();
    }
  });
}

}  // namespace leasehold
