// The engine's way back from workers: answers, and work that comes back without
// one.
//
// Work may be at fault itself: a history that is too long for its workers, an
// activity that brings their process down. It would come back for ever, and
// bring down what else its workers have each time. So it is counted how often
// in a row work is lost. What was lost twice is under suspicion: it goes out
// again a while later, and a worker has one such at a time; so if that worker
// goes too, it is known with what. In the end it has failed.
#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {
namespace {

// Work that was given back goes out again after this, twice as long each time:
// a worker of another version gives the same work back again and again.
constexpr absl::Duration kRetryDelay = absl::Milliseconds(200);
constexpr int kRetryDoublingsMax = 7;

constexpr int kSuspectAfter = 2;

// Of an answer that comes in parts, all together.
constexpr size_t kAnswerBytesMax = 256 << 20;

absl::Status NotOut(const InstanceKey& key) {
  return absl::NotFoundError(absl::StrCat(
      "this work is not out: it was done, was handed to another worker, or its "
      "orchestration ",
      key.id.empty() ? "" : QuoteForMessage(key.id) + " ", "has gone"));
}

TurnAnswer FailingAnswer(std::string type, std::string message) {
  CompleteExecution failed;
  failed.status = OrchestrationStatus::kFailed;
  failed.failure = MakeFailure(std::move(type), std::move(message));
  TurnAnswer answer;
  answer.actions.push_back({HistoryEvent::kFromOutside, std::move(failed)});
  return answer;
}

// Adds a part of an answer to those before.
void AddPart(TurnAnswer part, SentTurn& sent) {
  if (sent.parts++ == 0) {
    sent.answer = std::move(part);
    return;
  }
  std::move(part.actions.begin(), part.actions.end(),
            std::back_inserter(sent.answer.actions));
}

// The history with which a turn that was to rewind was answered; nullptr: it
// was answered otherwise.
RewindHistory* FindRewind(TurnAnswer& answer) {
  for (OrchestratorAction& action : answer.actions) {
    if (auto* history = std::get_if<RewindHistory>(&action.what)) {
      return history;
    }
  }
  return nullptr;
}

}  // namespace

// ---- Workers come and go ----------------------------------------------------

WorkerId Engine::Connect(WorkerOptions options,
                         std::shared_ptr<WorkSink> sink) {
  Section section(*this);
  return dispatcher_.AddWorker(std::move(options), std::move(sink));
}

void Engine::Disconnect(WorkerId id) {
  Section section(*this);
  const std::vector<Work*> had = dispatcher_.WorkOf(id);
  for (Work* work : had) {
    const bool sent = Owned(*work).sent;
    if (sent) CountLossLocked(*work, "its worker's stream ended");
    if (sent && Owned(*work).lost >= kSuspectAfter) RetryLocked(*work);
  }
  dispatcher_.RemoveWorker(id);
  for (Work* work : had) {
    if (work->state != Work::State::kQueued) continue;
    std::erase(Owned(*work).owner.unsent, work);
    UnpinLocked(*work);
  }
}

void Engine::CountLossLocked(Work& work, std::string_view how) {
  OwnedWork& owned = Owned(work);
  ++owned.lost;
  if (owned.lost < options_.deliveries_max) return;
  std::string why =
      absl::StrCat("was handed to workers ", owned.lost,
                   " times and never came back with an answer (the last time ",
                   std::string(how), "); that is the most (--max-deliveries)");
  constexpr char kType[] = "DeliveryLimit";
  if (work.kind == WorkKind::kActivity) {
    auto& activity = static_cast<ActivityWork&>(work);
    why = absl::StrCat("the activity ", QuoteForMessage(work.name), " ", why);
    return EndActivityLocked(
        activity, TaskFailed{0, MakeFailure(kType, std::move(why))}, nullptr);
  }
  Orchestration& orchestration = owned.owner;
  // Else it was put back since and is cold: it is lost another time.
  if (orchestration.hot == nullptr || orchestration.hot->state_ == nullptr) {
    return;
  }
  why = absl::StrCat("a turn ", why, ". It was a message of ",
                     orchestration.sent->bytes,
                     " bytes; many workers receive no more than 4 MiB");
  CommitTurnLocked(orchestration, FailingAnswer(kType, std::move(why)),
                   nullptr);
}

void Engine::RetryLocked(Work& work) {
  OwnedWork& owned = Owned(work);
  if (work.state != Work::State::kOut) return;
  dispatcher_.Hold(work);
  std::erase(owned.owner.unsent, &work);
  UnpinLocked(work);
  const bool turn = work.kind == WorkKind::kTurn;
  if (turn) owned.owner.held = true;
  work.alone = owned.lost >= kSuspectAfter;
  const absl::Time due =
      clock_.WallNow() +
      kRetryDelay * (1 << std::min(owned.given_back++, kRetryDoublingsMax));
  AddTimerLocked({ToStored(due), owned.owner.number, Timers::Kind::kRetry,
                  turn ? Timers::kTurn : static_cast<ActivityWork&>(work).id});
}

void Engine::Abandon(WorkKind kind, const WorkName& name) {
  Section section(*this);
  Work* work = FindWorkLocked(kind, name);
  if (work != nullptr) RetryLocked(*work);
}

void Engine::RefuseAnswer(const WorkName& name) {
  Section section(*this);
  Work* work = FindWorkLocked(WorkKind::kTurn, name);
  if (work == nullptr || work->state != Work::State::kOut) return;
  CountLossLocked(*work, "its answer could not be read");
  RetryLocked(*work);
}

// ---- Answers ----------------------------------------------------------------

Work* Engine::FindWorkLocked(WorkKind kind, const WorkName& name) {
  Work* work = nullptr;
  if (!name.token.empty()) {
    work = dispatcher_.Find(name.token);
  } else if (const OrchestrationPtr open = FindOpenLocked(name.key)) {
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

void Engine::CompleteActivity(const WorkName& name, EventBody end,
                              DoneStatus done) {
  Section section(*this);
  absl::Status status = ServingLocked();
  if (!status.ok()) return RefuseLocked(done, status);
  Work* work = FindWorkLocked(WorkKind::kActivity, name);
  if (work != nullptr) {
    return EndActivityLocked(static_cast<ActivityWork&>(*work), std::move(end),
                             std::move(done));
  }
  if (name.token.empty()) return RefuseLocked(done, absl::OkStatus());
  if (name.key.id.empty() || FindOpenLocked(name.key) != nullptr) {
    return RefuseLocked(done, NotOut(name.key));
  }
  readers_.Post([this, key = name.key, done = std::move(done)] {
    const auto row = store_.Find(key.tenant, key.id);
    if (!row.ok()) return done(row.status());
    // Of one that has finished nobody wants it any more.
    const bool finished = row->has_value() && (*row)->finished.has_value();
    done(finished ? absl::OkStatus() : NotOut(key));
  });
}

void Engine::EndActivityLocked(ActivityWork& activity, EventBody end,
                               DoneStatus done) {
  const OrchestrationPtr orchestration = activity.owner.shared_from_this();
  const int32_t id = activity.id;
  dispatcher_.Take(activity);
  activity.ended = true;

  if (auto* completed = std::get_if<TaskCompleted>(&end)) {
    completed->task_scheduled_id = id;
    if (completed->result.has_value() &&
        completed->result->size() > options_.limits.payload_bytes_max) {
      const size_t size = completed->result->size();
      end = TaskFailed{0, MakeFailure("PayloadTooLarge",
                                      PayloadTooLarge("the result has", size,
                                                      options_.limits))};
    }
  }
  if (auto* failed = std::get_if<TaskFailed>(&end)) {
    failed->task_scheduled_id = id;
  }
  PendingCommit commit;
  commit.done = std::move(done);
  if (!orchestration->ending) {
    commit.changes.push_back(DropTask{orchestration->number, id});
    PostLocked(orchestration, orchestration->execution_id,
               {HistoryEvent::kFromOutside, NowLocked(), std::move(end)},
               commit);
  }
  commit.apply.push_back([this, orchestration, id,
                          execution_id = orchestration->execution_id] {
    mu_.AssertHeld();
    // With a new execution all that is gone already.
    if (orchestration->gone || orchestration->execution_id != execution_id) {
      return;
    }
    const auto ended = orchestration->activities.find(id);
    UnpinLocked(*ended->second);
    orchestration->activities.erase(ended);
  });
  commits_.Submit(std::move(commit));
}

void Engine::CompleteTurn(const WorkName& name, TurnAnswer answer,
                          DoneStatus done) {
  Section section(*this);
  absl::Status status = ServingLocked();
  Work* work = nullptr;
  if (status.ok()) {
    work = FindWorkLocked(WorkKind::kTurn, name);
    if (work == nullptr || Owned(*work).owner.sent == nullptr ||
        Owned(*work).owner.committing) {
      status = NotOut(name.key);
    }
  }
  // A worker that sends no token takes this for the end of its connection.
  if (absl::IsNotFound(status) && name.token.empty()) status = absl::OkStatus();
  if (work == nullptr || !status.ok()) return RefuseLocked(done, status);
  Orchestration& orchestration = Owned(*work).owner;
  if (orchestration.hot == nullptr || orchestration.hot->state_ == nullptr) {
    // It was put back, and the history is forgotten: somebody else does it.
    return RefuseLocked(done, NotOut(name.key));
  }
  SentTurn& sent = *orchestration.sent;
  if (answer.part.has_value() && *answer.part < sent.parts) {
    return RefuseLocked(done, absl::OkStatus());  // It is here already.
  }
  sent.answer_bytes += answer.bytes;
  if (sent.answer_bytes > kAnswerBytesMax) {
    answer = FailingAnswer(
        "AnswerTooLarge",
        absl::StrCat("the parts of the answer to one turn have ",
                     sent.answer_bytes, " bytes together; at most ",
                     kAnswerBytesMax, " are allowed"));
  } else if (answer.partial || sent.parts > 0) {
    const bool more = answer.partial;
    AddPart(std::move(answer), sent);
    if (more) return RefuseLocked(done, absl::OkStatus());
    answer = std::move(sent.answer);
  }
  RewindHistory* rewind = sent.rewinds ? FindRewind(answer) : nullptr;
  if (rewind != nullptr) {
    RewindLocked(orchestration, std::move(rewind->events), std::move(done));
  } else {
    CommitTurnLocked(orchestration, std::move(answer), std::move(done));
  }
}

}  // namespace leasehold
