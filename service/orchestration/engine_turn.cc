// The engine's commit of a turn: from a worker's answer to the new state.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {

struct Engine::TurnInFlight {
  OrchestrationPtr orchestration;
  std::unique_ptr<HotState> hot;  // After the turn.
  int64_t last_sequence = 0;      // Messages up to here join the history.
  StoredTime ahead = 0;           // See SentTurn.
  TurnOutcome outcome;
  std::vector<Message> first_messages;  // Of the next execution.
};

void Engine::CommitTurnLocked(Orchestration& orchestration, TurnAnswer answer,
                              DoneStatus done) {
  const RunNumber number = orchestration.number;
  auto turn = std::make_shared<TurnInFlight>();
  turn->orchestration = orchestration.shared_from_this();
  orchestration.held = false;
  orchestration.committing = true;
  const std::unique_ptr<SentTurn> sent = std::move(orchestration.sent);
  turn->hot = std::move(orchestration.hot->state_);
  HotState& hot = *turn->hot;

  // A worker may have processed only some of the events; the rest is for the
  // next turn.
  size_t processed = sent->events.size();
  turn->last_sequence = sent->last_sequence;
  turn->ahead = sent->ahead;
  if (answer.events_processed.has_value() && *answer.events_processed > 0 &&
      static_cast<size_t>(*answer.events_processed) < processed) {
    processed = static_cast<size_t>(*answer.events_processed);
    turn->last_sequence = sent->sequences[processed - 1] - 1;
  }
  std::string chunk;
  for (size_t i = 0; i < processed; ++i) {
    AppendFrame(chunk, kStoredFrame, sent->events[i]);
    const std::optional<HistoryEvent> event = DecodeEvent(sent->events[i]);
    if (!event.has_value()) continue;
    hot.state.Apply(*event);
    // The first messages of an execution have negative sequences.
    if (event->As<ExecutionTerminated>() != nullptr &&
        sent->sequences[i - 1] < 0) {
      answer.terminate_is_old = true;
    }
  }
  const Timestamp now = std::max(NowLocked(), sent->time);
  if (answer.custom_status.has_value() &&
      answer.custom_status->size() <= options_.limits.payload_bytes_max) {
    hot.summary.custom_status = answer.custom_status;
  }
  if (answer.trace_context.has_value()) {
    hot.summary.trace_context = answer.trace_context;
  }
  turn->outcome = ConcludeTurn(hot.state, orchestration.key.id,
                               std::move(answer), options_.limits, now);
  if (!turn->outcome.limit.empty()) {
    ObserveLocked(WorkEventKind::kFailedByLimit, orchestration.turn, 0,
                  turn->outcome.limit);
  }
  if (turn->outcome.terminate_unheeded) {
    ObserveLocked(WorkEventKind::kEndedByServer, orchestration.turn, 0,
                  "its worker was told to terminate it and did not");
  }
  dispatcher_.End(orchestration.turn);
  orchestration.turn.given_back = 0;
  orchestration.turn.lost = 0;
  orchestration.turn.alone = false;
  for (const HistoryEvent& event : turn->outcome.events) {
    AppendFrame(chunk, kStoredFrame, EncodeEvent(event));
    hot.state.Apply(event);
  }
  hot.summary.updated = now;
  hot.summary.turn_time = sent->time;
  const bool finished = IsFinished(hot.state.status);
  orchestration.ending = finished;

  PendingCommit commit;
  commit.done = std::move(done);
  if (turn->outcome.next.has_value()) {
    ContinueAsNewLocked(*turn, commit);
  } else {
    commit.changes.push_back(AppendHistory{number, hot.chunks++, chunk});
    hot.past.append(chunk);
  }
  hot.summary.chunks = hot.chunks;
  UpdateRun update{number, static_cast<int32_t>(hot.state.status), std::nullopt,
                   EncodeMessage(hot.summary)};
  if (finished) {
    update.finished = ToStored(ToTime(now));  // The store drops the rest.
  } else if (!turn->outcome.next.has_value()) {
    if (sent->stored) {
      commit.changes.push_back(TakeMessages{number, turn->last_sequence});
    }
    for (const int32_t timer : sent->timers) {
      if (!hot.state.timers.contains(timer)) {
        commit.changes.push_back(DropTimer{number, timer});
      }
    }
    for (const TurnOutcome::Task& task : turn->outcome.tasks) {
      commit.changes.push_back(
          PutTask{{number, task.id, EncodeMessage(task.task)}});
    }
    for (const TurnOutcome::Timer& timer : turn->outcome.timers) {
      commit.changes.push_back(
          PutTimer{{number, timer.id, ToStored(ToTime(timer.fire_at))}});
    }
  }
  commit.changes.push_back(std::move(update));
  commit.apply.push_back([this, turn] {
    mu_.AssertHeld();
    ApplyTurnLocked(*turn);
  });

  // For other orchestrations, and for the next execution of this one.
  for (TurnOutcome::Child& child : turn->outcome.children) {
    StartChildLocked(turn->orchestration, std::move(child), commit);
  }
  for (TurnOutcome::Message& message : turn->outcome.messages) {
    SendLocked(orchestration.key,
               {NormalKey(orchestration.key.tenant, message.instance_id),
                message.execution_id.value_or(""), std::move(message.event)},
               commit);
  }
  commits_.Submit(std::move(commit));
}

void Engine::StartChildLocked(const OrchestrationPtr& parent,
                              TurnOutcome::Child child, PendingCommit& commit) {
  InstanceKey key =
      NormalKey(parent->key.tenant, child.started.orchestration.instance_id);
  SendLocked(
      parent->key,
      {std::move(key),
       "",
       {HistoryEvent::kFromOutside, NowLocked(), std::move(child.started)}},
      commit);
}

void Engine::ContinueAsNewLocked(TurnInFlight& turn, PendingCommit& commit) {
  Orchestration& orchestration = *turn.orchestration;
  TurnOutcome::Next& next = *turn.outcome.next;
  HotState& hot = *turn.hot;
  const std::string execution_id = NewExecutionIdLocked();
  next.started.orchestration = {orchestration.key.id, execution_id};
  hot.summary.execution_id = execution_id;
  hot.summary.former_executions.clear();
  hot.summary.version = next.started.version;
  hot.summary.scheduled_start.reset();
  CancelTimersLocked(orchestration.number, hot.state);
  hot.state = {};
  hot.state.status = OrchestrationStatus::kRunning;
  hot.past.clear();
  hot.chunks = 0;

  commit.changes.push_back(ClearExecution{orchestration.number});
  // Its first messages come before those received meanwhile.
  const auto count = static_cast<int64_t>(next.carried_over.size()) + 1;
  int64_t sequence = orchestration.first_sequence - count;
  orchestration.first_sequence -= count;
  turn.first_messages.push_back(
      MakeMessage(execution_id, ExecutionStarted::kNumber,
                  EncodeEvent({HistoryEvent::kFromOutside, hot.summary.updated,
                               next.started})));
  for (std::string& event : next.carried_over) {
    const std::optional<HistoryEvent> decoded = DecodeEvent(event);
    const int number = decoded.has_value() ? NumberOf(*decoded) : 0;
    orchestration.terminating |= number == ExecutionTerminated::kNumber;
    turn.first_messages.push_back(MakeMessage("", number, std::move(event)));
  }
  // Take the processed ones first: a sequence may be used twice.
  commit.changes.push_back(
      TakeMessages{orchestration.number, turn.last_sequence});
  for (Message& message : turn.first_messages) {
    message.sequence = sequence++;
    commit.changes.push_back(MakeRow(orchestration, message));
  }
}

void Engine::ApplyTurnLocked(TurnInFlight& turn) {
  Orchestration& orchestration = *turn.orchestration;
  const RuntimeState& state = turn.hot->state;
  ++turns_;
  if (orchestration.gone) {
    CancelTimersLocked(orchestration.number, state);
    return;
  }
  orchestration.committing = false;
  orchestration.status = state.status;
  orchestration.turn_time = turn.hot->summary.turn_time;
  orchestration.inbox.Take(turn.last_sequence);
  if (turn.outcome.next.has_value()) {
    BeginNextLocked(turn);
  } else {
    for (const TurnOutcome::Timer& timer : turn.outcome.timers) {
      AddTimerLocked({ToStored(ToTime(timer.fire_at)), orchestration.number,
                      Timers::Kind::kTimer, timer.id},
                     turn.ahead);
    }
    if (!IsFinished(state.status)) {
      for (TurnOutcome::Task& task : turn.outcome.tasks) {
        AddActivityLocked(orchestration, task.id, std::move(task.task));
      }
    }
  }

  TellLocked(orchestration, *turn.hot,
             turn.outcome.next.has_value() ? turn.outcome.next->started.input
                                           : state.started.input);
  if (IsFinished(state.status)) {
    CancelTimersLocked(orchestration.number, state);
    return EndLocked(orchestration);
  }
  if (orchestration.hot != nullptr && orchestration.hot->state_ == nullptr) {
    orchestration.hot->state_ = std::move(turn.hot);
  }
  LineUpLocked(orchestration);
  UnpinLocked(orchestration.turn);
}

void Engine::TellLocked(Orchestration& orchestration, const HotState& hot,
                        const Payload& input) {
  orchestration.revision = ++last_revision_;
  if (!IsAwaitedLocked(orchestration.key)) return;
  OrchestrationInfo info;
  info.id = orchestration.key.id;
  info.status = hot.state.status;
  info.created = hot.created;
  if (IsFinished(info.status)) info.finished = ToTime(hot.summary.updated);
  info.summary = hot.summary;
  info.has_payloads = true;
  info.input = input;
  info.output = hot.state.output;
  info.failure = hot.state.failure;
  WakeLocked(orchestration, std::move(info));
}

void Engine::BeginNextLocked(TurnInFlight& turn) {
  Orchestration& orchestration = *turn.orchestration;
  orchestration.execution_id = turn.hot->summary.execution_id;
  orchestration.former_executions.clear();
  orchestration.turn.version = turn.hot->summary.version.value_or("");
  for (auto& [id, activity] : orchestration.activities) {
    UnpinLocked(*activity);
    std::erase(orchestration.unsent, activity.get());
    dispatcher_.End(*activity);
  }
  orchestration.activities.clear();
  // What is left is for the former execution, or for any.
  orchestration.inbox.BeginExecution(std::move(turn.first_messages));
}

}  // namespace leasehold
