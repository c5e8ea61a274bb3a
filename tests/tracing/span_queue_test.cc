#include "service/tracing/span_queue.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Span Named(int number) {
  Span span;
  span.name = absl::StrCat(number);
  return span;
}

class SpanQueueTest : public testing::Test {
 protected:
  void Add(int first, int last) {
    for (int i = first; i <= last; ++i) queue_.Add(Named(i));
  }
  std::vector<std::string> Take() {
    std::vector<std::string> names;
    for (const Span& span : queue_.Take()) names.push_back(span.name);
    return names;
  }

  SimulatedClock clock_;
  SpanQueue queue_{
      clock_, {.spans_max = 5, .batch_max = 3, .patience = absl::Seconds(5)}};
};

TEST_F(SpanQueueTest, AFullBatchIsTakenAtOnce) {
  Add(1, 3);
  EXPECT_THAT(Take(), ElementsAre("1", "2", "3"));
}

TEST_F(SpanQueueTest, AFewSpansWaitForOthers) {
  Add(1, 2);
  std::vector<std::string> taken;
  std::thread taker([&] { taken = Take(); });
  clock_.AwaitWaiter(clock_.Now() + absl::Seconds(5));
  clock_.Advance(absl::Seconds(5));
  taker.join();
  EXPECT_THAT(taken, ElementsAre("1", "2"));
}

TEST_F(SpanQueueTest, TheOneThatWasThereFirstDecidesHowLong) {
  Add(1, 1);
  clock_.Advance(absl::Seconds(4));
  Add(2, 2);
  std::vector<std::string> taken;
  std::thread taker([&] { taken = Take(); });
  clock_.AwaitWaiter(clock_.Now() + absl::Seconds(1));
  clock_.Advance(absl::Seconds(1));
  taker.join();
  EXPECT_THAT(taken, ElementsAre("1", "2"));
}

TEST_F(SpanQueueTest, WhatHasNoRoomIsDroppedAndCounted) {
  Add(1, 8);
  EXPECT_EQ(queue_.dropped(), 3);
  EXPECT_THAT(Take(), ElementsAre("1", "2", "3"));
  Add(9, 9);
  EXPECT_EQ(queue_.dropped(), 3);
}

TEST_F(SpanQueueTest, AClosedQueueGivesWhatItHasAndTakesNothing) {
  Add(1, 4);
  queue_.Close();
  Add(5, 5);
  EXPECT_THAT(Take(), ElementsAre("1", "2", "3"));
  EXPECT_THAT(Take(), ElementsAre("4"));
  EXPECT_THAT(Take(), IsEmpty());
  EXPECT_EQ(queue_.dropped(), 0);
  EXPECT_FALSE(queue_.WaitUntil(clock_.Now() + absl::Hours(1)));
}

TEST_F(SpanQueueTest, ClosingWakesWhoeverWaits) {
  std::vector<std::string> taken = {"something"};
  std::thread taker([&] { taken = Take(); });
  queue_.Close();
  taker.join();
  EXPECT_THAT(taken, IsEmpty());
}

}  // namespace
}  // namespace leasehold
