#include "service/tracing/tracer.h"

#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class TracerTest : public testing::Test {
 protected:
  std::vector<Span> Ended() {
    queue_.Close();
    return queue_.Take();
  }

  SimulatedClock clock_;
  SpanQueue queue_{clock_, {}};
  Tracer tracer_{clock_, Sampler(), queue_};
};

TEST_F(TracerTest, ARootHasATraceOfItsOwn) {
  const Span one = tracer_.Begin(std::nullopt, "one", SpanKind::kServer);
  const Span two = tracer_.Begin(std::nullopt, "two", SpanKind::kServer);
  EXPECT_EQ(one.parent, 0);
  EXPECT_NE(one.context.span, 0);
  EXPECT_NE(one.context.trace, TraceId{});
  EXPECT_NE(one.context.trace, two.context.trace);
  EXPECT_TRUE(one.context.sampled());
}

TEST_F(TracerTest, AChildStandsInItsParentsTrace) {
  const SpanContext parent{
      .trace = {1, 2}, .span = 3, .flags = 1, .state = "a=1"};
  const Span span = tracer_.Begin(parent, "child", SpanKind::kServer);
  EXPECT_EQ(span.context.trace, (TraceId{1, 2}));
  EXPECT_EQ(span.parent, 3);
  EXPECT_NE(span.context.span, 3);
  EXPECT_EQ(span.context.state, "a=1");
}

TEST_F(TracerTest, WhatIsNotSampledIsPassedOnButNotSent) {
  const SpanContext parent{.trace = {1, 2}, .span = 3, .flags = 0};
  Span span = tracer_.Begin(parent, "child", SpanKind::kServer);
  EXPECT_FALSE(span.context.sampled());
  EXPECT_EQ(span.context.trace, (TraceId{1, 2}));
  tracer_.End(std::move(span));
  EXPECT_THAT(Ended(), IsEmpty());
}

TEST_F(TracerTest, ASpanLastsFromItsBeginningToItsEnd) {
  Span span = tracer_.Begin(std::nullopt, "one", SpanKind::kServer);
  const absl::Time begin = clock_.WallNow();
  clock_.Advance(absl::Seconds(3));
  tracer_.End(std::move(span));
  const std::vector<Span> ended = Ended();
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(ended[0].begin, begin);
  EXPECT_EQ(ended[0].end, begin + absl::Seconds(3));
}

TEST_F(TracerTest, NoSpanEndsBeforeItBegan) {
  Span span = tracer_.Begin(std::nullopt, "one", SpanKind::kServer);
  clock_.SetWall(-absl::Hours(1));
  tracer_.End(std::move(span));
  const std::vector<Span> ended = Ended();
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(ended[0].begin, ended[0].end);
}

}  // namespace
}  // namespace leasehold
