#include "service/orchestration/committed_turn.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "service/base/invariant.h"
#include "service/orchestration/run_spans.h"
#include "service/orchestration/trace_message.h"

namespace leasehold {
namespace {

// Takes one event into the state, with the spans that it ends.
void Apply(const std::string& id, const SentTurn& sent,
           const HistoryEvent& event, CommittedTurn& turn) {
  HotState& hot = *turn.hot;
  if (hot.state.started.span_id.has_value()) {
    AddSpans({.id = id,
              .created = hot.created,
              .now = sent.time,
              .worker_makes_spans = NamesSpan(hot.summary.trace_context)},
             hot.state, event, turn.spans);
  }
  hot.state.Apply(event);
}

// Takes the events that the worker has processed into the history. It may have
// processed only some of those that it was sent; the rest is for the next turn.
void TakeEvents(const std::string& id, const SentTurn& sent, TurnAnswer& answer,
                CommittedTurn& turn) {
  turn.events = sent.events.size();
  turn.last_sequence = sent.last_sequence;
  turn.takes_stored = sent.stored;
  turn.ahead = sent.ahead;
  if (answer.events_processed.has_value() && *answer.events_processed > 0 &&
      static_cast<size_t>(*answer.events_processed) < turn.events) {
    turn.events = static_cast<size_t>(*answer.events_processed);
    turn.last_sequence = sent.sequences[turn.events - 1] - 1;
  }
  for (size_t i = 0; i < turn.events; ++i) {
    AppendFrame(turn.chunk, kStoredFrame, sent.events[i]);
    const std::optional<HistoryEvent> event = DecodeEvent(sent.events[i]);
    if (!event.has_value()) continue;
    Apply(id, sent, *event, turn);
    // The first messages of an execution have negative sequences.
    if (event->As<ExecutionTerminated>() != nullptr &&
        sent.sequences[i - 1] < 0) {
      answer.terminate_is_old = true;
    }
  }
}

// Interprets the answer, and takes its events into the history.
void Conclude(const std::string& id, const SentTurn& sent, TurnAnswer answer,
              const TurnLimits& limits, Timestamp now, CommittedTurn& turn) {
  HotState& hot = *turn.hot;
  if (answer.custom_status.has_value() &&
      answer.custom_status->size() <= limits.payload_bytes_max) {
    hot.summary.custom_status = answer.custom_status;
  }
  if (answer.trace_context.has_value()) {
    hot.summary.trace_context = answer.trace_context;
  }
  hot.summary.awaited_events = std::move(answer.awaited_events);
  turn.outcome = ConcludeTurn(hot.state, id, std::move(answer), limits, now);
  for (const HistoryEvent& event : turn.outcome.events) {
    AppendFrame(turn.chunk, kStoredFrame, EncodeEvent(event));
    Apply(id, sent, event, turn);
  }
  turn.events += turn.outcome.events.size();
  for (const int32_t timer : sent.timers) {
    if (!hot.state.timers.contains(timer)) turn.fired.push_back(timer);
  }
}

// Begins the next execution.
void ContinueAsNew(const std::string& id, std::string execution_id,
                   int64_t first_sequence, CommittedTurn& turn) {
  TurnOutcome::Next& begun = *turn.outcome.next;
  HotState& hot = *turn.hot;
  NextExecution& next = turn.next.emplace();
  begun.started.orchestration = {id, execution_id};
  hot.summary.execution_id = execution_id;
  hot.summary.former_executions.clear();
  hot.summary.awaited_events.clear();
  hot.summary.version = begun.started.version;
  hot.summary.scheduled_start.reset();
  next.former_timers = std::move(hot.state.timers);
  hot.state = {};
  hot.state.status = OrchestrationStatus::kRunning;
  hot.past.clear();
  hot.chunks = 0;

  next.messages.reserve(begun.carried_over.size() + 1);
  next.messages.push_back(
      MakeMessage(execution_id, ExecutionStarted::kNumber,
                  EncodeEvent({HistoryEvent::kFromOutside, hot.summary.updated,
                               begun.started})));
  for (std::string& event : begun.carried_over) {
    const std::optional<HistoryEvent> decoded = DecodeEvent(event);
    const int number = decoded.has_value() ? NumberOf(*decoded) : 0;
    next.terminates |= number == ExecutionTerminated::kNumber;
    next.messages.push_back(MakeMessage("", number, std::move(event)));
  }
  // They come before those received meanwhile.
  int64_t sequence =
      first_sequence - static_cast<int64_t>(next.messages.size());
  for (Message& message : next.messages) message.sequence = sequence++;
  next.input = std::move(begun.started.input);
  next.execution_id = std::move(execution_id);
}

}  // namespace

CommittedTurn CommitTurn(AnsweredTurn of, const TurnLimits& limits,
                         Timestamp now,
                         absl::FunctionRef<std::string()> new_execution_id) {
  CheckInvariant(of.hot != nullptr, "a turn that is answered is hot");
  CheckInvariant(of.sent.events.size() == of.sent.sequences.size() + 1,
                 "each event of a turn but the first has its message");
  CommittedTurn turn;
  turn.number = of.number;
  turn.hot = std::move(of.hot);
  HotState& hot = *turn.hot;
  now = std::max(now, of.sent.time);
  TakeEvents(of.id, of.sent, of.answer, turn);
  Conclude(of.id, of.sent, std::move(of.answer), limits, now, turn);
  hot.summary.updated = now;
  hot.summary.turn_time = of.sent.time;
  if (turn.outcome.next.has_value()) {
    ContinueAsNew(of.id, new_execution_id(), of.first_sequence, turn);
  } else {
    ++hot.chunks;
    hot.past.append(turn.chunk);
    if (IsFinished(turn.status())) turn.finished = ToStored(ToTime(now));
  }
  hot.summary.chunks = hot.chunks;
  return turn;
}

std::vector<Change> TakeRows(CommittedTurn& turn) {
  const RunNumber number = turn.number;
  std::vector<Change> rows;
  if (turn.next.has_value()) {
    rows.push_back(ClearExecution{number});
    // Take the processed ones first: a sequence may be used twice.
    rows.push_back(TakeMessages{number, turn.last_sequence});
    for (Message& message : turn.next->messages) {
      rows.push_back(MakeRow(number, message));
    }
  } else {
    rows.push_back(
        AppendHistory{number, turn.hot->chunks - 1, std::move(turn.chunk)});
  }
  // When it has ended, the store drops the rest by itself.
  if (!turn.next.has_value() && !turn.finished.has_value()) {
    if (turn.takes_stored) {
      rows.push_back(TakeMessages{number, turn.last_sequence});
    }
    for (const int32_t timer : turn.fired) {
      rows.push_back(DropTimer{number, timer});
    }
    for (const TurnOutcome::Task& task : turn.outcome.tasks) {
      rows.push_back(PutTask{{number, task.id, EncodeMessage(task.task)}});
    }
    for (const TurnOutcome::Timer& timer : turn.outcome.timers) {
      rows.push_back(
          PutTimer{{number, timer.id, ToStored(ToTime(timer.fire_at))}});
    }
  }
  rows.push_back(UpdateRun{number, static_cast<int32_t>(turn.status()),
                           turn.finished, EncodeMessage(turn.hot->summary)});
  return rows;
}

std::ostream& operator<<(std::ostream& out, const CommittedTurn& turn) {
  out << "run " << turn.number << " takes messages to " << turn.last_sequence
      << ", adds " << turn.events << " events, is "
      << StatusName(turn.status());
  for (const int32_t timer : turn.fired) out << "; timer " << timer << " fired";
  for (const TurnOutcome::Task& task : turn.outcome.tasks) {
    out << "; task " << task.id << ' ' << task.task.name;
  }
  for (const TurnOutcome::Timer& timer : turn.outcome.timers) {
    out << "; timer " << timer.id << " at "
        << absl::FormatTime(absl::RFC3339_full, ToTime(timer.fire_at),
                            absl::UTCTimeZone());
  }
  for (const TurnOutcome::Child& child : turn.outcome.children) {
    out << "; child " << child.id << ' '
        << child.started.orchestration.instance_id;
  }
  for (const TurnOutcome::Message& message : turn.outcome.messages) {
    out << "; tells " << message.instance_id;
  }
  if (turn.next.has_value()) {
    out << "; continues as " << turn.next->execution_id << " with "
        << turn.next->messages.size() << " messages";
  }
  return out;
}

}  // namespace leasehold
