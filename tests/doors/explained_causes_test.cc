// Each cause that leasehold.v1.Admin knows has a scenario here in which it is
// the truth. What the engine then says is compared with the whole message: the
// words, and the facts behind them. The table is held against the enum in
// admin.proto: a cause without a scenario fails.
#include <algorithm>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "leasehold/v1/admin.pb.h"
#include "service/doors/admin_messages.h"
#include "service/instance/held_pin.h"
#include "tests/instance/instance_fakes.h"
#include "tests/orchestration/entity_fixture.h"

namespace leasehold {
namespace {

using testing::HasSubstr;

class ExplainedCausesTest;

struct Scenario {
  v1::Cause::Kind kind;
  // Makes it so. Returns the ID to explain.
  std::string (ExplainedCausesTest::*make)();
  const char* text;
  const char* facts;  // The other fields of the message.
};

// Somebody else with work for the same workers. Never looks by itself.
class Rival final : public WorkOwner {
 public:
  explicit Rival(SharedDispatcher& dispatcher)
      : dispatcher_(dispatcher), id_(dispatcher.AddOwner(*this)) {}
  ~Rival() override {
    dispatcher_.End(work_);
    dispatcher_.RemoveOwner(id_);
  }
  void TakeSlot() {
    dispatcher_.Enqueue(id_, work_);
    EXPECT_EQ(dispatcher_.Next(id_), &work_);
  }
  // What comes next is another owner's: that one is offered the slot.
  void GiveUpSlot() {
    dispatcher_.End(work_);
    EXPECT_EQ(dispatcher_.Next(id_), nullptr);
  }

  void OnWorkToTake() override {}
  void OnTakersChanged() override {}
  void OnWorkerGone(WorkerId) override {}
  OwnerAnswers& answers() override { std::abort(); }  // Nobody answers.

 private:
  struct RivalWork final : Work {
    RivalWork() : Work(WorkKind::kTurn, kTestTenant, "Other", "") {}
  };

  SharedDispatcher& dispatcher_;
  const OwnerId id_;
  RivalWork work_;
};

class ExplainedCausesTest : public EntityTest,
                            public testing::WithParamInterface<Scenario> {
 public:
  // ---- Of an instance context -----------------------------------------------

  std::string Held() {
    Hold(PinKind::kHold, {.method = "leasehold.v1.Instances/Hold",
                          .peer = "ipv4:10.0.0.7:1",
                          .identity = "shop"});
    clock_.Advance(absl::Minutes(3));
    return "room";
  }
  std::string Calls() {
    Call();
    Call();
    return "room";
  }
  std::string WorkHeld() {
    Hold(PinKind::kWorkItem, {});
    return "room";
  }
  std::string Opening() {
    initializers_ = {&slow_initializer_};
    Call();
    EXPECT_FALSE(calls_.front().answered());
    return "room";
  }
  std::string Closing() {
    Call();
    calls_.front().context().Attach<First>(
        journal_, "state",
        [this](HookDone done) { unfinished_.push_back(std::move(done)); });
    calls_.front().Finish();
    Pass(2 * kLease);
    return "room";
  }
  std::string Leased() {
    Call();
    calls_.front().Finish();
    clock_.Advance(absl::Seconds(5));
    return "room";
  }
  std::string KeptByProvider() {
    keeper_.idle = false;
    context_policy_ = &keeper_;
    Call();
    calls_.front().Finish();
    Pass(2 * kLease);
    return "room";
  }

  // ---- Of work that waits for a worker --------------------------------------

  std::string NoWorker() { return Started("a"); }
  std::string NotTaken() {
    Connect(Only("Other"));
    Connect(Only("Another"));
    return Started("a");
  }
  std::string NotRegistered() {
    FakeWorker& worker = Connect();
    Started("a");
    CompleteExecution end;
    end.status = OrchestrationStatus::kFailed;
    end.failure = MakeFailure("OrchestratorTaskNotFound",
                              "No task named 'Main' was found.");
    Answer(worker.TakeTurn(), {{-1, std::move(end)}});
    Settle();
    return "a";
  }
  std::string Silent() {
    work_options_.turn_timeout = absl::Seconds(60);
    FakeWorker& worker = Connect();
    Started("a");
    Started("b");
    worker.items.clear();
    Pass(absl::Seconds(60));
    // One of them shows whether it answers.
    return worker.TakeTurn().instance_id == "a" ? "b" : "a";
  }
  std::string NoSlot() {
    Connect(Only("Main", 1));
    Started("a");
    return Started("b");
  }
  std::string Unread() {
    Connect().untaken_bytes = WorkSink::kUntakenBytesMax + 1;
    return Started("a");
  }
  std::string Suspect() {
    Started("a");
    Started("b");
    for (int i = 0; i < kSuspectAfter; ++i) {
      FakeWorker& worker = Connect();
      Settle();
      work().Disconnect(worker.id);
      Settle();
    }
    FakeWorker& worker = Connect();
    Pass(absl::Seconds(1));
    return worker.TakeTurn().instance_id == "a" ? "b" : "a";
  }
  std::string Ready() {
    rival_.emplace(work().dispatcher());
    Connect({.slots = {1, 1, 1}});
    rival_->TakeSlot();
    Started("a");
    // The question itself would have it taken.
    meanwhile_ = [this] { rival_->GiveUpSlot(); };
    return "a";
  }

  // ---- Of work that a worker has, or had ------------------------------------

  std::string Loading() {
    FakeWorker& worker = Connect();
    Run(worker, "a", {TimerAt(1, Now() + absl::Hours(1))});
    Pass(2 * kLease);
    clock_.Advance(absl::Hours(1));
    engine().FireTimers();
    // Now its history would be read.
    while (writer_.RunAll() + tasks_.RunAll() > 0) {
    }
    return "a";
  }
  std::string WithWorker() {
    FakeWorker& worker = Connect();
    Run(worker, "a", {CallTask(1, "Charge")});
    AskedStatus asked;
    work().CompleteActivity(worker.TakeActivity().work_name(),
                            TaskFailed{0, MakeFailure("Declined", "no money")},
                            asked.done());
    Settle();
    Answer(worker.TakeTurn(), {CallTask(2, "Charge")});
    Settle();
    clock_.Advance(absl::Seconds(12));
    return "a";
  }
  std::string Delayed() {
    FakeWorker& worker = Connect();
    Run(worker, "a", {CallTask(1, "Charge")});
    Abandon(worker.TakeActivity());
    Settle();
    return "a";
  }

  // ---- Of an orchestration --------------------------------------------------

  std::string SetAside() {
    FakeWorker& worker = Connect();
    Run(worker, "a");
    work().Disconnect(worker.id);
    const RunNumber number = (*store_.Find(kTestTenant, "a"))->number;
    EXPECT_TRUE(store_
                    .Commit({store_.fence()},
                            {AppendHistory{number, 0, "\xff\xff\xff"}})
                    .done());
    Reopen();
    Connect();
    Raise("a", "go");
    Settle();
    return "a";
  }
  std::string StoreFailed() {
    Run(Connect(), "a", {TimerAt(1, Now() + absl::Hours(1))});
    store_.FailCommit(0, FaultStore::Effect::kNone);
    store_.FailOpen(0, absl::UnavailableError("the disk is full"));
    Raise("a", "go");
    Settle();
    return "a";
  }
  std::string Storing() {
    Start("a");
    tasks_.RunAll();
    readers_.RunAll();  // Its ID is free; now the writer is waited for.
    return "a";
  }
  std::string Scheduled() {
    StartRequest request = Request("a");
    request.scheduled_start = ToTimestamp(Now() + absl::Hours(1));
    Start(std::move(request));
    Settle();
    return "a";
  }
  std::string Suspended() {
    FakeWorker& worker = Connect();
    Run(worker, "a", {TimerAt(1, Now() + absl::Hours(1))});
    AskedStatus asked;
    engine().Suspend(Key("a"), "a look at it", asked.done());
    Settle();
    Answer(worker.TakeTurn());
    Settle();
    return "a";
  }
  std::string Retry() {
    FakeWorker& worker = Connect();
    Run(worker, "a", {CallTask(1, "Charge")});
    AskedStatus asked;
    work().CompleteActivity(worker.TakeActivity().work_name(),
                            TaskFailed{0, MakeFailure("Declined", "no money")},
                            asked.done());
    Settle();
    Answer(worker.TakeTurn(), {TimerAt(2, Now() + absl::Seconds(5))});
    Settle();
    return "a";
  }
  std::string Timer() {
    Run(Connect(), "a", {TimerAt(1, Now() + absl::Hours(1))});
    return "a";
  }
  std::string Event() {
    FakeWorker& worker = Connect();
    Started("a");
    TurnAnswer says;
    says.awaited_events = {"Approve", "Deny"};
    Answer(worker.TakeTurn(), std::move(says));
    Settle();
    return "a";
  }
  std::string Child() {
    Run(Connect(Only("Main")), "a", {CallChild(1, "a-1")});
    return "a";
  }
  std::string EntityCall() {
    FakeWorker& worker = Connect(Only("Main"));
    Run(worker, "p", {LockAll(1, "of p", {"@c@1"})});
    worker.TakeTurn();
    Run(worker, "q", {CallEntity(1, "@c@1", "add")});
    return "q";
  }
  std::string EntityLock() {
    FakeWorker& worker = Connect();
    Run(worker, "p", {LockAll(1, "of p", {"@c@1"})});
    worker.TakeTurn();
    Run(worker, "q", {LockAll(1, "of q", {"@c@1"})});
    return "q";
  }
  std::string Ended() {
    Run(Connect(), "a", {Fail("Broken")});
    return "a";
  }
  std::string OpenLimit() {
    options_.open_max_of_tenant = [](const std::string&) { return 1; };
    Started("a");
    return Started("b");  // Its start has opened its context.
  }

  // ---- Of an entity ---------------------------------------------------------

  std::string Locked() {
    options_.entity_lock_timeout = absl::Minutes(10);
    Run(Connect(), "p", {LockAll(1, "of p", {"@c@1"})});
    return "@c@1";
  }
  std::string Messages() {
    Signal("@c@1", "add");
    Signal("@c@1", "subtract");
    Settle();
    return "@c@1";
  }
  std::string Later() {
    Signal("@c@1", "add", ToTimestamp(Now() + absl::Hours(1)));
    Settle();
    return "@c@1";
  }
  std::string Nothing() {
    Put(Connect(), "@c@1", "7");
    return "@c@1";
  }

  // ---- Of a tenant ----------------------------------------------------------

  std::string StoredLimit() {
    options_.stored_bytes_max_of_tenant = [this](const std::string&) {
      return stored_bytes_max_;
    };
    Event();
    stored_bytes_max_ = memory_.StoredBytes(kTestTenant);
    return "a";
  }

 protected:
  void TearDown() override {
    for (HookDone& done : unfinished_) done();
    held_.reset();
    Settle();
    for (FakeCall& call : calls_) {
      if (call.answered() && call.status().ok()) call.Finish();
    }
    rival_.reset();
    keeper_.idle = true;
    EntityTest::TearDown();
  }

  v1::Explanation Explain(std::string_view id) {
    Asked<Explanation> asked;
    engine().explanations().Explain(Key(id), asked.done());
    if (meanwhile_) meanwhile_();
    readers_.RunNewest();  // And nothing else goes on.
    EXPECT_TRUE(asked.ok()) << asked.status();
    v1::Explanation told;
    if (!asked.ok()) return told;
    ToMessage(
        asked.value(), [](const std::string& peer) { return peer; }, told);
    return told;
  }

 private:
  // A call of an instance.
  void Call() {
    engine();
    calls_.emplace_back("room").Ask(*registry_);
    Settle();
  }
  void Hold(PinKind kind, PinHolder who) {
    Call();
    held_.emplace(calls_.front().pin().Clone(), kind, nullptr,
                  std::make_unique<const PinHolder>(std::move(who)));
    calls_.front().Finish();
  }
  std::string Started(const char* id) {
    Start(id);
    Settle();
    return id;
  }
  static WorkerOptions Only(std::string name, size_t slots = 0) {
    WorkerOptions options{.slots = {slots, slots, slots}};
    for (auto& filters : options.filters) filters.emplace();
    options.filters[0]->push_back({std::move(name), {}});
    return options;
  }

  std::vector<HookDone> unfinished_;
  Journal journal_;
  FakeInitializer slow_initializer_{
      [this](InstanceContext&, const InitializerRequest&, HookDone done) {
        unfinished_.push_back(std::move(done));
      }};
  FakeProvider keeper_{/*leased=*/true};
  std::deque<FakeCall> calls_;
  std::optional<HeldPin> held_;
  std::optional<Rival> rival_;
  std::function<void()> meanwhile_;  // Between a question and its answer.
  uint64_t stored_bytes_max_ = 0;
};

using Of = ExplainedCausesTest;
using Is = v1::Cause;

// The clock begins at 2020-01-01T00:00:00Z.
const Scenario kScenarios[] = {
    {Is::HELD, &Of::Held,
     "a hold by \"shop\" from ipv4:10.0.0.7:1 has kept it busy for 3m",
     "pin: \"hold\" holder { address: \"ipv4:10.0.0.7:1\" identity: \"shop\" "
     "method: \"leasehold.v1.Instances/Hold\" } age { seconds: 180 }"},
    {Is::CALLS, &Of::Calls, "2 calls keep it busy", "count: 2"},
    {Is::WORK_HELD, &Of::WorkHeld, "work that a worker has keeps it busy",
     "count: 1"},
    {Is::OPENING, &Of::Opening, "its initializers run", ""},
    {Is::CLOSING, &Of::Closing, "its extensions are being detached", ""},
    {Is::LEASE, &Of::Leased, "its lease ends in 15s", "age { seconds: 15 }"},
    {Is::PROVIDER, &Of::KeptByProvider, "the server's policy keeps it", ""},
    {Is::NO_WORKER, &Of::NoWorker,
     "no worker is connected that could take the orchestrator \"Main\"",
     "work: \"orchestrator\" name: \"Main\" outlook { }"},
    {Is::NOT_TAKEN, &Of::NotTaken,
     "no connected worker takes the orchestrator \"Main\" (2 workers are "
     "connected)",
     "work: \"orchestrator\" name: \"Main\" outlook { workers: 2 }"},
    {Is::NOT_REGISTERED, &Of::NotRegistered,
     "every connected worker that could take the orchestrator \"Main\" has "
     "said that it does not know it (1 worker)",
     "work: \"orchestrator\" name: \"Main\" outlook { workers: 1 unknown: 1 "
     "}"},
    {Is::SILENT, &Of::Silent,
     "no worker that takes the orchestrator \"Main\" answers (1 silent worker)",
     "work: \"orchestrator\" name: \"Main\" outlook { workers: 1 takers: 1 "
     "slots_used: 1 slots: 100 silent: 1 } count: 1"},
    {Is::NO_SLOT, &Of::NoSlot,
     "the orchestrator \"Main\" waits: all slots of 1 worker that takes it are "
     "in use (1 of 1)",
     "work: \"orchestrator\" name: \"Main\" outlook { workers: 1 takes: 1 "
     "takers: 1 slots_used: 1 slots: 1 full: 1 }"},
    {Is::UNREAD, &Of::Unread,
     "the orchestrator \"Main\" waits: the workers that take it have too much "
     "unread (1 worker)",
     "work: \"orchestrator\" name: \"Main\" outlook { workers: 1 takes: 1 "
     "takers: 1 slots: 100 unread: 1 }"},
    {Is::SUSPECT, &Of::Suspect,
     "the orchestrator \"Main\" was lost 2 times and goes out alone; each "
     "worker that takes it has another such item",
     "work: \"orchestrator\" name: \"Main\" outlook { workers: 1 takes: 1 "
     "takers: 1 slots_used: 1 slots: 100 } count: 2"},
    {Is::READY, &Of::Ready,
     "the orchestrator \"Main\" is about to go to a worker",
     "work: \"orchestrator\" name: \"Main\" outlook { workers: 1 takes: 1 "
     "takers: 1 slots_used: 1 slots: 1 full: 1 }"},
    {Is::LOADING, &Of::Loading,
     "the orchestrator \"Main\" is being prepared for worker 1",
     "work: \"orchestrator\" name: \"Main\" worker_id: 1"},
    {Is::WITH_WORKER, &Of::WithWorker,
     "the activity \"Charge\" (attempt 2; the last one failed: Declined: no "
     "money) has been with worker 1 for 12s",
     "work: \"activity\" name: \"Charge\" attempt: 2 failure: \"Declined: no "
     "money\" worker_id: 1 age { seconds: 12 }"},
    {Is::DELAYED, &Of::Delayed,
     "the activity \"Charge\" goes out again in 200ms, because it was given "
     "back or lost 1 time",
     "work: \"activity\" name: \"Charge\" attempt: 1 count: 1 age { nanos: "
     "200000000 }"},
    {Is::SET_ASIDE, &Of::SetAside,
     "it is set aside because it cannot be read: ", "reason: "},
    {Is::STORE_FAILED, &Of::StoreFailed,
     "the store cannot be written: ", "reason: "},
    {Is::STORING, &Of::Storing, "its start is being stored",
     "name: \"its start\""},
    {Is::SCHEDULED, &Of::Scheduled,
     "its start is scheduled for 2020-01-01T01:00:00.000Z",
     "time { seconds: 1577840400 }"},
    {Is::SUSPENDED, &Of::Suspended,
     "it has been suspended since 2020-01-01T00:00:00.000Z: \"a look at it\"",
     "reason: \"a look at it\" time { seconds: 1577836800 }"},
    {Is::RETRY, &Of::Retry,
     "it tries \"Charge\" again at 2020-01-01T00:00:05.000Z (attempt 2; the "
     "last one failed: Declined: no money)",
     "name: \"Charge\" attempt: 2 failure: \"Declined: no money\" time { "
     "seconds: 1577836805 }"},
    {Is::TIMER, &Of::Timer,
     "it waits for a timer that fires at 2020-01-01T01:00:00.000Z",
     "time { seconds: 1577840400 }"},
    {Is::EVENT, &Of::Event, "it waits for the event \"Approve\" or \"Deny\"",
     "names: \"Approve\" names: \"Deny\""},
    {Is::CHILD, &Of::Child,
     "it waits for the sub-orchestration \"a-1\" (Child), which is Pending",
     "name: \"Child\" attempt: 1 instance_id: \"a-1\" status: \"Pending\""},
    {Is::ENTITY_CALL, &Of::EntityCall,
     "it waits for the answer of the entity \"@c@1\" to \"add\", which "
     "orchestration \"p\" has locked since 2020-01-01T00:00:00.000Z",
     "name: \"add\" instance_id: \"@c@1\" orchestration_id: \"p\" time { "
     "seconds: 1577836800 }"},
    {Is::ENTITY_LOCK, &Of::EntityLock,
     "it waits for the lock of the entity \"@c@1\", which orchestration \"p\" "
     "has had since 2020-01-01T00:00:00.000Z",
     "instance_id: \"@c@1\" orchestration_id: \"p\" time { seconds: 1577836800 "
     "}"},
    {Is::ENDED, &Of::Ended,
     "it ended at 2020-01-01T00:00:00.000Z: Broken: it failed",
     "failure: \"Broken: it failed\" status: \"Failed\" time { seconds: "
     "1577836800 }"},
    {Is::OPEN_LIMIT, &Of::OpenLimit,
     "there is no orchestration of this ID, and a start is refused: 1 are "
     "open, and 1 may be",
     "count: 1 limit: 1"},
    {Is::LOCKED, &Of::Locked,
     "orchestration \"p\" has locked it since 2020-01-01T00:00:00.000Z, until "
     "2020-01-01T00:10:00.000Z",
     "orchestration_id: \"p\" time { seconds: 1577836800 } end_time { seconds: "
     "1577837400 }"},
    {Is::MESSAGES, &Of::Messages,
     "2 messages wait for it, the first is the signal \"add\"",
     "name: \"the signal \\\"add\\\"\" count: 2"},
    {Is::LATER, &Of::Later,
     "1 message waits for its time, 2020-01-01T01:00:00.000Z",
     "count: 1 time { seconds: 1577840400 }"},
    {Is::NOTHING, &Of::Nothing, "nothing waits for it", ""},
    {Is::STORED_LIMIT, &Of::StoredLimit,
     "starts, events and calls are refused: this tenant has ", "bytes: "},
};

TEST_P(ExplainedCausesTest, IsNamedWithItsFacts) {
  const Scenario& scenario = GetParam();
  const v1::Explanation told = Explain((this->*scenario.make)());
  const auto cause = std::find_if(
      told.causes().begin(), told.causes().end(),
      [&](const v1::Cause& one) { return one.kind() == scenario.kind; });
  ASSERT_NE(cause, told.causes().end()) << told.sentence();
  EXPECT_THAT(told.sentence(), HasSubstr(cause->text()));
  // A text that ends with a blank goes on as somebody else says.
  const std::string text = scenario.text;
  v1::Cause facts = *cause;
  facts.clear_kind();
  facts.clear_text();
  if (text.ends_with(" ")) {
    EXPECT_THAT(cause->text(), testing::StartsWith(text));
    EXPECT_GT(cause->text().size(), text.size());
    EXPECT_THAT(facts.ShortDebugString(), testing::StartsWith(scenario.facts));
  } else {
    EXPECT_EQ(cause->text(), text);
    EXPECT_EQ(facts.ShortDebugString(), scenario.facts);
  }
}

INSTANTIATE_TEST_SUITE_P(Each, ExplainedCausesTest,
                         testing::ValuesIn(kScenarios), [](const auto& info) {
                           return v1::Cause::Kind_Name(info.param.kind);
                         });

TEST(ExplainedCauses, EachOfTheContractHasAScenario) {
  std::set<std::string> shown;
  for (const Scenario& scenario : kScenarios) {
    EXPECT_TRUE(shown.insert(v1::Cause::Kind_Name(scenario.kind)).second)
        << v1::Cause::Kind_Name(scenario.kind) << " comes twice";
  }
  std::set<std::string> known;
  const auto& contract = *v1::Cause::Kind_descriptor();
  for (int i = 0; i < contract.value_count(); ++i) {
    if (contract.value(i)->number() == 0) continue;
    known.insert(contract.value(i)->name());
  }
  EXPECT_EQ(shown, known);
}

}  // namespace
}  // namespace leasehold
