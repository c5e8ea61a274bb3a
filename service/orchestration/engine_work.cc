// The engine's handling of work: from received messages to workers, and back.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/work_item.h"

namespace leasehold {
namespace {

// Of a longer history, workers that fetch the rest are sent only a part.
constexpr size_t kStreamedHistoryBytes = 1 << 20;

constexpr absl::Duration kTurnClockStep = absl::Milliseconds(1);

// An orchestrator's clock is ahead by this much only if the wall clock was set
// back: its own steps are smaller.
constexpr absl::Duration kAheadMin = absl::Seconds(1);

// Builds a hot state from stored data.
//   DataLoss: the data cannot be read.
absl::Status ThawInto(const RunRow& row,
                      const std::vector<std::string>& history,
                      HotState& state) {
  absl::StatusOr<OrchestrationInfo> info = InfoOf(row);
  if (!info.ok()) return info.status();
  state.created = info->created;
  state.summary = std::move(info->summary);
  const auto chunks = static_cast<int64_t>(history.size());
  if (chunks < state.summary.chunks) {
    return absl::DataLossError(absl::StrCat("its history has ", chunks,
                                            " chunks and should have ",
                                            state.summary.chunks));
  }
  for (const std::string& chunk : history) {
    if (!state.state.ApplyFrames(chunk)) {
      return absl::DataLossError("its history has something that is no event");
    }
    state.past.append(chunk);
  }
  state.chunks = chunks;
  return absl::OkStatus();
}

// Whether the turn is out and lacked only its content. A turn without a pin is
// sent once it has one.
bool AwaitsSending(const Orchestration& orchestration) {
  return orchestration.turn.state == Work::State::kOut &&
         orchestration.pin != nullptr;
}

}  // namespace

// ---- Lining up --------------------------------------------------------------

void Engine::LineUpLocked(Orchestration& orchestration) {
  if (orchestration.gone || !orchestration.durable || orchestration.ending ||
      orchestration.committing || orchestration.held ||
      orchestration.damage != nullptr || orchestration.inbox.empty() ||
      orchestration.turn.state != Work::State::kIdle) {
    return;
  }
  const bool waits = orchestration.status == OrchestrationStatus::kSuspended ||
                     orchestration.start_at != 0;
  if (waits && !orchestration.inbox.HasUrgent()) return;
  dispatcher_.Enqueue(orchestration.turn);
  if (orchestration.terminating) {
    newly_terminating_.push_back(orchestration.number);
  }
}

void Engine::LineUpAgainLocked(Orchestration& orchestration, int32_t id) {
  const auto it = orchestration.activities.find(id);
  if (it != orchestration.activities.end() &&
      it->second->state == Work::State::kIdle && !it->second->ended) {
    dispatcher_.Enqueue(*it->second);
  }
}

void Engine::FireLocked(Orchestration& orchestration, int32_t id) {
  // After the messages being committed: messages arrive in the order of their
  // sequences, since a turn takes all up to one.
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

ActivityWork* Engine::MakeActivityLocked(Orchestration& orchestration,
                                         int32_t id, TaskScheduled task,
                                         bool away) {
  auto [it, added] = orchestration.activities.try_emplace(id);
  if (!added) return nullptr;  // Duplicate ID from a worker.
  // Without a version of its own it has its orchestration's.
  std::string version = task.version.value_or("");
  if (version.empty()) version = orchestration.turn.version;
  it->second = std::make_unique<ActivityWork>(
      orchestration, id, std::move(task), away, std::move(version));
  return it->second.get();
}

void Engine::AddActivityLocked(Orchestration& orchestration, int32_t id,
                               TaskScheduled task) {
  const bool away =
      task.input.has_value() && task.input->size() > kLargeTaskBytes;
  if (away) task.input.reset();
  ActivityWork* work =
      MakeActivityLocked(orchestration, id, std::move(task), away);
  if (work != nullptr) dispatcher_.Enqueue(*work);
}

// ---- Going out --------------------------------------------------------------

// Turns the grant into a pin for work.
class Engine::AcquireForWork final : public PinWaiter {
 public:
  static void Begin(Engine& engine, const OrchestrationPtr& orchestration) {
    auto* waiter = new AcquireForWork(engine, orchestration);
    if (auto grant = engine.Acquire(*waiter)) {
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
  // A remote worker may keep an activity for days: the server's death is no
  // evidence against it until its answer comes.
  if (work.kind == WorkKind::kTurn || dispatcher_.IsLastResort(work.worker)) {
    NoteOutLocked(work);
  }
  if (orchestration.pin != nullptr) return SendLocked(work);
  if (orchestration.offer != nullptr) {
    AdoptLocked(orchestration,
                HoldOf(orchestration, orchestration.offer->pin.Clone()),
                *orchestration.offer->hot);
    effects_.to_list.push_back(orchestration.pin);
    return SendLocked(work);
  }
  orchestration.unsent.push_back(&work);
  if (std::exchange(orchestration.pinning, true)) return;
  effects_.to_pin.push_back(orchestration.shared_from_this());
}

void Engine::PinLater(const OrchestrationPtr& orchestration) {
  AcquireForWork::Begin(*this, orchestration);
}

void Engine::OnPinned(const OrchestrationPtr& orchestration,
                      absl::StatusOr<PinGrant> grant) {
  std::shared_ptr<ContextHold> pin;
  HotOrchestration* hot = nullptr;
  if (grant.ok()) {
    hot = grant->pin->GetOrAttach<HotOrchestration>(*this);
    pin = HoldOf(*orchestration, std::move(grant->pin));
    pin->List();
  }
  Section section(*this);
  orchestration->pinning = false;
  const std::vector<Work*> unsent = std::exchange(orchestration->unsent, {});
  if (orchestration->gone || orchestration->pins == 0) {
    if (pin != nullptr) effects_.unpinned.push_back(std::move(pin));
    return;
  }
  if (pin == nullptr) {
    // The server is stopping, or an initializer refuses: retry later.
    for (Work* work : unsent) RetryLocked(*work);
    return;
  }
  AdoptLocked(*orchestration, std::move(pin), *hot);
  for (Work* work : unsent) {
    if (work->state == Work::State::kOut) SendLocked(*work);
  }
}

std::shared_ptr<ContextHold> Engine::HoldOf(Orchestration& orchestration,
                                            Pin pin) {
  return std::make_shared<ContextHold>(
      std::move(pin),
      std::make_shared<ForcedRelease>(*this, orchestration.weak_from_this()));
}

void Engine::AdoptLocked(Orchestration& orchestration,
                         std::shared_ptr<ContextHold> pin,
                         HotOrchestration& hot) {
  orchestration.pin = std::move(pin);
  if (orchestration.hot == &hot) return;
  orchestration.hot = &hot;
  hot.Forget();
  hot.owner_ = &orchestration;
}

void Engine::UnpinLocked(Work& work) {
  Orchestration& orchestration = Owned(work).owner;
  if (!std::exchange(Owned(work).pins, false)) return;
  NoteInLocked(work);
  if (--orchestration.pins > 0) return;
  if (orchestration.pin != nullptr) {
    effects_.unpinned.push_back(std::move(orchestration.pin));
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

bool Engine::PutBackIfFullLocked(Work& work) {
  if (!dispatcher_.IsFull(work.worker)) return false;
  dispatcher_.PutBack(work);
  UnpinLocked(work);
  return true;
}

void Engine::SendItemLocked(Work& work, std::string item) {
  Owned(work).sent_at = WatchLocked(work);
  std::shared_ptr<WorkSink> sink = dispatcher_.FindSink(work.worker);
  // Counted here: more is handed out before the lock is released.
  sink->Announce(item.size());
  effects_.items.emplace_back(std::move(sink), std::move(item));
}

void Engine::SendActivityLocked(ActivityWork& work) {
  if (!work.away) return SendActivityLocked(work, work.task);
  readers_.Post([this, orchestration = work.owner.shared_from_this(),
                 id = work.id,
                 token = work.token] { ReadTask(orchestration, id, token); });
}

void Engine::ReadTask(const OrchestrationPtr& orchestration, int32_t id,
                      const std::string& token) {
  const auto row = store_.ReadTask(orchestration->number, id);
  absl::Status status = row.status();
  std::optional<TaskScheduled> task;
  if (status.ok() && row->has_value()) {
    task = DecodeMessage<TaskScheduled>((*row)->task);
    if (!task.has_value()) {
      status = absl::DataLossError(absl::StrCat(
          "what is stored of its activity ", id, " is not an activity"));
    }
  }

  Section section(*this);
  if (orchestration->gone) return;
  const auto it = orchestration->activities.find(id);
  // Otherwise it was put back, and may have been handed out again.
  if (it == orchestration->activities.end() ||
      it->second->state != Work::State::kOut || it->second->token != token) {
    return;
  }
  if (SetAsideIfLostLocked(*orchestration, status)) return;
  // If the task is missing, another execution is about to begin.
  if (!task.has_value()) return RetryLocked(*it->second);
  SendActivityLocked(*it->second, *task);
}

void Engine::SendActivityLocked(ActivityWork& work, const TaskScheduled& task) {
  if (PutBackIfFullLocked(work)) return;
  const Orchestration& orchestration = work.owner;
  work.sent = true;
  SendItemLocked(work,
                 EncodeActivityItem({.token = work.token,
                                     .instance_id = orchestration.key.id,
                                     .execution_id = orchestration.execution_id,
                                     .id = work.id,
                                     .task = task}));
}

void Engine::SendTurnLocked(Orchestration& orchestration,
                            const ReadEvents& read) {
  if (PutBackIfFullLocked(orchestration.turn)) return;
  const HotState& hot = *orchestration.hot->state_;
  const absl::Span<const Message> messages = orchestration.inbox.NextTurn();
  if (std::any_of(messages.begin(), messages.end(),
                  [&read](const Message& message) {
                    return message.away && !read.contains(message.sequence);
                  })) {
    return ReadInboxLocked(orchestration);
  }
  auto sent = std::make_unique<SentTurn>();
  // The orchestrator's clock never goes back, and is never before a timer that
  // is reported to it.
  sent->time =
      std::max(NowLocked(),
               ToTimestamp(ToTime(orchestration.turn_time) + kTurnClockStep));
  sent->events.emplace_back();  // OrchestratorStarted, filled in below.
  for (const Message& message : messages) {
    sent->rewinds = message.rewinds;
    sent->last_sequence = message.sequence;
    std::string event =
        message.away ? read.at(message.sequence) : message.event;
    if (message.timer.has_value()) {
      sent->timers.push_back(*message.timer);
      const auto timer = hot.state.timers.find(*message.timer);
      if (timer == hot.state.timers.end()) continue;  // No longer awaited.
      sent->time = std::max(sent->time, timer->second);
      event = EncodeEvent({HistoryEvent::kFromOutside, timer->second,
                           TimerFired{timer->second, timer->first}});
    } else {
      sent->stored = true;
    }
    if (event.empty()) continue;  // A mere wake-up.
    sent->events.push_back(std::move(event));
    sent->sequences.push_back(message.sequence);
  }
  const absl::Duration ahead = ToTime(sent->time) - clock_.WallNow();
  if (ahead > kAheadMin) sent->ahead = absl::ToInt64Microseconds(ahead);
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
  SendItemLocked(work, std::move(item));
  orchestration.sent = std::move(sent);
}

void Engine::ReadInboxLocked(Orchestration& orchestration) {
  if (orchestration.hot->load_ != 0) return;
  orchestration.hot->load_ = ++last_load_;
  MessageRange range;
  bool found = false;
  for (const Message& message : orchestration.inbox.NextTurn()) {
    if (!message.away) continue;
    if (!std::exchange(found, true)) range.first = message.sequence;
    range.last = message.sequence;
  }
  readers_.Post([this, orchestration = orchestration.shared_from_this(),
                 load = last_load_,
                 range] { ReadInbox(orchestration, load, range); });
}

void Engine::ReadInbox(const OrchestrationPtr& orchestration, uint64_t load,
                       const MessageRange& range) {
  auto rows = store_.ReadMessages(orchestration->number, range);
  ReadEvents read;
  if (rows.ok()) {
    for (MessageRow& row : *rows) {
      read.emplace(row.sequence, std::move(row.event));
    }
  }

  Section section(*this);
  HotOrchestration* hot = orchestration->hot;
  if (orchestration->gone || hot == nullptr || hot->load_ != load) return;
  hot->load_ = 0;
  if (SetAsideIfLostLocked(*orchestration, rows.status())) return;
  // Otherwise it was put back, or its last answer has come after all.
  if (!AwaitsSending(*orchestration)) return;
  if (!rows.ok()) return RetryLocked(orchestration->turn);
  if (hot->state_ == nullptr) return ThawLocked(*orchestration);
  for (const Message& message : orchestration->inbox.NextTurn()) {
    if (message.away && message.sequence <= range.last &&
        !read.contains(message.sequence)) {
      return SetAsideLocked(
          *orchestration,
          absl::StrCat("its message ", message.sequence, " is missing"));
    }
  }
  SendTurnLocked(*orchestration, read);
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
  absl::Status good = row.status();
  if (good.ok()) good = history.status();
  if (good.ok() && !row->has_value()) good = absl::UnavailableError("gone");
  if (good.ok()) good = ThawInto(**row, *history, *state);
  if (absl::IsDataLoss(good) && store_.Find(key.tenant, key.id) != row) {
    good = absl::UnavailableError("it has changed while it was read");
  }

  Section section(*this);
  HotOrchestration* hot = orchestration->hot;
  if (orchestration->gone || hot == nullptr || hot->load_ != load) return;
  hot->load_ = 0;
  const bool out = AwaitsSending(*orchestration);
  if (SetAsideIfLostLocked(*orchestration, good)) return;
  if (!good.ok()) {
    // Retry: the store may be about to be reopened.
    if (out) RetryLocked(orchestration->turn);
    return;
  }
  hot->state_ = std::move(state);
  if (out) SendTurnLocked(*orchestration);
}

void HotOrchestration::OnDetach(InstanceContext&, DetachReason, HookDone done) {
  engine_.Park(*this);
  done();
}

void HotOrchestration::Forget() {
  owner_ = nullptr;
  state_.reset();
  load_ = 0;
}

void Engine::Park(HotOrchestration& hot) {
  const Look look(*this);
  if (Orchestration* owner = hot.owner_) {
    owner->hot = nullptr;
    // The remaining memory may stay for long.
    owner->inbox.ShrinkToFit();
    owner->turn.token.shrink_to_fit();
  }
  hot.Forget();
}

void Engine::OnForcedRelease(const OrchestrationPtr& orchestration) {
  Section section(*this);
  if (orchestration->gone) return;
  // An answer that is being committed does not need the context.
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
