#include "service/orchestration/explainer.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/instance/instance_registry.h"
#include "service/orchestration/context_causes.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {
namespace {

using Kind = Cause::Kind;

// Causes that are given one by one.
constexpr size_t kCausesMax = 100;
// Pins that are described one by one.
constexpr size_t kHeldMax = 20;
// Actions of one orchestration that are looked at.
constexpr size_t kLooksMax = 2000;
// Sub-orchestrations whose status is read.
constexpr size_t kChildrenMax = 20;
// Of a history, in one read; and in all, beyond which nobody waits for it.
constexpr size_t kPartBytes = 256 << 10;
constexpr size_t kHistoryBytesMax = 256 << 20;
// A worker that has had a turn for so long and has answered nothing since does
// not answer.
constexpr absl::Duration kLongTurn = absl::Seconds(5);
// Attempts to see store and memory at one moment.
constexpr int kAttempts = 3;

absl::Status NoSuchInstance(const InstanceKey& key) {
  return absl::NotFoundError(
      absl::StrCat("there is nothing under the ID ", QuoteForMessage(key.id),
                   ": no instance, no orchestration, no entity"));
}

// Who waits for what nobody does comes first, then what takes time, then what
// simply goes on.
int RankOf(const Cause& cause) {
  switch (cause.kind) {
    case Kind::kReady:
    case Kind::kLoading:
      return 2;
    case Kind::kWithWorker:
      return cause.silent ? 0 : 1;
    default:
      return 0;
  }
}

void SortByRank(std::vector<Cause>& causes) {
  std::stable_sort(
      causes.begin(), causes.end(),
      [](const Cause& a, const Cause& b) { return RankOf(a) < RankOf(b); });
}

// The kind of cause for queued work.
Kind KindOf(const Dispatcher::Outlook& outlook, const OwnedWork& work) {
  if (outlook.offered) return Kind::kReady;
  if (outlook.takers == 0) {
    if (outlook.reach.workers == 0) return Kind::kNoWorker;
    return outlook.reach.disowns > 0 ? Kind::kNotRegistered : Kind::kNotTaken;
  }
  if (outlook.silent == outlook.takers) return Kind::kSilent;
  const size_t hindered =
      outlook.silent + outlook.full + outlook.unread + outlook.suspect;
  if (hindered < outlook.takers) return Kind::kReady;
  if (outlook.suspect > 0 && work.alone) return Kind::kSuspect;
  return outlook.full >= outlook.unread ? Kind::kNoSlot : Kind::kUnread;
}

void AddAttempts(const PendingActions::Attempts& before, Cause& cause) {
  cause.attempt = before.failed + 1;
  cause.failure = before.last_failure;
}

}  // namespace

void Explainer::Explain(const InstanceKey& key, Done<Explanation> done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.readable(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  const auto job = std::make_shared<Job>();
  job->key = key;
  job->done = std::move(done);
  engine_.readers_.Post([this, job] { Begin(job); });
}

void Explainer::Begin(const JobPtr& job) {
  ++job->attempt;
  job->changed = false;
  job->number = 0;
  job->pending = {};
  const InstanceKey& key = job->key;
  if (key.id.starts_with("@")) return Finish(job);
  const auto row = engine_.store_.Find(key.tenant, key.id);
  constexpr auto kPending = static_cast<int32_t>(OrchestrationStatus::kPending);
  if (!row.ok() || !row->has_value() || (*row)->finished.has_value() ||
      (*row)->status == kPending) {
    return Finish(job);
  }
  job->number = (*row)->number;
  {
    const Engine::Look look(engine_);
    const OrchestrationPtr open = engine_.directory_.Find(key);
    job->revision = open == nullptr ? 0 : open->revision;
  }
  ReadPart(job, 0, 0);
}

// A history may take seconds to read. Others who wait for a reader have their
// turns between its parts.
void Explainer::ReadPart(const JobPtr& job, int64_t chunk, size_t bytes) {
  {
    Engine::Section section(engine_);
    if (absl::Status status = engine_.admission_.readable(); !status.ok()) {
      return engine_.RefuseLocked(job->done, status);
    }
  }
  const auto part =
      engine_.store_.ReadHistoryPart(job->number, chunk, kPartBytes);
  if (!part.ok()) return job->done(part.status());
  for (const std::string& frames : part->chunks) {
    bytes += frames.size();
    // One that cannot be read is set aside once it goes on.
    job->pending.ApplyFrames(frames);
  }
  if (part->next.has_value() && bytes < kHistoryBytesMax) {
    return engine_.readers_.Post(
        [this, job, next = *part->next, bytes] { ReadPart(job, next, bytes); });
  }
  job->pending.End();
  Finish(job);
}

void Explainer::Finish(const JobPtr& job) {
  absl::StatusOr<Explanation> explanation = ExplainNow(*job);
  if (explanation.ok() && job->changed && job->attempt < kAttempts) {
    return engine_.readers_.Post([this, job] { Begin(job); });
  }
  job->done(std::move(explanation));
}

absl::StatusOr<Explanation> Explainer::ExplainNow(Job& job) {
  const InstanceKey& key = job.key;
  Explanation explanation{.key = key};
  const std::optional<InstanceInfo> context =
      engine_.registry_.Describe(key, kHeldMax);
  absl::Status status = key.id.starts_with("@")
                            ? AddEntity(explanation)
                            : AddOrchestration(job, explanation);
  if (!status.ok()) return status;
  const bool found = explanation.subject != Explanation::Subject::kContext;
  if (!found && !context.has_value()) {
    if (explanation.causes.empty()) return NoSuchInstance(key);
    return absl::NotFoundError(
        absl::StrCat(std::string(NoSuchInstance(key).message()), "; ",
                     TextOf(explanation.causes.front())));
  }
  if (context.has_value()) AddContext(*context, explanation);
  std::vector<Cause>& causes = explanation.causes;
  if (causes.size() > kCausesMax) {
    explanation.more += causes.size() - kCausesMax;
    causes.resize(kCausesMax);
  }
  return explanation;
}

// ---- Orchestrations ---------------------------------------------------------

absl::Status Explainer::AddOrchestration(Job& job, Explanation& explanation) {
  const InstanceKey& key = explanation.key;
  const auto row = engine_.store_.Find(key.tenant, key.id);
  if (!row.ok()) return row.status();
  if (!row->has_value()) {
    AddUnstored(explanation);
    return absl::OkStatus();
  }
  explanation.subject = Explanation::Subject::kOrchestration;
  absl::StatusOr<OrchestrationInfo> info = InfoOf(**row);
  std::string damage = engine_.recovery_.DamageOf(**row);
  if (damage.empty() && !info.ok())
    damage = std::string(info.status().message());
  if (!damage.empty()) {
    explanation.status = StatusName(OrchestrationStatus::kDamaged);
    explanation.causes.push_back(
        {.kind = Kind::kSetAside, .reason = std::move(damage)});
    return absl::OkStatus();
  }
  explanation.name = info->summary.name;
  explanation.status = StatusName(info->status);
  if (IsFinished(info->status)) return AddEnded(*info, explanation);
  return AddOpen(**row, *info, job, explanation);
}

void Explainer::AddUnstored(Explanation& explanation) {
  const InstanceKey& key = explanation.key;
  const Engine::Look look(engine_);
  const OrchestrationPtr open = engine_.directory_.FindOpen(key);
  if (open != nullptr) {
    explanation.subject = Explanation::Subject::kOrchestration;
    explanation.name = open->turn.name;
    explanation.status = StatusName(OrchestrationStatus::kPending);
    AddStoreLocked(explanation.causes);
    explanation.causes.push_back({.kind = Kind::kStoring, .name = "its start"});
    return;
  }
  const auto& limit_of = engine_.options_.open_max_of_tenant;
  const uint64_t limit = limit_of == nullptr ? 0 : limit_of(key.tenant);
  const uint64_t count = engine_.directory_.BegunByCallers(key.tenant);
  if (limit > 0 && count >= limit) {
    explanation.causes.push_back(
        {.kind = Kind::kOpenLimit, .count = count, .limit = limit});
  }
  AddStoredLimit(key.tenant, explanation.causes);
}

void Explainer::AddStoredLimit(const std::string& tenant, Causes& causes) {
  const auto full = engine_.storage_room_.FullOf(tenant);
  if (!full.has_value()) return;
  causes.push_back({.kind = Kind::kStoredLimit,
                    .count = full->bytes,
                    .limit = full->bytes_max});
}

absl::Status Explainer::AddEnded(const OrchestrationInfo& info,
                                 Explanation& explanation) {
  Cause ended{.kind = Kind::kEnded,
              .status = std::string(StatusName(info.status)),
              .at = info.finished};
  if (info.status == OrchestrationStatus::kFailed) {
    const auto with_failure = engine_.reads_.ReadInfo(explanation.key, true);
    if (!with_failure.ok()) return with_failure.status();
    if (with_failure->has_value()) {
      ended.failure = BriefFailure((*with_failure)->failure);
    }
  }
  explanation.causes.push_back(std::move(ended));
  return absl::OkStatus();
}

std::string Explainer::StatusOfChild(const InstanceKey& key) {
  const auto row = engine_.store_.Find(key.tenant, key.id);
  if (!row.ok()) return "unknown";
  if (!row->has_value()) return "being started";
  const absl::StatusOr<OrchestrationInfo> info = InfoOf(**row);
  return std::string(
      StatusName(info.ok() ? info->status : OrchestrationStatus::kDamaged));
}

absl::Status Explainer::AddOpen(const RunRow& row,
                                const OrchestrationInfo& info, Job& job,
                                Explanation& explanation) {
  // One that has not started has no history that was read.
  const bool started = info.status != OrchestrationStatus::kPending;
  const bool read_another = started && job.number != row.number;
  const PendingActions none;
  const PendingActions& pending = started && !read_another ? job.pending : none;
  Causes children;
  for (const auto& [id, child] : pending.children()) {
    Cause cause{.kind = Kind::kChild,
                .name = child.name,
                .instance_id = child.instance_id,
                .status = "unknown"};
    if (children.size() < kChildrenMax) {
      cause.status = StatusOfChild({explanation.key.tenant, child.instance_id});
    }
    AddAttempts(child.before, cause);
    children.push_back(std::move(cause));
  }
  Causes& causes = explanation.causes;
  {
    const Engine::Look look(engine_);
    const OrchestrationPtr open = engine_.directory_.Find(explanation.key);
    AddStoreLocked(causes);
    // Memory was discarded, and is read again.
    if (open == nullptr && !causes.empty()) return absl::OkStatus();
    if (open == nullptr || open->number != row.number || open->ending) {
      // It is about to have ended.
      job.changed = open == nullptr || open->number != row.number;
      causes.push_back({.kind = Kind::kStoring, .name = "its end"});
      return absl::OkStatus();
    }
    job.changed = read_another || (started && open->revision != job.revision);
    AddMemoryLocked(*open, causes);
    if (info.status == OrchestrationStatus::kSuspended) {
      Cause suspended{.kind = Kind::kSuspended};
      if (const auto& since = pending.suspension()) {
        suspended.at = ToTime(since->since);
        suspended.reason = since->reason;
      }
      causes.insert(causes.begin(), std::move(suspended));
    }
    explanation.more += AddPendingLocked(*open, pending, causes);
    if (open->turn.state == Work::State::kIdle &&
        !info.summary.awaited_events.empty()) {
      causes.push_back(
          {.kind = Kind::kEvent, .names = info.summary.awaited_events});
    }
  }
  std::move(children.begin(), children.end(), std::back_inserter(causes));
  if (causes.empty()) {
    causes.push_back({.kind = Kind::kEvent});
  }
  // Then nobody can send it one.
  if (std::any_of(causes.begin(), causes.end(), [](const Cause& cause) {
        return cause.kind == Kind::kEvent;
      })) {
    AddStoredLimit(explanation.key.tenant, causes);
  }
  return absl::OkStatus();
}

void Explainer::AddStoreLocked(Causes& causes) {
  engine_.mu_.AssertHeld();
  const absl::Status& serving = engine_.admission_.serving();
  if (serving.ok()) return;
  causes.push_back(
      {.kind = Kind::kStoreFailed, .reason = std::string(serving.message())});
}

// What it does, or would do next.
void Explainer::AddMemoryLocked(const Orchestration& orchestration,
                                Causes& causes) {
  engine_.mu_.AssertHeld();
  if (orchestration.committing) {
    causes.push_back(
        {.kind = Kind::kStoring, .name = "the answer to its turn"});
  }
  if (orchestration.start_at != 0) {
    causes.push_back(
        {.kind = Kind::kScheduled, .at = FromStored(orchestration.start_at)});
  }
  if (auto cause = WorkCauseLocked(orchestration.turn, orchestration.held)) {
    causes.push_back(*std::move(cause));
  }
}

std::optional<Cause> Explainer::WorkCauseLocked(const OwnedWork& work,
                                                bool delayed, Outlooks* known) {
  engine_.mu_.AssertHeld();
  Cause cause{.work = work.kind, .name = work.name, .version = work.version};
  const StoredTime now = engine_.schedule_.MonotonicNow();
  switch (work.state) {
    case Work::State::kIdle:
      if (!delayed) return std::nullopt;
      cause.kind = Kind::kDelayed;
      if (work.refused && work.owner.refused != nullptr) {
        cause.reason = *work.owner.refused;
      } else {
        cause.count =
            static_cast<uint64_t>(std::max(work.given_back, work.lost));
      }
      cause.age = absl::Microseconds(work.moves_at - now);
      return cause;
    case Work::State::kQueued: {
      std::optional<Dispatcher::Outlook> outlook;
      const std::pair name(work.name, work.version);
      if (known != nullptr && known->contains(name)) {
        outlook = known->at(name);
      } else {
        outlook = engine_.dispatcher_.OutlookFor(work);
        if (!outlook.has_value()) return std::nullopt;
        if (known != nullptr) known->emplace(name, *outlook);
      }
      cause.kind = KindOf(*outlook, work);
      cause.count = static_cast<uint64_t>(work.lost);
      cause.outlook = outlook;
      return cause;
    }
    case Work::State::kOut:
      cause.kind = work.sent ? Kind::kWithWorker : Kind::kLoading;
      cause.worker = work.worker;
      cause.who.peer = work.taker->peer;
      if (work.sent) {
        cause.age = absl::Microseconds(now - work.moves_at);
        const auto standing = engine_.dispatcher_.StandingOf(work);
        cause.silent = standing.silent ||
                       (work.kind != WorkKind::kActivity &&
                        *cause.age >= kLongTurn && !standing.has_answered);
      }
      return cause;
  }
  return std::nullopt;
}

size_t Explainer::AddPendingLocked(const Orchestration& orchestration,
                                   const PendingActions& pending,
                                   Causes& causes) {
  AddActivitiesLocked(orchestration, pending, causes);
  const size_t more = AddTimersLocked(orchestration, pending, causes);
  AddEntitiesLocked(orchestration, pending, causes);
  return more;
}

// There may be very many, and others wait for the lock: only those are made
// into causes that are due first.
size_t Explainer::AddTimersLocked(const Orchestration& orchestration,
                                  const PendingActions& pending,
                                  Causes& causes) {
  engine_.mu_.AssertHeld();
  using Timer = PendingActions::Timer;
  std::vector<std::pair<absl::Time, const Timer*>> timers;
  timers.reserve(pending.timers().size());
  const absl::Time now = engine_.clock_.WallNow();
  const bool has_turn = orchestration.turn.state != Work::State::kIdle;
  for (const auto& [id, timer] : pending.timers()) {
    const absl::Time at = ToTime(timer.fire_at);
    // It has fired, and waits for the turn, as is said there.
    if (!has_turn || at > now) timers.emplace_back(at, &timer);
  }
  std::stable_sort(
      timers.begin(), timers.end(),
      [](const auto& a, const auto& b) { return a.first < b.first; });
  const size_t all = timers.size();
  timers.resize(std::min(all, kLooksMax));
  for (const auto& [at, timer] : timers) {
    Cause cause{.kind = Kind::kTimer, .at = at};
    if (timer->retries.has_value()) {
      cause.kind = Kind::kRetry;
      cause.name = timer->retries->name;
      cause.instance_id = timer->retries->instance_id;
      AddAttempts(timer->retries->before, cause);
    }
    causes.push_back(std::move(cause));
  }
  return all - timers.size();
}

void Explainer::AddActivitiesLocked(const Orchestration& orchestration,
                                    const PendingActions& pending,
                                    Causes& causes) {
  engine_.mu_.AssertHeld();
  std::vector<Cause> activities;
  Outlooks outlooks;
  for (const auto& [id, action] : pending.activities()) {
    if (activities.size() == kLooksMax) break;
    const auto work = orchestration.activities.find(id);
    // Otherwise its end has come, and waits for the turn.
    if (work == orchestration.activities.end()) continue;
    const ActivityWork& activity = *work->second;
    std::optional<Cause> cause;
    if (activity.ended) {
      cause = Cause{.kind = Kind::kStoring,
                    .name = absl::StrCat("the end of the activity ",
                                         QuoteForMessage(activity.name))};
    } else {
      cause = WorkCauseLocked(activity, /*delayed=*/true, &outlooks);
    }
    if (!cause.has_value()) continue;
    AddAttempts(action.before, *cause);
    activities.push_back(*std::move(cause));
  }
  SortByRank(activities);
  std::move(activities.begin(), activities.end(), std::back_inserter(causes));
}

// ---- Entities ---------------------------------------------------------------

void Explainer::SetLocked(const EntityLock& lock, Cause& cause) {
  cause.holder = lock.holder;
  cause.at = FromStored(lock.since);
  if (lock.until != 0) cause.until = FromStored(lock.until);
}

void Explainer::AddEntitiesLocked(const Orchestration& orchestration,
                                  const PendingActions& pending,
                                  Causes& causes) {
  engine_.mu_.AssertHeld();
  const InstanceKey& key = orchestration.key;
  for (const auto& [section, entities] : pending.locks()) {
    // The first one that the section does not have yet.
    for (const std::string& id : entities) {
      const EntityPtr entity =
          engine_.batches_.FindLocked(NormalKey(key.tenant, id));
      if (entity != nullptr && entity->queue.IsLockedBy(section)) continue;
      Cause cause{.kind = Kind::kEntityLock, .instance_id = id};
      if (entity != nullptr && entity->queue.lock().has_value()) {
        SetLocked(*entity->queue.lock(), cause);
      }
      causes.push_back(std::move(cause));
      break;
    }
  }
  size_t looks = 0;
  for (const auto& [request, call] : pending.calls()) {
    if (looks++ == kLooksMax) break;
    Cause cause{.kind = Kind::kEntityCall,
                .name = call.operation,
                .instance_id = call.instance_id};
    const EntityPtr entity =
        engine_.batches_.FindLocked(NormalKey(key.tenant, call.instance_id));
    std::optional<Cause> batch;
    if (entity != nullptr) {
      const std::optional<EntityLock>& lock = entity->queue.lock();
      if (lock.has_value() && lock->holder != key.id) SetLocked(*lock, cause);
      batch = WorkCauseLocked(entity->batch, entity->held);
    }
    causes.push_back(std::move(cause));
    if (batch.has_value()) causes.push_back(*std::move(batch));
  }
}

absl::Status Explainer::AddEntity(Explanation& explanation) {
  const InstanceKey& key = explanation.key;
  const auto row = engine_.store_.FindEntity(key.tenant, key.id);
  if (!row.ok()) return row.status();
  const Engine::Look look(engine_);
  const EntityPtr entity = engine_.batches_.FindLocked(key);
  if (entity == nullptr && !row->has_value()) {
    AddStoredLimit(key.tenant, explanation.causes);
    return absl::OkStatus();
  }
  explanation.subject = Explanation::Subject::kEntity;
  explanation.name = Entity::NameIn(key.id);
  AddStoreLocked(explanation.causes);
  if (entity != nullptr) {
    AddEntityLocked(*entity, explanation.causes);
  } else if ((*row)->damaged) {
    explanation.causes.push_back(
        {.kind = Kind::kSetAside, .reason = "its row has a wrong checksum"});
  }
  if (explanation.causes.empty()) {
    explanation.causes.push_back({.kind = Kind::kNothing});
    AddStoredLimit(key.tenant, explanation.causes);
  }
  return absl::OkStatus();
}

void Explainer::AddEntityLocked(const Entity& entity, Causes& causes) {
  engine_.mu_.AssertHeld();
  if (entity.damage != nullptr) {
    causes.push_back({.kind = Kind::kSetAside, .reason = *entity.damage});
    return;
  }
  if (entity.queue.lock().has_value()) {
    Cause locked{.kind = Kind::kLocked};
    SetLocked(*entity.queue.lock(), locked);
    causes.push_back(std::move(locked));
  }
  if (entity.committing) {
    causes.push_back(
        {.kind = Kind::kStoring, .name = "the answer to a batch of it"});
  }
  if (auto cause = WorkCauseLocked(entity.batch, entity.held)) {
    causes.push_back(*std::move(cause));
  }
  Cause now{.kind = Kind::kMessages};
  Cause later{.kind = Kind::kLater};
  const std::optional<StoredTime> due = entity.queue.NextDue();
  if (due.has_value()) later.at = FromStored(*due);
  for (const EntityMessage* message : entity.queue.All()) {
    // Those for later keep their time.
    if (due.has_value() && message->due >= *due) {
      ++later.count;
      continue;
    }
    if (now.count++ > 0) continue;
    now.holder = message->caller;
    now.name = message->kind == EntityMessage::Kind::kLock
                   ? "a lock request"
                   : absl::StrCat(message->kind == EntityMessage::Kind::kCall
                                      ? "the call "
                                      : "the signal ",
                                  QuoteForMessage(message->operation));
  }
  if (now.count > 0) causes.push_back(std::move(now));
  if (later.count > 0) causes.push_back(std::move(later));
}

}  // namespace leasehold
