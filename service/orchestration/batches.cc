#include "service/orchestration/batches.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/base/invariant.h"
#include "service/orchestration/bounds.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/not_mine.h"
#include "service/orchestration/work_item.h"

namespace leasehold {

absl::Status EntityIsDamaged(const InstanceKey& key, std::string_view why) {
  return absl::DataLossError(
      absl::StrCat("entity ", QuoteForMessage(key.id),
                   " cannot be read: ", std::string(why)));
}

void Entity::OnParked() { batches_.OnParkedLocked(*this); }

// ---- Receiving --------------------------------------------------------------

EntityPtr Batches::FindLocked(const InstanceKey& key) const {
  const auto found = by_name_.find(Directory::NameOf(key));
  return found == by_name_.end() ? nullptr : found->second;
}

Entity& Batches::WakeLocked(const InstanceKey& key) {
  engine_.mu_.AssertHeld();
  EntityPtr& place = by_name_[Directory::NameOf(key)];
  if (place == nullptr) {
    place = std::make_shared<Entity>(*this, ++engine_.last_number_, key,
                                     engine_.execution_ids_.Next());
    by_number_[place->number] = place.get();
  }
  return *place;
}

void Batches::Signal(EntitySignal signal, DoneStatus done) {
  absl::Status status = CheckEntityId("instance_id", signal.key.id);
  status.Update(CheckName("name", signal.operation));
  status.Update(
      CheckSize("request_id", signal.request_id.size(), kRequestIdBytesMax));
  if (signal.scheduled.has_value()) {
    status.Update(CheckTime("scheduled_time", *signal.scheduled));
  }
  status.Update(
      CheckPayload(signal.input, "the input has", engine_.options_.limits));
  if (!status.ok()) return done(status);
  if (signal.request_id.empty()) signal.request_id = NewInstanceId();

  Engine::Section section(engine_);
  status = engine_.admission_.serving();
  if (!status.ok()) return engine_.RefuseLocked(done, status);
  status = CheckRoomLocked(signal.key, signal.input);
  PendingCommit commit;
  if (status.ok()) {
    status =
        engine_.storage_room_.Take(signal.key.tenant, signal.input, commit);
  }
  if (!status.ok()) return engine_.RefuseLocked(done, status);
  commit.done = std::move(done);
  ReceiveLocked(signal.key,
                {HistoryEvent::kFromOutside, engine_.NowLocked(),
                 EntityOperationSignaled{
                     std::move(signal.request_id), std::move(signal.operation),
                     signal.scheduled, std::move(signal.input), signal.key.id}},
                commit);
  engine_.commits_.Submit(std::move(commit));
}

absl::Status Batches::CheckRoomLocked(const InstanceKey& key,
                                      const Payload& input) {
  engine_.mu_.AssertHeld();
  const EntityPtr entity = FindLocked(key);
  if (entity == nullptr) return absl::OkStatus();
  if (entity->damage != nullptr) return EntityIsDamaged(key, *entity->damage);
  if (entity->queue.size() == 0) return absl::OkStatus();
  const size_t bytes =
      entity->queue.bytes() + (input.has_value() ? input->size() : 0);
  if (bytes <= engine_.options_.inbox_bytes_max) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "the messages that wait for entity ", QuoteForMessage(key.id),
      " would have ", bytes, " bytes; at most ",
      engine_.options_.inbox_bytes_max,
      " are allowed (--max-inbox-bytes): a worker that takes its operations "
      "makes room"));
}

std::string Batches::WaitingForLocked(const Entity& entity) {
  engine_.mu_.AssertHeld();
  std::string unwanted = engine_.answers_.UnwantedLocked(entity.batch);
  return unwanted.empty() ? engine_.worker_watch_.WithWhomLocked(entity.batch)
                          : unwanted;
}

void Batches::ReceiveLocked(const InstanceKey& key, HistoryEvent event,
                            PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  if (const auto* unlock = event.As<EntityUnlockSent>()) {
    const EntityPtr entity = FindLocked(key);
    if (entity == nullptr || !entity->queue.IsLockedBy(unlock->section_id) ||
        entity->queue.lock()->holder != unlock->holder) {
      return;
    }
    return UnlockLocked(*entity, commit);
  }
  if (const auto* granted = event.As<EntityLockGranted>()) {
    const EntityPtr entity = FindLocked(key);
    if (entity == nullptr || !entity->queue.IsLockedBy(granted->section_id)) {
      return;
    }
    NoteGrantedLocked(*entity);
    TouchLocked(*entity, commit);
    return ContinueAfterLocked(*entity, commit);
  }
  if (!IsForEntity(NumberOf(event))) return;
  if (const auto* lock = event.As<EntityLockRequested>()) {
    const OrchestrationPtr requester = FindRequesterLocked(key, *lock);
    if (requester == nullptr) return;
    holders_[Directory::NameOf(requester->key)].insert(Directory::NameOf(key));
  }
  Entity& entity = WakeLocked(key);
  event.id = HistoryEvent::kFromOutside;
  const int64_t sequence = ++entity.last_sequence;
  std::string bytes = EncodeEvent(event);
  const PutOperation row{{entity.number, sequence, bytes}};
  std::optional<EntityMessage> message =
      ReadEntityMessage(sequence, std::move(bytes));
  CheckInvariant(message.has_value(), "entities are sent what they can read");
  entity.queue.Add(*std::move(message));
  if (!entity.awake) TouchLocked(entity, commit);
  commit.changes.push_back(row);
  AdvanceLocked(entity, commit);
  commit.apply.push_back([kept = entity.shared_from_this(), sequence] {
    kept->queue.SetDurable(sequence);
  });
  ContinueAfterLocked(entity, commit);
}

// ---- Rows -------------------------------------------------------------------

EntityRow Batches::RowOf(const Entity& entity) const {
  return {.tenant = entity.key.tenant,
          .id = entity.key.id,
          .number = entity.awake ? entity.number : 0,
          .modified = entity.modified,
          .header = EncodeMessage(EntityHeader{entity.queue.lock()}),
          .state = std::nullopt};
}

void Batches::TouchLocked(Entity& entity, PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  entity.awake = !entity.queue.idle();
  SetLockTimerLocked(entity);
  EntityRow row = RowOf(entity);
  if (row.modified == 0) row.modified = engine_.schedule_.Now().wall;
  commit.changes.push_back(TouchEntity{std::move(row)});
}

void Batches::PutLocked(Entity& entity, Payload state, PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  entity.awake = !entity.queue.idle();
  entity.modified = engine_.schedule_.Now().wall;
  EntityRow row = RowOf(entity);
  row.state = std::move(state);
  commit.changes.push_back(PutEntity{std::move(row)});
}

void Batches::EraseStateLocked(Entity& entity, PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  CheckInvariant(!entity.committing,
                 "a state is erased after what changes it is durable");
  EndWorkLocked(entity);
  entity.sent.clear();
  entity.held = false;
  entity.committing = true;
  AdvanceLocked(entity, commit);
  PutLocked(entity, std::nullopt, commit);
  commit.apply.push_back([this, kept = entity.shared_from_this()] {
    engine_.mu_.AssertHeld();
    kept->committing = false;
    kept->loaded = true;
    kept->state.reset();
    kept->damage.reset();
    engine_.deliveries_.UnpinLocked(kept->batch);
  });
  ContinueAfterLocked(entity, commit);
}

// ---- Going on ---------------------------------------------------------------

void Batches::ContinueAfterLocked(Entity& entity, PendingCommit& commit) {
  commit.apply.push_back([this, kept = entity.shared_from_this()] {
    engine_.mu_.AssertHeld();
    kept->durable = true;
    engine_.entity_watches_.OnChangedLocked(kept->key);
    ContinueLocked(*kept);
  });
}

void Batches::ContinueLocked(Entity& entity) {
  engine_.mu_.AssertHeld();
  if (entity.gone || entity.damage != nullptr) return;
  EntityQueue& queue = entity.queue;
  queue.Release(engine_.schedule_.Now().wall);
  const StoredTime due = queue.NextDue().value_or(0);
  if (due != entity.due) {
    const auto timer = [&entity](StoredTime at) {
      return Timers::Entry{at, entity.number, Timers::Kind::kEntity, 0};
    };
    if (entity.due != 0) engine_.schedule_.CancelTimer(timer(entity.due));
    entity.due = due;
    if (due != 0) engine_.schedule_.AddTimer(timer(due));
  }
  if (!entity.committing && !entity.held &&
      entity.batch.state == Work::State::kIdle &&
      !queue.NextBatch({.count = 1}).empty()) {
    return engine_.dispatcher_.Enqueue(engine_.owner_, entity.batch);
  }
  if (HasToDo(entity) || entity.hot != nullptr) return;
  // Kept until the lock is released: the caller may still use it.
  engine_.effects_.calls.push_back([kept = ForgetLocked(entity)] {});
}

bool Batches::HasToDo(const Entity& entity) const {
  return !entity.queue.idle() || entity.committing || !entity.sent.empty() ||
         entity.batch.state != Work::State::kIdle || entity.pins > 0;
}

void Batches::FireLocked(const Timers::Entry& entry) {
  engine_.mu_.AssertHeld();
  const auto found = by_number_.find(entry.number);
  if (found == by_number_.end()) return;
  Entity& entity = *found->second;
  if (entry.kind == Timers::Kind::kEntity) entity.due = 0;
  if (entry.kind == Timers::Kind::kRetryTurn) entity.held = false;
  PendingCommit commit;
  if (entry.kind == Timers::Kind::kLock) {
    entity.lock_due = 0;
    ExpireLocked(entity, commit);
  } else {
    AdvanceLocked(entity, commit);
  }
  if (commit.changes.empty()) return ContinueLocked(entity);
  ContinueAfterLocked(entity, commit);
  engine_.commits_.Submit(std::move(commit));
}

void Batches::OnParkedLocked(Entity& entity) {
  engine_.mu_.AssertHeld();
  if (entity.gone) return;
  if (!HasToDo(entity)) {
    ForgetLocked(entity);
    return;
  }
  entity.batch.token.shrink_to_fit();
  if (entity.committing) return;
  entity.loaded = false;
  entity.state.reset();
}

// ---- Batches ----------------------------------------------------------------

void Batches::SendLocked(Entity& entity) {
  engine_.mu_.AssertHeld();
  OwnedWork& work = entity.batch;
  if (!entity.loaded) {
    return engine_.readers_.Post(
        [this, kept = entity.shared_from_this(), token = work.token] {
          ReadState(kept, token);
        });
  }
  if (engine_.deliveries_.PutBackIfFullLocked(work)) return;
  EntityQueue::BatchLimits limits;
  if (work.alone) limits.count = 1;
  entity.sent = entity.queue.NextBatch(limits);
  if (entity.sent.empty()) {
    // Since it was lined up, somebody else has got the lock.
    engine_.dispatcher_.End(work);
    engine_.deliveries_.UnpinLocked(work);
    PendingCommit commit;
    AdvanceLocked(entity, commit);
    ContinueAfterLocked(entity, commit);
    return engine_.commits_.Submit(std::move(commit));
  }
  std::vector<std::string_view> events;
  for (const int64_t sequence : entity.sent) {
    events.push_back(entity.queue.Find(sequence)->event);
  }
  work.sent = true;
  engine_.deliveries_.SendItemLocked(
      work, EncodeBatchItem({.token = work.token,
                             .instance_id = entity.key.id,
                             .execution_id = entity.execution_id,
                             .state = entity.state,
                             .events = events}));
}

void Batches::ReadState(const EntityPtr& entity, const std::string& token) {
  auto row = engine_.store_.FindEntity(entity->key.tenant, entity->key.id);
  Engine::Section section(engine_);
  if (entity->gone || entity->batch.state != Work::State::kOut ||
      entity->batch.token != token) {
    return;
  }
  if (absl::IsDataLoss(row.status())) {
    return SetAsideLocked(*entity, std::string(row.status().message()));
  }
  if (!row.ok()) return engine_.answers_.RetryLocked(entity->batch);
  if (row->has_value() && (*row)->damaged) {
    return SetAsideLocked(*entity, "its row has a wrong checksum");
  }
  entity->loaded = true;
  entity->state.reset();
  if (row->has_value()) {
    entity->modified = (*row)->modified;
    entity->state = std::move((*row)->state);
  }
  SendLocked(*entity);
}

void Batches::Complete(const WorkName& name, BatchAnswer answer,
                       DoneStatus done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.serving(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  Work* work = engine_.answers_.FindWorkLocked(WorkKind::kEntity, name);
  engine_.worker_watch_.HearLocked(name, work);
  if (work == nullptr || EntityOf(*work).sent.empty() ||
      EntityOf(*work).committing) {
    return engine_.answers_.RefuseLateLocked(name, done);
  }
  Entity& entity = EntityOf(*work);
  if (!answer.failure.has_value() && !answer.wants_state &&
      !answer.results.empty()) {
    if (SaysNotMine(work->name, answer) &&
        engine_.answers_.DisownLocked(*work)) {
      return engine_.RefuseLocked(done, absl::OkStatus());
    }
    return CommitLocked(entity, std::move(answer), std::move(done));
  }
  engine_.RefuseLocked(done, absl::OkStatus());
  if (SaysNotMine(WorkKind::kEntity, work->name, answer.failure) &&
      engine_.answers_.DisownLocked(*work)) {
    return;
  }
  if (work->state != Work::State::kOut) return;
  std::string why = answer.wants_state
                        ? "its worker asked for the state, which it has"
                        : "its worker's answer has no result";
  if (answer.failure.has_value()) {
    const auto details = DecodeMessage<FailureDetails>(*answer.failure.bytes);
    why = absl::StrCat("its worker could not run it: ",
                       details.has_value() ? details->message : "");
  }
  engine_.answers_.CountLossLocked(*work, why);
  engine_.answers_.RetryLocked(*work);
}

void Batches::FailFirstLocked(Entity& entity, OpaqueMessage failure) {
  engine_.mu_.AssertHeld();
  if (entity.committing) return;
  if (entity.sent.empty()) entity.sent = entity.queue.NextBatch({.count = 1});
  CommitLocked(entity, FailingFirst(std::move(failure)), nullptr);
}

void Batches::CommitLocked(Entity& entity, BatchAnswer answer,
                           DoneStatus done) {
  engine_.mu_.AssertHeld();
  std::vector<const EntityMessage*> sent;
  for (const int64_t sequence : entity.sent) {
    sent.push_back(entity.queue.Find(sequence));
  }
  CommittedBatch batch =
      CommitBatch(sent, std::move(answer), engine_.options_.limits,
                  engine_.NowLocked(), &NewInstanceId);
  if (!batch.limit.empty()) {
    engine_.answers_.ObserveLocked(WorkEventKind::kFailedByLimit, entity.batch,
                                   0, batch.limit);
  }
  EndWorkLocked(entity);
  entity.batch.ResetLosses();
  entity.held = false;
  entity.committing = true;

  PendingCommit commit;
  commit.done = std::move(done);
  for (const int64_t sequence : batch.done) {
    commit.changes.push_back(DropOperation{entity.number, sequence});
    entity.queue.Remove(sequence);
  }
  const InstanceKey& key = entity.key;
  for (TurnOutcome::Message& message : batch.messages) {
    engine_.mail_.SendLocked(
        key,
        {NormalKey(key.tenant, message.instance_id),
         message.execution_id.value_or(""), std::move(message.event)},
        commit);
  }
  for (ExecutionStarted& started : batch.starts) {
    engine_.mail_.SendLocked(
        key,
        {NormalKey(key.tenant, started.orchestration.instance_id),
         "",
         {HistoryEvent::kFromOutside, engine_.NowLocked(), std::move(started)}},
        commit);
  }
  engine_.outside_calls_.EndLocked(entity, std::move(batch.ended), commit);
  AdvanceLocked(entity, commit);
  if (batch.keeps_state) {
    TouchLocked(entity, commit);
  } else {
    PutLocked(entity, batch.state, commit);
  }
  commit.apply.push_back([this, kept = entity.shared_from_this(),
                          keeps = batch.keeps_state,
                          state = std::move(batch.state)]() mutable {
    engine_.mu_.AssertHeld();
    kept->committing = false;
    kept->sent.clear();
    if (kept->gone) return;
    if (!keeps) {
      kept->loaded = true;
      kept->state = std::move(state);
    }
    engine_.deliveries_.UnpinLocked(kept->batch);
  });
  ContinueAfterLocked(entity, commit);
  engine_.commits_.Submit(std::move(commit));
}

void Batches::SetAsideLocked(Entity& entity, std::string why) {
  engine_.mu_.AssertHeld();
  engine_.answers_.ObserveLocked({.kind = WorkEventKind::kSetAside,
                                  .tenant = entity.key.tenant,
                                  .instance_id = entity.key.id,
                                  .name = entity.batch.name,
                                  .reason = why});
  engine_.outside_calls_.FailLocked(entity, EntityIsDamaged(entity.key, why));
  entity.damage = std::make_unique<const std::string>(std::move(why));
  EndWorkLocked(entity);
  engine_.deliveries_.UnpinLocked(entity.batch);
}

void Batches::EndWorkLocked(Entity& entity) {
  std::erase(entity.unsent, &entity.batch);
  engine_.dispatcher_.End(entity.batch);
}

// ---- Memory from the store, and back ----------------------------------------

Entity& Batches::LoadLocked(AwakeEntity stored) {
  engine_.mu_.AssertHeld();
  const EntityRow& row = stored.row;
  const InstanceKey key{row.tenant, row.id};
  const auto entity = std::make_shared<Entity>(*this, row.number, key,
                                               engine_.execution_ids_.Next());
  by_name_[Directory::NameOf(key)] = entity;
  by_number_[row.number] = entity.get();
  entity->durable = true;
  entity->awake = true;
  entity->modified = row.modified;
  std::optional<EntityHeader> header = DecodeMessage<EntityHeader>(row.header);
  if (!header.has_value()) stored.damage = "its header cannot be read";
  const auto note_holder = [&](const std::string& holder) {
    engine_.mu_.AssertHeld();
    holders_[Directory::NameOf(NormalKey(key.tenant, holder))].insert(
        Directory::NameOf(key));
  };
  for (OperationRow& operation : stored.operations) {
    std::optional<EntityMessage> message =
        ReadEntityMessage(operation.sequence, std::move(operation.event));
    entity->last_sequence = operation.sequence;
    if (!message.has_value()) {
      stored.damage =
          absl::StrCat("its operation ", operation.sequence, " cannot be read");
      continue;
    }
    message->durable = true;
    engine_.outside_calls_.LoadLocked(key, *message);
    if (message->kind == EntityMessage::Kind::kLock) {
      note_holder(message->caller);
    }
    entity->queue.Add(*std::move(message));
  }
  if (header.has_value() && header->lock.has_value()) {
    note_holder(header->lock->holder);
    entity->queue.Lock(*std::move(header->lock));
    SetLockTimerLocked(*entity);
  }
  if (!stored.damage.empty()) SetAsideLocked(*entity, stored.damage);
  return *entity;
}

void Batches::BeginLocked() {
  engine_.mu_.AssertHeld();
  std::vector<EntityPtr> all;
  for (const auto& [number, entity] : by_number_) {
    all.push_back(entity->shared_from_this());
  }
  for (const EntityPtr& entity : all) {
    if (entity->damage != nullptr) continue;
    PendingCommit commit;
    AdvanceLocked(*entity, commit);
    if (entity->queue.idle()) TouchLocked(*entity, commit);
    if (!commit.changes.empty()) {
      ContinueAfterLocked(*entity, commit);
      engine_.commits_.Submit(std::move(commit));
    }
    if (entity->batch.lost < engine_.options_.deliveries_max) {
      ContinueLocked(*entity);
      continue;
    }
    FailFirstLocked(
        *entity,
        MakeFailure("DeliveryLimit",
                    absl::StrCat("an operation of the entity was handed out ",
                                 entity->batch.lost,
                                 " times and never came back with an answer "
                                 "(the last time the server itself ended "
                                 "meanwhile); that is the limit "
                                 "(--max-deliveries)")));
  }
}

EntityPtr Batches::ForgetLocked(Entity& entity) {
  engine_.mu_.AssertHeld();
  EntityPtr kept = entity.shared_from_this();
  if (std::exchange(entity.gone, true)) return kept;
  engine_.dispatcher_.End(entity.batch);
  entity.batch.place.Free();
  entity.unsent.clear();
  entity.pins = 0;
  if (entity.due != 0) {
    engine_.schedule_.CancelTimer(
        {entity.due, entity.number, Timers::Kind::kEntity, 0});
  }
  if (entity.lock_due != 0) {
    engine_.schedule_.CancelTimer(
        {entity.lock_due, entity.number, Timers::Kind::kLock, 0});
  }
  if (entity.hot != nullptr) entity.hot->Forget();
  entity.hot = nullptr;
  if (entity.pin != nullptr) {
    engine_.effects_.unpinned.push_back(std::move(entity.pin));
  }
  by_number_.erase(entity.number);
  const auto found = by_name_.find(Directory::NameOf(entity.key));
  if (found != by_name_.end() && found->second == kept) by_name_.erase(found);
  return kept;
}

void Batches::ForgetAllLocked() {
  engine_.mu_.AssertHeld();
  while (!by_number_.empty()) {
    engine_.effects_.calls.push_back(
        [kept = ForgetLocked(*by_number_.begin()->second)] {});
  }
  by_name_.clear();
  holders_.clear();
}

std::vector<RunNumber> Batches::ForgetTenantLocked(const std::string& tenant) {
  engine_.mu_.AssertHeld();
  std::vector<RunNumber> numbers;
  for (const auto& [number, entity] : by_number_) {
    if (entity->key.tenant == tenant) numbers.push_back(number);
  }
  for (const RunNumber number : numbers) {
    engine_.effects_.calls.push_back(
        [kept = ForgetLocked(*by_number_.at(number))] {});
  }
  absl::erase_if(holders_, [&tenant](const auto& holder) {
    return Directory::IsOf(holder.first, tenant);
  });
  return numbers;
}

}  // namespace leasehold
