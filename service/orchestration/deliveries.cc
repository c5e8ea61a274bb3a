#include "service/orchestration/deliveries.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/base/invariant.h"
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
      return absl::DataLossError(
          "its history contains something that is not an event");
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

void Deliveries::LineUpLocked(Orchestration& orchestration) {
  engine_.mu_.AssertHeld();
  if (orchestration.gone || !orchestration.durable || orchestration.ending ||
      orchestration.committing || orchestration.held ||
      orchestration.damage != nullptr || orchestration.inbox.empty() ||
      orchestration.turn.state != Work::State::kIdle) {
    return;
  }
  const bool waits = orchestration.status == OrchestrationStatus::kSuspended ||
                     orchestration.start_at != 0;
  if (waits && !orchestration.inbox.HasUrgent()) return;
  engine_.dispatcher_.Enqueue(engine_.owner_, orchestration.turn);
  if (orchestration.terminating) {
    engine_.ends_.NoteTerminatingLocked(orchestration.number);
  }
}

void Deliveries::LineUpAgainLocked(Orchestration& orchestration, int32_t id) {
  engine_.mu_.AssertHeld();
  const auto it = orchestration.activities.find(id);
  if (it != orchestration.activities.end() &&
      it->second->state == Work::State::kIdle && !it->second->ended) {
    engine_.dispatcher_.Enqueue(engine_.owner_, *it->second);
  }
}

ActivityWork* Deliveries::MakeActivityLocked(Orchestration& orchestration,
                                             int32_t id, TaskScheduled task,
                                             bool away) {
  engine_.mu_.AssertHeld();
  auto [it, added] = orchestration.activities.try_emplace(id);
  if (!added) return nullptr;  // Duplicate ID from a worker.
  // Without a version of its own it has its orchestration's.
  std::string version = task.version.value_or("");
  if (version.empty()) version = orchestration.turn.version;
  it->second = std::make_unique<ActivityWork>(
      orchestration, id, std::move(task), away, std::move(version));
  return it->second.get();
}

void Deliveries::AddActivityLocked(Orchestration& orchestration, int32_t id,
                                   TaskScheduled task) {
  engine_.mu_.AssertHeld();
  const bool away =
      task.input.has_value() && task.input->size() > kLargeTaskBytes;
  if (away) task.input.reset();
  ActivityWork* work =
      MakeActivityLocked(orchestration, id, std::move(task), away);
  if (work != nullptr) engine_.dispatcher_.Enqueue(engine_.owner_, *work);
}

// ---- Going out --------------------------------------------------------------

// Turns the grant into a pin for work.
class Deliveries::AcquireForWork final : public PinWaiter {
 public:
  AcquireForWork(Deliveries& deliveries, absl::Duration idle_timeout,
                 DurablePtr owner)
      : PinWaiter({.key = owner->key,
                   .service_idle_timeout = idle_timeout,
                   .promised = true}),
        deliveries_(deliveries),
        owner_(std::move(owner)) {}

  void OnGrant(absl::StatusOr<PinGrant> grant) override {
    deliveries_.OnPinned(owner_, std::move(grant));
    delete this;
  }

 private:
  ~AcquireForWork() override = default;

  Deliveries& deliveries_;
  const DurablePtr owner_;
};

// Takes work back from its workers when its context is released by force.
class Deliveries::ForcedRelease final : public ReleaseListener {
 public:
  ForcedRelease(Deliveries& deliveries, std::weak_ptr<Durable> owner)
      : deliveries_(deliveries), owner_(std::move(owner)) {}

  void OnForcedRelease() override {
    if (const DurablePtr owner = owner_.lock()) {
      deliveries_.OnForcedRelease(owner);
    }
  }

 private:
  Deliveries& deliveries_;
  const std::weak_ptr<Durable> owner_;
};

void Deliveries::SendOutLocked(Work& work) {
  engine_.mu_.AssertHeld();
  Durable& owner = Owned(work).owner;
  CheckInvariant(owner.durable && !owner.gone,
                 "only work of what is durable goes out");
  Owned(work).sent = false;
  Owned(work).refused = false;
  if (!std::exchange(Owned(work).pins, true)) ++owner.pins;
  // A remote worker may keep an activity for days: the server's death is no
  // evidence against it until its answer comes.
  if (work.kind != WorkKind::kActivity || work.taker->last_resort) {
    engine_.recovery_.NoteOutLocked(work);
  }
  if (owner.pin != nullptr) return SendLocked(work);
  if (owner.offer != nullptr) {
    AdoptLocked(owner, HoldOf(owner, owner.offer->pin.Clone()),
                *owner.offer->hot);
    engine_.effects_.to_list.push_back(owner.pin);
    return SendLocked(work);
  }
  owner.unsent.push_back(&work);
  if (std::exchange(owner.pinning, true)) return;
  engine_.effects_.to_pin.push_back(owner.shared_from_this());
}

void Deliveries::Pin(const DurablePtr& owner) {
  auto* waiter =
      new AcquireForWork(*this, engine_.options_.idle_timeout, owner);
  if (auto grant = engine_.Acquire(*waiter)) {
    waiter->OnGrant(*std::move(grant));
  }
}

void Deliveries::OnPinned(const DurablePtr& owner,
                          absl::StatusOr<PinGrant> grant) {
  std::shared_ptr<ContextHold> pin;
  HotOrchestration* hot = nullptr;
  const absl::Status why = grant.status();
  if (grant.ok()) {
    hot = grant->pin->GetOrAttach<HotOrchestration>(engine_);
    pin = HoldOf(*owner, std::move(grant->pin));
    pin->List();
  }
  Engine::Section section(engine_);
  owner->pinning = false;
  const std::vector<Work*> unsent = std::exchange(owner->unsent, {});
  if (owner->gone || owner->pins == 0) {
    if (pin != nullptr) engine_.effects_.unpinned.push_back(std::move(pin));
    return;
  }
  if (pin == nullptr) {
    // The server is stopping, or an initializer refuses (the tenant has as many
    // contexts as it may): retry later.
    owner->refused = std::make_unique<const std::string>(why.message());
    for (Work* work : unsent) {
      Owned(*work).refused = true;
      engine_.answers_.RetryLocked(*work);
    }
    return;
  }
  AdoptLocked(*owner, std::move(pin), *hot);
  for (Work* work : unsent) {
    if (work->state == Work::State::kOut) SendLocked(*work);
  }
}

std::shared_ptr<ContextHold> Deliveries::HoldOf(Durable& owner,
                                                leasehold::Pin pin) {
  return std::make_shared<ContextHold>(
      std::move(pin),
      std::make_shared<ForcedRelease>(*this, owner.weak_from_this()));
}

void Deliveries::AdoptLocked(Durable& owner, std::shared_ptr<ContextHold> pin,
                             HotOrchestration& hot) {
  engine_.mu_.AssertHeld();
  CheckInvariant(owner.pin == nullptr && pin != nullptr,
                 "an orchestration holds its context once");
  owner.pin = std::move(pin);
  owner.refused.reset();
  if (owner.hot == &hot) return;
  owner.hot = &hot;
  hot.Forget();
  hot.owner = &owner;
}

void Deliveries::UnpinLocked(Work& work) {
  engine_.mu_.AssertHeld();
  Durable& owner = Owned(work).owner;
  if (!std::exchange(Owned(work).pins, false)) return;
  engine_.recovery_.NoteInLocked(work);
  CheckInvariant(owner.pins > 0, "work that pins is counted");
  if (--owner.pins > 0 || owner.pin == nullptr) return;
  unpinned_.push_back(owner.shared_from_this());
}

void Deliveries::ReleaseUnpinnedLocked() {
  engine_.mu_.AssertHeld();
  for (const DurablePtr& one : unpinned_) ReleaseLocked(*one);
  unpinned_.clear();
}

void Deliveries::ReleaseLocked(Durable& owner) {
  engine_.mu_.AssertHeld();
  if (owner.pins > 0 || owner.pin == nullptr) return;
  engine_.effects_.unpinned.push_back(std::move(owner.pin));
}

void Deliveries::SendLocked(Work& work) {
  engine_.mu_.AssertHeld();
  if (work.kind == WorkKind::kActivity) {
    return SendActivityLocked(static_cast<ActivityWork&>(work));
  }
  if (work.kind == WorkKind::kEntity) {
    return engine_.batches_.SendLocked(EntityOf(work));
  }
  Orchestration& orchestration = OrchestrationOf(work);
  if (orchestration.hot->state != nullptr) {
    SendTurnLocked(orchestration);
  } else {
    ThawLocked(orchestration);
  }
}

bool Deliveries::PutBackIfFullLocked(Work& work) {
  engine_.mu_.AssertHeld();
  if (!work.taker->IsFull()) return false;
  engine_.dispatcher_.PutBack(work);
  UnpinLocked(work);
  return true;
}

void Deliveries::SendItemLocked(Work& work, std::string item) {
  engine_.mu_.AssertHeld();
  Owned(work).moves_at = engine_.worker_watch_.WatchLocked(work);
  const std::shared_ptr<WorkSink>& sink = work.taker->sink;
  // Counted here: more is handed out before the lock is released.
  sink->Announce(item.size());
  engine_.effects_.items.emplace_back(sink, std::move(item));
}

void Deliveries::SendActivityLocked(ActivityWork& work) {
  engine_.mu_.AssertHeld();
  if (!work.away) return SendActivityLocked(work, work.task);
  engine_.readers_.Post(
      [this, orchestration = OrchestrationOf(work).shared_from_this(),
       id = work.id,
       token = work.token] { ReadTask(orchestration, id, token); });
}

void Deliveries::ReadTask(const OrchestrationPtr& orchestration, int32_t id,
                          const std::string& token) {
  const auto row = engine_.store_.ReadTask(orchestration->number, id);
  absl::Status status = row.status();
  std::optional<TaskScheduled> task;
  if (status.ok() && row->has_value()) {
    task = DecodeMessage<TaskScheduled>((*row)->task);
    if (!task.has_value()) {
      status = absl::DataLossError(absl::StrCat(
          "the stored row of its activity ", id, " is not an activity"));
    }
  }

  Engine::Section section(engine_);
  if (orchestration->gone) return;
  const auto it = orchestration->activities.find(id);
  // Otherwise it was put back, and may have been handed out again.
  if (it == orchestration->activities.end() ||
      it->second->state != Work::State::kOut || it->second->token != token) {
    return;
  }
  if (engine_.recovery_.SetAsideIfLostLocked(*orchestration, status)) return;
  // If the task is missing, another execution is about to begin.
  if (!task.has_value()) return engine_.answers_.RetryLocked(*it->second);
  SendActivityLocked(*it->second, *task);
}

void Deliveries::SendActivityLocked(ActivityWork& work,
                                    const TaskScheduled& task) {
  engine_.mu_.AssertHeld();
  if (PutBackIfFullLocked(work)) return;
  const Orchestration& orchestration = OrchestrationOf(work);
  work.sent = true;
  SendItemLocked(work,
                 EncodeActivityItem({.token = work.token,
                                     .instance_id = orchestration.key.id,
                                     .execution_id = orchestration.execution_id,
                                     .id = work.id,
                                     .task = task}));
}

void Deliveries::SendTurnLocked(Orchestration& orchestration,
                                const ReadEvents& read) {
  engine_.mu_.AssertHeld();
  if (PutBackIfFullLocked(orchestration.turn)) return;
  const HotState& hot = *orchestration.hot->state;
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
      std::max(engine_.NowLocked(),
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
  const absl::Duration ahead = ToTime(sent->time) - engine_.clock_.WallNow();
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
                           work.taker->streams_history,
       .events = sent->events,
       .trace_context = hot.summary.trace_context});
  work.sent = true;
  sent->bytes = item.size();
  SendItemLocked(work, std::move(item));
  orchestration.sent = std::move(sent);
}

void Deliveries::ReadInboxLocked(Orchestration& orchestration) {
  engine_.mu_.AssertHeld();
  if (orchestration.hot->load != 0) return;
  orchestration.hot->load = ++last_load_;
  MessageRange range;
  bool found = false;
  for (const Message& message : orchestration.inbox.NextTurn()) {
    if (!message.away) continue;
    if (!std::exchange(found, true)) range.first = message.sequence;
    range.last = message.sequence;
  }
  engine_.readers_.Post([this, orchestration = orchestration.shared_from_this(),
                         load = last_load_,
                         range] { ReadInbox(orchestration, load, range); });
}

void Deliveries::ReadInbox(const OrchestrationPtr& orchestration, uint64_t load,
                           const MessageRange& range) {
  auto rows = engine_.store_.ReadMessages(orchestration->number, range);
  ReadEvents read;
  if (rows.ok()) {
    for (MessageRow& row : *rows) {
      read.emplace(row.sequence, std::move(row.event));
    }
  }

  Engine::Section section(engine_);
  HotOrchestration* hot = orchestration->hot;
  if (orchestration->gone || hot == nullptr || hot->load != load) return;
  hot->load = 0;
  if (engine_.recovery_.SetAsideIfLostLocked(*orchestration, rows.status()))
    return;
  // Otherwise it was put back, or its last answer has come after all.
  if (!AwaitsSending(*orchestration)) return;
  if (!rows.ok()) return engine_.answers_.RetryLocked(orchestration->turn);
  if (hot->state == nullptr) return ThawLocked(*orchestration);
  for (const Message& message : orchestration->inbox.NextTurn()) {
    if (message.away && message.sequence <= range.last &&
        !read.contains(message.sequence)) {
      return engine_.recovery_.SetAsideLocked(
          *orchestration,
          absl::StrCat("its message ", message.sequence, " is missing"));
    }
  }
  SendTurnLocked(*orchestration, read);
}

// ---- Thawing and parking ----------------------------------------------------

void Deliveries::ThawLocked(Orchestration& orchestration) {
  engine_.mu_.AssertHeld();
  if (orchestration.fresh != nullptr) {
    orchestration.hot->state = std::move(orchestration.fresh);
    return SendTurnLocked(orchestration);
  }
  if (orchestration.hot->load != 0) return;
  orchestration.hot->load = ++last_load_;
  engine_.readers_.Post(
      [this, orchestration = orchestration.shared_from_this(),
       load = last_load_] { ReadForThaw(orchestration, load); });
}

void Deliveries::ReadForThaw(const OrchestrationPtr& orchestration,
                             uint64_t load) {
  const InstanceKey& key = orchestration->key;
  const auto row = engine_.store_.Find(key.tenant, key.id);
  const auto history = engine_.store_.ReadHistory(orchestration->number);
  auto state = std::make_unique<HotState>();
  absl::Status good = row.status();
  if (good.ok()) good = history.status();
  if (good.ok() && !row->has_value()) good = absl::UnavailableError("gone");
  if (good.ok()) good = ThawInto(**row, *history, *state);
  if (absl::IsDataLoss(good) &&
      engine_.store_.Find(key.tenant, key.id) != row) {
    good = absl::UnavailableError("it has changed while it was read");
  }

  Engine::Section section(engine_);
  HotOrchestration* hot = orchestration->hot;
  if (orchestration->gone || hot == nullptr || hot->load != load) return;
  hot->load = 0;
  const bool out = AwaitsSending(*orchestration);
  if (engine_.recovery_.SetAsideIfLostLocked(*orchestration, good)) return;
  if (!good.ok()) {
    // Retry: the store may be about to be reopened.
    if (out) engine_.answers_.RetryLocked(orchestration->turn);
    return;
  }
  hot->state = std::move(state);
  if (out) SendTurnLocked(*orchestration);
}

void Deliveries::Park(HotOrchestration& hot) {
  DurablePtr owner;  // It may end here, but not under the lock.
  const Engine::Look look(engine_);
  if (hot.owner != nullptr) {
    owner = hot.owner->shared_from_this();
    hot.owner = nullptr;
    owner->hot = nullptr;
    owner->OnParked();
    engine_.directory_.NoteParked(owner->number);
  }
  hot.Forget();
}

void Deliveries::OnForcedRelease(const DurablePtr& owner) {
  Engine::Section section(engine_);
  if (owner->gone) return;
  owner->unsent.clear();
  // An answer that is being committed does not need the context.
  owner->ForEachWork([this](OwnedWork& work) {
    engine_.mu_.AssertHeld();
    if (work.state == Work::State::kOut) engine_.dispatcher_.PutBack(work);
    UnpinLocked(work);
  });
  // What goes out again needs another context.
  ReleaseLocked(*owner);
}

}  // namespace leasehold
