// The engine's way from what has come to what workers do, and back.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/work_item.h"

namespace leasehold {
namespace {

// Of a longer history only a part is sent to workers that fetch the rest.
constexpr size_t kStreamedHistoryBytes = 1 << 20;

constexpr absl::Duration kTurnClockStep = absl::Milliseconds(1);

}  // namespace

// ---- Lining up --------------------------------------------------------------

void Engine::LineUpLocked(Orchestration& orchestration) {
  if (orchestration.gone || !orchestration.durable || orchestration.ending ||
      orchestration.committing || orchestration.held ||
      orchestration.inbox.empty() ||
      orchestration.turn.state != Work::State::kIdle) {
    return;
  }
  const bool waits = orchestration.status == OrchestrationStatus::kSuspended ||
                     orchestration.start_at != 0;
  if (waits &&
      std::none_of(orchestration.inbox.begin(), orchestration.inbox.end(),
                   [](const Message& m) { return m.urgent; })) {
    return;
  }
  dispatcher_.Enqueue(orchestration.turn);
}

void Engine::LineUpAgainLocked(Orchestration& orchestration, int32_t id) {
  if (id == Timers::kTurn) {
    orchestration.held = false;
    return LineUpLocked(orchestration);
  }
  const auto it = orchestration.activities.find(id);
  if (it != orchestration.activities.end() &&
      it->second->state == Work::State::kIdle && !it->second->ended) {
    dispatcher_.Enqueue(*it->second);
  }
}

void Engine::FireLocked(Orchestration& orchestration, int32_t id) {
  // Behind what is on its way to the store: messages come in the order of
  // their sequences, as a turn takes all up to one.
  Message message{.sequence = ++orchestration.last_sequence,
                  .execution_id = orchestration.execution_id,
                  .timer = id};
  PendingCommit commit;
  commit.apply.push_back([this, target = orchestration.shared_from_this(),
                          message = std::move(message)] {
    mu_.AssertHeld();
    ReceiveLocked(*target, message);
  });
  commits_.Submit(std::move(commit));
}

void Engine::AddActivityLocked(Orchestration& orchestration, int32_t id,
                               TaskScheduled task) {
  auto [it, added] = orchestration.activities.try_emplace(id);
  if (!added) return;  // A worker gave two activities one ID.
  // One without a version has that of its orchestration.
  std::string version = task.version.value_or("");
  if (version.empty()) version = orchestration.turn.version;
  it->second = std::make_unique<ActivityWork>(
      orchestration, id, std::move(task), std::move(version));
  dispatcher_.Enqueue(*it->second);
}

// ---- Going out --------------------------------------------------------------

// Makes a pin for work out of the grant that comes.
class Engine::AcquireForWork final : public PinWaiter {
 public:
  static void Begin(Engine& engine, const OrchestrationPtr& orchestration) {
    auto* waiter = new AcquireForWork(engine, orchestration);
    if (auto grant = engine.registry_.Acquire(*waiter)) {
      waiter->OnGrant(*std::move(grant));
    }
  }

  void OnGrant(absl::StatusOr<PinGrant> grant) override {
    engine_.OnPinned(orchestration_, std::move(grant));
    delete this;
  }

 private:
  AcquireForWork(Engine& engine, OrchestrationPtr orchestration)
      : PinWaiter({.key = orchestration->key,
                   .service_idle_timeout = engine.options_.idle_timeout,
                   .promised = true}),
        engine_(engine),
        orchestration_(std::move(orchestration)) {}
  ~AcquireForWork() override = default;

  Engine& engine_;
  const OrchestrationPtr orchestration_;
};

// Takes work back from its workers when its context is released by force.
class Engine::ForcedRelease final : public ReleaseListener {
 public:
  ForcedRelease(Engine& engine, std::weak_ptr<Orchestration> orchestration)
      : engine_(engine), orchestration_(std::move(orchestration)) {}

  void OnForcedRelease() override {
    if (const OrchestrationPtr orchestration = orchestration_.lock()) {
      engine_.OnForcedRelease(orchestration);
    }
  }

 private:
  Engine& engine_;
  const std::weak_ptr<Orchestration> orchestration_;
};

void Engine::SendOutLocked(Work& work) {
  Orchestration& orchestration = Owned(work).owner;
  Owned(work).sent = false;
  if (!std::exchange(Owned(work).pins, true)) ++orchestration.pins;
  if (orchestration.pin != nullptr) return SendLocked(work);
  orchestration.unsent.push_back(&work);
  if (std::exchange(orchestration.pinning, true)) return;
  deferred_.to_pin.push_back(orchestration.shared_from_this());
}

void Engine::PinLater(const OrchestrationPtr& orchestration) {
  AcquireForWork::Begin(*this, orchestration);
}

void Engine::OnPinned(const OrchestrationPtr& orchestration,
                      absl::StatusOr<PinGrant> grant) {
  std::unique_ptr<HeldPin> pin;
  OrchestrationInstance* hot = nullptr;
  if (grant.ok()) {
    hot = grant->pin->GetOrAttach<OrchestrationInstance>(*this);
    pin = std::make_unique<HeldPin>(
        std::move(grant->pin), PinKind::kWorkItem,
        std::make_shared<ForcedRelease>(*this, orchestration));
  }
  Section section(*this);
  orchestration->pinning = false;
  const std::vector<Work*> unsent = std::exchange(orchestration->unsent, {});
  if (orchestration->gone || orchestration->pins == 0) {
    if (pin != nullptr) deferred_.unpinned.push_back(std::move(pin));
    return;
  }
  if (pin == nullptr) {
    // The server ends, or an initializer refuses: later perhaps.
    for (Work* work : unsent) RetryLocked(*work);
    return;
  }
  orchestration->pin = std::move(pin);
  if (orchestration->hot != hot) {
    orchestration->hot = hot;
    hot->Forget();
    hot->owner_ = orchestration.get();
  }
  for (Work* work : unsent) {
    if (work->state == Work::State::kOut) SendLocked(*work);
  }
}

void Engine::UnpinLocked(Work& work) {
  Orchestration& orchestration = Owned(work).owner;
  if (!std::exchange(Owned(work).pins, false)) return;
  if (--orchestration.pins > 0) return;
  if (orchestration.pin != nullptr) {
    deferred_.unpinned.push_back(std::move(orchestration.pin));
  }
}

void Engine::SendLocked(Work& work) {
  if (work.kind == WorkKind::kActivity) {
    return SendActivityLocked(static_cast<ActivityWork&>(work));
  }
  Orchestration& orchestration = Owned(work).owner;
  if (orchestration.hot->state_ != nullptr) {
    SendTurnLocked(orchestration);
  } else {
    ThawLocked(orchestration);
  }
}

void Engine::SendActivityLocked(ActivityWork& work) {
  const Orchestration& orchestration = work.owner;
  work.sent = true;
  deferred_.items.emplace_back(
      dispatcher_.FindSink(work.worker),
      EncodeActivityItem({.token = work.token,
                          .instance_id = orchestration.key.id,
                          .execution_id = orchestration.execution_id,
                          .id = work.id,
                          .task = work.task}));
}

void Engine::SendTurnLocked(Orchestration& orchestration) {
  const HotState& hot = *orchestration.hot->state_;
  auto sent = std::make_unique<SentTurn>();
  // The orchestrator's clock always goes forward, and is never before a timer
  // that it is told of.
  sent->time =
      std::max(NowLocked(),
               ToTimestamp(ToTime(orchestration.turn_time) + kTurnClockStep));
  sent->events.emplace_back();  // OrchestratorStarted, once its time is known.
  for (const Message& message : orchestration.inbox) {
    // A rewind goes alone.
    if (sent->rewinds || (message.rewinds && sent->last_sequence != 0)) break;
    sent->rewinds = message.rewinds;
    sent->last_sequence = message.sequence;
    std::string event = message.event;
    if (message.timer.has_value()) {
      sent->timers.push_back(*message.timer);
      const auto timer = hot.state.timers.find(*message.timer);
      if (timer == hot.state.timers.end()) continue;  // Nobody waits for it.
      sent->time = std::max(sent->time, timer->second);
      event = EncodeEvent({HistoryEvent::kFromOutside, timer->second,
                           TimerFired{timer->second, timer->first}});
    } else {
      sent->stored = true;
    }
    if (event.empty()) continue;  // It only wakes.
    sent->events.push_back(std::move(event));
    sent->sequences.push_back(message.sequence);
  }
  sent->events.front() = EncodeEvent(
      {HistoryEvent::kFromOutside, sent->time, OrchestratorStarted{}});
  OwnedWork& work = orchestration.turn;
  std::string item = EncodeTurnItem(
      {.token = work.token,
       .instance_id = orchestration.key.id,
       .execution_id = orchestration.execution_id,
       .past = hot.past,
       .past_is_streamed = hot.past.size() > kStreamedHistoryBytes &&
                           dispatcher_.StreamsHistory(work.worker),
       .events = sent->events,
       .trace_context = hot.summary.trace_context});
  work.sent = true;
  sent->bytes = item.size();
  deferred_.items.emplace_back(dispatcher_.FindSink(work.worker),
                               std::move(item));
  orchestration.sent = std::move(sent);
}

// ---- Thawing and parking ----------------------------------------------------

void Engine::ThawLocked(Orchestration& orchestration) {
  if (orchestration.fresh != nullptr) {
    orchestration.hot->state_ = std::move(orchestration.fresh);
    return SendTurnLocked(orchestration);
  }
  if (orchestration.hot->load_ != 0) return;
  orchestration.hot->load_ = ++last_load_;
  readers_.Post([this, orchestration = orchestration.shared_from_this(),
                 load = last_load_] { ReadForThaw(orchestration, load); });
}

void Engine::ReadForThaw(const OrchestrationPtr& orchestration, uint64_t load) {
  const InstanceKey& key = orchestration->key;
  const auto row = store_.Find(key.tenant, key.id);
  const auto history = store_.ReadHistory(orchestration->number);
  auto state = std::make_unique<HotState>();
  bool good = row.ok() && row->has_value() && history.ok();
  if (good) {
    absl::StatusOr<OrchestrationInfo> info = InfoOf(**row);
    good = info.ok();
    if (good) {
      state->created = info->created;
      state->summary = std::move(info->summary);
    }
    for (const std::string& chunk : *history) {
      good = good && state->state.ApplyFrames(chunk);
      state->past.append(chunk);
    }
    state->chunks = static_cast<int64_t>(history->size());
  }

  Section section(*this);
  OrchestrationInstance* hot = orchestration->hot;
  if (orchestration->gone || hot == nullptr || hot->load_ != load) return;
  hot->load_ = 0;
  const bool out = orchestration->turn.state == Work::State::kOut;
  if (!good) {
    // Nothing is sent of a history that cannot be read. It is tried again: the
    // store may be about to be opened anew.
    if (out) RetryLocked(orchestration->turn);
    return;
  }
  hot->state_ = std::move(state);
  if (out) SendTurnLocked(*orchestration);
}

void OrchestrationInstance::OnDetach(InstanceContext&, DetachReason,
                                     HookDone done) {
  engine_.Park(*this);
  done();
}

void OrchestrationInstance::Forget() {
  owner_ = nullptr;
  state_.reset();
  load_ = 0;
}

void Engine::Park(OrchestrationInstance& hot) {
  MutexLock lock(mu_);
  if (Orchestration* owner = hot.owner_) {
    owner->hot = nullptr;
    // What is left of it may lie here for long.
    owner->inbox.shrink_to_fit();
    owner->turn.token.shrink_to_fit();
  }
  hot.Forget();
}

void Engine::OnForcedRelease(const OrchestrationPtr& orchestration) {
  Section section(*this);
  if (orchestration->gone) return;
  // An answer that is on its way to the store needs no context.
  const auto take_back = [this](OwnedWork& work) {
    mu_.AssertHeld();
    if (work.state == Work::State::kOut) dispatcher_.PutBack(work);
    UnpinLocked(work);
  };
  orchestration->unsent.clear();
  take_back(orchestration->turn);
  for (auto& [id, activity] : orchestration->activities) take_back(*activity);
}

}  // namespace leasehold
