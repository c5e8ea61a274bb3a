// Why nothing happens, as the engine explains it. Each cause by itself, with
// its words: tests/doors/explained_causes_test.cc.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/instance/held_pin.h"
#include "tests/orchestration/entity_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

using Code = absl::StatusCode;
using Kind = Cause::Kind;

class EngineExplainTest : public EntityTest {
 protected:
  Asked<Explanation> Ask(std::string_view id) {
    Asked<Explanation> asked;
    engine().explanations().Explain(Key(id), asked.done());
    Settle();
    return asked;
  }
  Explanation Explain(std::string_view id) {
    const Asked<Explanation> asked = Ask(id);
    EXPECT_TRUE(asked.ok()) << asked.status();
    return asked.ok() ? asked.value() : Explanation();
  }
  // The cause that counts most.
  Cause Why(std::string_view id) {
    const Explanation explanation = Explain(id);
    EXPECT_THAT(explanation.causes, Not(IsEmpty()));
    return explanation.causes.empty() ? Cause() : explanation.causes.front();
  }
  std::string Sentence(std::string_view id) { return SentenceOf(Explain(id)); }
  std::vector<Kind> Kinds(std::string_view id) {
    std::vector<Kind> kinds;
    for (const Cause& cause : Explain(id).causes) kinds.push_back(cause.kind);
    return kinds;
  }
  // The pin of a call that uses the instance.
  Pin Use(std::string_view id) {
    struct Waiter final : PinWaiter {
      explicit Waiter(InstanceRequest request)
          : PinWaiter(std::move(request)) {}
      void OnGrant(absl::StatusOr<PinGrant> grant) override {
        pin = std::move(grant->pin);
      }
      Pin pin;
    };
    engine();
    Waiter waiter({.key = Key(id)});
    auto grant = registry_->Acquire(waiter);
    Settle();
    return grant.has_value() ? std::move((*grant)->pin) : std::move(waiter.pin);
  }
  static WorkerOptions Only(std::string name, size_t slots = 0) {
    WorkerOptions options{.slots = {slots, slots, slots}, .peer = "ipv4:w:1"};
    for (auto& filters : options.filters) filters.emplace();
    options.filters[0]->push_back({std::move(name), {}});
    return options;
  }
  AskedStatus FailTask(const FakeItem& activity, const std::string& why) {
    AskedStatus asked;
    work().CompleteActivity(activity.work_name(),
                            TaskFailed{0, MakeFailure("Declined", why)},
                            asked.done());
    Settle();
    return asked;
  }
  static OpaqueMessage NotRegistered() {
    return MakeFailure("OrchestratorTaskNotFound",
                       "No task named 'Main' was found.");
  }
};

// ---- Not there --------------------------------------------------------------

TEST_F(EngineExplainTest, OfNothingThereIsNothingToSay) {
  const Asked<Explanation> asked = Ask("a");
  EXPECT_EQ(asked.code(), Code::kNotFound);
  EXPECT_THAT(std::string(asked.status().message()), HasSubstr("\"a\""));
  EXPECT_EQ(Ask("@c@a").code(), Code::kNotFound);
}

TEST_F(EngineExplainTest, WhatIsOfAnotherTenantIsNothing) {
  Start("a");
  Settle();
  Asked<Explanation> asked;
  engine().explanations().Explain({.tenant = "other", .id = "a"}, asked.done());
  Settle();
  EXPECT_EQ(asked.code(), Code::kNotFound);
  // The same as of an ID that nobody has.
  EXPECT_EQ(absl::StrReplaceAll(std::string(asked.status().message()),
                                {{"\"a\"", "\"b\""}}),
            Ask("b").status().message());
}

TEST_F(EngineExplainTest, WhatTheLimitOfOpenOnesKeptFromStarting) {
  options_.open_max_of_tenant = [](const std::string&) { return 1; };
  Start("a");
  Start("b");
  Settle();
  // Its start has opened its context.
  const Cause why = Why("b");
  EXPECT_EQ(why.kind, Kind::kOpenLimit);
  EXPECT_EQ(why.count, 1u);
  EXPECT_EQ(why.limit, 1u);
  Pass(2 * kLease);
  const Asked<Explanation> gone = Ask("b");
  EXPECT_EQ(gone.code(), Code::kNotFound);
  EXPECT_THAT(std::string(gone.status().message()),
              HasSubstr("1 are open, and 1 may be"));
}

TEST_F(EngineExplainTest, WhatTheLimitOfStoredBytesRefuses) {
  uint64_t limit = 0;
  options_.stored_bytes_max_of_tenant = [&](const std::string&) {
    return limit;
  };
  FakeWorker& worker = Connect();
  Run(worker, "waits");
  Run(worker, "sleeps", {TimerAt(1, Now() + absl::Hours(1))});
  Put(worker, "@c@1", "7");
  EXPECT_THAT(Kinds("waits"), ElementsAre(Kind::kEvent));
  limit = memory_.StoredBytes(kTestTenant);
  EXPECT_EQ(Raise("waits", "go").code(), Code::kResourceExhausted);
  // Nobody can send it what it waits for.
  EXPECT_THAT(Kinds("waits"), ElementsAre(Kind::kEvent, Kind::kStoredLimit));
  const Cause why = Explain("waits").causes[1];
  EXPECT_EQ(why.count, limit);
  EXPECT_EQ(why.limit, limit);
  EXPECT_THAT(Kinds("@c@1"), ElementsAre(Kind::kNothing, Kind::kStoredLimit));
  // What goes on by itself does not wait for it.
  EXPECT_THAT(Kinds("sleeps"), ElementsAre(Kind::kTimer));
  for (const char* id : {"none", "@c@none"}) {
    const Asked<Explanation> nothing = Ask(id);
    EXPECT_EQ(nothing.code(), Code::kNotFound);
    EXPECT_THAT(std::string(nothing.status().message()),
                HasSubstr(absl::StrCat("this tenant has ", limit,
                                       " bytes stored, and may have ", limit)));
  }
}

// ---- Contexts ---------------------------------------------------------------

TEST_F(EngineExplainTest, AContextIsBusyBecauseOfThoseWhoHoldIt) {
  Pin pin = Use("room");
  auto held =
      std::make_unique<HeldPin>(pin.Clone(), PinKind::kHold, nullptr,
                                std::make_unique<const PinHolder>(PinHolder{
                                    .method = "leasehold.v1.Instances/Hold",
                                    .peer = "ipv4:10.0.0.7:1",
                                    .identity = "shop"}));
  clock_.Advance(absl::Minutes(3));
  const Explanation explanation = Explain("room");
  EXPECT_EQ(explanation.subject, Explanation::Subject::kContext);
  ASSERT_THAT(explanation.causes, SizeIs(2));
  const Cause& hold = explanation.causes[0];
  EXPECT_EQ(hold.kind, Kind::kHeld);
  EXPECT_EQ(hold.who.method, "leasehold.v1.Instances/Hold");
  EXPECT_EQ(hold.age, absl::Minutes(3));
  EXPECT_EQ(explanation.causes[1].kind, Kind::kCalls);
  EXPECT_EQ(explanation.causes[1].count, 1u);
  EXPECT_EQ(
      SentenceOf(explanation),
      "instance \"room\" is busy: a hold by \"shop\" from ipv4:10.0.0.7:1 "
      "has kept it busy for 3m; 1 call keeps it busy");
  held.reset();
  pin.Reset();
  clock_.Advance(absl::Seconds(5));
  EXPECT_EQ(Sentence("room"),
            "instance \"room\" is idle: its lease ends in 15s");
}

TEST_F(EngineExplainTest, OldestHoldersComeFirstAndTheRestIsCounted) {
  Pin pin = Use("room");
  std::vector<std::unique_ptr<HeldPin>> joins;
  for (int i = 0; i < 25; ++i) {
    joins.push_back(
        std::make_unique<HeldPin>(pin.Clone(), PinKind::kJoin, nullptr));
    clock_.Advance(absl::Seconds(1));
  }
  pin.Reset();
  // So that the order in which they are kept is another one.
  joins.erase(joins.begin());
  const Explanation explanation = Explain("room");
  ASSERT_THAT(explanation.causes, SizeIs(20));
  EXPECT_EQ(explanation.causes[0].age, absl::Seconds(24));
  EXPECT_EQ(explanation.causes[1].age, absl::Seconds(23));
  EXPECT_EQ(explanation.more, 4u);
}

// ---- Not started, not dispatched --------------------------------------------

TEST_F(EngineExplainTest, NoConnectedWorkerTakesIt) {
  Connect(Only("Other"));
  Connect(Only("Another"));
  Start("a");
  Settle();
  const Cause why = Why("a");
  EXPECT_EQ(why.kind, Kind::kNotTaken);
  EXPECT_EQ(why.outlook->reach.workers, 2u);
  EXPECT_EQ(TextOf(why),
            "no connected worker takes the orchestrator \"Main\" (2 workers "
            "are connected)");
}

TEST_F(EngineExplainTest, EveryWorkerHasSaidThatItDoesNotKnowIt) {
  FakeWorker& one = Connect();
  FakeWorker& two = Connect();
  Start("a");
  Settle();
  for (int i = 0; i < 2; ++i) {
    FakeWorker& has = one.items.empty() ? two : one;
    CompleteExecution end;
    end.status = OrchestrationStatus::kFailed;
    end.failure = NotRegistered();
    Answer(has.TakeTurn(), {{-1, std::move(end)}});
    Settle();
  }
  const Cause why = Why("a");
  EXPECT_EQ(why.kind, Kind::kNotRegistered);
  EXPECT_EQ(why.outlook->reach.disowns, 2u);
  EXPECT_THAT(TextOf(why), HasSubstr("has said that it does not know it (2 "));
}

TEST_F(EngineExplainTest, AllSlotsAreInUse) {
  Connect(Only("Main", 1));
  Connect(Only("Main", 1));
  for (const char* id : {"a", "b", "c"}) Start(id);
  Settle();
  const Cause why = Why("c");
  EXPECT_EQ(why.kind, Kind::kNoSlot);
  EXPECT_EQ(why.outlook->takers, 2u);
  EXPECT_EQ(TextOf(why),
            "the orchestrator \"Main\" waits: all slots of 2 workers that take "
            "it are in use (2 of 2)");
}

TEST_F(EngineExplainTest, WhatWasLostTwiceGoesOutAlone) {
  for (const char* id : {"a", "b"}) Start(id);
  for (int i = 0; i < 2; ++i) {
    FakeWorker& worker = Connect();
    Settle();
    EXPECT_THAT(worker.items, SizeIs(2));
    work().Disconnect(worker.id);
    Settle();
  }
  const Cause delayed = Why("a");
  EXPECT_EQ(delayed.kind, Kind::kDelayed);
  EXPECT_EQ(delayed.count, 2u);
  EXPECT_EQ(delayed.age, absl::Milliseconds(200));
  FakeWorker& worker = Connect();
  Pass(absl::Seconds(1));
  const std::string waits = worker.TakeTurn().instance_id == "a" ? "b" : "a";
  const Cause why = Why(waits);
  EXPECT_EQ(why.kind, Kind::kSuspect);
  EXPECT_THAT(TextOf(why), HasSubstr("was lost 2 times and goes out alone"));
}

TEST_F(EngineExplainTest, ItIsSuspended) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {TimerAt(1, Now() + absl::Hours(1))});
  AskedStatus asked;
  engine().Suspend(Key("a"), "a look at it", asked.done());
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  EXPECT_THAT(Kinds("a"), ElementsAre(Kind::kSuspended, Kind::kTimer));
  EXPECT_EQ(Why("a").reason, "a look at it");
  EXPECT_THAT(Sentence("a"),
              HasSubstr("is Suspended: it has been suspended since "));
}

TEST_F(EngineExplainTest, TheStoreCannotBeWritten) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {TimerAt(1, Now() + absl::Hours(1))});
  store_.FailCommit(0, FaultStore::Effect::kNone);
  store_.FailOpen(0, absl::UnavailableError("the disk is full"));
  Raise("a", "go");
  Settle();
  EXPECT_EQ(Why("a").kind, Kind::kStoreFailed);
  EXPECT_THAT(Sentence("a"), HasSubstr("the store cannot be written: "));
}

// ---- With a worker ----------------------------------------------------------

TEST_F(EngineExplainTest, AWorkerHasItsTurn) {
  Connect({.peer = "ipv4:10.0.0.1:7"});
  Start("a");
  Settle();
  clock_.Advance(absl::Seconds(2));
  const Cause why = Why("a");
  EXPECT_EQ(why.kind, Kind::kWithWorker);
  EXPECT_EQ(why.age, absl::Seconds(2));
  EXPECT_FALSE(why.silent);
  EXPECT_EQ(TextOf(why),
            "its turn has been with worker 1 (ipv4:10.0.0.1:7) for 2s");
  clock_.Advance(absl::Seconds(4));
  EXPECT_TRUE(Why("a").silent);
}

TEST_F(EngineExplainTest, ItsTurnIsBeingPrepared) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {TimerAt(1, Now() + absl::Hours(1))});
  Pass(2 * kLease);
  // Its history is read again, after this.
  Asked<Explanation> asked;
  engine().explanations().Explain(Key("a"), asked.done());
  clock_.Advance(absl::Hours(1));
  engine().FireTimers();
  while (writer_.RunAll() + tasks_.RunAll() > 0) {
  }
  readers_.RunAll();
  ASSERT_TRUE(asked.ok()) << asked.status();
  EXPECT_EQ(asked.value().causes[0].kind, Kind::kLoading);
  EXPECT_EQ(asked.value().causes[0].worker, worker.id);
}

TEST_F(EngineExplainTest, AnActivityIsGivenBackAndTriedLater) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Work")});
  Abandon(worker.TakeActivity());
  Settle();
  const Cause why = Why("a");
  EXPECT_EQ(why.kind, Kind::kDelayed);
  EXPECT_EQ(why.work, WorkKind::kActivity);
  EXPECT_EQ(why.count, 1u);
  EXPECT_EQ(TextOf(why),
            "the activity \"Work\" goes out again in 200ms, because it was "
            "given back or lost 1 time");
}

TEST_F(EngineExplainTest, ItsContextMayNotOpen) {
  // As the limit `contexts` of a tenant is enforced.
  struct Refusing final : ContextInitializer {
    bool MayBlock() const override { return false; }
    void Initialize(InstanceContext&, const InitializerRequest&,
                    HookDone done) override {
      if (!refuses) return done();
      done(absl::ResourceExhaustedError("the limit contexts is reached"));
    }
    bool refuses = false;
  } limit;
  initializers_ = {&limit};
  FakeWorker& worker = Connect();
  Run(worker, "a", {TimerAt(1, Now() + absl::Hours(1))});
  Pass(2 * kLease);
  limit.refuses = true;
  Pass(absl::Hours(1));
  const Cause why = Why("a");
  EXPECT_EQ(why.kind, Kind::kDelayed);
  EXPECT_EQ(why.count, 0u);
  EXPECT_EQ(TextOf(why),
            "the orchestrator \"Main\" goes out again in 200ms, because its "
            "instance context could not open: the limit contexts is reached");
  limit.refuses = false;
  Pass(absl::Seconds(1));
  EXPECT_EQ(Why("a").kind, Kind::kWithWorker);
  // From now on it is its worker again.
  Abandon(worker.TakeTurn());
  Settle();
  EXPECT_EQ(Why("a").kind, Kind::kDelayed);
  EXPECT_EQ(Why("a").reason, "");
  EXPECT_GT(Why("a").count, 0u);
}

TEST_F(EngineExplainTest, WorkThatNothingElseNamesIsAPin) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Work")});
  // Its pin is that of the work, as is said there.
  EXPECT_THAT(Kinds("a"), ElementsAre(Kind::kWithWorker));
  Run(worker, "b", {leasehold::Complete("done")});
  Pin pin = Use("b");
  const HeldPin held(std::move(pin), PinKind::kWorkItem, nullptr);
  EXPECT_THAT(Kinds("b"), ElementsAre(Kind::kEnded, Kind::kWorkHeld));
}

// ---- What it waits for ------------------------------------------------------

TEST_F(EngineExplainTest, AnActivityWithItsAttemptAndTheLastFailure) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Charge")});
  EXPECT_EQ(Why("a").attempt, 1);
  FailTask(worker.TakeActivity(), "no money\non this card");
  Answer(worker.TakeTurn(), {TimerAt(2, Now() + absl::Seconds(5))});
  Settle();
  Cause why = Why("a");
  EXPECT_EQ(why.kind, Kind::kRetry);
  EXPECT_EQ(why.name, "Charge");
  EXPECT_EQ(why.attempt, 2);
  EXPECT_EQ(why.failure, "Declined: no money");
  EXPECT_EQ(why.at, Now() + absl::Seconds(5));
  Pass(absl::Seconds(5));
  Answer(worker.TakeTurn(), {CallTask(3, "Charge")});
  Settle();
  why = Why("a");
  EXPECT_EQ(why.kind, Kind::kWithWorker);
  EXPECT_EQ(why.attempt, 2);
  EXPECT_THAT(TextOf(why),
              HasSubstr("the activity \"Charge\" (attempt 2; the last one "
                        "failed: Declined: no money) has been with worker 1"));
}

TEST_F(EngineExplainTest, WhatNobodyDoesComesBeforeWhatIsBeingDone) {
  WorkerOptions options;
  options.filters[1].emplace().push_back({"Known", {}});
  FakeWorker& worker = Connect(options);
  Run(worker, "a", {CallTask(1, "Known"), CallTask(2, "NoSuch")});
  const Explanation explanation = Explain("a");
  ASSERT_THAT(explanation.causes, SizeIs(2));
  EXPECT_EQ(explanation.causes[0].kind, Kind::kNotTaken);
  EXPECT_EQ(explanation.causes[0].name, "NoSuch");
  EXPECT_EQ(explanation.causes[1].kind, Kind::kWithWorker);
}

TEST_F(EngineExplainTest, OfManyCausesOneHundredAreGiven) {
  FakeWorker& worker = Connect();
  std::vector<OrchestratorAction> actions;
  for (int i = 1; i <= 150; ++i) actions.push_back(CallTask(i, "Work"));
  Run(worker, "a", std::move(actions));
  const Explanation explanation = Explain("a");
  EXPECT_THAT(explanation.causes, SizeIs(100));
  EXPECT_EQ(explanation.more, 50u);
  // Those without a slot come first.
  EXPECT_EQ(explanation.causes[0].kind, Kind::kNoSlot);
  EXPECT_THAT(SentenceOf(explanation), EndsWith("; and 50 more"));
}

TEST_F(EngineExplainTest, ATimerAlsoIfItIsParked) {
  FakeWorker& worker = Connect();
  Run(worker, "a",
      {TimerAt(1, Now() + absl::Hours(2)), TimerAt(2, Now() + absl::Hours(1))});
  const absl::Time first = Now() + absl::Hours(1);
  Pass(2 * kLease);
  EXPECT_THAT(Kinds("a"), ElementsAre(Kind::kTimer, Kind::kTimer));
  EXPECT_EQ(Why("a").at, first);
}

TEST_F(EngineExplainTest, AnEventByItsNameIfTheWorkerSaysIt) {
  FakeWorker& worker = Connect();
  Start("a");
  Start("b");
  Settle();
  TurnAnswer says;
  says.awaited_events = {"Approve", "Deny"};
  Answer(worker.TakeTurn(), std::move(says));
  Answer(worker.TakeTurn());
  Settle();
  EXPECT_EQ(Why("a").kind, Kind::kEvent);
  EXPECT_THAT(Sentence("a"),
              HasSubstr("it waits for the event \"Approve\" or \"Deny\""));
  EXPECT_EQ(Why("b").kind, Kind::kEvent);
  EXPECT_THAT(Why("b").names, IsEmpty());
  // It is known after a restart too.
  Crash();
  EXPECT_THAT(Why("a").names, ElementsAre("Approve", "Deny"));
}

TEST_F(EngineExplainTest, ASubOrchestrationWithItsStatus) {
  FakeWorker& worker = Connect(Only("Main"));
  Run(worker, "a", {CallChild(1, "a-1")});
  const Cause why = Why("a");
  EXPECT_EQ(why.kind, Kind::kChild);
  EXPECT_EQ(why.instance_id, "a-1");
  EXPECT_EQ(why.name, "Child");
  EXPECT_EQ(why.status, "Pending");
  EXPECT_EQ(Why("a-1").kind, Kind::kNotTaken);
}

TEST_F(EngineExplainTest, TheLockOfAnEntityAndWhoHasIt) {
  FakeWorker& worker = Connect();
  Run(worker, "p", {LockAll(1, "of p", {"@c@1", "@c@2"})});
  const absl::Time since = Now();
  worker.TakeTurn();
  clock_.Advance(absl::Seconds(7));
  Run(worker, "q", {LockAll(1, "of q", {"@c@2", "@c@3"})});
  const Cause why = Why("q");
  EXPECT_EQ(why.kind, Kind::kEntityLock);
  EXPECT_EQ(why.instance_id, "@c@2");
  EXPECT_EQ(why.holder, "p");
  EXPECT_EQ(why.at, since);
  // And the entity says the same, and what waits for it.
  EXPECT_THAT(Kinds("@c@2"), ElementsAre(Kind::kLocked, Kind::kMessages));
  EXPECT_EQ(Why("@c@2").holder, "p");
  EXPECT_THAT(Sentence("@c@2"),
              StartsWith("entity \"@c@2\": orchestration \"p\" has locked it "
                         "since "));
  EXPECT_THAT(Sentence("@c@2"),
              HasSubstr("1 message waits for it: a lock request of "
                        "\"q\""));
}

TEST_F(EngineExplainTest, TheAnswerOfAnEntityAndWhatThatWaitsFor) {
  FakeWorker& worker = Connect(Only("Main"));
  Run(worker, "p", {LockAll(1, "of p", {"@c@1"})});
  worker.TakeTurn();
  Run(worker, "q", {CallEntity(1, "@c@1", "add")});
  Cause why = Why("q");
  EXPECT_EQ(why.kind, Kind::kEntityCall);
  EXPECT_EQ(why.instance_id, "@c@1");
  EXPECT_EQ(why.name, "add");
  EXPECT_EQ(why.holder, "p");
  Run(worker, "r", {CallEntity(1, "@c@2", "add")});
  EXPECT_THAT(Kinds("r"), ElementsAre(Kind::kEntityCall, Kind::kNotTaken));
}

// ---- Entities ---------------------------------------------------------------

TEST_F(EngineExplainTest, AnEntityWaitsForAWorkerOrForItsTime) {
  Signal("@c@1", "add");
  Settle();
  EXPECT_THAT(Kinds("@c@1"), ElementsAre(Kind::kNoWorker, Kind::kMessages));
  EXPECT_THAT(Sentence("@c@1"),
              HasSubstr("1 message waits for it: the signal \"add\""));
  const absl::Time later = Now() + absl::Hours(1);
  Signal("@c@2", "add", ToTimestamp(later));
  Settle();
  EXPECT_EQ(Why("@c@2").kind, Kind::kLater);
  EXPECT_EQ(Why("@c@2").at, later);
}

TEST_F(EngineExplainTest, NothingWaitsForAnEntity) {
  FakeWorker& worker = Connect();
  Put(worker, "@c@1", "7");
  EXPECT_EQ(Why("@c@1").kind, Kind::kNothing);
  Pass(2 * kLease);
  EXPECT_EQ(Why("@c@1").kind, Kind::kNothing);
}

TEST_F(EngineExplainTest, AWorkerHasABatchOfAnEntity) {
  Connect();
  Signal("@c@1", "add");
  Settle();
  EXPECT_THAT(Kinds("@c@1"), ElementsAre(Kind::kWithWorker, Kind::kMessages));
  EXPECT_THAT(Sentence("@c@1"), HasSubstr("a batch of its operations"));
}

// ---- Ended ------------------------------------------------------------------

TEST_F(EngineExplainTest, HowItEnded) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {leasehold::Complete("done")});
  Run(worker, "b", {Fail("Broken")});
  Cause why = Why("a");
  EXPECT_EQ(why.kind, Kind::kEnded);
  EXPECT_EQ(why.status, "Completed");
  EXPECT_EQ(why.at, Now());
  EXPECT_EQ(why.failure, "");
  EXPECT_EQ(Why("b").failure, "Broken: it failed");
  EXPECT_THAT(Sentence("b"), HasSubstr("is Failed: it ended at "));
}

TEST_F(EngineExplainTest, ItCannotBeRead) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  work().Disconnect(worker.id);
  const RunNumber number = (*store_.Find(kTestTenant, "a"))->number;
  ASSERT_TRUE(
      store_
          .Commit({store_.fence()}, {AppendHistory{number, 0, "\xff\xff\xff"}})
          .done());
  Reopen();
  Connect();
  Raise("a", "go");
  Settle();
  EXPECT_EQ(Why("a").kind, Kind::kSetAside);
  EXPECT_THAT(Sentence("a"), HasSubstr("is set aside because"));
}

}  // namespace
}  // namespace leasehold
