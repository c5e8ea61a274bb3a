#include "service/orchestration/runtime_state.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/history_builder.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

using Status = OrchestrationStatus;

// Everything in a state, as text.
std::string Show(const RuntimeState& state) {
  std::string text = absl::StrCat(
      state.started.name, " ", std::string(StatusName(state.status)), " at ",
      state.turn_time.seconds, ".", state.turn_time.nanos, ", ",
      state.event_count, " events");
  if (state.output.has_value()) absl::StrAppend(&text, ", out ", *state.output);
  if (state.failure.has_value()) text += ", failure " + *state.failure.bytes;
  if (state.terminated.has_value()) {
    absl::StrAppend(&text, ", terminated ", state.terminated->recursive);
  }
  for (const int32_t id : state.tasks) absl::StrAppend(&text, ", task ", id);
  for (const auto& [id, at] : state.timers) {
    absl::StrAppend(&text, ", timer ", id, " ", at.seconds);
  }
  for (const auto& [id, child] : state.children) {
    absl::StrAppend(&text, ", child ", id, " ", child);
  }
  return text;
}

RuntimeState After(const std::vector<HistoryEvent>& events, size_t count) {
  RuntimeState state;
  for (size_t i = 0; i < count; ++i) state.Apply(events[i]);
  return state;
}

// The state after each prefix, as text, from one event on.
std::vector<std::string> Prefixes(const HistoryBuilder& history) {
  std::vector<std::string> texts;
  for (size_t i = 1; i <= history.events().size(); ++i) {
    texts.push_back(Show(After(history.events(), i)));
  }
  return texts;
}

TEST(RuntimeState, BeginsPendingAndWithoutAName) {
  EXPECT_EQ(Show({}), " Pending at 0.0, 0 events");
}

// As the managed service records it: one activity, one timer, one child, done.
//
//   1 turn at 10     2 started      3 task 1
//   4 turn at 20     5 task 1 done  6 timer 2 for 30
//   7 turn at 30     8 fired 2      9 child 3
//  10 turn at 40    11 child 3 done
//  12 completed
TEST(RuntimeState, FollowsOneOfEach) {
  const HistoryBuilder history = HistoryBuilder()
                                     .Turn(10)
                                     .Started("Greet")
                                     .Task(1, "SayHello")
                                     .Turn(20)
                                     .TaskDone(1)
                                     .Timer(2, 30)
                                     .Turn(30)
                                     .Fired(2, 30)
                                     .Child(3, "c-3")
                                     .Turn(40)
                                     .ChildDone(3)
                                     .Ended(4, Status::kCompleted, "done");
  EXPECT_THAT(Prefixes(history),
              ElementsAre(" Pending at 10.0, 1 events",
                          "Greet Running at 10.0, 2 events",
                          "Greet Running at 10.0, 3 events, task 1",
                          "Greet Running at 20.0, 4 events, task 1",
                          "Greet Running at 20.0, 5 events",
                          "Greet Running at 20.0, 6 events, timer 2 30",
                          "Greet Running at 30.0, 7 events, timer 2 30",
                          "Greet Running at 30.0, 8 events",
                          "Greet Running at 30.0, 9 events, child 3 c-3",
                          "Greet Running at 40.0, 10 events, child 3 c-3",
                          "Greet Running at 40.0, 11 events",
                          "Greet Completed at 40.0, 12 events, out done"));
}

// Everything that can fail has failed, and nothing is awaited any more.
//
//   1 turn at 10     2 started        3 task 0       4 child 1    5 timer -5
//   6 turn at 20     7 task 0 failed  8 child 1 failed
//   9 failed
TEST(RuntimeState, FailuresEndWhatTheyAreOf) {
  const HistoryBuilder history = HistoryBuilder()
                                     .Turn(10)
                                     .Started("Break")
                                     .Task(0, "Break")
                                     .Child(1, "c-1")
                                     .Timer(-5, 99)
                                     .Turn(20)
                                     .TaskBroke(0)
                                     .ChildBroke(1)
                                     .Ended(2, Status::kFailed);
  const std::vector<std::string> prefixes = Prefixes(history);
  EXPECT_EQ(prefixes[4],
            "Break Running at 10.0, 5 events, task 0, timer -5 99, child 1 "
            "c-1");
  EXPECT_EQ(prefixes[6],
            "Break Running at 20.0, 7 events, timer -5 99, child 1 c-1");
  EXPECT_EQ(prefixes[7], "Break Running at 20.0, 8 events, timer -5 99");
  EXPECT_EQ(prefixes[8], "Break Failed at 20.0, 9 events, timer -5 99");
}

// Suspended, resumed, suspended and then terminated with its children.
//
//   1 turn at 1   2 started     3 suspended
//   4 turn at 2   5 raised      6 resumed
//   7 turn at 3   8 suspended   9 terminated
//  10 terminated (the end)
TEST(RuntimeState, IsSuspendedUntilItIsResumedOrEnds) {
  const HistoryBuilder history = HistoryBuilder()
                                     .Turn(1)
                                     .Started("Wait")
                                     .Suspended()
                                     .Turn(2)
                                     .Raised("e")
                                     .Resumed()
                                     .Turn(3)
                                     .Suspended()
                                     .Terminated("out", true)
                                     .Ended(1, Status::kTerminated, "out");
  std::vector<Status> statuses;
  for (size_t i = 1; i <= history.events().size(); ++i) {
    statuses.push_back(After(history.events(), i).status);
  }
  EXPECT_THAT(statuses, ElementsAre(Status::kPending, Status::kRunning,
                                    Status::kSuspended, Status::kSuspended,
                                    Status::kSuspended, Status::kRunning,
                                    Status::kRunning, Status::kSuspended,
                                    Status::kSuspended, Status::kTerminated));
  const RuntimeState state = After(history.events(), 10);
  ASSERT_TRUE(state.terminated.has_value());
  EXPECT_TRUE(state.terminated->recursive);
  EXPECT_EQ(state.terminated->output, "out");
  EXPECT_EQ(state.output, "out");
}

// ---- Single events ----------------------------------------------------------

TEST(RuntimeState, EndsOfWhatNobodyWaitsForChangeNothing) {
  RuntimeState state = After(
      HistoryBuilder().Task(1, "a").Timer(2, 9).Child(3, "c").events(), 3);
  const HistoryBuilder ends = HistoryBuilder()
                                  .TaskDone(2)
                                  .TaskBroke(3)
                                  .Fired(1, 9)
                                  .ChildDone(1)
                                  .ChildBroke(2);
  for (const HistoryEvent& event : ends.events()) {
    state.Apply(event);
  }
  EXPECT_THAT(state.tasks, ElementsAre(1));
  EXPECT_THAT(state.timers, ElementsAre(Pair(2, Timestamp{9, 0})));
  EXPECT_THAT(state.children, ElementsAre(Pair(3, "c")));
}

TEST(RuntimeState, EventsThatItIsNotAboutOnlyCount) {
  const HistoryBuilder history =
      HistoryBuilder().Sent(1, "a", "e").Raised("e").Other(19, "x");
  EXPECT_EQ(Show(After(history.events(), 3)), " Pending at 0.0, 3 events");
}

TEST(RuntimeState, KeepsFailureAndPayloadsByteForByte) {
  RuntimeState state;
  const OpaqueMessage failure{std::string("\x0a\x01\x00\x12\x00", 5)};
  state.Apply({4, {}, ExecutionCompleted{3, "", failure}});
  EXPECT_EQ(state.status, Status::kFailed);
  EXPECT_EQ(state.output, "");
  EXPECT_EQ(state.failure, failure);
}

// ---- Frames -----------------------------------------------------------------

TEST(RuntimeState, FoldOfFramesIsTheFoldOfTheEventsInThem) {
  ForEachSeed(200, [](Random& random) {
    std::string frames;
    RuntimeState by_values;
    for (uint64_t i = Uniform(random, 0, 40); i > 0; --i) {
      const HistoryEvent event = RandomEvent(random);
      by_values.Apply(event);
      AppendFrame(frames, kStoredFrame, EncodeEvent(event));
    }
    RuntimeState by_frames;
    EXPECT_TRUE(by_frames.ApplyFrames(frames));
    EXPECT_EQ(Show(by_frames), Show(by_values));
  });
}

TEST(RuntimeState, FoldOfPartsOneAfterTheOtherIsTheFoldOfTheWhole) {
  const HistoryBuilder history =
      HistoryBuilder().Turn(1).Started("a").Task(1, "t").Turn(2).TaskDone(1);
  const size_t count = history.events().size();
  const std::string whole = history.Frames(count);
  for (size_t i = 0; i <= count; ++i) {
    const std::string head = history.Frames(i);
    RuntimeState state;
    EXPECT_TRUE(state.ApplyFrames(head));
    EXPECT_TRUE(state.ApplyFrames(whole.substr(head.size())));
    EXPECT_EQ(Show(state), Show(After(history.events(), count)));
  }
}

TEST(RuntimeState, SaysSoIfFramesOrEventsAreBroken) {
  RuntimeState state;
  EXPECT_FALSE(state.ApplyFrames("\x1a"));
  std::string frames;
  AppendFrame(frames, kStoredFrame, "\x08");
  EXPECT_FALSE(state.ApplyFrames(frames));
  EXPECT_EQ(state.event_count, 0);
  EXPECT_THAT(state.tasks, IsEmpty());
}

}  // namespace
}  // namespace leasehold
