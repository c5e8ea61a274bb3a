#include "service/orchestration/turns.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "service/base/invariant.h"
#include "service/orchestration/committed_turn.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {

void Turns::CommitTurnLocked(Orchestration& orchestration, TurnAnswer answer,
                             DoneStatus done) {
  engine_.mu_.AssertHeld();
  CheckInvariant(orchestration.sent != nullptr && !orchestration.committing,
                 "a turn is answered once, after it was sent");
  const OrchestrationPtr kept = orchestration.shared_from_this();
  const std::unique_ptr<SentTurn> sent = std::move(orchestration.sent);
  const auto turn = std::make_shared<CommittedTurn>(
      CommitTurn({.number = orchestration.number,
                  .id = orchestration.key.id,
                  .sent = *sent,
                  .hot = std::move(orchestration.hot->state),
                  .answer = std::move(answer),
                  .first_sequence = orchestration.first_sequence},
                 engine_.options_.limits, engine_.NowLocked(), [this] {
                   engine_.mu_.AssertHeld();
                   return engine_.execution_ids_.Next();
                 }));
  ObserveTurnLocked(orchestration, turn->outcome);
  engine_.dispatcher_.End(orchestration.turn);
  orchestration.turn.ResetLosses();
  orchestration.held = false;
  orchestration.committing = true;
  orchestration.ending = turn->finished.has_value();
  orchestration.renewing = turn->next.has_value();
  if (turn->next.has_value()) {
    engine_.schedule_.CancelTimers(orchestration.number,
                                   turn->next->former_timers);
    orchestration.first_sequence -=
        static_cast<int64_t>(turn->next->messages.size());
    orchestration.terminating |= turn->next->terminates;
  }

  PendingCommit commit;
  commit.done = std::move(done);
  commit.changes = TakeRows(*turn);
  commit.apply.push_back([this, kept, turn] {
    engine_.mu_.AssertHeld();
    ApplyTurnLocked(*kept, *turn);
  });
  const InstanceKey& key = orchestration.key;
  for (TurnOutcome::Child& child : turn->outcome.children) {
    InstanceKey its_key =
        NormalKey(key.tenant, child.started.orchestration.instance_id);
    engine_.mail_.SendLocked(key,
                             {std::move(its_key),
                              "",
                              {HistoryEvent::kFromOutside, engine_.NowLocked(),
                               std::move(child.started)}},
                             commit);
  }
  for (TurnOutcome::Message& message : turn->outcome.messages) {
    engine_.mail_.SendLocked(
        key,
        {NormalKey(key.tenant, message.instance_id),
         message.execution_id.value_or(""), std::move(message.event)},
        commit);
  }
  if (turn->finished.has_value() || turn->next.has_value()) {
    engine_.batches_.ReleaseLocksLocked(orchestration.key, commit);
  }
  engine_.commits_.Submit(std::move(commit));
}

void Turns::ObserveTurnLocked(Orchestration& orchestration,
                              const TurnOutcome& outcome) {
  engine_.mu_.AssertHeld();
  if (!outcome.limit.empty()) {
    engine_.answers_.ObserveLocked(WorkEventKind::kFailedByLimit,
                                   orchestration.turn, 0, outcome.limit);
  }
  if (outcome.terminate_unheeded) {
    engine_.answers_.ObserveLocked(
        WorkEventKind::kEndedByServer, orchestration.turn, 0,
        "its worker was told to terminate it, but did not");
  }
}

void Turns::ApplyTurnLocked(Orchestration& orchestration, CommittedTurn& turn) {
  engine_.mu_.AssertHeld();
  const RuntimeState& state = turn.hot->state;
  ++engine_.turn_count_;
  engine_.TellSpansLocked(orchestration.key, std::move(turn.spans));
  if (orchestration.gone) {
    return engine_.schedule_.CancelTimers(orchestration.number, state.timers);
  }
  orchestration.committing = false;
  orchestration.renewing = false;
  engine_.directory_.SetStatus(orchestration, state.status);
  orchestration.turn_time = turn.hot->summary.turn_time;
  orchestration.inbox.Take(turn.last_sequence);
  if (turn.next.has_value()) {
    BeginNextLocked(orchestration, turn);
  } else {
    BeginWorkLocked(orchestration, turn);
  }
  engine_.wait_list_.TellLocked(orchestration, *turn.hot, turn.input());
  if (turn.finished.has_value()) {
    engine_.answers_.ObserveEndLocked(orchestration, state.status,
                                      state.failure);
    engine_.schedule_.CancelTimers(orchestration.number, state.timers);
    return engine_.EndLocked(orchestration);
  }
  if (orchestration.hot != nullptr && orchestration.hot->state == nullptr) {
    orchestration.hot->state = std::move(turn.hot);
  }
  engine_.deliveries_.LineUpLocked(orchestration);
  engine_.deliveries_.UnpinLocked(orchestration.turn);
}

void Turns::BeginWorkLocked(Orchestration& orchestration, CommittedTurn& turn) {
  engine_.mu_.AssertHeld();
  for (const TurnOutcome::Timer& timer : turn.outcome.timers) {
    engine_.schedule_.AddTimer(
        {ToStored(ToTime(timer.fire_at)), orchestration.number,
         Timers::Kind::kTimer, timer.id},
        turn.ahead);
  }
  if (turn.finished.has_value()) return;
  for (TurnOutcome::Task& task : turn.outcome.tasks) {
    engine_.deliveries_.AddActivityLocked(orchestration, task.id,
                                          std::move(task.task));
  }
}

void Turns::BeginNextLocked(Orchestration& orchestration, CommittedTurn& turn) {
  engine_.mu_.AssertHeld();
  engine_.answers_.ObserveNextLocked(orchestration, turn.next->execution_id);
  orchestration.execution_id = turn.next->execution_id;
  orchestration.former_executions.clear();
  orchestration.turn.version = turn.hot->summary.version.value_or("");
  for (auto& [id, activity] : orchestration.activities) {
    engine_.deliveries_.UnpinLocked(*activity);
    std::erase(orchestration.unsent, activity.get());
    engine_.dispatcher_.End(*activity);
  }
  orchestration.activities.clear();
  // What is left is for the former execution, or for any.
  orchestration.inbox.BeginExecution(std::move(turn.next->messages));
}

}  // namespace leasehold
