// The spans of runs that end before their workers say so, and the traces of
// starts that repeat others, as the engine tells them.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/orchestration/trace_message.h"
#include "service/tracing/span.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using testing::SizeIs;

const SpanContext kCaller{.trace = {1, 2}, .span = 3, .flags = 1};
const SpanContext kOther{.trace = {5, 6}, .span = 7, .flags = 1};

class EngineTraceTest : public EngineTest {
 protected:
  EngineTraceTest() { options_.spans = &sink_; }

  void StartTraced(std::string_view id) {
    StartRequest request = Request(id);
    request.trace = TraceMessage(kCaller);
    Start(std::move(request));
    Settle();
  }
  void Replace(std::string_view id) {
    StartRequest request = Request(id);
    request.policy = PolicyOf(IfActive::kTerminate, IfFinished::kReplace);
    const Asked<StartReceipt> replaced = Start(std::move(request));
    Settle();
    ASSERT_TRUE(replaced.ok()) << replaced.status();
    EXPECT_TRUE(replaced.value().created);
  }
  // The only span that has ended is that of the run, which was terminated.
  void ExpectRunSpan() {
    ASSERT_THAT(sink_.ended, SizeIs(1));
    const Span& span = sink_.ended[0];
    EXPECT_EQ(span.name, "orchestration:Main");
    EXPECT_EQ(span.parent, kCaller.span);
    EXPECT_EQ(span.context.trace, kCaller.trace);
    bool terminated = false;
    for (const auto& [name, value] : span.attributes) {
      if (name != "durabletask.task.status") continue;
      terminated = std::get<std::string>(value) == "Terminated";
    }
    EXPECT_TRUE(terminated);
  }

  class Sink final : public SpanSink {
   public:
    void End(Span span) override { ended.push_back(std::move(span)); }
    std::vector<Span> ended;
  };
  Sink sink_;
};

TEST_F(EngineTraceTest, ARunThatIsReplacedHasItsSpan) {
  FakeWorker& worker = Connect();
  StartTraced("a");
  Answer(worker.TakeTurn(), {CallTask(1, "Work")});
  Settle();
  Replace("a");
  ExpectRunSpan();
}

TEST_F(EngineTraceTest, SoHasOneThatIsParked) {
  FakeWorker& worker = Connect();
  StartTraced("a");
  Answer(worker.TakeTurn(), {TimerAt(1, Now() + absl::Hours(1))});
  Settle();
  Pass(2 * kLease);  // Its context is gone, and what it knew.
  Replace("a");
  ExpectRunSpan();
}

TEST_F(EngineTraceTest, SoHasOneThatTheServerHasReadAgain) {
  FakeWorker& worker = Connect();
  StartTraced("a");
  Answer(worker.TakeTurn(), {TimerAt(1, Now() + absl::Hours(1))});
  Settle();
  Reopen();
  Replace("a");
  ExpectRunSpan();
}

TEST_F(EngineTraceTest, SoHasOneThatNobodyHasBegun) {
  StartTraced("a");
  Replace("a");
  ExpectRunSpan();
}

TEST_F(EngineTraceTest, ARestartIsInTheTraceOfWhoeverAsksForIt) {
  FakeWorker& worker = Connect();
  StartTraced("a");
  Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  Asked<StartReceipt> restart;
  engine().Restart(Key("a"), std::nullopt, {}, {nullptr, kOther},
                   restart.done());
  Settle();
  ASSERT_TRUE(restart.ok()) << restart.status();
  const FakeItem turn = worker.TakeTurn();
  const auto context = ContextIn(turn.events[1].As<ExecutionStarted>()->trace);
  ASSERT_TRUE(context.has_value());
  EXPECT_EQ(context->trace, kOther.trace);
  EXPECT_EQ(context->span, kOther.span);
}

TEST_F(EngineTraceTest, ARestartWithoutATraceHasNone) {
  FakeWorker& worker = Connect();
  StartTraced("a");
  Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  Asked<StartReceipt> restart;
  engine().Restart(Key("a"), "b", {}, {}, restart.done());
  Settle();
  const FakeItem turn = worker.TakeTurn();
  EXPECT_FALSE(turn.events[1].As<ExecutionStarted>()->trace.has_value());
}

}  // namespace
}  // namespace leasehold
