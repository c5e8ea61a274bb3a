#include "service/orchestration/ends.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/run_spans.h"
#include "service/orchestration/trace_message.h"

namespace leasehold {

struct Ends::EndJob {
  struct One {
    OrchestrationPtr orchestration;
    RuntimeState state = {};             // As far as it was read.
    std::vector<MessageRow> first = {};  // Of its messages.
    absl::Status read = absl::OkStatus();
    std::optional<OrchestrationInfo> info = {};  // For its span.
  };

  std::vector<InstanceKey> keys;  // Still to be begun.
  Payload output;
  bool recursive = false;
  // Whether sub-orchestrations are ended in the same way, or are told.
  bool force = false;
  std::string_view why = {};  // For logs.
  // The message with `output` and `recursive`, if it is only in the store.
  std::optional<int64_t> told_in = std::nullopt;
  // Who wants it: a caller, a letter, or (both are null) the engine itself. A
  // caller is told which keys were not open.
  ErrandPtr errand = nullptr;
  LetterPtr letter = nullptr;
  std::vector<One> ones = {};
  std::vector<InstanceKey> not_open = {};
};

namespace {

constexpr std::string_view kForced = "it was terminated by force";

}  // namespace

// ---- Recording an end -------------------------------------------------------

void Ends::RecordEndLocked(Orchestration& orchestration, ExecutionCompleted end,
                           PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const Timestamp now = engine_.NowLocked();
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
  commit.apply.push_back([this, ended = orchestration.shared_from_this(),
                          failure = end.failure, status] {
    engine_.mu_.AssertHeld();
    engine_.answers_.ObserveEndLocked(
        *ended, static_cast<OrchestrationStatus>(status), failure);
  });
  add(std::move(end));
  commit.changes.push_back(FinishRun{orchestration.number, status,
                                     ToStored(ToTime(now)), std::move(events)});
}

void Ends::TraceEndLocked(const InstanceKey& key, const OrchestrationInfo& info,
                          const RuntimeState& state, OrchestrationStatus status,
                          PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const Timestamp now = engine_.NowLocked();
  std::vector<Span> spans;
  AddSpans({.id = key.id,
            .created = info.created,
            .now = now,
            .worker_makes_spans = NamesSpan(info.summary.trace_context)},
           state,
           {HistoryEvent::kFromOutside, now,
            ExecutionCompleted{static_cast<int32_t>(status), {}, {}}},
           spans);
  if (spans.empty()) return;
  commit.apply.push_back([this, key, spans = std::move(spans)] {
    engine_.mu_.AssertHeld();
    engine_.TellSpansLocked(key, spans);
  });
}

void Ends::EndWithLocked(const OrchestrationPtr& orchestration,
                         PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  engine_.batches_.ReleaseLocksLocked(orchestration->key, commit);
  commit.apply.push_back([this, orchestration] {
    engine_.mu_.AssertHeld();
    engine_.EndLocked(*orchestration);
    engine_.wait_list_.ReviewWaitersLocked(orchestration->key);
  });
}

// ---- Several at once --------------------------------------------------------

void Ends::BeginEndLocked(const EndJobPtr& job) {
  engine_.mu_.AssertHeld();
  job->ones.clear();
  for (InstanceKey& key : std::exchange(job->keys, {})) {
    const OrchestrationPtr open = engine_.directory_.FindOpen(key);
    if (open == nullptr || open->damage != nullptr) {
      job->not_open.push_back(std::move(key));
      continue;
    }
    open->ending = open->undecided = true;
    std::erase(open->unsent, &open->turn);
    engine_.dispatcher_.End(open->turn);
    job->ones.push_back({.orchestration = open});
  }
  engine_.AfterCommitsLocked([this, job](const absl::Status& status) {
    if (status.ok()) {
      return engine_.readers_.Post([this, job] { ReadForEnd(job); });
    }
    Engine::Section section(engine_);
    GiveUpEndLocked(job, status);
  });
}

absl::Status Ends::ReadTerminate(EndJob& job) {
  if (job.ones.empty()) return absl::OkStatus();
  const auto rows = engine_.store_.ReadMessages(
      job.ones.front().orchestration->number,
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
  return absl::DataLossError(
      "the message that told it to terminate is missing");
}

std::optional<OrchestrationInfo> Ends::ReadForSpan(const InstanceKey& key) {
  if (engine_.options_.spans == nullptr) return std::nullopt;
  const auto row = engine_.store_.Find(key.tenant, key.id);
  if (!row.ok() || !row->has_value()) return std::nullopt;
  absl::StatusOr<OrchestrationInfo> info = InfoOf(**row);
  if (!info.ok()) return std::nullopt;
  return *std::move(info);
}

void Ends::ReadForEnd(const EndJobPtr& job) {
  absl::Status told = absl::OkStatus();
  if (job->told_in.has_value()) told = ReadTerminate(*job);
  for (EndJob::One& one : job->ones) {
    const RunNumber number = one.orchestration->number;
    std::vector<std::string> chunks;
    one.read = told;
    if (!told.ok()) continue;
    // If it has started, the first message is not a start.
    auto first = engine_.store_.ReadMessages(number, {.count_max = 1});
    one.read = first.status();
    if (!first.ok()) continue;
    one.first = *std::move(first);
    one.info = ReadForSpan(one.orchestration->key);
    if (job->recursive) {
      auto history = engine_.store_.ReadHistory(number);
      one.read = history.status();
      if (history.ok()) chunks = *std::move(history);
    } else {
      auto ends = engine_.store_.ReadHistoryEnds(number);
      one.read = ends.status();
      if (ends.ok()) chunks = {std::move(ends->first)};
    }
    for (const std::string& chunk : chunks) {
      if (!one.state.ApplyFrames(chunk)) {
        one.read = absl::DataLossError(
            "its history contains something that is not an event");
      }
    }
  }
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.serving(); !status.ok()) {
    return GiveUpEndLocked(job, status);
  }
  for (const EndJob::One& one : job->ones) {
    if (!one.read.ok() && !absl::IsDataLoss(one.read)) {
      return GiveUpEndLocked(job, one.read);
    }
  }
  CommitEndLocked(job);
}

void Ends::GiveUpEndLocked(const EndJobPtr& job, const absl::Status& status) {
  engine_.mu_.AssertHeld();
  for (const EndJob::One& one : job->ones) {
    Orchestration& orchestration = *one.orchestration;
    if (orchestration.gone) continue;
    orchestration.ending = orchestration.undecided = false;
    engine_.answers_.RetryLaterLocked(orchestration.turn);
  }
  if (job->letter != nullptr) engine_.mail_.PutOffLocked(job->letter, status);
  EndPartLocked(*job, status);
}

void Ends::EndPartLocked(EndJob& job, const absl::Status& status) {
  engine_.mu_.AssertHeld();
  if (job.errand == nullptr) return;
  job.errand->End(status, engine_.clock_.Now(), engine_.effects_.calls);
}

void Ends::CommitEndLocked(const EndJobPtr& job) {
  engine_.mu_.AssertHeld();
  const bool by_letter = job->letter != nullptr;
  if (by_letter && job->letter->forgotten) return;
  PendingCommit commit;
  bool reached = false;
  for (EndJob::One& one : job->ones) {
    Orchestration& orchestration = *one.orchestration;
    const InstanceKey& key = orchestration.key;
    if (orchestration.gone) {
      job->not_open.push_back(key);
      continue;
    }
    orchestration.ending = one.read.ok();
    orchestration.undecided = false;
    if (engine_.recovery_.SetAsideIfLostLocked(orchestration, one.read)) {
      job->not_open.push_back(key);
      continue;
    }
    reached = true;
    // If it has not started, its history is empty.
    KeepStart(std::move(one.first), orchestration);
    if (const auto start = PendingStartOf(orchestration)) {
      one.state.started = *start;
    }
    engine_.answers_.ObserveLocked(WorkEventKind::kEndedByServer,
                                   orchestration.turn, 0, job->why);
    constexpr auto kTerminated = OrchestrationStatus::kTerminated;
    if (one.info.has_value()) {
      TraceEndLocked(key, *one.info, one.state, kTerminated, commit);
    }
    RecordEndLocked(orchestration,
                    {static_cast<int32_t>(kTerminated), job->output, {}},
                    commit);
    EndWithLocked(one.orchestration, commit);
    engine_.mail_.TellParentLocked(key, one.state.started.parent, kTerminated,
                                   {}, commit);
    if (job->recursive) EndChildrenLocked(*job, key, one.state, commit);
  }
  if (by_letter) {
    return engine_.mail_.CommitLocked(job->letter, std::move(commit), reached);
  }
  commit.done = [this, job](const absl::Status& status) {
    Engine::Section section(engine_);
    EndPartLocked(*job, status);
  };
  engine_.commits_.Submit(std::move(commit));
}

void Ends::EndChildrenLocked(const EndJob& job, const InstanceKey& key,
                             const RuntimeState& state, PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  using Kind = OutboxMessage::Kind;
  const ErrandPtr errand =
      job.letter != nullptr ? job.letter->errand : job.errand;
  for (const auto& [id, child] : state.children) {
    engine_.mail_.SendLocked(key,
                             {NormalKey(key.tenant, child),
                              "",
                              {HistoryEvent::kFromOutside, engine_.NowLocked(),
                               ExecutionTerminated{job.output, true}},
                              job.force ? Kind::kTerminate : Kind::kEvent},
                             commit, job.force ? errand : nullptr);
  }
}

// ---- By force ---------------------------------------------------------------

void Ends::ForceLocked(std::vector<InstanceKey> keys, Payload output,
                       bool recursive, Done<std::vector<InstanceKey>> done) {
  engine_.mu_.AssertHeld();
  const auto job = std::make_shared<EndJob>(EndJob{.keys = std::move(keys),
                                                   .output = std::move(output),
                                                   .recursive = recursive,
                                                   .force = true,
                                                   .why = kForced});
  job->errand = std::make_shared<Errand>(
      [job, done = std::move(done)](const absl::Status& status, int64_t) {
        if (!status.ok()) return done(status);
        done(std::move(job->not_open));
      });
  job->errand->Begin();
  BeginEndLocked(job);
}

void Ends::TerminateNow(std::vector<InstanceKey> keys, Payload output,
                        Done<std::vector<InstanceKey>> done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.serving(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  ForceLocked(std::move(keys), std::move(output), /*recursive=*/false,
              std::move(done));
}

void Ends::TerminateByForce(const InstanceKey& key, Payload output,
                            bool recursive, DoneStatus done) {
  Engine::Section section(engine_);
  absl::Status status = engine_.admission_.serving();
  if (status.ok()) {
    status = CheckPayload(output, "the output has", engine_.options_.limits);
  }
  if (!status.ok()) return engine_.RefuseLocked(done, status);
  const auto ended =
      [this, key, output, recursive,
       done](const absl::StatusOr<std::vector<InstanceKey>>& not_open) {
        if (!not_open.ok()) return done(not_open.status());
        if (not_open->empty()) return done(absl::OkStatus());
        // It has ended by itself, or does not exist: Terminate reports that.
        engine_.Terminate(key, output, recursive, done);
      };
  ForceLocked({key}, output, recursive, ended);
}

void Ends::ActOnLocked(const LetterPtr& letter) {
  engine_.mu_.AssertHeld();
  const OrchestrationPtr present = engine_.directory_.Find(letter->message.to);
  if (present != nullptr && present->ending) {
    // Whether it ends is known once the queued commits are durable, or whoever
    // ends it gives up.
    return engine_.AfterCommitsLocked([this, letter](const absl::Status& s) {
      if (s.ok()) engine_.readers_.Post([this, letter] { ActAgain(letter); });
    });
  }
  const auto& told = std::get<ExecutionTerminated>(letter->message.event.body);
  BeginEndLocked(std::make_shared<EndJob>(EndJob{.keys = {letter->message.to},
                                                 .output = told.output,
                                                 .recursive = true,
                                                 .force = true,
                                                 .why = kForced,
                                                 .letter = letter}));
}

void Ends::ActAgain(const LetterPtr& letter) {
  Engine::Section section(engine_);
  if (!letter->forgotten) ActOnLocked(letter);
}

// ---- Terminating without a worker -------------------------------------------

void Ends::EndTerminatingLocked() {
  engine_.mu_.AssertHeld();
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

void Ends::ForgetAllLocked() {
  newly_terminating_.clear();
  terminating_.clear();
}

bool Ends::EndIfLeftLocked(RunNumber number) {
  engine_.mu_.AssertHeld();
  const Orchestration* found = engine_.directory_.FindByNumber(number);
  if (found == nullptr) return true;
  const Orchestration& orchestration = *found;
  if (engine_.answers_.UnwantedLocked(orchestration.turn).empty()) return false;
  const Message* message = orchestration.inbox.terminate();
  if (message == nullptr) return false;
  const auto job = std::make_shared<EndJob>(
      EndJob{.keys = {orchestration.key},
             .output = {},
             .why = "it was told to terminate, and no connected worker that "
                    "takes it answers"});
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
