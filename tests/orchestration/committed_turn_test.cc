#include "service/orchestration/committed_turn.h"

#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Timestamp kTurnTime{60, 0};
constexpr Timestamp kNow{61, 0};

std::string Encoded(EventBody body) {
  return EncodeEvent({HistoryEvent::kFromOutside, kTurnTime, std::move(body)});
}

struct Kinds {
  std::string operator()(const AppendHistory&) { return "append"; }
  std::string operator()(const ClearExecution&) { return "clear"; }
  std::string operator()(const TakeMessages& row) {
    return "take to " + std::to_string(row.last_sequence);
  }
  std::string operator()(const PutMessage& row) {
    return "message " + std::to_string(row.row.sequence);
  }
  std::string operator()(const PutTask& row) {
    return "task " + std::to_string(row.row.sequence);
  }
  std::string operator()(const PutTimer& row) {
    return "timer " + std::to_string(row.row.sequence);
  }
  std::string operator()(const DropTimer& row) {
    return "no timer " + std::to_string(row.sequence);
  }
  std::string operator()(const UpdateRun& row) {
    return row.finished.has_value() ? "finished" : "run";
  }
  std::string operator()(const auto&) { return "another"; }
};

// The kinds of the rows, in order, such as `append`.
std::vector<std::string> KindsOf(const std::vector<Change>& rows) {
  std::vector<std::string> kinds;
  for (const Change& row : rows) kinds.push_back(std::visit(Kinds{}, row));
  return kinds;
}

// A turn of a running orchestration that awaits timer 5, and was sent an event.
class CommittedTurnTest : public testing::Test {
 protected:
  CommittedTurnTest() {
    ExecutionStarted started;
    started.name = "Main";
    started.input = "in";
    started.orchestration = {"a", "e-1"};
    hot_->state.Apply({HistoryEvent::kFromOutside, {1, 0}, started});
    hot_->state.Apply({5, {1, 0}, TimerCreated{.fire_at = Timestamp{60, 0}}});
    hot_->summary.execution_id = "e-1";
    hot_->past = "earlier";
    hot_->chunks = 1;
    sent_.time = kTurnTime;
    sent_.events = {Encoded(OrchestratorStarted{})};
    Send(Encoded(EventRaised{"go", "x"}), 3);
  }

  void Send(std::string event, int64_t sequence) {
    sent_.events.push_back(std::move(event));
    sent_.sequences.push_back(sequence);
    sent_.last_sequence = sequence;
    sent_.stored = true;
  }
  void SendTimer(int32_t id, int64_t sequence) {
    sent_.events.push_back(Encoded(TimerFired{{60, 0}, id}));
    sent_.sequences.push_back(sequence);
    sent_.last_sequence = sequence;
    sent_.timers.push_back(id);
  }
  CommittedTurn Commit(TurnAnswer answer) {
    return CommitTurn({.number = 7,
                       .id = id_,
                       .sent = sent_,
                       .hot = std::move(hot_),
                       .answer = std::move(answer),
                       .first_sequence = -2},
                      limits_, kNow, [] { return std::string("e-2"); });
  }
  CommittedTurn Commit(std::vector<OrchestratorAction> actions) {
    TurnAnswer answer;
    answer.actions = std::move(actions);
    return Commit(std::move(answer));
  }
  static CompleteExecution End(OrchestrationStatus status, Payload result) {
    CompleteExecution end;
    end.status = status;
    end.result = std::move(result);
    return end;
  }
  static std::string Printed(const CommittedTurn& turn) {
    std::ostringstream out;
    out << turn;
    return out.str();
  }

  const std::string id_ = "a";
  TurnLimits limits_;
  SentTurn sent_;
  std::unique_ptr<HotState> hot_ = std::make_unique<HotState>();
};

TEST_F(CommittedTurnTest, WhatWasSentAndWhatBeginsJoinTheHistory) {
  TaskScheduled task;
  task.name = "Work";
  CommittedTurn turn = Commit({{1, task}, {2, TimerCreated{{120, 0}}}});
  EXPECT_EQ(turn.events, 4u);
  EXPECT_EQ(turn.last_sequence, 3);
  EXPECT_EQ(turn.status(), OrchestrationStatus::kRunning);
  EXPECT_EQ(turn.input(), "in");
  EXPECT_EQ(turn.finished, std::nullopt);
  EXPECT_EQ(turn.hot->past, "earlier" + turn.chunk);
  EXPECT_EQ(turn.hot->chunks, 2);
  EXPECT_EQ(turn.hot->summary.chunks, 2);
  EXPECT_EQ(turn.hot->summary.turn_time, kTurnTime);
  EXPECT_EQ(turn.hot->summary.updated, kNow);
  EXPECT_THAT(turn.hot->state.tasks, ElementsAre(1));
  EXPECT_EQ(Printed(turn),
            "run 7 takes messages to 3, adds 4 events, is Running; task 1 "
            "Work; timer 2 at 1970-01-01T00:02:00+00:00");

  const std::string chunk = turn.chunk;
  const std::vector<Change> rows = TakeRows(turn);
  EXPECT_THAT(KindsOf(rows),
              ElementsAre("append", "take to 3", "task 1", "timer 2", "run"));
  const auto& append = std::get<AppendHistory>(rows.front());
  EXPECT_EQ(append.number, 7);
  EXPECT_EQ(append.chunk, 1);
  EXPECT_EQ(append.events, chunk);
}

TEST_F(CommittedTurnTest, EventsThatWereNotProcessedAreForTheNextTurn) {
  Send(Encoded(EventRaised{"go", "y"}), 4);
  Send(Encoded(EventRaised{"go", "z"}), 6);
  TurnAnswer answer;
  answer.events_processed = 2;
  const CommittedTurn turn = Commit(std::move(answer));
  EXPECT_EQ(turn.events, 2u);
  EXPECT_EQ(turn.last_sequence, 3);
}

TEST_F(CommittedTurnTest, ATimerThatHasFiredLeavesTheStore) {
  SendTimer(5, 4);
  CommittedTurn turn = Commit(TurnAnswer{});
  EXPECT_THAT(turn.fired, ElementsAre(5));
  EXPECT_THAT(Printed(turn), HasSubstr("; timer 5 fired"));
  EXPECT_THAT(KindsOf(TakeRows(turn)),
              ElementsAre("append", "take to 4", "no timer 5", "run"));
}

TEST_F(CommittedTurnTest, ATimerThatWasNotProcessedStaysInTheStore) {
  SendTimer(5, 4);
  TurnAnswer answer;
  answer.events_processed = 2;
  CommittedTurn turn = Commit(std::move(answer));
  EXPECT_THAT(turn.fired, IsEmpty());
  EXPECT_THAT(KindsOf(TakeRows(turn)),
              ElementsAre("append", "take to 3", "run"));
}

TEST_F(CommittedTurnTest, MessagesThatAreNotInTheStoreAreNotTakenFromIt) {
  sent_.stored = false;
  CommittedTurn turn = Commit(TurnAnswer{});
  EXPECT_THAT(KindsOf(TakeRows(turn)), ElementsAre("append", "run"));
}

TEST_F(CommittedTurnTest, AnEndDropsTheRestByItself) {
  TaskScheduled task;
  task.name = "Work";
  CommittedTurn turn =
      Commit({{1, task}, {2, End(OrchestrationStatus::kCompleted, "out")}});
  EXPECT_EQ(turn.status(), OrchestrationStatus::kCompleted);
  EXPECT_EQ(turn.hot->state.output, "out");
  EXPECT_EQ(turn.finished, ToStored(ToTime(kNow)));
  EXPECT_THAT(Printed(turn), HasSubstr("is Completed"));
  EXPECT_THAT(KindsOf(TakeRows(turn)), ElementsAre("append", "finished"));
}

TEST_F(CommittedTurnTest, ContinuesAsNewBeforeWhatHasComeMeanwhile) {
  CompleteExecution end = End(OrchestrationStatus::kContinuedAsNew, "in 2");
  end.carried_over = {Encoded(EventRaised{"kept", "k"}),
                      Encoded(ExecutionTerminated{"why", false})};
  CommittedTurn turn = Commit({{1, end}});
  ASSERT_TRUE(turn.next.has_value());
  EXPECT_EQ(turn.next->execution_id, "e-2");
  EXPECT_EQ(turn.input(), "in 2");
  EXPECT_TRUE(turn.next->terminates);
  EXPECT_TRUE(turn.next->former_timers.contains(5));
  ASSERT_THAT(turn.next->messages, SizeIs(3));
  EXPECT_EQ(turn.next->messages[0].execution_id, "e-2");
  EXPECT_TRUE(turn.next->messages[0].starts);
  EXPECT_EQ(turn.next->messages[1].execution_id, "");
  EXPECT_EQ(turn.status(), OrchestrationStatus::kRunning);
  EXPECT_EQ(turn.hot->past, "");
  EXPECT_EQ(turn.hot->summary.chunks, 0);
  EXPECT_EQ(turn.hot->summary.execution_id, "e-2");
  EXPECT_THAT(turn.hot->state.timers, IsEmpty());
  EXPECT_THAT(Printed(turn), HasSubstr("; continues as e-2 with 3 messages"));
  EXPECT_THAT(KindsOf(TakeRows(turn)),
              ElementsAre("clear", "take to 3", "message -5", "message -4",
                          "message -3", "run"));
}

TEST_F(CommittedTurnTest, ALargeMessageIsOnlyInItsRow) {
  CompleteExecution end = End(OrchestrationStatus::kContinuedAsNew, {});
  const std::string large(Inbox::kSmallBytes + 1, 'x');
  end.carried_over = {Encoded(EventRaised{"large", large})};
  CommittedTurn turn = Commit({{1, end}});
  const std::vector<Change> rows = TakeRows(turn);
  const Message& message = turn.next->messages[1];
  EXPECT_TRUE(message.away);
  EXPECT_EQ(message.event, "");
  EXPECT_GT(message.bytes, large.size());
  EXPECT_THAT(std::get<PutMessage>(rows[3]).row.event, HasSubstr(large));
}

TEST_F(CommittedTurnTest, ACustomStatusThatIsTooLargeChangesNothing) {
  hot_->summary.custom_status = "before";
  limits_.payload_bytes_max = 10;
  TurnAnswer answer;
  answer.custom_status = std::string(11, 'x');
  answer.trace_context = {"trace"};
  const CommittedTurn turn = Commit(std::move(answer));
  EXPECT_EQ(turn.hot->summary.custom_status, "before");
  EXPECT_TRUE(turn.hot->summary.trace_context.has_value());
}

TEST_F(CommittedTurnTest, ItsTimeIsNeverBeforeThatOfItsTurn) {
  sent_.time = {200, 0};
  const CommittedTurn turn = Commit(TurnAnswer{});
  EXPECT_EQ(turn.hot->summary.updated, (Timestamp{200, 0}));
}

TEST_F(CommittedTurnTest, PrintsWhatGoesToOthers) {
  SubOrchestrationCreated child;
  child.name = "Child";
  child.instance_id = "c";
  const CommittedTurn turn =
      Commit({{3, child}, {4, EventSent{"b", "hello", "x"}}});
  EXPECT_THAT(Printed(turn), HasSubstr("; child 3 c; tells b"));
}

}  // namespace
}  // namespace leasehold
