// The engine's memory: built from the store, and discarded when a commit fails.
#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {
namespace {

// Delay before a failed store is tried again; doubles each time.
constexpr absl::Duration kRecoverDelayMin = absl::Milliseconds(100);
constexpr absl::Duration kRecoverDelayMax = absl::Seconds(2);

constexpr char kEndedWithTheServer[] =
    "the server ended while it had this in its hands";

Witness::Name NameOf(Work& work) {
  const bool turn = work.kind == WorkKind::kTurn;
  return {.number = Owned(work).owner.number,
          .kind = static_cast<int32_t>(work.kind),
          .id = turn ? 0 : static_cast<ActivityWork&>(work).id};
}

// The name and version at the beginning of an activity; nullopt: missing.
std::optional<TaskScheduled> NameIn(std::string_view beginning) {
  TaskScheduled task;
  WireReader reader(beginning);
  while (reader.Next()) {
    if (reader.field() == 1) reader.Read(task.name);
    if (reader.field() == 2 && !reader.Read(task.version)) return std::nullopt;
  }
  if (task.name.empty() || (!reader.ok() && reader.field() <= 2)) {
    return std::nullopt;
  }
  return task;
}

}  // namespace

absl::Status Engine::Open() {
  if (absl::Status status = store_.Open(); !status.ok()) return status;
  // Before anything is read: a commit whose outcome is unknown is then there,
  // or never will be.
  const auto opened =
      store_.OpenPartition(kOnlyPartition, ToStored(clock_.WallNow()));
  return opened.ok() ? Load(*opened) : opened.status();
}

absl::Status Engine::Load(const OpenedPartition& opened) {
  const PartitionId partition = opened.fence.partition;
  const absl::StatusOr<RunNumber> last = store_.ReadLastNumber(partition);
  if (!last.ok()) return last.status();
  std::vector<OpenRun> open;
  absl::Status status = store_.ReadOpen(
      partition, [&open](OpenRun one) { open.push_back(std::move(one)); });
  if (!status.ok()) return status;
  const auto unsent = store_.ReadOutbox(partition);
  if (!unsent.ok()) return unsent.status();

  Section section(*this);
  ForgetAllLocked();
  outbox_.Begin(opened.fence);
  last_number_ = std::max(last_number_, *last);
  LeftWork left;
  if (Witness* witness = store_.witness()) {
    for (Witness::Left& one : witness->TakeLeft()) {
      left.emplace(one.name, std::move(one));
    }
  }
  for (OpenRun& one : open) LoadOneLocked(one, left);
  commits_.Resume(opened.fence);
  recover_delay_ = kRecoverDelayMin;
  FollowWallLocked();
  admission_.Open();
  for (const OutboxRow& row : *unsent) PushLocked(row);
  for (const OpenRun& one : open) {
    Orchestration* loaded = directory_.FindByNumber(one.row.number);
    if (loaded != nullptr) EndLostLocked(*loaded);
  }
  ReviewWaitersLocked();
  timers_changed_.NotifyAll();
  return absl::OkStatus();
}

void Engine::LoadOneLocked(OpenRun& stored, LeftWork& left) {
  absl::StatusOr<OrchestrationInfo> info = InfoOf(stored.row);
  std::string damage = std::move(stored.damage);
  if (!info.ok()) {
    if (damage.empty()) damage = std::string(info.status().message());
    info = DamagedInfoOf(stored.row, damage);
  }
  InstanceKey key{stored.row.tenant, stored.row.id};
  // A damaged row may have another orchestration's ID.
  if (directory_.Contains(key)) {
    absl::StrAppend(&key.id, " (damaged, number ", stored.row.number, ")");
    if (damage.empty()) damage = "two open orchestrations have its ID";
  }
  const Summary& summary = info->summary;
  auto orchestration =
      std::make_shared<Orchestration>(stored.row.number, key, summary.name,
                                      summary.version, summary.execution_id);
  orchestration->durable = true;
  orchestration->revision = ++last_revision_;
  orchestration->status = info->status;
  orchestration->suspended = info->status == OrchestrationStatus::kSuspended;
  orchestration->turn_time = summary.turn_time;
  orchestration->former_executions = summary.former_executions;
  directory_.Add(orchestration);
  const auto note = [&orchestration](const auto& rows) {
    if (rows.empty()) return;
    orchestration->first_sequence =
        std::min(orchestration->first_sequence, rows.front().sequence);
    orchestration->last_sequence =
        std::max(orchestration->last_sequence, rows.back().sequence);
  };
  note(stored.messages);
  note(stored.large_messages);
  if (damage.empty()) damage = LoadPartsLocked(stored, *orchestration, left);
  if (!damage.empty()) {
    return SetAsideLocked(*orchestration, std::move(damage));
  }
  if (info->status == OrchestrationStatus::kPending &&
      summary.scheduled_start.has_value()) {
    const absl::Time at = ToTime(*summary.scheduled_start);
    if (at > clock_.WallNow()) {
      orchestration->start_at = ToStored(at);
      timers_.Add({orchestration->start_at, orchestration->number,
                   Timers::Kind::kStart, 0});
    }
  }
  for (const TimerRow& row : stored.timers) {
    timers_.Add({row.due, row.number, Timers::Kind::kTimer,
                 static_cast<int32_t>(row.sequence)});
  }
  LineUpLocked(*orchestration);
}

std::string Engine::LoadPartsLocked(OpenRun& stored,
                                    Orchestration& orchestration,
                                    LeftWork& left) {
  TakeLossesLocked(orchestration.turn, left);
  const auto add_message = [&orchestration](int number, Message message) {
    if (!IsForPresent(message, orchestration)) return;
    NoteSuspension(number, orchestration);
    orchestration.terminating |= message.terminates;
    orchestration.inbox.Add(std::move(message));
  };
  auto large = stored.large_messages.begin();
  const auto add_large_before = [&](int64_t sequence) {
    for (; large != stored.large_messages.end() && large->sequence < sequence;
         ++large) {
      const int number = NumberOf(large->beginning);
      add_message(number, MakeMessageAway(number, std::move(*large)));
    }
  };
  for (MessageRow& row : stored.messages) {
    add_large_before(row.sequence);
    const std::optional<HistoryEvent> event = DecodeEvent(row.event);
    const int number = event.has_value() ? NumberOf(*event) : 0;
    Message message =
        MakeMessage(std::move(row.execution), number, std::move(row.event));
    message.sequence = row.sequence;
    if (!event.has_value() && IsForPresent(message, orchestration)) {
      return absl::StrCat("what came as its message ", row.sequence,
                          " is not an event");
    }
    add_message(number, std::move(message));
  }
  add_large_before(std::numeric_limits<int64_t>::max());
  const auto add = [&](int64_t id, TaskScheduled task, bool away) {
    mu_.AssertHeld();
    ActivityWork* work = MakeActivityLocked(
        orchestration, static_cast<int32_t>(id), std::move(task), away);
    if (work == nullptr) return;
    TakeLossesLocked(*work, left);
    dispatcher_.Enqueue(*work);
  };
  for (TaskRow& row : stored.tasks) {
    std::optional<TaskScheduled> task = DecodeMessage<TaskScheduled>(row.task);
    if (!task.has_value()) {
      return absl::StrCat("what is stored of its activity ", row.sequence,
                          " is not an activity");
    }
    add(row.sequence, *std::move(task), /*away=*/false);
  }
  for (const LargeTask& large : stored.large_tasks) {
    std::optional<TaskScheduled> task = NameIn(large.beginning);
    if (!task.has_value()) {
      return absl::StrCat("what is stored of its activity ", large.sequence,
                          " is not an activity");
    }
    add(large.sequence, *std::move(task), /*away=*/true);
  }
  return "";
}

// ---- Work that was out when the server last ended ---------------------------

void Engine::NoteOutLocked(Work& work) {
  Witness* witness = store_.witness();
  if (witness == nullptr) return;
  OwnedWork& owned = Owned(work);
  if (!owned.place) owned.place = witness->Add(NameOf(work));
  owned.place.SetOut(true);
}

void Engine::NoteInLocked(Work& work) {
  OwnedWork& owned = Owned(work);
  owned.place.SetOut(false);
  if (owned.lost == 0) owned.place.Free();
}

void Engine::TakeLossesLocked(Work& work, LeftWork& left) {
  const auto it = left.find(NameOf(work));
  if (it == left.end()) return;
  OwnedWork& owned = Owned(work);
  owned.lost = it->second.losses;
  owned.place = std::move(it->second.place);
  work.alone = owned.lost >= kSuspectAfter;
  if (owned.lost > 0) {
    ObserveLocked(WorkEventKind::kLost, work, owned.lost, kEndedWithTheServer);
  }
}

void Engine::EndLostLocked(Orchestration& orchestration) {
  const auto failure = [this](const OwnedWork& work) {
    return MakeFailure(
        "DeliveryLimit",
        absl::StrCat(work.kind == WorkKind::kTurn
                         ? "a turn"
                         : "the activity " + QuoteForMessage(work.name),
                     " was handed out ", work.lost,
                     " times and never came back with an answer (the last time "
                     "the server itself ended meanwhile); that is the most "
                     "(--max-deliveries = ",
                     options_.deliveries_max, ")"));
  };
  if (orchestration.damage != nullptr) return;
  const OrchestrationPtr kept = orchestration.shared_from_this();
  if (orchestration.turn.lost >= options_.deliveries_max) {
    orchestration.ending = true;
    dispatcher_.End(orchestration.turn);
    ObserveLocked(WorkEventKind::kFailedByLimit, orchestration.turn,
                  orchestration.turn.lost, kEndedWithTheServer);
    // The history names the parent, but may be what crashes the server: only
    // its two ends are read.
    readers_.Post([this, kept, failure = failure(orchestration.turn)] {
      FailWithoutWorker(kept, failure);
    });
    return;
  }
  for (auto& [id, activity] : orchestration.activities) {
    if (activity->lost < options_.deliveries_max || activity->ended) continue;
    ObserveLocked(WorkEventKind::kFailedByLimit, *activity, activity->lost,
                  kEndedWithTheServer);
    EndActivityLocked(*activity, TaskFailed{0, failure(*activity)}, nullptr);
  }
}

void Engine::FailWithoutWorker(const OrchestrationPtr& orchestration,
                               const OpaqueMessage& failure) {
  const absl::StatusOr<HistoryEnds> ends =
      store_.ReadHistoryEnds(orchestration->number);
  // If it has started, the first message is not a start.
  auto first = store_.ReadMessages(orchestration->number, {.count_max = 1});
  Section section(*this);
  if (orchestration->gone) return;
  orchestration->ending = false;
  if (SetAsideIfLostLocked(*orchestration, ends.status()) ||
      SetAsideIfLostLocked(*orchestration, first.status())) {
    return;
  }
  if (!ends.ok() || !first.ok()) {
    return LineUpLocked(*orchestration);  // Counts as another loss.
  }
  KeepStart(*std::move(first), *orchestration);
  RuntimeState state;
  state.ApplyFrames(ends->first);
  if (const auto start = PendingStartOf(*orchestration)) state.started = *start;
  constexpr auto kFailed = OrchestrationStatus::kFailed;
  PendingCommit commit;
  RecordEndLocked(*orchestration, {static_cast<int32_t>(kFailed), {}, failure},
                  commit);
  orchestration->ending = true;
  EndWithLocked(orchestration, commit);
  TellParentLocked(orchestration->key, state.started.parent, kFailed, failure,
                   commit);
  commits_.Submit(std::move(commit));
}

// ---- Set aside --------------------------------------------------------------

bool Engine::SetAsideIfLostLocked(Orchestration& orchestration,
                                  const absl::Status& read) {
  if (!absl::IsDataLoss(read)) return false;
  SetAsideLocked(orchestration, std::string(read.message()));
  return true;
}

void Engine::SetAsideLocked(Orchestration& orchestration, std::string why) {
  if (orchestration.gone || orchestration.damage != nullptr) return;
  const auto drop = [this](OwnedWork& work) {
    mu_.AssertHeld();
    dispatcher_.End(work);
    UnpinLocked(work);
  };
  orchestration.unsent.clear();
  drop(orchestration.turn);
  // Activities stay: the end of one may be being committed.
  for (auto& [id, activity] : orchestration.activities) drop(*activity);
  orchestration.inbox.Clear();
  orchestration.revision = ++last_revision_;
  orchestration.damage = std::make_unique<const std::string>(std::move(why));
  ReviewWaitersLocked(orchestration.key);
  ObserveLocked({.kind = WorkEventKind::kSetAside,
                 .tenant = orchestration.key.tenant,
                 .instance_id = orchestration.key.id,
                 .name = orchestration.turn.name,
                 .reason = *orchestration.damage});
}

std::string Engine::DamageOf(const RunRow& row) {
  const Look look(*this);
  const Orchestration* open = directory_.FindByNumber(row.number);
  if (open == nullptr || open->damage == nullptr) return "";
  return *open->damage;
}

void Engine::ForgetAllLocked() {
  const uint64_t before = epoch_++;
  while (Orchestration* one = directory_.first()) EndLocked(*one);
  dispatcher_.Clear();
  timers_.Clear();
  retries_.Clear();
  newly_terminating_.clear();
  terminating_.clear();
  // The running lookup will notice by itself.
  for (Lookup& lookup : lookups_.Clear()) {
    effects_.calls.push_back([lookup = std::move(lookup), before] {
      lookup(absl::UnavailableError(
                 "what the store held was being read anew; try again"),
             before);
    });
  }
  outdated_lookups_.clear();
}

void Engine::FailLocked(const absl::Status& status) {
  if (!admission_.serving().ok()) return;  // Known already, or stopping.
  admission_.Fail(absl::UnavailableError(absl::StrCat(
      "nothing can be stored now; nothing was done: ", status.message())));
  ForgetAllLocked();
  recover_at_ = MonotonicLocked() + absl::ToInt64Microseconds(recover_delay_);
  timers_changed_.NotifyAll();
  effects_.calls.push_back([this, status] { observer_.OnStoreFailed(status); });
}

void Engine::Recover() {
  const absl::Status status = Open();
  size_t open = 0;
  {
    Section section(*this);
    if (!status.ok()) {
      recover_delay_ = std::min(recover_delay_ * 2, kRecoverDelayMax);
      if (!admission_.stopped()) {
        recover_at_ =
            MonotonicLocked() + absl::ToInt64Microseconds(recover_delay_);
      }
      timers_changed_.NotifyAll();
      return;
    }
    open = directory_.size();
  }
  observer_.OnStoreRecovered(open);
}

}  // namespace leasehold
