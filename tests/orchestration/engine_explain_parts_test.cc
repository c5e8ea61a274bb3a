// Explanations of what is long: others have the readers, and the lock, too. A
// sentence says once what holds for many.
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

using EngineExplainPartsTest = EngineTest;

TEST_F(EngineExplainPartsTest, ALongHistoryIsReadWhileOthersHaveTheirTurns) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  constexpr int kTurns = 10;
  for (int i = 1; i <= kTurns; ++i) {
    OrchestratorAction big = CallTask(i, "Work");
    std::get<TaskScheduled>(big.what).input = std::string(200 << 10, 'x');
    Answer(worker.TakeTurn(), {std::move(big)});
    Settle();
    Done(worker.TakeActivity());
    Settle();
  }
  Asked<Explanation> asked;
  engine().explanations().Explain(Key("a"), asked.done());
  // Somebody else asks while it is being read, each time.
  int others = 0;
  while (!asked.answered()) {
    const AskedInfo other = Get("a");
    ++others;
    ASSERT_TRUE(readers_.RunOne());
    ASSERT_TRUE(readers_.RunOne());
    ASSERT_TRUE(other.ok());
  }
  EXPECT_GT(others, 2);
  ASSERT_TRUE(asked.ok()) << asked.status();
  EXPECT_THAT(asked.value().causes, Not(IsEmpty()));
}

TEST_F(EngineExplainPartsTest, OfManyTimersTheFirstAreGivenAndAllAreCounted) {
  constexpr int kTimers = 2100;
  const absl::Time begin = clock_.WallNow();
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  std::vector<OrchestratorAction> actions;
  for (int i = 1; i <= kTimers; ++i) {
    actions.push_back(TimerAt(i, begin + absl::Minutes(2 * kTimers - i)));
  }
  Answer(worker.TakeTurn(), std::move(actions));
  Settle();
  Asked<Explanation> asked;
  engine().explanations().Explain(Key("a"), asked.done());
  Settle();
  ASSERT_TRUE(asked.ok()) << asked.status();
  const Explanation& explanation = asked.value();
  ASSERT_THAT(explanation.causes, SizeIs(100));
  EXPECT_EQ(explanation.more, kTimers - 100u);
  EXPECT_EQ(explanation.causes[0].at, begin + absl::Minutes(kTimers));
  EXPECT_EQ(explanation.causes[99].at, begin + absl::Minutes(kTimers + 99));
}

TEST(ExplanationSentence, SaysOnceWhatHoldsForMany) {
  const auto kept_by = [](uint64_t calls) {
    Cause cause{.kind = Cause::Kind::kCalls};
    cause.count = calls;
    return cause;
  };
  Explanation explanation;
  explanation.subject = Explanation::Subject::kContext;
  explanation.key = {.tenant = "acme", .id = "a"};
  explanation.status = "is busy";
  explanation.causes = {kept_by(1), kept_by(2), kept_by(1),
                        kept_by(3), kept_by(3), kept_by(1)};
  explanation.more = 5;
  EXPECT_EQ(SentenceOf(explanation),
            "instance \"a\" is busy: 1 call keeps it busy, 3 times; 2 calls "
            "keep it busy; and 7 more");
}

}  // namespace
}  // namespace leasehold
