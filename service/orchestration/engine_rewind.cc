// The engine's rewinds: a failed orchestration continues from its last good
// point.
//
//   Rewind ─▶ open again, a rewind in its inbox ─▶ a turn with the whole
//   history ─▶ the worker's answer: the history to go on with ─▶ the rows of
//   its children are read ─▶ one commit: the new history, and what its children
//   need ─▶ a turn, in which the orchestrator does again what had failed
//
// The work in progress when it failed was dropped then, so it begins anew:
// activities are queued, timers set, failed children rewound themselves, and
// the ends of children that ended meanwhile are reported.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {
namespace {

constexpr size_t kFormerExecutionsMax = 100;

absl::Status NotRewindable(const InstanceKey& key, OrchestrationStatus status) {
  return absl::FailedPreconditionError(
      absl::StrCat("orchestration ", QuoteForMessage(key.id), " is ",
                   std::string(StatusName(status)),
                   ", which does not allow rewinding: only one that has failed "
                   "is rewound"));
}

// The unfinished work in a history: the events that created it.
struct Unfinished {
  std::map<int32_t, TaskScheduled> tasks;
  std::map<int32_t, SubOrchestrationCreated> children;
};

// Reads a history to continue with. Not OK: why it is not valid.
absl::Status ReadNewHistory(const std::vector<std::string>& events,
                            RuntimeState& state, Unfinished& unfinished) {
  for (const std::string& bytes : events) {
    const std::optional<HistoryEvent> event = DecodeEvent(bytes);
    if (!event.has_value()) {
      return absl::InvalidArgumentError("an event of it cannot be read");
    }
    state.Apply(*event);
    if (const auto* task = event->As<TaskScheduled>()) {
      unfinished.tasks.emplace(event->id, *task);
    } else if (const auto* child = event->As<SubOrchestrationCreated>()) {
      unfinished.children.emplace(event->id, *child);
    }
  }
  std::erase_if(unfinished.tasks, [&state](const auto& task) {
    return !state.tasks.contains(task.first);
  });
  std::erase_if(unfinished.children, [&state](const auto& child) {
    return !state.children.contains(child.first);
  });
  if (state.started.orchestration.execution_id.value_or("").empty()) {
    return absl::InvalidArgumentError("it does not begin with a new execution");
  }
  if (IsFinished(state.status)) {
    return absl::InvalidArgumentError("it has an end");
  }
  return absl::OkStatus();
}

}  // namespace

struct Engine::RewindJob {
  // A child as the store has it.
  struct Child {
    RunRow row;
    OrchestrationInfo info;  // With payloads, if it has completed.
  };

  const Payload& execution_id() const {
    return state.started.orchestration.execution_id;
  }

  OrchestrationPtr orchestration;
  std::unique_ptr<SentTurn> sent;
  std::unique_ptr<HotState> hot;  // The former state.
  RuntimeState state;             // The new state.
  std::string history;            // In frames.
  Unfinished unfinished;
  DoneStatus done;

  // The children's rows are looked up in this order, and their lookups last
  // until the job has decided, so that no one else decides about them
  // meanwhile. All jobs use one order, so they cannot deadlock.
  std::set<std::string> ids;
  std::vector<InstanceKey> looked_up;
  std::map<std::string, Child> found;
  uint64_t epoch = 0;
};

// ---- Reopening --------------------------------------------------------------

void Engine::Rewind(const InstanceKey& key, Payload reason, DoneStatus done) {
  Section section(*this);
  absl::Status status = admission_.serving();
  if (status.ok()) {
    status = CheckPayload(reason, "the reason has", options_.limits);
  }
  if (!status.ok()) return RefuseLocked(done, status);
  const OrchestrationPtr open = FindOpenLocked(key);
  if (open != nullptr && open->durable) {
    return RefuseLocked(done, NotRewindable(key, open->status));
  }
  LookUpLocked(key, [this, key, reason = std::move(reason),
                     done = std::move(done)](
                        const absl::StatusOr<std::optional<RunRow>>& row,
                        uint64_t epoch) {
    Section section(*this);
    absl::StatusOr<OrchestrationInfo> info = NoSuchOrchestration(key);
    if (row.ok() && row->has_value()) info = InfoOf(**row);
    if (!row.ok()) {
      RefuseLocked(done, row.status());
    } else if (directory_.Contains(key) || LookupIsOutdatedLocked(key, epoch)) {
      // Which one exists is known once the queued commits are durable.
      AfterCommitsLocked([this, key, reason, done](const absl::Status& status) {
        if (!status.ok()) return done(status);
        Rewind(key, reason, done);
      });
    } else if (!info.ok()) {
      RefuseLocked(done, info.status());
    } else if (info->status != OrchestrationStatus::kFailed) {
      RefuseLocked(done, NotRewindable(key, info->status));
    } else {
      PendingCommit commit;
      commit.done = done;
      ReopenLocked(**row, *info, {reason, std::nullopt}, commit);
      commits_.Submit(std::move(commit));
    }
    EndLookupLocked(key, epoch);
  });
}

void Engine::ReopenLocked(const RunRow& row, const OrchestrationInfo& info,
                          ExecutionRewound rewound, PendingCommit& commit) {
  const InstanceKey key{row.tenant, row.id};
  const Timestamp now = NowLocked();
  Summary summary = info.summary;
  summary.updated = now;
  auto opened = std::make_shared<Orchestration>(
      row.number, key, summary.name, summary.version, summary.execution_id);
  opened->former_executions = summary.former_executions;
  opened->status = OrchestrationStatus::kRunning;
  opened->turn_time = summary.turn_time;
  directory_.Add(opened);

  commit.changes.push_back(UpdateRun{row.number,
                                     static_cast<int32_t>(opened->status),
                                     std::nullopt, EncodeMessage(summary)});
  commit.apply.push_back([this, opened] {
    mu_.AssertHeld();
    opened->durable = true;
    opened->revision = ++last_revision_;
  });
  PostLocked(opened, "", {HistoryEvent::kFromOutside, now, std::move(rewound)},
             commit);
}

// ---- The answer -------------------------------------------------------------

void Engine::RewindLocked(Orchestration& orchestration,
                          std::vector<std::string> events, DoneStatus done) {
  auto job = std::make_shared<RewindJob>();
  if (absl::Status status = ReadNewHistory(events, job->state, job->unfinished);
      !status.ok()) {
    CompleteExecution failed;
    failed.status = OrchestrationStatus::kFailed;
    failed.failure =
        MakeFailure("InvalidRewind",
                    absl::StrCat("the worker's history to go on with is none: ",
                                 status.message()));
    TurnAnswer answer;
    answer.actions.push_back({HistoryEvent::kFromOutside, std::move(failed)});
    return CommitTurnLocked(orchestration, std::move(answer), std::move(done));
  }
  dispatcher_.End(orchestration.turn);
  orchestration.turn.given_back = 0;
  orchestration.turn.lost = 0;
  orchestration.turn.alone = false;
  orchestration.committing = true;
  job->orchestration = orchestration.shared_from_this();
  job->sent = std::move(orchestration.sent);
  job->hot = std::move(orchestration.hot->state_);
  for (const std::string& event : events) {
    AppendFrame(job->history, kStoredFrame, event);
  }
  job->done = std::move(done);
  job->epoch = epoch_;
  for (const auto& [id, child] : job->unfinished.children) {
    if (CheckChildId(child.instance_id).ok()) {
      job->ids.insert(child.instance_id);
    }
  }
  LookUpChildLocked(job);
}

void Engine::LookUpChildLocked(const RewindJobPtr& job) {
  const std::string& tenant = job->orchestration->key.tenant;
  auto next = job->ids.begin();
  std::advance(next, job->looked_up.size());
  if (next == job->ids.end()) return CommitRewindLocked(job);
  job->looked_up.push_back(NormalKey(tenant, *next));
  LookUpLocked(job->looked_up.back(),
               [this, job](const absl::StatusOr<std::optional<RunRow>>& row,
                           uint64_t epoch) { OnChildFound(job, row, epoch); });
}

void Engine::OnChildFound(const RewindJobPtr& job,
                          const absl::StatusOr<std::optional<RunRow>>& row,
                          uint64_t epoch) {
  absl::Status status = row.status();
  std::optional<RewindJob::Child> child;
  if (status.ok() && row->has_value()) {
    absl::StatusOr<OrchestrationInfo> info = InfoOf(**row);
    status = info.status();
    if (status.ok() && info->finished.has_value()) {
      const auto ends = store_.ReadHistoryEnds((*row)->number);
      status = ends.ok() ? AddPayloads(*ends, *info) : ends.status();
    }
    if (status.ok()) child = {**row, *std::move(info)};
  }
  Section section(*this);
  if (status.ok() && epoch != epoch_) status = admission_.serving();
  if (!status.ok()) return GiveUpRewindLocked(job, status);
  if (child.has_value()) {
    job->found.insert_or_assign(job->looked_up.back().id, *std::move(child));
  }
  LookUpChildLocked(job);
}

void Engine::ForgetChildrenLocked(RewindJob& job) {
  for (const InstanceKey& key : job.looked_up) EndLookupLocked(key, job.epoch);
  job.looked_up.clear();
  job.found.clear();
}

void Engine::GiveUpRewindLocked(const RewindJobPtr& job,
                                const absl::Status& status) {
  ForgetChildrenLocked(*job);
  Orchestration& orchestration = *job->orchestration;
  RefuseLocked(job->done, status);
  if (orchestration.gone) return;
  // The turn can be answered again.
  orchestration.committing = false;
  if (orchestration.hot != nullptr && orchestration.hot->state_ == nullptr) {
    orchestration.hot->state_ = std::move(job->hot);
  }
  LineUpLocked(orchestration);
  UnpinLocked(orchestration.turn);
}

void Engine::CommitRewindLocked(const RewindJobPtr& job) {
  Orchestration& orchestration = *job->orchestration;
  if (orchestration.gone) {
    return GiveUpRewindLocked(
        job, absl::NotFoundError("the orchestration has gone meanwhile"));
  }
  for (const InstanceKey& key : job->looked_up) {
    const OrchestrationPtr present = directory_.Find(key);
    const bool open = present != nullptr && !present->ending;
    const bool changes = present != nullptr && !open;
    if (!changes && (open || !LookupIsOutdatedLocked(key, job->epoch))) {
      continue;
    }
    // It has just ended, or is about to: the store will tell.
    ForgetChildrenLocked(*job);
    return AfterCommitsLocked([this, job](const absl::Status& status) {
      Section section(*this);
      if (!status.ok()) return GiveUpRewindLocked(job, status);
      LookUpChildLocked(job);
    });
  }

  const RunNumber number = orchestration.number;
  HotState& hot = *job->hot;
  std::vector<std::string>& former = hot.summary.former_executions;
  former.push_back(orchestration.execution_id);
  if (former.size() > kFormerExecutionsMax) former.erase(former.begin());
  hot.summary.execution_id = *job->execution_id();
  hot.summary.updated = std::max(NowLocked(), job->sent->time);
  hot.summary.turn_time = job->sent->time;
  hot.state = std::move(job->state);
  hot.past = std::move(job->history);
  hot.chunks = 1;
  hot.summary.chunks = 1;
  job->state.started = hot.state.started;

  PendingCommit commit;
  commit.done = std::move(job->done);
  commit.changes.push_back(ClearExecution{number});
  commit.changes.push_back(AppendHistory{number, 0, hot.past});
  commit.changes.push_back(TakeMessages{number, job->sent->last_sequence});
  for (const auto& [id, task] : job->unfinished.tasks) {
    commit.changes.push_back(PutTask{{number, id, EncodeMessage(task)}});
  }
  for (const auto& [id, fire_at] : hot.state.timers) {
    commit.changes.push_back(PutTimer{{number, id, ToStored(ToTime(fire_at))}});
  }
  commit.changes.push_back(UpdateRun{number,
                                     static_cast<int32_t>(hot.state.status),
                                     std::nullopt, EncodeMessage(hot.summary)});
  commit.apply.push_back([this, job] {
    mu_.AssertHeld();
    ApplyRewindLocked(*job);
  });
  // Wakes the orchestrator, even if nothing else arrives.
  PostMessageLocked(job->orchestration, {.execution_id = *job->execution_id()},
                    commit);
  for (const auto& [id, child] : job->unfinished.children) {
    RewindChildLocked(*job, id, child, commit);
  }
  commits_.Submit(std::move(commit));
  ForgetChildrenLocked(*job);
}

void Engine::RewindChildLocked(const RewindJob& job, int32_t action_id,
                               const SubOrchestrationCreated& child,
                               PendingCommit& commit) {
  const OrchestrationPtr& parent = job.orchestration;
  const auto tell_parent = [&](EventBody event) {
    mu_.AssertHeld();
    PostLocked(parent, *job.execution_id(),
               {HistoryEvent::kFromOutside, NowLocked(), std::move(event)},
               commit);
  };
  if (absl::Status status = CheckChildId(child.instance_id); !status.ok()) {
    return tell_parent(SubOrchestrationFailed{
        action_id,
        MakeFailure("InvalidInstanceId", std::string(status.message()))});
  }
  const InstanceKey key = NormalKey(parent->key.tenant, child.instance_id);
  const OrchestrationPtr open = FindOpenLocked(key);
  const auto it = job.found.find(key.id);
  const RewindJob::Child* found = it == job.found.end() ? nullptr : &it->second;
  const bool ours =
      found != nullptr && found->info.summary.parent_id == parent->key.id;
  if (open != nullptr && ours && open->number == found->row.number) {
    return;  // It runs, and will report its end.
  }
  if (open != nullptr || !ours) {
    return StartChildLocked(
        parent,
        {action_id, StartOfChild(job.state, parent->key.id, action_id, child)},
        commit);
  }
  if (found->info.status == OrchestrationStatus::kFailed) {
    return ReopenLocked(found->row, found->info,
                        {std::nullopt, job.execution_id()}, commit);
  }
  tell_parent(EndOfChild(key.id, action_id, found->info.status,
                         found->info.output, found->info.failure));
}

void Engine::ApplyRewindLocked(RewindJob& job) {
  Orchestration& orchestration = *job.orchestration;
  if (orchestration.gone) return;
  const HotState& hot = *job.hot;
  ++turns_;
  orchestration.committing = false;
  orchestration.execution_id = hot.summary.execution_id;
  orchestration.former_executions = hot.summary.former_executions;
  orchestration.status = hot.state.status;
  orchestration.turn_time = hot.summary.turn_time;
  orchestration.inbox.Take(job.sent->last_sequence);
  for (const auto& [id, task] : job.unfinished.tasks) {
    AddActivityLocked(orchestration, id, task);
  }
  for (const auto& [id, fire_at] : hot.state.timers) {
    AddTimerLocked({ToStored(ToTime(fire_at)), orchestration.number,
                    Timers::Kind::kTimer, id});
  }
  TellLocked(orchestration, hot, hot.state.started.input);
  if (orchestration.hot != nullptr && orchestration.hot->state_ == nullptr) {
    orchestration.hot->state_ = std::move(job.hot);
  }
  LineUpLocked(orchestration);
  UnpinLocked(orchestration.turn);
}

}  // namespace leasehold
