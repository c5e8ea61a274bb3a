#include "service/orchestration/rewinds.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/rewound.h"

namespace leasehold {
namespace {

absl::Status NotRewindable(const InstanceKey& key, OrchestrationStatus status) {
  return absl::FailedPreconditionError(
      absl::StrCat("orchestration ", QuoteForMessage(key.id), " is ",
                   std::string(StatusName(status)),
                   ", which does not allow rewinding: only one that has failed "
                   "is rewound"));
}

// The start in a letter to a child.
const ExecutionStarted& StartOf(const Letter& letter) {
  return std::get<ExecutionStarted>(letter.message.event.body);
}
const ParentLink& ParentOf(const Letter& letter) {
  return *StartOf(letter).parent;
}

}  // namespace

struct Rewinds::RewindJob {
  OrchestrationPtr orchestration;
  std::unique_ptr<SentTurn> sent;
  std::unique_ptr<HotState> hot;
  RewoundHistory history;
};

// ---- Reopening --------------------------------------------------------------

void Rewinds::Rewind(const InstanceKey& key, Payload reason, DoneStatus done) {
  Engine::Section section(engine_);
  absl::Status status = engine_.admission_.serving();
  if (status.ok()) {
    status = CheckPayload(reason, "the reason has", engine_.options_.limits);
  }
  if (!status.ok()) return engine_.RefuseLocked(done, status);
  const OrchestrationPtr open = engine_.directory_.FindOpen(key);
  if (open != nullptr && open->durable) {
    return engine_.RefuseLocked(done, NotRewindable(key, open->status));
  }
  engine_.lookups_.Add(
      key,
      [this, key, reason = std::move(reason), done = std::move(done)](
          const absl::StatusOr<std::optional<RunRow>>& row, uint64_t reload) {
        Engine::Section section(engine_);
        absl::StatusOr<OrchestrationInfo> info = NoSuchOrchestration(key);
        if (row.ok() && row->has_value()) info = InfoOf(**row);
        if (!row.ok()) {
          engine_.RefuseLocked(done, row.status());
        } else if (engine_.directory_.Contains(key) ||
                   engine_.lookups_.IsOutdated(key, reload)) {
          // Which one exists is known once the queued commits are durable.
          engine_.AfterCommitsLocked(
              [this, key, reason, done](const absl::Status& status) {
                if (!status.ok()) return done(status);
                Rewind(key, reason, done);
              });
        } else if (!info.ok()) {
          engine_.RefuseLocked(done, info.status());
        } else if (info->status != OrchestrationStatus::kFailed) {
          engine_.RefuseLocked(done, NotRewindable(key, info->status));
        } else {
          PendingCommit commit;
          absl::Status room =
              engine_.storage_room_.Take(key.tenant, reason, commit);
          if (room.ok()) {
            commit.done = done;
            ReopenLocked(**row, *info, {reason, std::nullopt}, commit);
            engine_.commits_.Submit(std::move(commit));
          } else {
            engine_.RefuseLocked(done, room);
          }
        }
        engine_.lookups_.End(key, reload);
      });
}

void Rewinds::ReopenLocked(const RunRow& row, const OrchestrationInfo& info,
                           ExecutionRewound rewound, PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const InstanceKey key{row.tenant, row.id};
  const Timestamp now = engine_.NowLocked();
  Summary summary = info.summary;
  summary.updated = now;
  auto opened = std::make_shared<Orchestration>(
      row.number, key, summary.name, summary.version, summary.execution_id);
  opened->former_executions = summary.former_executions;
  opened->begun_by_work = summary.begun_by_work();
  opened->status = OrchestrationStatus::kRunning;
  opened->turn_time = summary.turn_time;
  engine_.directory_.Add(opened);

  commit.changes.push_back(UpdateRun{row.number,
                                     static_cast<int32_t>(opened->status),
                                     std::nullopt, EncodeMessage(summary)});
  commit.apply.push_back([this, opened] {
    engine_.mu_.AssertHeld();
    opened->durable = true;
    opened->revision = ++engine_.last_revision_;
    engine_.answers_.ObserveReopenedLocked(*opened);
  });
  engine_.mail_.PostLocked(
      opened, "", {HistoryEvent::kFromOutside, now, std::move(rewound)},
      commit);
}

// ---- The answer -------------------------------------------------------------

void Rewinds::RewindLocked(Orchestration& orchestration,
                           std::vector<std::string> events, DoneStatus done) {
  engine_.mu_.AssertHeld();
  absl::StatusOr<RewoundHistory> history = ReadRewoundHistory(events);
  if (!history.ok()) {
    CompleteExecution failed;
    failed.status = OrchestrationStatus::kFailed;
    failed.failure =
        MakeFailure("InvalidRewind",
                    absl::StrCat("the worker's history to go on with is none: ",
                                 history.status().message()));
    TurnAnswer answer;
    answer.actions.push_back({HistoryEvent::kFromOutside, std::move(failed)});
    return engine_.turns_.CommitTurnLocked(orchestration, std::move(answer),
                                           std::move(done));
  }
  engine_.dispatcher_.End(orchestration.turn);
  orchestration.turn.ResetLosses();
  orchestration.committing = true;
  auto job = std::make_shared<RewindJob>();
  job->orchestration = orchestration.shared_from_this();
  job->sent = std::move(orchestration.sent);
  job->hot = std::move(orchestration.hot->state);
  job->history = *std::move(history);

  PendingCommit commit;
  commit.done = std::move(done);
  commit.changes =
      GoOnWith(job->history, orchestration.number, orchestration.execution_id,
               *job->sent, engine_.NowLocked(), *job->hot);
  commit.apply.push_back([this, job] {
    engine_.mu_.AssertHeld();
    ApplyRewindLocked(*job);
  });
  // Wakes the orchestrator, even if nothing else arrives.
  engine_.mail_.PostMessageLocked(
      job->orchestration, {.execution_id = *job->history.execution_id()},
      commit);
  for (const auto& [id, child] : job->history.children) {
    SendToChildLocked(*job, id, child, commit);
  }
  engine_.commits_.Submit(std::move(commit));
}

void Rewinds::SendToChildLocked(const RewindJob& job, int32_t action_id,
                                const SubOrchestrationCreated& child,
                                PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const InstanceKey& parent = job.orchestration->key;
  const RewoundHistory& history = job.history;
  const auto event_of = [&](EventBody body) -> HistoryEvent {
    return {HistoryEvent::kFromOutside, engine_.NowLocked(), std::move(body)};
  };
  if (absl::Status status = CheckChildId(child.instance_id); !status.ok()) {
    return engine_.mail_.PostLocked(
        job.orchestration, *history.execution_id(),
        event_of(SubOrchestrationFailed{
            action_id,
            MakeFailure("InvalidInstanceId", std::string(status.message()))}),
        commit);
  }
  engine_.mail_.SendLocked(
      parent,
      {NormalKey(parent.tenant, child.instance_id), "",
       event_of(StartOfChild(history.state, parent.id, action_id, child)),
       OutboxMessage::Kind::kRewind},
      commit);
}

void Rewinds::ApplyRewindLocked(RewindJob& job) {
  engine_.mu_.AssertHeld();
  Orchestration& orchestration = *job.orchestration;
  if (orchestration.gone) return;
  const HotState& hot = *job.hot;
  ++engine_.turn_count_;
  orchestration.committing = false;
  orchestration.execution_id = hot.summary.execution_id;
  engine_.answers_.ObserveRenamedLocked(orchestration);
  orchestration.former_executions = hot.summary.former_executions;
  engine_.directory_.SetStatus(orchestration, hot.state.status);
  orchestration.turn_time = hot.summary.turn_time;
  orchestration.inbox.Take(job.sent->last_sequence);
  for (const auto& [id, task] : job.history.tasks) {
    engine_.deliveries_.AddActivityLocked(orchestration, id, task);
  }
  for (const auto& [id, fire_at] : hot.state.timers) {
    engine_.schedule_.AddTimer({ToStored(ToTime(fire_at)), orchestration.number,
                                Timers::Kind::kTimer, id});
  }
  engine_.wait_list_.TellLocked(orchestration, hot, hot.state.started.input);
  if (orchestration.hot != nullptr && orchestration.hot->state == nullptr) {
    orchestration.hot->state = std::move(job.hot);
  }
  engine_.deliveries_.LineUpLocked(orchestration);
  engine_.deliveries_.UnpinLocked(orchestration.turn);
}

// ---- A child of one that was rewound ----------------------------------------

void Rewinds::ActOnLocked(const LetterPtr& letter) {
  engine_.mu_.AssertHeld();
  engine_.lookups_.Add(
      letter->message.to,
      [this, letter](const absl::StatusOr<std::optional<RunRow>>& row,
                     uint64_t reload) { OnChildFound(letter, row, reload); });
}

void Rewinds::OnChildFound(const LetterPtr& letter,
                           const absl::StatusOr<std::optional<RunRow>>& row,
                           uint64_t reload) {
  const InstanceKey& key = letter->message.to;
  absl::Status status = row.status();
  std::optional<FoundChild> found;
  if (status.ok() && row->has_value()) {
    absl::StatusOr<OrchestrationInfo> info = InfoOf(**row);
    status = info.status();
    if (status.ok() && info->finished.has_value()) {
      const auto ends = engine_.store_.ReadHistoryEnds((*row)->number);
      status = ends.ok() ? AddPayloads(*ends, *info) : ends.status();
    }
    if (status.ok()) found = {**row, *std::move(info)};
  }
  Engine::Section section(engine_);
  if (letter->forgotten) return engine_.lookups_.End(key, reload);
  const OrchestrationPtr present = engine_.directory_.Find(key);
  if (!status.ok() && !absl::IsDataLoss(status)) {
    engine_.mail_.PutOffLocked(letter, status);
  } else if (present != nullptr ? present->ending
                                : engine_.lookups_.IsOutdated(key, reload)) {
    // It has just ended, or is about to: the store will tell.
    engine_.AfterCommitsLocked([this, letter](const absl::Status& status) {
      Engine::Section section(engine_);
      if (status.ok() && !letter->forgotten) ActOnLocked(letter);
    });
  } else {
    PendingCommit commit;
    if (status.ok()) {
      GoOnWithChildLocked(*letter, found, commit);
    } else {
      TellParentLocked(
          *letter,
          SubOrchestrationFailed{
              ParentOf(*letter).task_scheduled_id,
              MakeFailure("Damaged", std::string(status.message()))},
          commit);
    }
    engine_.mail_.CommitLocked(letter, std::move(commit), /*reached=*/true);
  }
  engine_.lookups_.End(key, reload);
}

void Rewinds::GoOnWithChildLocked(const Letter& letter,
                                  const std::optional<FoundChild>& found,
                                  PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const InstanceKey& key = letter.message.to;
  const ParentLink& parent = ParentOf(letter);
  const OrchestrationPtr open = engine_.directory_.FindOpen(key);
  std::optional<RunNumber> number;
  if (open != nullptr) number = open->number;
  switch (StepOfChild(parent.orchestration.instance_id, number,
                      found.has_value() ? &*found : nullptr)) {
    case ChildStep::kNone:
      return;
    case ChildStep::kStart:
      return engine_.mail_.ActOnStartLocked(key, StartOf(letter), commit);
    case ChildStep::kReopen:
      return ReopenLocked(found->row, found->info,
                          {std::nullopt, parent.orchestration.execution_id},
                          commit);
    case ChildStep::kTellEnd:
      return TellParentLocked(
          letter,
          EndOfChild(key.id, parent.task_scheduled_id, found->info.status,
                     found->info.output, found->info.failure),
          commit);
  }
}

void Rewinds::TellParentLocked(const Letter& letter, EventBody end,
                               PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const InstanceKey& key = letter.message.to;
  const ExecutionOf& parent = ParentOf(letter).orchestration;
  engine_.mail_.SendLocked(
      key,
      {NormalKey(key.tenant, parent.instance_id),
       parent.execution_id.value_or(""),
       {HistoryEvent::kFromOutside, engine_.NowLocked(), std::move(end)}},
      commit);
}

}  // namespace leasehold
