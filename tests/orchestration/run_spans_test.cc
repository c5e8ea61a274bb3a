#include "service/orchestration/run_spans.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/orchestration/trace_message.h"
#include "service/orchestration/turn.h"

namespace leasehold {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

const SpanContext kCaller{
    .trace = {1, 2}, .span = 3, .flags = SpanContext::kSampled, .state = "a=1"};

// An orchestration `Main` of the ID `a`, whose spans are made.
class RunSpansTest : public testing::Test {
 protected:
  RunSpansTest() {
    started_.name = "Main";
    started_.version = "2";
    started_.orchestration = {"a", "e-1"};
    started_.trace = TraceMessage(kCaller);
    GiveSpan(started_);
    Happen(HistoryEvent::kFromOutside, 10, started_);
  }

  // The spans that the event ends.
  std::vector<Span> Happen(int32_t id, int64_t seconds, EventBody body,
                           bool worker_makes_spans = false) {
    const HistoryEvent event{id, {seconds, 0}, std::move(body)};
    std::vector<Span> spans;
    AddSpans({.id = "a",
              .created = absl::FromUnixSeconds(5),
              .now = {seconds + 1, 0},
              .worker_makes_spans = worker_makes_spans},
             state_, event, spans);
    state_.Apply(event);
    return spans;
  }
  // An activity, as its action asks for it.
  TaskScheduled Task(int32_t id, OpaqueMessage trace = {}) {
    TaskScheduled task;
    task.name = "Work";
    task.trace = TraceOfAction(state_, id, std::move(trace));
    return task;
  }
  static std::string ValueOf(const Span& span, std::string_view name) {
    for (const auto& [key, value] : span.attributes) {
      if (key != name) continue;
      const auto* text = std::get_if<std::string>(&value);
      return text != nullptr ? *text : absl::StrCat(std::get<int64_t>(value));
    }
    return "(none)";
  }
  SpanId run_span() const { return *ParseSpanId(*state_.started.span_id); }

  ExecutionStarted started_;
  RuntimeState state_;
};

TEST_F(RunSpansTest, ARunIsAChildOfItsCaller) {
  const auto spans = Happen(
      9, 20,
      ExecutionCompleted{
          static_cast<int32_t>(OrchestrationStatus::kCompleted), "out", {}});
  ASSERT_THAT(spans, SizeIs(1));
  const Span& run = spans[0];
  EXPECT_EQ(run.name, "orchestration:Main@(2)");
  EXPECT_EQ(run.kind, SpanKind::kServer);
  EXPECT_EQ(run.context.trace, kCaller.trace);
  EXPECT_EQ(run.context.state, "a=1");
  EXPECT_EQ(run.context.span, run_span());
  EXPECT_EQ(run.parent, kCaller.span);
  EXPECT_EQ(run.begin, absl::FromUnixSeconds(5));
  EXPECT_EQ(run.end, absl::FromUnixSeconds(20));
  EXPECT_FALSE(run.failed);
  EXPECT_EQ(ValueOf(run, "durabletask.type"), "orchestration");
  EXPECT_EQ(ValueOf(run, "durabletask.task.name"), "Main");
  EXPECT_EQ(ValueOf(run, "durabletask.task.version"), "2");
  EXPECT_EQ(ValueOf(run, "durabletask.task.instance_id"), "a");
  EXPECT_EQ(ValueOf(run, "durabletask.task.execution_id"), "e-1");
  EXPECT_EQ(ValueOf(run, "durabletask.task.status"), "Completed");
}

TEST_F(RunSpansTest, AFailedRunSaysSo) {
  const auto spans = Happen(
      9, 20,
      ExecutionCompleted{static_cast<int32_t>(OrchestrationStatus::kFailed),
                         {},
                         MakeFailure("ValueError", "no\nstack")});
  ASSERT_THAT(spans, SizeIs(1));
  EXPECT_TRUE(spans[0].failed);
  EXPECT_EQ(spans[0].message, "ValueError: no");
}

TEST_F(RunSpansTest, AnActivityLastsFromItsScheduleToItsEnd) {
  const TaskScheduled task = Task(4);
  const auto handed = ContextIn(task.trace);
  ASSERT_TRUE(handed.has_value());
  EXPECT_EQ(handed->trace, kCaller.trace);
  EXPECT_NE(handed->span, kCaller.span);
  EXPECT_THAT(Happen(4, 11, task), IsEmpty());
  const auto spans = Happen(-1, 15, TaskCompleted{4, "x"});
  ASSERT_THAT(spans, SizeIs(1));
  EXPECT_EQ(spans[0].name, "activity:Work");
  EXPECT_EQ(spans[0].kind, SpanKind::kClient);
  // The worker's own span of it is a child of this one.
  EXPECT_EQ(spans[0].context.span, handed->span);
  EXPECT_EQ(spans[0].parent, run_span());
  EXPECT_EQ(spans[0].begin, absl::FromUnixSeconds(11));
  EXPECT_EQ(spans[0].end, absl::FromUnixSeconds(15));
  EXPECT_EQ(ValueOf(spans[0], "durabletask.task.task_id"), "4");
  EXPECT_THAT(state_.under_way, IsEmpty());
}

TEST_F(RunSpansTest, AFailedActivitySaysSo) {
  Happen(4, 11, Task(4));
  const auto spans =
      Happen(-1, 15, TaskFailed{4, MakeFailure("OSError", "disk full")});
  ASSERT_THAT(spans, SizeIs(1));
  EXPECT_TRUE(spans[0].failed);
  EXPECT_EQ(spans[0].message, "OSError: disk full");
}

TEST_F(RunSpansTest, AContextThatIsOnlyPassedOnIsTheServersToReplace) {
  SpanContext same = kCaller;
  same.state.clear();
  EXPECT_EQ(Task(4, TraceMessage(same)).trace, Task(4).trace);
}

TEST_F(RunSpansTest, AnActivityWithAContextOfItsOwnKeepsIt) {
  SpanContext own = kCaller;
  own.span = 77;
  const TaskScheduled task = Task(4, TraceMessage(own));
  EXPECT_EQ(task.trace, TraceMessage(own));
  Happen(4, 11, task);
  EXPECT_THAT(Happen(-1, 15, TaskCompleted{4, {}}), IsEmpty());
}

TEST_F(RunSpansTest, NothingIsMadeForAWorkerThatMakesSpans) {
  Happen(5, 11, TimerCreated{.fire_at = {20, 0}});
  EXPECT_THAT(Happen(-1, 20, TimerFired{{20, 0}, 5}, true), IsEmpty());
  EXPECT_THAT(Happen(9, 20, ExecutionCompleted{1, {}, {}}, true), IsEmpty());
}

TEST_F(RunSpansTest, AChildIsWaitedForInASpan) {
  SubOrchestrationCreated child;
  child.instance_id = "c";
  child.name = "Child";
  child.trace = TraceOfAction(state_, 6, {});
  Happen(6, 11, child);
  // Its own run is a child of that span.
  ExecutionStarted run = StartOfChild(state_, "a", 6, child);
  run.orchestration.execution_id = "e-9";
  GiveSpan(run);
  const auto spans = Happen(-1, 30, SubOrchestrationCompleted{6, {}});
  ASSERT_THAT(spans, SizeIs(1));
  EXPECT_EQ(spans[0].name, "orchestration:Child");
  EXPECT_EQ(spans[0].kind, SpanKind::kClient);
  EXPECT_EQ(ContextIn(run.trace)->span, spans[0].context.span);
  EXPECT_NE(*ParseSpanId(*run.span_id), spans[0].context.span);
  EXPECT_EQ(ValueOf(spans[0], "durabletask.event.target_instance_id"), "c");
}

TEST_F(RunSpansTest, ATimerLastsUntilItFires) {
  Happen(5, 11, TimerCreated{.fire_at = {20, 0}});
  const auto spans = Happen(-1, 20, TimerFired{{20, 0}, 5});
  ASSERT_THAT(spans, SizeIs(1));
  EXPECT_EQ(spans[0].name, "orchestration:Main:timer");
  EXPECT_EQ(spans[0].begin, absl::FromUnixSeconds(11));
  EXPECT_EQ(ValueOf(spans[0], "durabletask.fire_at"),
            "1970-01-01T00:00:20+00:00");
}

TEST_F(RunSpansTest, EventsAreSentAndTaken) {
  const auto taken = Happen(-1, 20, EventRaised{"go", "x"});
  ASSERT_THAT(taken, SizeIs(1));
  EXPECT_EQ(taken[0].name, "orchestration_event:go");
  EXPECT_EQ(taken[0].kind, SpanKind::kConsumer);
  EXPECT_EQ(taken[0].end, absl::FromUnixSeconds(21));
  const auto sent = Happen(7, 21, EventSent{"b", "go", "x"});
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].kind, SpanKind::kProducer);
  EXPECT_EQ(ValueOf(sent[0], "durabletask.event.target_instance_id"), "b");
  EXPECT_NE(sent[0].context.span, taken[0].context.span);
}

TEST_F(RunSpansTest, ACallOfAnEntityLastsUntilItsAnswer) {
  EntityOperationCalled call{.request_id = "r-1", .operation = "add"};
  call.target = "@counter@one";
  Happen(8, 11, call);
  const auto spans = Happen(-1, 14, EntityOperationCompleted{"r-1", "5"});
  ASSERT_THAT(spans, SizeIs(1));
  EXPECT_EQ(spans[0].name, "entity:counter:add");
  EXPECT_EQ(spans[0].begin, absl::FromUnixSeconds(11));
  EXPECT_EQ(ValueOf(spans[0], "durabletask.event.target_instance_id"),
            "@counter@one");
}

TEST_F(RunSpansTest, IdsAreTheSameAfterTheHistoryIsReadAgain) {
  const TaskScheduled task = Task(4);
  Happen(4, 11, task);
  RuntimeState thawed;
  thawed.Apply({-1, {10, 0}, started_});
  thawed.Apply({4, {11, 0}, task});
  std::vector<Span> spans;
  AddSpans({.id = "a", .created = {}, .now = {15, 0}}, thawed,
           {-1, {15, 0}, TaskCompleted{4, {}}}, spans);
  const auto before = Happen(-1, 15, TaskCompleted{4, {}});
  ASSERT_THAT(spans, SizeIs(1));
  ASSERT_THAT(before, SizeIs(1));
  EXPECT_EQ(spans[0].context, before[0].context);
}

TEST_F(RunSpansTest, ANextExecutionHasOtherIdsForItsWorkInTheSameRun) {
  const OpaqueMessage first = Task(4).trace;
  started_.orchestration.execution_id = "e-2";
  state_ = {};
  state_.Apply({-1, {20, 0}, started_});
  EXPECT_NE(Task(4).trace, first);
  EXPECT_EQ(state_.started.span_id, started_.span_id);
}

TEST(RunsWithoutSpans, PassTheirContextOn) {
  SpanContext caller = kCaller;
  caller.flags = 0;
  RuntimeState state;
  ExecutionStarted started;
  started.orchestration = {"a", "e-1"};
  started.trace = TraceMessage(caller);
  GiveSpan(started);
  EXPECT_EQ(started.span_id, std::nullopt);
  state.Apply({-1, {10, 0}, started});
  EXPECT_EQ(TraceOfAction(state, 4, {}), started.trace);
  std::vector<Span> spans;
  AddSpans({.id = "a", .created = {}, .now = {}}, state,
           {-1, {15, 0}, ExecutionCompleted{1, {}, {}}}, spans);
  EXPECT_THAT(spans, IsEmpty());
}

TEST(RunsWithoutSpans, AndWithoutAContextGiveNone) {
  RuntimeState state;
  ExecutionStarted started;
  started.orchestration = {"a", "e-1"};
  GiveSpan(started);
  state.Apply({-1, {10, 0}, started});
  EXPECT_FALSE(TraceOfAction(state, 4, {}).has_value());
  const OpaqueMessage given = TraceMessage(kCaller);
  EXPECT_EQ(TraceOfAction(state, 4, given), given);
}

TEST(TraceMessages, AreReadAsTheyWereWritten) {
  EXPECT_EQ(ContextIn(TraceMessage(kCaller)), kCaller);
  EXPECT_EQ(ContextIn({}), std::nullopt);
  EXPECT_EQ(ContextIn({"\xff\xff"}), std::nullopt);
  EXPECT_EQ(ContextIn({"\x0a\x01t"}), std::nullopt);
}

TEST(TraceMessages, AWorkerThatNamesASpanMakesThem) {
  EXPECT_FALSE(NamesSpan({}));
  EXPECT_FALSE(NamesSpan({""}));
  EXPECT_FALSE(NamesSpan({std::string("\x0a\x00", 2)}));
  EXPECT_TRUE(NamesSpan({std::string("\x0a\x03\x0a\x01s", 5)}));
  EXPECT_FALSE(NamesSpan({"\xff"}));
}

}  // namespace
}  // namespace leasehold
