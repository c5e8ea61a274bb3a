#include "service/orchestration/answers.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/base/invariant.h"
#include "service/orchestration/bounds.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/failure_text.h"
#include "service/orchestration/not_mine.h"
#include "service/orchestration/strips.h"

namespace leasehold {
namespace {

// Delay before returned work goes out again. It doubles each time: a worker of
// another version may return the same work again and again.
constexpr absl::Duration kRetryDelay = absl::Milliseconds(200);
constexpr int kRetryDoublingsMax = 7;

// The default limit of gRPC's libraries for one received message.
constexpr size_t kUsualReceiveLimit = 4 << 20;

// The answer for work that is not out, or no longer out.
absl::Status TooLate(const WorkName& name) {
  // A worker that sends no token takes an error for the end of its connection.
  if (name.token.empty()) return absl::OkStatus();
  const std::string& id = name.key.id;
  return absl::NotFoundError(absl::StrCat(
      "this work is not out: it was done, was handed to another worker, or its "
      "orchestration ",
      id.empty() ? "" : QuoteForMessage(id) + " ", "has gone"));
}

absl::string_view KindName(WorkKind kind) {
  switch (kind) {
    case WorkKind::kTurn:
      return "orchestrator";
    case WorkKind::kActivity:
      return "activity";
    case WorkKind::kEntity:
      return "entity";
  }
  return "work";
}

TurnAnswer FailingAnswer(std::string type, std::string message) {
  CompleteExecution failed;
  failed.status = OrchestrationStatus::kFailed;
  failed.failure = MakeFailure(std::move(type), std::move(message));
  TurnAnswer answer;
  answer.actions.push_back({HistoryEvent::kFromOutside, std::move(failed)});
  return answer;
}

// Appends a part of an answer to the earlier parts.
void AddPart(TurnAnswer part, SentTurn& sent) {
  if (sent.parts++ == 0) {
    sent.answer = std::move(part);
    return;
  }
  std::move(part.actions.begin(), part.actions.end(),
            std::back_inserter(sent.answer.actions));
}

// The history in the answer to a rewind turn; nullptr: the answer has none.
RewindHistory* FindRewind(TurnAnswer& answer) {
  for (OrchestratorAction& action : answer.actions) {
    if (auto* history = std::get_if<RewindHistory>(&action.what)) {
      return history;
    }
  }
  return nullptr;
}

}  // namespace

// ---- Reports ----------------------------------------------------------------

void Answers::ObserveLocked(WorkEvent event) {
  engine_.mu_.AssertHeld();
  if (engine_.admission_.stopped()) return;  // Then all workers go.
  engine_.effects_.calls.push_back(
      [this, event = std::move(event)] { engine_.observer_.OnWork(event); });
}

void Answers::ObserveLocked(WorkEventKind kind, Work& work, int count,
                            std::string_view reason) {
  engine_.mu_.AssertHeld();
  const InstanceKey& key = Owned(work).owner.key;
  WorkEvent event{.kind = kind,
                  .tenant = key.tenant,
                  .instance_id = key.id,
                  .name = work.name,
                  .worker = work.worker,
                  .peer = work.taker == nullptr ? "" : work.taker->peer,
                  .count = static_cast<uint64_t>(count),
                  .reason = std::string(reason)};
  if (work.kind == WorkKind::kActivity) {
    event.task_id = static_cast<ActivityWork&>(work).id;
  }
  ObserveLocked(std::move(event));
}

template <typename Note>
void Answers::RecordLocked(Note note) {
  engine_.mu_.AssertHeld();
  Strips* const strips = engine_.options_.strips;
  if (strips == nullptr) return;
  engine_.effects_.calls.push_back(note(*strips, engine_.clock_.Now()));
}

void Answers::ObserveStartLocked(const Orchestration& orchestration,
                                 const Payload& parent) {
  engine_.mu_.AssertHeld();
  ++engine_.started_;
  RecordLocked([&](Strips& strips, Instant now) {
    return [&strips, key = orchestration.key, id = orchestration.execution_id,
            parent = parent.value_or(""),
            now] { strips.Begin(key, id, parent, now); };
  });
  if (!engine_.observer_.WantsLives()) return;
  ObserveLocked({.kind = WorkEventKind::kOrchestrationStarted,
                 .tenant = orchestration.key.tenant,
                 .instance_id = orchestration.key.id,
                 .name = orchestration.turn.name});
}

void Answers::ObserveEndLocked(const Orchestration& orchestration,
                               OrchestrationStatus status,
                               const OpaqueMessage& failure) {
  engine_.mu_.AssertHeld();
  ++engine_.ended_[status];
  RecordLocked([&](Strips& strips, Instant now) {
    return [&strips, key = orchestration.key, id = orchestration.execution_id,
            status, now] { strips.End(key, id, status, now); };
  });
  const bool failed = status == OrchestrationStatus::kFailed;
  if (!failed && !engine_.observer_.WantsLives()) return;
  ObserveLocked({.kind = failed ? WorkEventKind::kOrchestrationFailed
                                : WorkEventKind::kOrchestrationEnded,
                 .tenant = orchestration.key.tenant,
                 .instance_id = orchestration.key.id,
                 .name = orchestration.turn.name,
                 .status = failed ? "" : StatusName(status),
                 .reason = FirstLineOf(failure)});
}

void Answers::ObserveNextLocked(const Orchestration& orchestration,
                                const std::string& next) {
  RecordLocked([&](Strips& strips, Instant now) {
    return [&strips, key = orchestration.key, id = orchestration.execution_id,
            next, now] {
      strips.End(key, id, OrchestrationStatus::kContinuedAsNew, now);
      strips.Begin(key, next, "", now);
    };
  });
}

void Answers::ObserveReopenedLocked(const Orchestration& orchestration) {
  RecordLocked([&](Strips& strips, Instant now) {
    return [&strips, key = orchestration.key, id = orchestration.execution_id,
            now] { strips.Begin(key, id, "", now); };
  });
}

void Answers::ObserveRenamedLocked(const Orchestration& orchestration) {
  RecordLocked([&](Strips& strips, Instant) {
    return [&strips, key = orchestration.key, id = orchestration.execution_id] {
      strips.Rename(key, id);
    };
  });
}

void Answers::ObserveErasedLocked(const InstanceKey& key) {
  RecordLocked([&](Strips& strips, Instant) {
    return [&strips, key] { strips.Forget(key); };
  });
}

void Answers::ObserveWipedLocked(const std::string& tenant) {
  RecordLocked([&](Strips& strips, Instant) {
    return [&strips, tenant] { strips.ForgetTenant(tenant); };
  });
}

// ---- Workers come and go ----------------------------------------------------

void Answers::OnWorkerGone(WorkerId id) {
  Engine::Section section(engine_);
  const std::vector<Work*> had = engine_.dispatcher_.WorkOf(engine_.owner_, id);
  for (Work* work : had) {
    const bool sent = Owned(*work).sent;
    if (sent) CountLossLocked(*work, "its worker's stream ended");
    if (sent && Owned(*work).lost >= kSuspectAfter) RetryLocked(*work);
  }
  engine_.ends_.OnTakersChangedLocked();
  for (Work* work : had) {
    if (work->state != Work::State::kOut || work->worker != id) continue;
    engine_.dispatcher_.PutBack(*work);
    std::erase(Owned(*work).owner.unsent, work);
    engine_.deliveries_.UnpinLocked(*work);
  }
}

void Answers::CountLossLocked(Work& work, std::string_view how,
                              WorkEventKind kind) {
  engine_.mu_.AssertHeld();
  OwnedWork& owned = Owned(work);
  owned.place.SetLosses(++owned.lost);
  ObserveLocked(kind, work, owned.lost, how);
  if (owned.lost < engine_.options_.deliveries_max) return;
  std::string why =
      absl::StrCat("was handed to workers ", owned.lost,
                   " times and never came back with an answer (the last time ",
                   std::string(how), "); that is the limit (--max-deliveries)");
  constexpr char kType[] = "DeliveryLimit";
  if (work.kind == WorkKind::kActivity) {
    auto& activity = static_cast<ActivityWork&>(work);
    why = absl::StrCat("the activity ", QuoteForMessage(work.name), " ", why);
    ObserveLocked(WorkEventKind::kFailedByLimit, work, owned.lost, why);
    return EndActivityLocked(
        activity, TaskFailed{0, MakeFailure(kType, std::move(why))}, nullptr);
  }
  if (work.kind == WorkKind::kEntity) {
    why = absl::StrCat("an operation of the entity ", why);
    ObserveLocked(WorkEventKind::kFailedByLimit, work, owned.lost, why);
    return engine_.batches_.FailFirstLocked(EntityOf(work),
                                            MakeFailure(kType, std::move(why)));
  }
  Orchestration& orchestration = OrchestrationOf(work);
  // Otherwise it was put back and is cold: the next loss counts.
  if (orchestration.hot == nullptr || orchestration.hot->state == nullptr) {
    return;
  }
  why = absl::StrCat("a turn ", why);
  if (orchestration.sent->bytes > kUsualReceiveLimit) {
    absl::StrAppend(&why, ". It was a message of ", orchestration.sent->bytes,
                    " bytes, and many workers receive no more than 4 MiB");
  }
  ObserveLocked(WorkEventKind::kFailedByLimit, work, owned.lost, why);
  engine_.turns_.CommitTurnLocked(
      orchestration, FailingAnswer(kType, std::move(why)), nullptr);
}

void Answers::RetryLocked(Work& work) {
  engine_.mu_.AssertHeld();
  const OwnedWork& owned = Owned(work);
  if (work.state != Work::State::kOut) return;
  engine_.dispatcher_.SetAside(work);
  std::erase(owned.owner.unsent, &work);
  RetryLaterLocked(work);
}

void Answers::RetryLaterLocked(Work& work) {
  engine_.mu_.AssertHeld();
  OwnedWork& owned = Owned(work);
  engine_.deliveries_.UnpinLocked(work);
  const bool activity = work.kind == WorkKind::kActivity;
  if (!activity) owned.owner.held = true;
  work.alone = owned.lost >= kSuspectAfter;
  const absl::Duration delay =
      kRetryDelay * (1 << std::min(owned.given_back++, kRetryDoublingsMax));
  owned.moves_at =
      engine_.schedule_.MonotonicNow() + absl::ToInt64Microseconds(delay);
  engine_.schedule_.AddRetry(
      delay, owned.owner.number,
      activity ? Timers::Kind::kRetryActivity : Timers::Kind::kRetryTurn,
      activity ? static_cast<ActivityWork&>(work).id : 0);
}

void Answers::Abandon(WorkKind kind, const WorkName& name) {
  Engine::Section section(engine_);
  Work* work = FindWorkLocked(kind, name);
  engine_.worker_watch_.HearLocked(name, work);
  if (work == nullptr || work->state != Work::State::kOut) return;
  ObserveLocked(WorkEventKind::kGivenBack, *work, Owned(*work).given_back + 1,
                "its worker gave it back");
  RetryLocked(*work);
}

void Answers::RefuseAnswer(WorkKind kind, const WorkName& name,
                           std::string_view reason) {
  Engine::Section section(engine_);
  Work* work = FindWorkLocked(kind, name);
  engine_.worker_watch_.HearLocked(name, work);
  if (work == nullptr || work->state != Work::State::kOut ||
      !Owned(*work).sent) {
    return ObserveLocked({.kind = WorkEventKind::kAnswerRefused,
                          .tenant = name.key.tenant,
                          .instance_id = name.key.id,
                          .reason = absl::StrCat("this work is not out, and ",
                                                 std::string(reason))});
  }
  ObserveLocked(WorkEventKind::kAnswerRefused, *work, 0, reason);
  CountLossLocked(*work, reason);
  RetryLocked(*work);
}

// ---- Answers ----------------------------------------------------------------

bool Answers::DisownLocked(Work& work) {
  engine_.mu_.AssertHeld();
  // Otherwise no worker has it: it was put back before this answer came.
  if (work.state != Work::State::kOut) return true;
  ObserveLocked(WorkEventKind::kNotMine, work, 0,
                "its worker does not know its name");
  std::erase(Owned(work).owner.unsent, &work);
  const WorkerId worker = work.worker;
  engine_.ends_.OnTakersChangedLocked();
  if (!engine_.dispatcher_.Disown(work)) {
    // No room to remember the name: other workers come first, after a delay.
    engine_.dispatcher_.End(work);
    work.avoid = worker;
    RetryLaterLocked(work);
    return true;
  }
  if (engine_.options_.unknown_work_fails &&
      engine_.dispatcher_.IsUnwanted(work)) {
    ObserveLocked(WorkEventKind::kFailedByLimit, work, 0,
                  absl::StrCat(UnwantedLocked(work), " (--unknown-work=fail)"));
    engine_.dispatcher_.ForgetDisowned(work);  // Ask the next worker anew.
    return false;
  }
  engine_.deliveries_.UnpinLocked(work);
  return true;
}

std::string Answers::UnwantedLocked(const Work& work) {
  engine_.mu_.AssertHeld();
  const auto shortage = engine_.dispatcher_.ShortageFor(work);
  if (!shortage.has_value()) return "";
  const auto& [silent, reach] = *shortage;
  std::string why =
      absl::StrCat("no connected worker ", silent ? "that " : "", "takes the ",
                   KindName(work.kind), " ", QuoteForMessage(work.name));
  if (!work.version.empty()) {
    absl::StrAppend(&why, " of version ", QuoteForMessage(work.version));
  }
  if (silent) absl::StrAppend(&why, " answers");
  absl::StrAppend(&why, " (connected: ", reach.workers);
  if (reach.disowns > 0) {
    absl::StrAppend(&why, "; do not know the name: ", reach.disowns);
  }
  if (reach.silent > 0) {
    absl::StrAppend(&why, "; do not answer: ", reach.silent);
  }
  return why + ")";
}

void Answers::ObserveUnwantedLocked() {
  engine_.mu_.AssertHeld();
  for (Work* work : engine_.dispatcher_.TakeNewlyUnwanted(engine_.owner_)) {
    ObserveLocked(WorkEventKind::kUnwanted, *work, 0, UnwantedLocked(*work));
  }
}

void Answers::RefuseLateLocked(const WorkName& name, const DoneStatus& done) {
  engine_.mu_.AssertHeld();
  const absl::Status late = TooLate(name);
  if (!late.ok()) {
    ObserveLocked({.kind = WorkEventKind::kAnswerRefused,
                   .tenant = name.key.tenant,
                   .instance_id = name.key.id,
                   .reason = std::string(late.message())});
  }
  engine_.RefuseLocked(done, late);
}

Work* Answers::FindWorkLocked(WorkKind kind, const WorkName& name) {
  engine_.mu_.AssertHeld();
  Work* work = nullptr;
  if (!name.token.empty()) {
    work =
        engine_.dispatcher_.Find(engine_.owner_, name.key.tenant, name.token);
  } else if (kind == WorkKind::kEntity) {
    return nullptr;  // Workers of entities send tokens.
  } else if (const OrchestrationPtr open =
                 engine_.directory_.FindOpen(name.key)) {
    const auto activity = open->activities.find(name.task_id);
    if (kind == WorkKind::kTurn) {
      work = &open->turn;
    } else if (activity != open->activities.end()) {
      work = activity->second.get();
    }
    if (work != nullptr && work->token.empty()) work = nullptr;
  }
  return work != nullptr && work->kind == kind ? work : nullptr;
}

void Answers::CompleteActivity(const WorkName& name, EventBody end,
                               DoneStatus done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.serving(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  Work* work = FindWorkLocked(WorkKind::kActivity, name);
  engine_.worker_watch_.HearLocked(name, work);
  if (work != nullptr) {
    const auto* failed = std::get_if<TaskFailed>(&end);
    if (failed != nullptr &&
        SaysNotMine(WorkKind::kActivity, work->name, failed->failure) &&
        DisownLocked(*work)) {
      return engine_.RefuseLocked(done, absl::OkStatus());
    }
    return EndActivityLocked(static_cast<ActivityWork&>(*work), std::move(end),
                             std::move(done));
  }
  if (name.token.empty() || name.key.id.empty() ||
      engine_.directory_.FindOpen(name.key) != nullptr) {
    return RefuseLateLocked(name, done);
  }
  engine_.readers_.Post([this, name, done = std::move(done)] {
    const auto row = engine_.store_.Find(name.key.tenant, name.key.id);
    if (!row.ok()) return done(row.status());
    // No one needs the answer to work of a finished orchestration.
    if (row->has_value() && (*row)->finished.has_value()) {
      return done(absl::OkStatus());
    }
    Engine::Section section(engine_);
    RefuseLateLocked(name, done);
  });
}

void Answers::EndActivityLocked(ActivityWork& activity, EventBody end,
                                DoneStatus done) {
  engine_.mu_.AssertHeld();
  const OrchestrationPtr orchestration =
      OrchestrationOf(activity).shared_from_this();
  const int32_t id = activity.id;

  if (auto* completed = std::get_if<TaskCompleted>(&end)) {
    completed->task_scheduled_id = id;
    if (completed->result.has_value() &&
        completed->result->size() > engine_.options_.limits.payload_bytes_max) {
      std::string why = PayloadTooLarge(
          "the result has", completed->result->size(), engine_.options_.limits);
      ObserveLocked(WorkEventKind::kFailedByLimit, activity, 0, why);
      end = TaskFailed{0, MakeFailure("PayloadTooLarge", std::move(why))};
    }
  }
  if (auto* failed = std::get_if<TaskFailed>(&end)) {
    failed->task_scheduled_id = id;
  }
  engine_.dispatcher_.End(activity);
  CheckInvariant(!activity.ended, "an activity ends once");
  activity.ended = true;
  if (activity.pins) engine_.recovery_.NoteOutLocked(activity);
  PendingCommit commit;
  commit.done = std::move(done);
  if (!orchestration->ending || orchestration->undecided) {
    commit.changes.push_back(DropTask{orchestration->number, id});
    engine_.mail_.PostLocked(
        orchestration, orchestration->execution_id,
        {HistoryEvent::kFromOutside, engine_.NowLocked(), std::move(end)},
        commit);
  }
  commit.apply.push_back([this, orchestration, id,
                          execution_id = orchestration->execution_id] {
    engine_.mu_.AssertHeld();
    // A new execution has dropped the activity already.
    if (orchestration->gone || orchestration->execution_id != execution_id) {
      return;
    }
    const auto ended = orchestration->activities.find(id);
    engine_.deliveries_.UnpinLocked(*ended->second);
    orchestration->activities.erase(ended);
  });
  engine_.commits_.Submit(std::move(commit));
}

bool Answers::AwaitsAnswer(const Orchestration& orchestration) {
  // If it was put back and is cold, the turn belongs to another worker.
  return orchestration.sent != nullptr && !orchestration.committing &&
         orchestration.hot != nullptr && orchestration.hot->state != nullptr;
}

void Answers::CompleteTurn(const WorkName& name, TurnAnswer answer,
                           DoneStatus done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.serving(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  Work* work = FindWorkLocked(WorkKind::kTurn, name);
  engine_.worker_watch_.HearLocked(name, work);
  if (work == nullptr || !AwaitsAnswer(OrchestrationOf(*work))) {
    return RefuseLateLocked(name, done);
  }
  Orchestration& orchestration = OrchestrationOf(*work);
  SentTurn& sent = *orchestration.sent;
  if (sent.parts == 0 && SaysNotMine(work->name, answer) &&
      DisownLocked(*work)) {
    return engine_.RefuseLocked(done, absl::OkStatus());
  }
  if (answer.part.has_value() && *answer.part < sent.parts) {
    return engine_.RefuseLocked(done, absl::OkStatus());  // A duplicate.
  }
  sent.answer_bytes += answer.bytes;
  if (answer.refusal.has_value()) {
    sent.parts = 0;  // Ignore the earlier parts.
  } else if (sent.answer_bytes > kAnswerPartsBytesMax) {
    std::string why = absl::StrCat(
        "the parts of the answer to one turn have ", sent.answer_bytes,
        " bytes together; at most ", kAnswerPartsBytesMax, " are allowed");
    ObserveLocked(WorkEventKind::kFailedByLimit, *work, 0, why);
    answer = FailingAnswer("AnswerTooLarge", std::move(why));
  } else if (answer.partial || sent.parts > 0) {
    const bool more = answer.partial;
    AddPart(std::move(answer), sent);
    if (more) {
      if (work->state == Work::State::kOut)
        engine_.worker_watch_.WatchLocked(*work);
      return engine_.RefuseLocked(done, absl::OkStatus());
    }
    answer = std::move(sent.answer);
  }
  RewindHistory* rewind = sent.rewinds ? FindRewind(answer) : nullptr;
  if (rewind != nullptr) {
    engine_.rewinds_.RewindLocked(orchestration, std::move(rewind->events),
                                  std::move(done));
  } else {
    engine_.turns_.CommitTurnLocked(orchestration, std::move(answer),
                                    std::move(done));
  }
}

}  // namespace leasehold
