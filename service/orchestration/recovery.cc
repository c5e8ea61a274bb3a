#include "service/orchestration/recovery.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/loaded_run.h"
#include "service/orchestration/page_queries.h"

namespace leasehold {
namespace {

// Delay before a failed store is tried again; doubles each time.
constexpr absl::Duration kRecoverDelayMin = absl::Milliseconds(100);
constexpr absl::Duration kRecoverDelayMax = absl::Seconds(2);

constexpr char kEndedWithTheServer[] =
    "the server ended while it had this work";

Witness::Name NameOf(Work& work) {
  const bool activity = work.kind == WorkKind::kActivity;
  return {.number = Owned(work).owner.number,
          .kind = static_cast<int32_t>(work.kind),
          .id = activity ? static_cast<ActivityWork&>(work).id : 0};
}

}  // namespace

absl::Status Recovery::Open() {
  if (absl::Status status = engine_.store_.Open(); !status.ok()) return status;
  // Before anything is read: a commit whose outcome is unknown is then there,
  // or never will be.
  const auto opened = engine_.store_.OpenPartition(
      kOnlyPartition, ToStored(engine_.clock_.WallNow()));
  if (!opened.ok()) return opened.status();
  engine_.registry_.RaiseGenerations(static_cast<uint64_t>(opened->generation));
  if (!engine_.page_tokens_.has_value()) {
    absl::StatusOr<PageTokens> loaded =
        LoadPageTokens(engine_.store_, opened->fence);
    if (!loaded.ok()) return loaded.status();
    engine_.page_tokens_ = *std::move(loaded);
  }
  return Load(*opened);
}

absl::Status Recovery::Load(const OpenedPartition& opened) {
  const PartitionId partition = opened.fence.partition;
  const absl::StatusOr<RunNumber> last =
      engine_.store_.ReadLastNumber(partition);
  if (!last.ok()) return last.status();
  std::vector<OpenRun> open;
  absl::Status status = engine_.store_.ReadOpen(
      partition, [&open](OpenRun one) { open.push_back(std::move(one)); });
  if (!status.ok()) return status;
  const auto unsent = engine_.store_.ReadOutbox(partition);
  if (!unsent.ok()) return unsent.status();
  std::vector<AwakeEntity> awake;
  status = engine_.store_.ReadAwake(partition, [&awake](AwakeEntity one) {
    awake.push_back(std::move(one));
  });
  if (!status.ok()) return status;

  std::vector<CallMark> calls;
  status = engine_.store_.ReadCalls(
      partition, [&calls](CallMark one) { calls.push_back(std::move(one)); });
  if (!status.ok()) return status;

  Engine::Section section(engine_);
  if (engine_.admission_.stopped()) return engine_.admission_.serving();
  ForgetAllLocked();
  engine_.outbox_.Begin(opened.fence);
  engine_.last_number_ = std::max(engine_.last_number_, *last);
  LeftWork left;
  if (Witness* witness = engine_.store_.witness()) {
    for (Witness::Left& one : witness->TakeLeft()) {
      left.emplace(one.name, std::move(one));
    }
  }
  std::vector<RunNumber> with_losses;
  for (OpenRun& one : open) {
    const RunNumber number = one.row.number;
    if (LoadOneLocked(std::move(one), left)) with_losses.push_back(number);
    engine_.directory_.NoteParked(number);
    engine_.directory_.PackSome();
  }
  for (CallMark& one : calls) {
    engine_.outside_calls_.LoadLocked(std::move(one));
  }
  for (AwakeEntity& one : awake) {
    Entity& entity = engine_.batches_.LoadLocked(std::move(one));
    if (entity.damage == nullptr) TakeLossesLocked(entity.batch, left);
  }
  engine_.commits_.Resume(opened.fence);
  retry_delay_ = kRecoverDelayMin;
  engine_.schedule_.Follow();
  engine_.admission_.Open();
  for (const OutboxRow& row : *unsent) engine_.mail_.PushLocked(row);
  for (const RunNumber number : with_losses) {
    Orchestration* loaded = engine_.directory_.FindByNumber(number);
    if (loaded != nullptr) EndLostLocked(*loaded);
  }
  engine_.batches_.BeginLocked();
  engine_.retention_.BeginLocked();
  engine_.wait_list_.ReviewWaitersLocked();
  engine_.entity_watches_.OnAllChangedLocked();
  engine_.timers_changed_.NotifyAll();
  return absl::OkStatus();
}

bool Recovery::LoadOneLocked(OpenRun stored, LeftWork& left) {
  engine_.mu_.AssertHeld();
  // A damaged row may have another orchestration's ID.
  const bool id_is_taken =
      engine_.directory_.Contains({stored.row.tenant, stored.row.id});
  LoadedRun loaded =
      LoadRun(std::move(stored), id_is_taken, engine_.clock_.WallNow());
  Orchestration& orchestration = *loaded.orchestration;
  orchestration.revision = ++engine_.last_revision_;
  engine_.directory_.Add(loaded.orchestration);
  if (loaded.row_is_intact) TakeLossesLocked(orchestration.turn, left);
  for (LoadedRun::Activity& activity : loaded.activities) {
    ActivityWork* work = engine_.deliveries_.MakeActivityLocked(
        orchestration, activity.id, std::move(activity.task), activity.away);
    if (work == nullptr) continue;
    TakeLossesLocked(*work, left);
    engine_.dispatcher_.Enqueue(engine_.owner_, *work);
  }
  if (!loaded.damage.empty()) {
    SetAsideLocked(orchestration, std::move(loaded.damage));
    return false;
  }
  for (const Timers::Entry& timer : loaded.timers) {
    engine_.schedule_.AddTimer(timer);
  }
  engine_.deliveries_.LineUpLocked(orchestration);
  return orchestration.turn.lost > 0 || !orchestration.activities.empty();
}

// ---- Work that was out when the server last ended ---------------------------

void Recovery::NoteOutLocked(Work& work) {
  engine_.mu_.AssertHeld();
  Witness* witness = engine_.store_.witness();
  if (witness == nullptr) return;
  OwnedWork& owned = Owned(work);
  if (!owned.place) owned.place = witness->Add(NameOf(work));
  owned.place.SetOut(true);
}

void Recovery::NoteInLocked(Work& work) {
  engine_.mu_.AssertHeld();
  OwnedWork& owned = Owned(work);
  owned.place.SetOut(false);
  if (owned.lost == 0) owned.place.Free();
}

void Recovery::TakeLossesLocked(Work& work, LeftWork& left) {
  engine_.mu_.AssertHeld();
  const auto it = left.find(NameOf(work));
  if (it == left.end()) return;
  OwnedWork& owned = Owned(work);
  owned.lost = it->second.losses;
  owned.place = std::move(it->second.place);
  work.alone = owned.lost >= kSuspectAfter;
  if (owned.lost > 0) {
    engine_.answers_.ObserveLocked(WorkEventKind::kLost, work, owned.lost,
                                   kEndedWithTheServer);
  }
}

void Recovery::EndLostLocked(Orchestration& orchestration) {
  engine_.mu_.AssertHeld();
  const auto failure = [this](const OwnedWork& work) {
    return MakeFailure(
        "DeliveryLimit",
        absl::StrCat(work.kind == WorkKind::kTurn
                         ? "a turn"
                         : "the activity " + QuoteForMessage(work.name),
                     " was handed out ", work.lost,
                     " times and never came back with an answer (the last time "
                     "the server itself ended meanwhile); that is the limit "
                     "(--max-deliveries = ",
                     engine_.options_.deliveries_max, ")"));
  };
  if (orchestration.damage != nullptr) return;
  const OrchestrationPtr kept = orchestration.shared_from_this();
  if (orchestration.turn.lost >= engine_.options_.deliveries_max) {
    orchestration.ending = orchestration.undecided = true;
    engine_.dispatcher_.End(orchestration.turn);
    engine_.answers_.ObserveLocked(WorkEventKind::kFailedByLimit,
                                   orchestration.turn, orchestration.turn.lost,
                                   kEndedWithTheServer);
    // The history names the parent, but may be what crashes the server: only
    // its two ends are read.
    engine_.readers_.Post([this, kept, failure = failure(orchestration.turn)] {
      FailWithoutWorker(kept, failure);
    });
    return;
  }
  for (auto& [id, activity] : orchestration.activities) {
    if (activity->lost < engine_.options_.deliveries_max || activity->ended)
      continue;
    engine_.answers_.ObserveLocked(WorkEventKind::kFailedByLimit, *activity,
                                   activity->lost, kEndedWithTheServer);
    engine_.answers_.EndActivityLocked(
        *activity, TaskFailed{0, failure(*activity)}, nullptr);
  }
}

void Recovery::FailWithoutWorker(const OrchestrationPtr& orchestration,
                                 const OpaqueMessage& failure) {
  const absl::StatusOr<HistoryEnds> ends =
      engine_.store_.ReadHistoryEnds(orchestration->number);
  // If it has started, the first message is not a start.
  auto first =
      engine_.store_.ReadMessages(orchestration->number, {.count_max = 1});
  Engine::Section section(engine_);
  if (orchestration->gone) return;
  orchestration->ending = orchestration->undecided = false;
  if (SetAsideIfLostLocked(*orchestration, ends.status()) ||
      SetAsideIfLostLocked(*orchestration, first.status())) {
    return;
  }
  if (!ends.ok() || !first.ok()) {
    return engine_.deliveries_.LineUpLocked(
        *orchestration);  // Counts as another loss.
  }
  KeepStart(*std::move(first), *orchestration);
  RuntimeState state;
  state.ApplyFrames(ends->first);
  if (const auto start = PendingStartOf(*orchestration)) state.started = *start;
  constexpr auto kFailed = OrchestrationStatus::kFailed;
  PendingCommit commit;
  engine_.ends_.RecordEndLocked(
      *orchestration, {static_cast<int32_t>(kFailed), {}, failure}, commit);
  orchestration->ending = true;
  engine_.ends_.EndWithLocked(orchestration, commit);
  engine_.mail_.TellParentLocked(orchestration->key, state.started.parent,
                                 kFailed, failure, commit);
  engine_.commits_.Submit(std::move(commit));
}

// ---- Set aside --------------------------------------------------------------

bool Recovery::SetAsideIfLostLocked(Orchestration& orchestration,
                                    const absl::Status& read) {
  engine_.mu_.AssertHeld();
  if (!absl::IsDataLoss(read)) return false;
  SetAsideLocked(orchestration, std::string(read.message()));
  return true;
}

void Recovery::SetAsideLocked(Orchestration& orchestration, std::string why) {
  engine_.mu_.AssertHeld();
  if (orchestration.gone || orchestration.damage != nullptr) return;
  const auto drop = [this](OwnedWork& work) {
    engine_.mu_.AssertHeld();
    engine_.dispatcher_.End(work);
    engine_.deliveries_.UnpinLocked(work);
  };
  orchestration.unsent.clear();
  drop(orchestration.turn);
  // Activities stay: the end of one may be being committed.
  for (auto& [id, activity] : orchestration.activities) drop(*activity);
  orchestration.inbox.Clear();
  orchestration.revision = ++engine_.last_revision_;
  engine_.directory_.SetAside(orchestration, std::move(why));
  engine_.wait_list_.ReviewWaitersLocked(orchestration.key);
  engine_.answers_.ObserveLocked({.kind = WorkEventKind::kSetAside,
                                  .tenant = orchestration.key.tenant,
                                  .instance_id = orchestration.key.id,
                                  .name = orchestration.turn.name,
                                  .reason = *orchestration.damage});
}

std::string Recovery::DamageOf(const RunRow& row) {
  const Engine::Look look(engine_);
  const Orchestration* open = engine_.directory_.FindByNumber(row.number);
  if (open == nullptr || open->damage == nullptr) return "";
  return *open->damage;
}

void Recovery::ForgetAllLocked() {
  engine_.mu_.AssertHeld();
  const uint64_t before = engine_.lookups_.reload();
  while (Orchestration* one = engine_.directory_.first())
    engine_.EndLocked(*one);
  engine_.batches_.ForgetAllLocked();
  engine_.outside_calls_.ForgetAllLocked();
  engine_.schedule_.Clear();
  engine_.ends_.ForgetAllLocked();
  engine_.mail_.ForgetAllLocked();
  engine_.retention_.ForgetAllLocked();
  for (Lookups::Lookup& lookup : engine_.lookups_.BeginReload()) {
    engine_.effects_.calls.push_back([lookup = std::move(lookup), before] {
      lookup(absl::UnavailableError(
                 "what the store held was being read anew; try again"),
             before);
    });
  }
}

void Recovery::FailLocked(const absl::Status& status) {
  engine_.mu_.AssertHeld();
  if (!engine_.admission_.serving().ok())
    return;  // Known already, or stopping.
  engine_.admission_.Fail(absl::UnavailableError(absl::StrCat(
      "nothing can be stored now; nothing was done: ", status.message())));
  ForgetAllLocked();
  retry_at_ = engine_.schedule_.MonotonicNow() +
              absl::ToInt64Microseconds(retry_delay_);
  engine_.timers_changed_.NotifyAll();
  engine_.effects_.calls.push_back(
      [this, status] { engine_.observer_.OnStoreFailed(status); });
}

void Recovery::RetryIfDueLocked(StoredTime now) {
  if (!retry_at_.has_value() || *retry_at_ > now) return;
  retry_at_.reset();
  engine_.writer_.Post([this] { Recover(); });
}

void Recovery::Recover() {
  const absl::Status status = Open();
  size_t open = 0;
  {
    Engine::Section section(engine_);
    if (!status.ok()) {
      retry_delay_ = std::min(retry_delay_ * 2, kRecoverDelayMax);
      if (!engine_.admission_.stopped()) {
        retry_at_ = engine_.schedule_.MonotonicNow() +
                    absl::ToInt64Microseconds(retry_delay_);
      }
      engine_.timers_changed_.NotifyAll();
      return;
    }
    open = engine_.directory_.size();
  }
  engine_.observer_.OnStoreRecovered(open);
}

}  // namespace leasehold
