// EngineTest: an engine with everything that it depends on, run by hand.
//
// Nothing happens by itself: commits are made when the test runs writer_, reads
// when it runs readers_, contexts open and close when it runs tasks_, and the
// clock does not advance. Settle runs all of them until nothing is left to do.
//
//   FakeWorker& worker = Connect();
//   auto start = Start("a");
//   Settle();
//   auto answer = Answer(worker.TakeTurn(), {Complete("done")});
//
// Thread-safety: one thread, that of the test.
#ifndef LEASEHOLD_TESTS_ORCHESTRATION_ENGINE_FIXTURE_H_
#define LEASEHOLD_TESTS_ORCHESTRATION_ENGINE_FIXTURE_H_

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/node_work_exchange.h"
#include "service/storage/memory_store.h"
#include "tests/orchestration/fake_item.h"
#include "tests/support/fault_store.h"
#include "tests/support/manual_executor.h"
#include "tests/support/outbox_shortcut.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/test_key.h"

namespace leasehold {

// The short text of each kind of event.
struct EventWord {
  std::string operator()(const OrchestratorStarted&) { return "turn"; }
  std::string operator()(const ExecutionStarted& e) {
    return "started(" + e.input.value_or("") + ")";
  }
  std::string operator()(const ExecutionCompleted& e) {
    return absl::StrCat("ended(", e.status, ")");
  }
  std::string operator()(const ExecutionTerminated&) { return "terminated"; }
  std::string operator()(const TaskScheduled& e) { return "task " + e.name; }
  std::string operator()(const TaskCompleted& e) {
    return absl::StrCat("task ", e.task_scheduled_id, " done");
  }
  std::string operator()(const TaskFailed& e) {
    return absl::StrCat("task ", e.task_scheduled_id, " failed");
  }
  std::string operator()(const SubOrchestrationCreated& e) {
    return "child " + e.instance_id;
  }
  std::string operator()(const SubOrchestrationCompleted& e) {
    return absl::StrCat("child ", e.task_scheduled_id, " done");
  }
  std::string operator()(const SubOrchestrationFailed& e) {
    return absl::StrCat("child ", e.task_scheduled_id, " failed");
  }
  std::string operator()(const TimerCreated&) { return "timer"; }
  std::string operator()(const TimerFired& e) {
    return absl::StrCat("timer ", e.timer_id, " fired");
  }
  std::string operator()(const EventSent& e) { return "sent " + e.name; }
  std::string operator()(const EventRaised& e) { return "raised " + e.name; }
  std::string operator()(const ExecutionSuspended&) { return "suspended"; }
  std::string operator()(const ExecutionResumed&) { return "resumed"; }
  std::string operator()(const ExecutionRewound&) { return "rewound"; }
  std::string operator()(const EntityOperationCompleted& e) {
    return absl::StrCat("answer ", e.output.value_or("-"));
  }
  std::string operator()(const EntityOperationFailed&) { return "no answer"; }
  std::string operator()(const EntityLockGranted&) { return "locked"; }
  std::string operator()(const OtherEvent& e) {
    return absl::StrCat("other ", e.number);
  }
  std::string operator()(const auto& e) {
    return absl::StrCat("sent ", e.kNumber);
  }
};

// An event as a short text, such as `turn` or `started(e)`.
inline std::string Word(const HistoryEvent& event) {
  return std::visit(EventWord{}, event.body);
}

inline std::vector<std::string> Words(const std::vector<HistoryEvent>& events) {
  std::vector<std::string> words;
  for (const HistoryEvent& event : events) words.push_back(Word(event));
  return words;
}

class FakeWorker final : public WorkSink {
 public:
  void Send(std::string item) override {
    items.push_back(ParseItem(item));
    items.back().tenant = tenant;
  }
  void Announce(size_t bytes) override {
    if (takes_nothing) untaken_bytes += bytes;
  }
  size_t untaken() const override { return untaken_bytes; }

  // The oldest item; if there is none, fails the test and returns an empty one.
  FakeItem Take(WorkKind kind) {
    for (auto item = items.begin(); item != items.end(); ++item) {
      if (item->kind != kind) continue;
      FakeItem taken = std::move(*item);
      items.erase(item);
      return taken;
    }
    ADD_FAILURE() << "the worker has no such work";
    return {};
  }
  FakeItem TakeTurn() { return Take(WorkKind::kTurn); }
  FakeItem TakeActivity() { return Take(WorkKind::kActivity); }
  FakeItem TakeBatch() { return Take(WorkKind::kEntity); }

  std::deque<FakeItem> items;
  WorkerId id = 0;
  std::string tenant{kTestTenant};
  bool takes_nothing = false;
  size_t untaken_bytes = 0;
};

// ---- Answers to callers -----------------------------------------------------

template <typename T>
class Asked {
 public:
  bool answered() const { return answer_->has_value(); }
  // Unknown if there is no answer yet.
  absl::Status status() const {
    return answered() ? (*answer_)->status()
                      : absl::UnknownError("there is no answer");
  }
  bool ok() const { return status().ok(); }
  absl::StatusCode code() const { return status().code(); }
  // REQUIRES: ok.
  const T& value() const { return ***answer_; }

  std::function<void(absl::StatusOr<T>)> done() const {
    return [answer = answer_](absl::StatusOr<T> with) {
      EXPECT_FALSE(answer->has_value()) << "answered twice";
      *answer = std::move(with);
    };
  }

 private:
  std::shared_ptr<std::optional<absl::StatusOr<T>>> answer_ =
      std::make_shared<std::optional<absl::StatusOr<T>>>();
};

class AskedStatus : public Asked<bool> {
 public:
  DoneStatus done() const {
    return [done = Asked<bool>::done()](const absl::Status& status) {
      done(status.ok() ? absl::StatusOr<bool>(true) : status);
    };
  }
};

using AskedInfo = Asked<std::optional<OrchestrationInfo>>;

// ---- Answers from workers ---------------------------------------------------

inline OrchestratorAction Complete(
    Payload result = std::nullopt, int32_t id = 100,
    OrchestrationStatus status = OrchestrationStatus::kCompleted) {
  CompleteExecution completion;
  completion.status = status;
  completion.result = std::move(result);
  return {id, std::move(completion)};
}
inline OrchestratorAction AsNew(Payload input,
                                std::vector<std::string> carried_over = {}) {
  CompleteExecution completion;
  completion.status = OrchestrationStatus::kContinuedAsNew;
  completion.result = std::move(input);
  completion.carried_over = std::move(carried_over);
  return {100, std::move(completion)};
}
inline OrchestratorAction CallTask(int32_t id, std::string name) {
  TaskScheduled task;
  task.name = std::move(name);
  return {id, std::move(task)};
}
inline OrchestratorAction TimerAt(int32_t id, absl::Time at) {
  return {id, TimerCreated{ToTimestamp(at)}};
}
inline OrchestratorAction CallChild(int32_t id, std::string instance_id) {
  SubOrchestrationCreated child;
  child.instance_id = std::move(instance_id);
  child.name = "Child";
  return {id, std::move(child)};
}
inline OrchestratorAction SendTo(int32_t id, std::string instance_id,
                                 std::string name) {
  return {id, EventSent{std::move(instance_id), std::move(name), std::nullopt}};
}

inline OrchestratorAction Fail(std::string type) {
  CompleteExecution completion;
  completion.status = OrchestrationStatus::kFailed;
  completion.failure = MakeFailure(std::move(type), "it failed");
  return {100, std::move(completion)};
}
// The answer of an SDK's worker to a rewind turn: the history without what
// failed, and with another execution ID.
inline OrchestratorAction GoOn(const FakeItem& turn, std::string execution_id) {
  std::vector<HistoryEvent> all = turn.past;
  all.insert(all.end(), turn.events.begin(), turn.events.end());
  std::set<int32_t> failed;
  for (const HistoryEvent& event : all) {
    if (const auto* task = event.As<TaskFailed>()) {
      failed.insert(task->task_scheduled_id);
    }
  }
  RewindHistory history;
  for (HistoryEvent& event : all) {
    if (event.As<TaskFailed>() != nullptr ||
        event.As<SubOrchestrationFailed>() != nullptr ||
        event.As<ExecutionCompleted>() != nullptr ||
        (event.As<TaskScheduled>() != nullptr && failed.contains(event.id))) {
      continue;
    }
    if (auto* started = std::get_if<ExecutionStarted>(&event.body)) {
      started->orchestration.execution_id = execution_id;
    }
    history.events.push_back(EncodeEvent(event));
  }
  return {HistoryEvent::kFromOutside, std::move(history)};
}

// ---- The engine -------------------------------------------------------------

class EngineTest : public testing::Test, public EngineObserver {
 protected:
  static constexpr absl::Duration kLease = absl::Seconds(20);

  // The engine, opened; created on first use.
  Engine& engine() {
    if (engine_ == nullptr) Reopen();
    return *engine_;
  }
  // Where its workers connect.
  NodeWorkExchange& work() {
    engine();
    return *work_;
  }
  // Creates an engine that knows only what is in the store.
  void Reopen() {
    Close();
    registry_ = std::make_unique<InstanceRegistry>(
        clock_, tasks_, *context_policy_, initializers_,
        std::vector<InstanceObserver*>{},
        InstanceRegistryOptions{.idle_timeout = kLease});
    work_ = std::make_shared<NodeWorkExchange>(clock_, *this, work_options_);
    engine_ =
        std::make_unique<Engine>(clock_, store_, *registry_, writer_, readers_,
                                 work_->dispatcher(), *this, options_);
    EXPECT_TRUE(engine_->Open().ok());
  }
  void Close() {
    if (engine_ == nullptr) return;
    Settle();
    engine_->Stop();
    bool done = false;
    registry_->Shutdown([&done] { done = true; });
    Settle();
    // Otherwise someone still holds a context.
    EXPECT_TRUE(done);
    EXPECT_EQ(registry_->size(), 0u);
    engine_.reset();
    work_.reset();
    registry_.reset();
    workers_.clear();
  }

  // The process dies without cleanup, and a new one starts.
  void Crash() {
    const std::string left = store_.witness()->Save();
    Close();
    store_.witness()->Restore(left);
    Reopen();
  }

  void TearDown() override { Close(); }

  // Runs all pending tasks.
  void Settle() {
    while (writer_.RunAll() + readers_.RunAll() + tasks_.RunAll() > 0) {
    }
  }
  // Advances the clock; timers fire, leases end.
  void Pass(absl::Duration d) {
    clock_.Advance(d);
    registry_->RunDueLeases();
    engine().FireTimers();
    Settle();
  }
  absl::Time Now() const { return clock_.WallNow(); }

  FakeWorker& Connect(WorkerOptions options = {}) {
    auto worker = std::make_shared<FakeWorker>();
    workers_.push_back(worker);
    options.tenant = worker->tenant = tenant_;
    worker->id = work().Connect(std::move(options), worker);
    return *worker;
  }

  InstanceKey Key(std::string_view id) const {
    return {.tenant = tenant_, .id = std::string(id)};
  }
  StartRequest Request(std::string_view id, Payload input = {}) const {
    StartRequest request;
    request.key = Key(id);
    request.name = "Main";
    request.input = std::move(input);
    return request;
  }
  Asked<StartReceipt> Start(StartRequest request) {
    Asked<StartReceipt> asked;
    engine().Start(std::move(request), asked.done());
    return asked;
  }
  Asked<StartReceipt> Start(std::string_view id, Payload input = {}) {
    return Start(Request(id, std::move(input)));
  }
  AskedInfo Get(std::string_view id) {
    AskedInfo asked;
    engine().Get(Key(id), true, asked.done());
    return asked;
  }
  // The current state, as text.
  std::string StatusOf(std::string_view id) {
    const AskedInfo asked = Get(id);
    Settle();
    if (!asked.ok()) return std::string(asked.status().message());
    if (!asked.value().has_value()) return "none";
    return std::string(StatusName(asked.value()->status));
  }
  AskedInfo Wait(std::string_view id, Until until, uint64_t seen = 0,
                 std::string peer = {}) {
    AskedInfo asked;
    last_wait_ = engine().Wait(
        {.key = Key(id),
         .until = until,
         .payloads = true,
         .seen = seen,
         .peer = std::move(peer)},
        [done = asked.done()](const absl::StatusOr<Engine::SharedInfo>& info) {
          if (!info.ok()) return done(info.status());
          if (*info == nullptr) return done(std::nullopt);
          done(**info);
        });
    return asked;
  }
  AskedStatus Raise(std::string_view id, std::string name) {
    AskedStatus asked;
    engine().RaiseEvent(Key(id), std::move(name), std::nullopt, asked.done());
    return asked;
  }
  AskedStatus Suspend(std::string_view id) {
    AskedStatus asked;
    engine().Suspend(Key(id), std::nullopt, asked.done());
    return asked;
  }
  AskedStatus Resume(std::string_view id) {
    AskedStatus asked;
    engine().Resume(Key(id), std::nullopt, asked.done());
    return asked;
  }
  AskedStatus Terminate(std::string_view id, bool recursive = false) {
    AskedStatus asked;
    engine().Terminate(Key(id), "out", recursive, asked.done());
    return asked;
  }
  AskedStatus TerminateByForce(std::string_view id, bool recursive = false) {
    AskedStatus asked;
    engine().TerminateByForce(Key(id), "out", recursive, asked.done());
    return asked;
  }
  Asked<PurgeResult> Purge(std::string_view id, bool recursive = false) {
    Asked<PurgeResult> asked;
    engine().Purge({Key(id)}, recursive, asked.done());
    return asked;
  }
  // Everything of the tenant.
  AskedStatus Wipe() {
    AskedStatus asked;
    engine().Wipe(tenant_, asked.done());
    return asked;
  }
  AskedStatus Rewind(std::string_view id) {
    AskedStatus asked;
    engine().Rewind(Key(id), "again", asked.done());
    return asked;
  }
  AskedStatus Answer(const FakeItem& turn, TurnAnswer answer) {
    AskedStatus asked;
    work().CompleteTurn(turn.work_name(), std::move(answer), asked.done());
    return asked;
  }
  AskedStatus Answer(const FakeItem& turn,
                     std::vector<OrchestratorAction> actions = {}) {
    TurnAnswer answer;
    answer.actions = std::move(actions);
    return Answer(turn, std::move(answer));
  }
  AskedStatus Done(const FakeItem& activity, Payload result = {}) {
    AskedStatus asked;
    work().CompleteActivity(activity.work_name(),
                            TaskCompleted{0, std::move(result)}, asked.done());
    return asked;
  }
  void Abandon(const FakeItem& item) {
    work().Abandon(item.kind, item.work_name());
  }
  // Starts an orchestration, and answers its first turn.
  void Run(FakeWorker& worker, std::string_view id,
           std::vector<OrchestratorAction> actions = {}) {
    const auto start = Start(id);
    Settle();
    ASSERT_TRUE(start.ok()) << start.status();
    const AskedStatus answer = Answer(worker.TakeTurn(), std::move(actions));
    Settle();
    ASSERT_TRUE(answer.ok()) << answer.status();
  }
  // A part of a history.
  Asked<HistoryPage> Page(std::string_view id, HistoryQuery query) {
    Asked<HistoryPage> asked;
    engine().ReadHistory(Key(id), std::move(query), asked.done());
    Settle();
    return asked;
  }
  // The history of the present execution, or of another that is kept.
  std::vector<std::string> History(std::string_view id,
                                   Payload execution_id = std::nullopt) {
    std::vector<std::string> words;
    std::optional<HistoryQuery> query =
        HistoryQuery{.execution_id = std::move(execution_id), .replaced = true};
    while (query.has_value()) {
      const Asked<HistoryPage> page = Page(id, *query);
      if (!page.ok()) return {std::string(page.status().message())};
      for (const std::string& chunk : page.value().chunks) {
        ForEachFrame(chunk, [&](std::string_view bytes) {
          words.push_back(Word(*DecodeEvent(bytes)));
        });
      }
      query = page.value().next;
    }
    return words;
  }
  // How often the observer was told of this.
  size_t CountTold(WorkEventKind kind) const {
    return static_cast<size_t>(
        std::count_if(told_.begin(), told_.end(),
                      [kind](const WorkEvent& e) { return e.kind == kind; }));
  }
  // The last event of this kind; if there is none, fails the test and returns
  // an empty one.
  WorkEvent Told(WorkEventKind kind) const {
    for (auto event = told_.rbegin(); event != told_.rend(); ++event) {
      if (event->kind == kind) return *event;
    }
    ADD_FAILURE() << "nothing was told of " << WorkEventName(kind);
    return {};
  }
  size_t pins(std::string_view id) {
    const auto info = registry_->Describe(Key(id));
    size_t count = 0;
    if (info.has_value()) {
      for (const auto& pin : info->pins) count += pin.count;
    }
    return count;
  }

  // Whose callers and workers the test is from now on.
  std::string tenant_{kTestTenant};
  SimulatedClock clock_;
  ManualExecutor tasks_;
  ManualExecutor writer_;
  ManualExecutor readers_;
  MemoryStore memory_;
  FaultStore store_{memory_};
  SharedProvider provider_;
  // Of the registry; a test sets them before the engine is used.
  InstanceContextProvider* context_policy_ = &provider_;
  std::vector<ContextInitializer*> initializers_;
  std::unique_ptr<InstanceRegistry> registry_;
  EngineOptions options_ = {.check_invariants = true,
                            .outbox_shortcut = HasOutboxShortcut()};
  WorkExchangeOptions work_options_ = {.check_invariants = true};
  std::shared_ptr<NodeWorkExchange> work_;
  Engine::WaitId last_wait_ = 0;
  std::vector<absl::Status> store_failures_;
  std::vector<size_t> recoveries_;
  std::optional<EngineCounts> stopped_;
  std::vector<WorkEvent> told_;    // About work and workers.
  bool wants_lives_ = false;       // And about starts and ends.
  std::vector<int64_t> retained_;  // How many each round of retention erased.

 private:
  void OnStoreFailed(const absl::Status& status) override {
    store_failures_.push_back(status);
  }
  void OnStoreRecovered(size_t open) override { recoveries_.push_back(open); }
  void OnWork(const WorkEvent& event) override { told_.push_back(event); }
  bool WantsLives() const override { return wants_lives_; }
  void OnRetention(int64_t erased) override { retained_.push_back(erased); }
  void OnStopped(const EngineCounts& counts) override { stopped_ = counts; }

  std::vector<std::shared_ptr<FakeWorker>> workers_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_ORCHESTRATION_ENGINE_FIXTURE_H_
