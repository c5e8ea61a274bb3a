// Wipes: everything of one tenant goes, at once, and nothing of another.
//
// Goal: whatever the two tenants do at that time, the wiped one has nothing
// left and can begin anew, and the other one notices nothing. Method: both have
// one of everything, under the same IDs; or the wipe comes at a moment at which
// something of them is decided and not stored, or read and not decided.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/orchestration/reuse_policy.h"
#include "tests/orchestration/entity_fixture.h"
#include "tests/storage/store_dump.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using Code = absl::StatusCode;
using Effect = FaultStore::Effect;

constexpr char kAcme[] = "acme";
constexpr char kGlobex[] = "globex";
constexpr char kAsleep[] = "@counter@asleep";
constexpr char kLocked[] = "@counter@locked";
constexpr char kLater[] = "@counter@later";

class EngineWipeTest : public EntityTest {
 protected:
  using Outcome = Asked<OperationResult>;

  // Work that is out, and callers who wait.
  struct Furnished {
    FakeWorker* worker = nullptr;
    FakeItem turn = {};
    FakeItem activity = {};
    FakeItem batch = {};
    AskedInfo wait = {};
    AskedInfo change = {};
    Outcome call = {};
    Asked<SharedEntity> watch = {};
  };

  // From now on the test is this tenant's callers and workers.
  void As(std::string tenant) { tenant_ = std::move(tenant); }

  Outcome Call(std::string request_id) {
    Outcome outcome;
    engine().entities().Call({.key = Key(kCounter),
                              .operation = "get",
                              .input = "in",
                              .request_id = std::move(request_id),
                              .peer = "peer"},
                             outcome.done());
    Settle();
    return outcome;
  }

  // The tenant's only worker, which connects when it is first asked for.
  FakeWorker& Worker() {
    FakeWorker*& worker = workers_[tenant_];
    if (worker == nullptr) worker = &Connect();
    return *worker;
  }

  // Gives the tenant one of everything.
  Furnished Furnish(const std::string& tenant) {
    As(tenant);
    FakeWorker& worker = Worker();
    worker.items.clear();
    Furnished all{.worker = &worker};
    Run(worker, "ended", {leasehold::Complete("done")});
    Run(worker, "timer", {TimerAt(1, Now() + absl::Hours(1))});
    Run(worker, "task", {CallTask(1, "Do")});
    all.activity = worker.TakeActivity();
    Run(worker, "parent", {CallChild(1, "child")});
    Answer(worker.TakeTurn());
    Settle();
    Run(worker, "holder", {LockAll(1, "section", {kLocked})});
    Answer(worker.TakeTurn());
    Put(worker, kAsleep, "7");
    Signal(kLater, "add", ToTimestamp(Now() + absl::Hours(1)));
    Settle();
    all.call = Call("request");
    all.batch = worker.TakeBatch();
    Start("out");
    Settle();
    all.turn = worker.TakeTurn();
    EXPECT_THAT(worker.items, IsEmpty());

    all.wait = Wait("timer", Until::kFinished);
    const AskedInfo now = Get("timer");
    Settle();
    all.change = Wait("timer", Until::kChanged, now.value()->revision);
    engine().entities().AwaitChange({.key = Key(kAsleep),
                                     .state = true,
                                     .seen = Entity(kAsleep)->print,
                                     .peer = "peer"},
                                    all.watch.done());
    Settle();
    EXPECT_FALSE(all.wait.answered());
    EXPECT_FALSE(all.change.answered());
    EXPECT_FALSE(all.watch.answered());
    return all;
  }

  std::vector<std::string> Statuses(const std::string& tenant) {
    As(tenant);
    std::vector<std::string> statuses;
    for (const char* id :
         {"ended", "timer", "task", "parent", "child", "holder", "out"}) {
      statuses.push_back(StatusOf(id));
    }
    return statuses;
  }
  void ExpectNothing(const std::string& tenant) {
    EXPECT_THAT(Statuses(tenant), testing::Each("none"));
    for (const char* id : {kAsleep, kLocked, kLater, kCounter}) {
      EXPECT_EQ(Entity(id), std::nullopt) << id;
    }
  }
  void ExpectAll(const std::string& tenant) {
    EXPECT_THAT(Statuses(tenant),
                ElementsAre("Completed", "Running", "Running", "Running",
                            "Running", "Running", "Pending"));
    EXPECT_EQ(StateOf(kAsleep), "7");
    EXPECT_EQ(HolderOf(kLocked), "holder");
    EXPECT_TRUE(Entity(kLater).has_value());
    EXPECT_TRUE(Entity(kCounter).has_value());
  }
  // What was out is answered, and whoever waited is told, as if nothing had
  // happened.
  void ExpectToGoOn(const std::string& tenant, const Furnished& all) {
    As(tenant);
    FakeWorker& worker = *all.worker;
    EXPECT_FALSE(all.wait.answered());
    EXPECT_FALSE(all.change.answered());
    EXPECT_FALSE(all.call.answered());
    EXPECT_FALSE(all.watch.answered());
    EXPECT_THAT(worker.items, IsEmpty());

    EXPECT_TRUE(Complete(all.batch, "1").ok());
    ASSERT_TRUE(all.call.ok()) << all.call.status();
    EXPECT_EQ(all.call.value().output, "1");
    for (const FakeItem& item : {all.turn, all.activity}) {
      const AskedStatus answer = item.kind == WorkKind::kTurn
                                     ? Answer(item, {leasehold::Complete()})
                                     : Done(item);
      Settle();
      EXPECT_TRUE(answer.ok()) << answer.status();
    }
    EXPECT_EQ(worker.TakeTurn().instance_id, "task");
    Put(worker, kAsleep, "8");
    ASSERT_TRUE(all.watch.ok()) << all.watch.status();
    EXPECT_EQ(all.watch.value()->state, "8");

    Pass(absl::Hours(1));
    EXPECT_THAT(Operations(worker.TakeBatch()), ElementsAre("add"));
    const FakeItem turn = worker.TakeTurn();
    EXPECT_EQ(turn.instance_id, "timer");
    Answer(turn, {leasehold::Complete("late")});
    Settle();
    ASSERT_TRUE(all.wait.ok()) << all.wait.status();
    EXPECT_EQ(all.wait.value()->output, "late");
    EXPECT_TRUE(all.change.ok());
  }
  // Who has the work of before is too late, and who waited was told.
  void ExpectToHaveEnded(const std::string& tenant, const Furnished& all) {
    As(tenant);
    EXPECT_EQ(Answer(all.turn, {leasehold::Complete()}).code(),
              Code::kNotFound);
    EXPECT_EQ(Done(all.activity).code(), Code::kNotFound);
    EXPECT_EQ(Complete(all.batch, "1").code(), Code::kNotFound);
    for (const AskedInfo& wait : {all.wait, all.change}) {
      ASSERT_TRUE(wait.ok()) << wait.status();
      EXPECT_FALSE(wait.value().has_value());  // As if it were purged.
    }
    EXPECT_EQ(all.call.code(), Code::kAborted);
    ASSERT_TRUE(all.watch.ok()) << all.watch.status();
    EXPECT_FALSE(all.watch.value()->has_state);
    EXPECT_THAT(all.worker->items, IsEmpty());
  }

  std::vector<std::string> DumpAll() {
    const auto dump = Dump(memory_, {kAcme, kGlobex}, {});
    EXPECT_TRUE(dump.ok()) << dump.status();
    return dump.ok() ? *dump : std::vector<std::string>();
  }
  std::vector<OutboxRow> Letters() {
    return *memory_.ReadOutbox(kOnlyPartition);
  }

  // The tenant purges a tree, and has erased its top: there is a letter to the
  // child.
  Asked<PurgeResult> PurgeHalf(const std::string& tenant) {
    As(tenant);
    Run(Worker(), "top", {CallChild(1, "leaf")});
    for (const char* id : {"leaf", "top"}) {
      TerminateByForce(id);
      Settle();
    }
    const size_t before = Letters().size();
    const auto purge = Purge("top", /*recursive=*/true);
    readers_.RunAll();
    writer_.RunAll();
    EXPECT_FALSE(purge.answered());
    EXPECT_THAT(Letters(), SizeIs(before + 1));
    return purge;
  }
  StartRequest AskingForEnded(std::string_view id) {
    StartRequest request = Request(id);
    request.policy = PolicyOf(IfActive::kFail, IfFinished::kFail);
    return request;
  }

  std::map<std::string, FakeWorker*> workers_;  // By tenant.
};

// ---- One and the other ------------------------------------------------------

TEST_F(EngineWipeTest, AllOfOneTenantGoesAndNothingOfTheOther) {
  const Furnished globex = Furnish(kGlobex);
  const std::vector<std::string> before = DumpAll();
  const Furnished acme = Furnish(kAcme);
  ASSERT_NE(DumpAll(), before);
  const AskedStatus wipe = Wipe();
  Settle();
  EXPECT_TRUE(wipe.ok()) << wipe.status();
  EXPECT_EQ(DumpAll(), before);
  ExpectToHaveEnded(kAcme, acme);
  ExpectNothing(kAcme);
  ExpectAll(kGlobex);
  ExpectToGoOn(kGlobex, globex);
  EXPECT_THAT(store_failures_, IsEmpty());
}

TEST_F(EngineWipeTest, ItIsSoAlsoForWhoeverOpensTheStoreNext) {
  Furnish(kGlobex);
  Furnish(kAcme);
  const AskedStatus wipe = Wipe();
  writer_.RunAll();
  EXPECT_TRUE(wipe.ok()) << wipe.status();
  Crash();
  ExpectNothing(kAcme);
  ExpectAll(kGlobex);
  FakeWorker& worker = Connect();
  Pass(absl::Hours(1));
  std::vector<std::string> turns;
  for (const FakeItem& item : worker.items) {
    if (item.kind == WorkKind::kTurn) turns.push_back(item.instance_id);
  }
  EXPECT_THAT(turns, testing::UnorderedElementsAre("out", "timer"));
  As(kAcme);
  EXPECT_THAT(Connect().items, IsEmpty());
}

TEST_F(EngineWipeTest, AWipeThatFailsErasesAllOrNothing) {
  for (const Effect effect :
       {Effect::kNone, Effect::kWhole, Effect::kRefused, Effect::kFenced}) {
    const Furnished globex = Furnish(kGlobex);
    const Furnished acme = Furnish(kAcme);
    store_.FailCommit(0, effect);
    const AskedStatus wipe = Wipe();
    Settle();
    EXPECT_FALSE(wipe.ok());
    // Who waited for what may be gone is told that nothing is known.
    EXPECT_TRUE(acme.wait.answered());
    EXPECT_EQ(acme.call.code(), wipe.code());
    EXPECT_FALSE(globex.wait.answered());
    Pass(absl::Seconds(3));
    if (effect == Effect::kWhole) {
      ExpectNothing(kAcme);
    } else {
      ExpectAll(kAcme);
    }
    ExpectAll(kGlobex);
    for (const char* tenant : {kAcme, kGlobex}) {
      As(tenant);
      const AskedStatus again = Wipe();
      Settle();
      EXPECT_TRUE(again.ok()) << again.status();
      ExpectNothing(tenant);
    }
    EXPECT_THAT(DumpAll(), ElementsAre("last number 0"));
  }
}

TEST_F(EngineWipeTest, TheTenantBeginsAnew) {
  Furnish(kAcme);
  Wipe();
  Settle();
  const Furnished again = Furnish(kAcme);
  ExpectAll(kAcme);
  ExpectToGoOn(kAcme, again);
}

// ---- What is on its way -----------------------------------------------------

TEST_F(EngineWipeTest, WhatIsDecidedBeforeAndNotStoredGoesToo) {
  const Furnished all = Furnish(kAcme);
  const auto start = Start("new");
  const AskedStatus raise = Raise("timer", "e");
  const AskedStatus signal = Signal(kAsleep, "add");
  const AskedStatus turn = Answer(
      all.turn,
      {CallTask(1, "Do"), CallChild(2, "grandchild"),
       TimerAt(3, Now() + absl::Hours(1)), LockAll(4, "other", {kLocked}),
       CallEntity(5, kAsleep, "get"), SendTo(6, "holder", "e")});
  const AskedStatus activity = Done(all.activity);
  BatchAnswer answer;
  answer.results.resize(1);
  answer.state = "1";
  AskedStatus batch;
  work().CompleteEntity(all.batch.work_name(), std::move(answer), batch.done());
  TerminateByForce("parent", /*recursive=*/true);
  const AskedStatus wipe = Wipe();
  Settle();
  for (const AskedStatus& asked :
       {raise, signal, turn, activity, batch, wipe}) {
    EXPECT_TRUE(asked.ok()) << asked.status();
  }
  EXPECT_TRUE(start.ok()) << start.status();
  EXPECT_THAT(DumpAll(), ElementsAre("last number 0"));
  ExpectNothing(kAcme);
  EXPECT_EQ(StatusOf("new"), "none");
  EXPECT_EQ(StatusOf("grandchild"), "none");
  EXPECT_EQ(engine().counts().open, 0u);
  EXPECT_EQ(engine().counts().queued, 0u);
  Pass(absl::Minutes(10));  // For so long callers of entities may wait.
  EXPECT_EQ(engine().NextDue(), std::nullopt);
}

// Otherwise it would be in memory, and not in the store.
TEST_F(EngineWipeTest, WhatIsDecidedAfterItDoesNotRestOnWhatGoes) {
  As(kAcme);
  FakeWorker& worker = Connect();
  Run(worker, "failed", {Fail("E")});
  Run(worker, "ended", {leasehold::Complete()});
  Run(worker, "open");
  const AskedStatus wipe = Wipe();
  const AskedStatus rewind = Rewind("failed");
  const auto purge = Purge("ended");
  const auto start = Start(AskingForEnded("ended"));
  const AskedStatus raise = Raise("open", "e");
  const AskedStatus forced = TerminateByForce("open");
  const AskedInfo wait = Wait("open", Until::kFinished);
  readers_.RunAll();  // The wipe is not stored yet.
  Settle();
  EXPECT_TRUE(wipe.ok()) << wipe.status();
  EXPECT_EQ(rewind.code(), Code::kNotFound);
  ASSERT_TRUE(purge.ok()) << purge.status();
  EXPECT_EQ(purge.value().erased, 0);
  EXPECT_TRUE(start.ok()) << start.status();
  EXPECT_EQ(raise.code(), Code::kNotFound);
  EXPECT_EQ(forced.code(), Code::kNotFound);
  ASSERT_TRUE(wait.ok()) << wait.status();
  EXPECT_FALSE(wait.value().has_value());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(StatusOf("failed"), "none");
    EXPECT_EQ(StatusOf("ended"), "Pending");
    EXPECT_EQ(StatusOf("open"), "none");
    Reopen();
  }
}

TEST_F(EngineWipeTest, ALookupThatRunsIsMadeAgainAfterIt) {
  As(kAcme);
  Run(Connect(), "failed", {Fail("E")});
  const AskedStatus rewind = Rewind("failed");
  AskedStatus wipe;
  store_.BeforeRead(0, [&] { wipe = Wipe(); });
  readers_.RunAll();
  EXPECT_FALSE(rewind.answered());
  Settle();
  EXPECT_TRUE(wipe.ok()) << wipe.status();
  EXPECT_EQ(rewind.code(), Code::kNotFound);
  EXPECT_EQ(engine().counts().open, 0u);
}

TEST_F(EngineWipeTest, OneBehindTheOther) {
  As(kAcme);
  const auto before = Start(AskingForEnded("a"));
  const AskedStatus first = Wipe();
  const auto between = Start("a");
  const AskedStatus second = Wipe();
  const auto after = Start(AskingForEnded("a"));
  Settle();
  EXPECT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(before.answered());
  EXPECT_TRUE(between.ok()) << between.status();
  EXPECT_TRUE(after.answered());
  EXPECT_EQ(StatusOf("a"), "Pending");
  const RunNumber number = (*store_.Find(kAcme, "a"))->number;
  Reopen();
  EXPECT_EQ((*store_.Find(kAcme, "a"))->number, number);
  EXPECT_EQ(StatusOf("a"), "Pending");
}

// ---- Letters ----------------------------------------------------------------

TEST_F(EngineWipeTest, LettersOfTheOtherAreActedOn) {
  const auto globex = PurgeHalf(kGlobex);
  const auto acme = PurgeHalf(kAcme);
  const AskedStatus wipe = Wipe();
  Settle();
  EXPECT_TRUE(wipe.ok()) << wipe.status();
  EXPECT_EQ(acme.code(), Code::kAborted);
  ASSERT_TRUE(globex.ok()) << globex.status();
  EXPECT_EQ(globex.value().erased, 2);
  EXPECT_THAT(DumpAll(), ElementsAre("last number 0"));
  EXPECT_THAT(store_failures_, IsEmpty());
}

TEST_F(EngineWipeTest, ALetterThatWaitsForItsRowsGivesTheKeyFree) {
  const auto purge = PurgeHalf(kAcme);
  AskedStatus wipe;
  store_.BeforeRead(0, [&] { wipe = Wipe(); });
  readers_.RunAll();
  const auto start = Start(AskingForEnded("leaf"));
  Settle();
  EXPECT_TRUE(wipe.ok()) << wipe.status();
  EXPECT_EQ(purge.code(), Code::kAborted);
  EXPECT_TRUE(start.ok()) << start.status();
  EXPECT_THAT(Letters(), IsEmpty());
}

TEST_F(EngineWipeTest, LettersThatAreTriedAgainLaterAreOfTheirTenant) {
  const auto globex = PurgeHalf(kGlobex);
  store_.FailRead(0, absl::UnavailableError("busy"));
  Settle();
  EXPECT_EQ(globex.code(), Code::kUnavailable);
  const auto acme = PurgeHalf(kAcme);
  store_.FailRead(0, absl::UnavailableError("busy"));
  Settle();
  ASSERT_THAT(Letters(), SizeIs(2));
  Wipe();
  Settle();
  EXPECT_THAT(Letters(), SizeIs(1));
  Pass(absl::Seconds(1));
  EXPECT_THAT(Letters(), IsEmpty());
  As(kGlobex);
  EXPECT_EQ(StatusOf("leaf"), "none");
}

// ---- The rest ---------------------------------------------------------------

TEST_F(EngineWipeTest, ReadsOfTheOtherGoOn) {
  As(kGlobex);
  Run(Connect(), "failed", {Fail("E")});
  const AskedStatus rewind = Rewind("failed");
  const auto start = Start(AskingForEnded("new"));
  Furnish(kAcme);
  As(kGlobex);
  const AskedStatus late = Rewind("none");
  const int64_t reads = store_.reads();
  As(kAcme);
  const AskedStatus wipe = Wipe();
  Settle();
  EXPECT_TRUE(wipe.ok());
  EXPECT_TRUE(rewind.ok()) << rewind.status();
  EXPECT_TRUE(start.ok()) << start.status();
  EXPECT_EQ(late.code(), Code::kNotFound);
  // That one's, and the watch's of what was erased.
  EXPECT_EQ(store_.reads() - reads, 2);
}

TEST_F(EngineWipeTest, TimersOfWhatIsParkedGoWithIt) {
  for (const char* tenant : {kGlobex, kAcme}) {
    As(tenant);
    FakeWorker& worker = Connect();
    Run(worker, "a", {TimerAt(1, Now() + absl::Hours(1))});
    Start("b");
    Settle();
    Abandon(worker.TakeTurn());
    work().Disconnect(worker.id);
    Pass(kLease);
    StartRequest scheduled = Request("c");
    scheduled.scheduled_start = ToTimestamp(Now() + absl::Hours(1));
    Start(std::move(scheduled));
    Settle();
  }
  As(kAcme);
  Wipe();
  Settle();
  ASSERT_TRUE(engine().NextDue().has_value());
  As(kGlobex);
  FakeWorker& worker = Connect();
  Pass(absl::Hours(2));
  std::vector<std::string> turns;
  for (const FakeItem& item : worker.items) turns.push_back(item.instance_id);
  EXPECT_THAT(turns, testing::UnorderedElementsAre("a", "b", "c"));
  Wipe();
  Settle();
  EXPECT_EQ(engine().NextDue(), std::nullopt);
}

TEST_F(EngineWipeTest, OutcomesOfCallsAreForgottenInThatTenantAlone) {
  for (const char* tenant : {kGlobex, kAcme}) {
    As(tenant);
    FakeWorker& worker = Connect();
    const Outcome call = Call("request");
    Complete(worker.TakeBatch(), tenant);
    EXPECT_TRUE(call.ok()) << call.status();
  }
  Wipe();
  Settle();
  EXPECT_FALSE(Call("request").answered());  // It runs again.
  As(kGlobex);
  const Outcome again = Call("request");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again.value().output, kGlobex);
}

TEST_F(EngineWipeTest, TheLimitOfOpenOrchestrationsIsCountedFromNothing) {
  options_.open_max_of_tenant = [](const std::string&) { return 2; };
  for (const char* tenant : {kGlobex, kAcme}) {
    As(tenant);
    Start("a");
    Start("b");
    Settle();
  }
  Wipe();
  Settle();
  for (const char* tenant : {kGlobex, kAcme}) {
    As(tenant);
    std::vector<Code> codes;
    for (const char* id : {"c", "d", "e"}) {
      const auto start = Start(id);
      Settle();
      codes.push_back(start.code());
    }
    constexpr Code kFull = Code::kResourceExhausted;
    if (tenant_ == kAcme) {
      EXPECT_THAT(codes, ElementsAre(Code::kOk, Code::kOk, kFull));
    } else {
      EXPECT_THAT(codes, ElementsAre(kFull, kFull, kFull));
    }
  }
}

TEST_F(EngineWipeTest, OfATenantThatHasNothingItIsDone) {
  Furnish(kGlobex);
  As("nobody");
  const AskedStatus wipe = Wipe();
  Settle();
  EXPECT_TRUE(wipe.ok()) << wipe.status();
  ExpectAll(kGlobex);
}

}  // namespace
}  // namespace leasehold
