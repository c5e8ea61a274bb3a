#include "service/orchestration/rewinds.h"

#include <algorithm>
#include <map>
#include <set>
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

}  // namespace

struct Rewinds::RewindJob {
  OrchestrationPtr orchestration;
  std::unique_ptr<SentTurn> sent;
  std::unique_ptr<HotState> hot;  // The former state.
  RewoundHistory history;
  DoneStatus done;

  // The children's rows are looked up in this order, and their lookups last
  // until the job has decided, so that no one else decides about them
  // meanwhile. All jobs use one order, so they cannot deadlock.
  std::set<std::string> ids;
  std::vector<InstanceKey> looked_up;
  std::map<std::string, FoundChild> found;
  uint64_t epoch = 0;
};

// ---- Reopening --------------------------------------------------------------

void Rewinds::Rewind(const InstanceKey& key, Payload reason, DoneStatus done) {
  Engine::Section section(engine_);
  absl::Status status = engine_.admission_.serving();
  if (status.ok()) {
    status = CheckPayload(reason, "the reason has", engine_.options_.limits);
  }
  if (!status.ok()) return engine_.RefuseLocked(done, status);
  const OrchestrationPtr open = engine_.FindOpenLocked(key);
  if (open != nullptr && open->durable) {
    return engine_.RefuseLocked(done, NotRewindable(key, open->status));
  }
  engine_.lookups_.Add(
      key,
      [this, key, reason = std::move(reason), done = std::move(done)](
          const absl::StatusOr<std::optional<RunRow>>& row, uint64_t epoch) {
        Engine::Section section(engine_);
        absl::StatusOr<OrchestrationInfo> info = NoSuchOrchestration(key);
        if (row.ok() && row->has_value()) info = InfoOf(**row);
        if (!row.ok()) {
          engine_.RefuseLocked(done, row.status());
        } else if (engine_.directory_.Contains(key) ||
                   engine_.lookups_.IsOutdated(key, epoch)) {
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
          commit.done = done;
          ReopenLocked(**row, *info, {reason, std::nullopt}, commit);
          engine_.commits_.Submit(std::move(commit));
        }
        engine_.lookups_.End(key, epoch);
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
  job->done = std::move(done);
  job->epoch = engine_.lookups_.epoch();
  for (const auto& [id, child] : job->history.children) {
    if (CheckChildId(child.instance_id).ok()) {
      job->ids.insert(child.instance_id);
    }
  }
  LookUpChildLocked(job);
}

void Rewinds::LookUpChildLocked(const RewindJobPtr& job) {
  engine_.mu_.AssertHeld();
  const std::string& tenant = job->orchestration->key.tenant;
  auto next = job->ids.begin();
  std::advance(next, job->looked_up.size());
  if (next == job->ids.end()) return CommitRewindLocked(job);
  job->looked_up.push_back(NormalKey(tenant, *next));
  engine_.lookups_.Add(
      job->looked_up.back(),
      [this, job](const absl::StatusOr<std::optional<RunRow>>& row,
                  uint64_t epoch) { OnChildFound(job, row, epoch); });
}

void Rewinds::OnChildFound(const RewindJobPtr& job,
                           const absl::StatusOr<std::optional<RunRow>>& row,
                           uint64_t epoch) {
  absl::Status status = row.status();
  std::optional<FoundChild> child;
  if (status.ok() && row->has_value()) {
    absl::StatusOr<OrchestrationInfo> info = InfoOf(**row);
    status = info.status();
    if (status.ok() && info->finished.has_value()) {
      const auto ends = engine_.store_.ReadHistoryEnds((*row)->number);
      status = ends.ok() ? AddPayloads(*ends, *info) : ends.status();
    }
    if (status.ok()) child = {**row, *std::move(info)};
  }
  Engine::Section section(engine_);
  if (status.ok() && epoch != engine_.lookups_.epoch())
    status = engine_.admission_.serving();
  if (!status.ok()) return GiveUpRewindLocked(job, status);
  if (child.has_value()) {
    job->found.insert_or_assign(job->looked_up.back().id, *std::move(child));
  }
  LookUpChildLocked(job);
}

void Rewinds::ForgetChildrenLocked(RewindJob& job) {
  engine_.mu_.AssertHeld();
  for (const InstanceKey& key : job.looked_up)
    engine_.lookups_.End(key, job.epoch);
  job.looked_up.clear();
  job.found.clear();
}

void Rewinds::GiveUpRewindLocked(const RewindJobPtr& job,
                                 const absl::Status& status) {
  engine_.mu_.AssertHeld();
  ForgetChildrenLocked(*job);
  Orchestration& orchestration = *job->orchestration;
  engine_.RefuseLocked(job->done, status);
  if (orchestration.gone) return;
  // The turn can be answered again.
  orchestration.committing = false;
  if (orchestration.hot != nullptr && orchestration.hot->state == nullptr) {
    orchestration.hot->state = std::move(job->hot);
  }
  engine_.deliveries_.LineUpLocked(orchestration);
  engine_.deliveries_.UnpinLocked(orchestration.turn);
}

void Rewinds::CommitRewindLocked(const RewindJobPtr& job) {
  engine_.mu_.AssertHeld();
  Orchestration& orchestration = *job->orchestration;
  if (orchestration.gone) {
    return GiveUpRewindLocked(
        job, absl::NotFoundError("the orchestration no longer exists"));
  }
  for (const InstanceKey& key : job->looked_up) {
    const OrchestrationPtr present = engine_.directory_.Find(key);
    const bool open = present != nullptr && !present->ending;
    const bool changes = present != nullptr && !open;
    if (!changes && (open || !engine_.lookups_.IsOutdated(key, job->epoch))) {
      continue;
    }
    // It has just ended, or is about to: the store will tell.
    ForgetChildrenLocked(*job);
    return engine_.AfterCommitsLocked([this, job](const absl::Status& status) {
      Engine::Section section(engine_);
      if (!status.ok()) return GiveUpRewindLocked(job, status);
      LookUpChildLocked(job);
    });
  }

  PendingCommit commit;
  commit.done = std::move(job->done);
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
    RewindChildLocked(*job, id, child, commit);
  }
  engine_.commits_.Submit(std::move(commit));
  ForgetChildrenLocked(*job);
}

void Rewinds::RewindChildLocked(const RewindJob& job, int32_t action_id,
                                const SubOrchestrationCreated& child,
                                PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const OrchestrationPtr& parent = job.orchestration;
  const RewoundHistory& history = job.history;
  const auto tell_parent = [&](EventBody event) {
    engine_.mu_.AssertHeld();
    engine_.mail_.PostLocked(
        parent, *history.execution_id(),
        {HistoryEvent::kFromOutside, engine_.NowLocked(), std::move(event)},
        commit);
  };
  if (absl::Status status = CheckChildId(child.instance_id); !status.ok()) {
    return tell_parent(SubOrchestrationFailed{
        action_id,
        MakeFailure("InvalidInstanceId", std::string(status.message()))});
  }
  const InstanceKey key = NormalKey(parent->key.tenant, child.instance_id);
  const OrchestrationPtr open = engine_.FindOpenLocked(key);
  const auto it = job.found.find(key.id);
  const FoundChild* found = it == job.found.end() ? nullptr : &it->second;
  std::optional<RunNumber> number;
  if (open != nullptr) number = open->number;
  switch (StepOfChild(parent->key.id, number, found)) {
    case ChildStep::kNone:
      return;
    case ChildStep::kStart:
      return engine_.mail_.StartChildLocked(
          parent,
          {action_id,
           StartOfChild(history.state, parent->key.id, action_id, child)},
          commit);
    case ChildStep::kReopen:
      return ReopenLocked(found->row, found->info,
                          {std::nullopt, history.execution_id()}, commit);
    case ChildStep::kTellEnd:
      return tell_parent(EndOfChild(key.id, action_id, found->info.status,
                                    found->info.output, found->info.failure));
  }
}

void Rewinds::ApplyRewindLocked(RewindJob& job) {
  engine_.mu_.AssertHeld();
  Orchestration& orchestration = *job.orchestration;
  if (orchestration.gone) return;
  const HotState& hot = *job.hot;
  ++engine_.turn_count_;
  orchestration.committing = false;
  orchestration.execution_id = hot.summary.execution_id;
  orchestration.former_executions = hot.summary.former_executions;
  orchestration.status = hot.state.status;
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

}  // namespace leasehold
