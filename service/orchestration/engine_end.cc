// The engine's ends without a worker: by force, and for orchestrations that
// were told to terminate when no worker can carry that out.
//
//   taken from workers ─▶ queued commits are durable ─▶ read ─▶ ended
//
// From the first step on, the orchestration receives nothing new, and no
// worker's answer counts, except one that is already being committed. The
// resulting state is then read: its parent and its sub-orchestrations.
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {

struct Engine::EndJob {
  struct One {
    OrchestrationPtr orchestration;
    RuntimeState state = {};             // As far as it was read.
    std::vector<MessageRow> first = {};  // Of its messages.
    absl::Status read = absl::OkStatus();
  };

  std::vector<InstanceKey> keys;  // Still to be begun.
  Payload output;
  bool recursive = false;
  // Whether sub-orchestrations are ended in the same way, or are told.
  bool force = false;
  std::string_view why = {};  // For logs.
  // The message with `output` and `recursive`, if it is only in the store.
  std::optional<int64_t> told_in = std::nullopt;
  // May be null. Receives the keys that are not open.
  Done<std::vector<InstanceKey>> done;
  std::vector<One> ones = {};
  std::vector<InstanceKey> not_open = {};
  bool of_children = false;
};

// ---- Recording an end -------------------------------------------------------

void Engine::RecordEndLocked(const Orchestration& orchestration,
                             ExecutionCompleted end, PendingCommit& commit) {
  const Timestamp now = NowLocked();
  const int32_t status = end.status;
  std::string events;
  const auto add = [&](EventBody event) {
    AppendFrame(
        events, kStoredFrame,
        EncodeEvent({HistoryEvent::kFromOutside, now, std::move(event)}));
  };
  add(OrchestratorStarted{});
  // If it has not started, nothing else is in the history.
  if (std::optional<ExecutionStarted> start = PendingStartOf(orchestration)) {
    add(*std::move(start));
  }
  if (status == static_cast<int32_t>(OrchestrationStatus::kTerminated)) {
    add(ExecutionTerminated{end.result});
  }
  add(std::move(end));
  commit.changes.push_back(FinishRun{orchestration.number, status,
                                     ToStored(ToTime(now)), std::move(events)});
}

void Engine::EndWithLocked(const OrchestrationPtr& orchestration,
                           PendingCommit& commit) {
  commit.apply.push_back([this, orchestration] {
    mu_.AssertHeld();
    EndLocked(*orchestration);
    ReviewWaitersLocked(orchestration->key);
  });
}

void Engine::TellParentLocked(const InstanceKey& key,
                              const std::optional<ParentLink>& parent,
                              OrchestrationStatus status,
                              const OpaqueMessage& failure,
                              PendingCommit& commit) {
  if (!parent.has_value()) return;
  const ExecutionOf& of = parent->orchestration;
  SendLocked(
      key,
      {NormalKey(key.tenant, of.instance_id),
       of.execution_id.value_or(""),
       {HistoryEvent::kFromOutside, NowLocked(),
        EndOfChild(key.id, parent->task_scheduled_id, status, {}, failure)}},
      commit);
}

// ---- Several at once --------------------------------------------------------

void Engine::BeginEndLocked(const EndJobPtr& job) {
  job->ones.clear();
  for (InstanceKey& key : std::exchange(job->keys, {})) {
    const OrchestrationPtr open = FindOpenLocked(key);
    if (open == nullptr || open->damage != nullptr) {
      if (!job->of_children) job->not_open.push_back(std::move(key));
      continue;
    }
    open->ending = true;
    std::erase(open->unsent, &open->turn);
    dispatcher_.End(open->turn);
    job->ones.push_back({.orchestration = open});
  }
  AfterCommitsLocked([this, job](const absl::Status& status) {
    if (status.ok()) {
      return readers_.Post([this, job] { ReadForEnd(job); });
    }
    Section section(*this);
    GiveUpEndLocked(job, status);
  });
}

absl::Status Engine::ReadTerminate(EndJob& job) {
  if (job.ones.empty()) return absl::OkStatus();
  const auto rows =
      store_.ReadMessages(job.ones.front().orchestration->number,
                          {.first = *job.told_in, .last = *job.told_in});
  if (!rows.ok()) return rows.status();
  for (const MessageRow& row : *rows) {
    std::optional<HistoryEvent> event = DecodeEvent(row.event);
    if (!event.has_value()) continue;
    if (auto* told = std::get_if<ExecutionTerminated>(&event->body)) {
      job.output = std::move(told->output);
      job.recursive = told->recursive;
      return absl::OkStatus();
    }
  }
  return absl::DataLossError("what told it to terminate is missing");
}

void Engine::ReadForEnd(const EndJobPtr& job) {
  absl::Status told = absl::OkStatus();
  if (job->told_in.has_value()) told = ReadTerminate(*job);
  for (EndJob::One& one : job->ones) {
    const RunNumber number = one.orchestration->number;
    std::vector<std::string> chunks;
    one.read = told;
    if (!told.ok()) continue;
    // If it has started, the first message is not a start.
    auto first = store_.ReadMessages(number, {.count_max = 1});
    one.read = first.status();
    if (!first.ok()) continue;
    one.first = *std::move(first);
    if (job->recursive) {
      auto history = store_.ReadHistory(number);
      one.read = history.status();
      if (history.ok()) chunks = *std::move(history);
    } else {
      auto ends = store_.ReadHistoryEnds(number);
      one.read = ends.status();
      if (ends.ok()) chunks = {std::move(ends->first)};
    }
    for (const std::string& chunk : chunks) {
      if (!one.state.ApplyFrames(chunk)) {
        one.read =
            absl::DataLossError("its history has something that is no event");
      }
    }
  }
  Section section(*this);
  if (absl::Status status = admission_.serving(); !status.ok()) {
    return GiveUpEndLocked(job, status);
  }
  for (const EndJob::One& one : job->ones) {
    if (!one.read.ok() && !absl::IsDataLoss(one.read)) {
      return GiveUpEndLocked(job, one.read);
    }
  }
  CommitEndLocked(job);
}

void Engine::GiveUpEndLocked(const EndJobPtr& job, const absl::Status& status) {
  for (const EndJob::One& one : job->ones) {
    Orchestration& orchestration = *one.orchestration;
    if (orchestration.gone) continue;
    orchestration.ending = false;
    RetryLaterLocked(orchestration.turn);
  }
  if (job->done) RefuseLocked(job->done, status);
}

void Engine::CommitEndLocked(const EndJobPtr& job) {
  PendingCommit commit;
  for (EndJob::One& one : job->ones) {
    Orchestration& orchestration = *one.orchestration;
    const InstanceKey& key = orchestration.key;
    if (orchestration.gone) {
      if (!job->of_children) job->not_open.push_back(key);
      continue;
    }
    orchestration.ending = one.read.ok();
    if (SetAsideIfLostLocked(orchestration, one.read)) {
      if (!job->of_children) job->not_open.push_back(key);
      continue;
    }
    // If it has not started, its history is empty.
    KeepStart(std::move(one.first), orchestration);
    if (const auto start = PendingStartOf(orchestration)) {
      one.state.started = *start;
    }
    ObserveLocked(WorkEventKind::kEndedByServer, orchestration.turn, 0,
                  job->why);
    constexpr auto kTerminated = OrchestrationStatus::kTerminated;
    RecordEndLocked(orchestration,
                    {static_cast<int32_t>(kTerminated), job->output, {}},
                    commit);
    EndWithLocked(one.orchestration, commit);
    TellParentLocked(key, one.state.started.parent, kTerminated, {}, commit);
    if (job->recursive) EndChildrenLocked(*job, key, one.state, commit);
  }
  commit.done = [this, job](const absl::Status& status) {
    OnEnded(job, status);
  };
  commits_.Submit(std::move(commit));
}

void Engine::EndChildrenLocked(EndJob& job, const InstanceKey& key,
                               const RuntimeState& state,
                               PendingCommit& commit) {
  for (const auto& [id, child] : state.children) {
    InstanceKey child_key = NormalKey(key.tenant, child);
    if (job.force) {
      job.keys.push_back(std::move(child_key));
    } else {
      SendLocked(key,
                 {std::move(child_key),
                  "",
                  {HistoryEvent::kFromOutside, NowLocked(),
                   ExecutionTerminated{job.output, true}}},
                 commit);
    }
  }
}

void Engine::OnEnded(const EndJobPtr& job, const absl::Status& status) {
  if (status.ok() && !job->keys.empty()) {
    job->of_children = true;
    Section section(*this);
    if (absl::Status serving = admission_.serving(); !serving.ok()) {
      return GiveUpEndLocked(job, serving);
    }
    return BeginEndLocked(job);
  }
  if (!job->done) return;
  if (!status.ok()) return job->done(status);
  job->done(std::move(job->not_open));
}

// ---- By force ---------------------------------------------------------------

void Engine::TerminateNow(std::vector<InstanceKey> keys, Payload output,
                          Done<std::vector<InstanceKey>> done) {
  Section section(*this);
  if (absl::Status status = admission_.serving(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  BeginEndLocked(
      std::make_shared<EndJob>(EndJob{.keys = std::move(keys),
                                      .output = std::move(output),
                                      .force = true,
                                      .why = "it was terminated by force",
                                      .done = std::move(done)}));
}

void Engine::TerminateByForce(const InstanceKey& key, Payload output,
                              bool recursive, DoneStatus done) {
  Section section(*this);
  absl::Status status = admission_.serving();
  if (status.ok()) {
    status = CheckPayload(output, "the output has", options_.limits);
  }
  if (!status.ok()) return RefuseLocked(done, status);
  const auto ended =
      [this, key, output, recursive,
       done](const absl::StatusOr<std::vector<InstanceKey>>& not_open) {
        if (!not_open.ok()) return done(not_open.status());
        if (not_open->empty()) return done(absl::OkStatus());
        // It has ended by itself, or does not exist: Terminate reports that.
        Terminate(key, output, recursive, done);
      };
  BeginEndLocked(
      std::make_shared<EndJob>(EndJob{.keys = {key},
                                      .output = std::move(output),
                                      .recursive = recursive,
                                      .force = true,
                                      .why = "it was terminated by force",
                                      .done = ended}));
}

// ---- Terminating without a worker -------------------------------------------

void Engine::EndTerminatingLocked() {
  for (const RunNumber number : std::exchange(newly_terminating_, {})) {
    if (!EndIfLeftLocked(number)) terminating_.insert(number);
  }
  if (!std::exchange(takers_changed_, false)) return;
  for (auto it = terminating_.begin(); it != terminating_.end();) {
    if (EndIfLeftLocked(*it)) {
      it = terminating_.erase(it);
    } else {
      ++it;
    }
  }
}

bool Engine::EndIfLeftLocked(RunNumber number) {
  const Orchestration* found = directory_.FindByNumber(number);
  if (found == nullptr) return true;
  const Orchestration& orchestration = *found;
  if (UnwantedLocked(orchestration.turn).empty()) return false;
  const Message* message = orchestration.inbox.terminate();
  if (message == nullptr) return false;
  const auto job = std::make_shared<EndJob>(
      EndJob{.keys = {orchestration.key},
             .output = {},
             .why = "it was told to terminate, and no connected worker that "
                    "takes it answers",
             .done = nullptr});
  if (message->away) {
    job->told_in = message->sequence;
  } else {
    std::optional<HistoryEvent> event = DecodeEvent(message->event);
    auto& told = std::get<ExecutionTerminated>(event->body);
    job->output = std::move(told.output);
    job->recursive = told.recursive;
  }
  BeginEndLocked(job);
  return true;
}

}  // namespace leasehold
