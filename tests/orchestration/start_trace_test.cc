#include "service/orchestration/start_trace.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/orchestration/trace_message.h"
#include "service/tracing/tracer.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

const SpanContext kCall{.trace = {1, 2}, .span = 3, .flags = 1};
const SpanContext kOwn{.trace = {5, 6}, .span = 7, .flags = 1};

class StartTraceTest : public testing::Test {
 protected:
  StartTraceTest() {
    request_.key = {"acme", "a"};
    request_.name = "Main";
    request_.version = "2";
  }
  // Starts, and answers.
  void Start(const CallTrace& trace, absl::StatusOr<StartReceipt> receipt) {
    Done<StartReceipt> done = TraceStart(
        trace, request_, [this](const absl::StatusOr<StartReceipt>& answer) {
          answers_.push_back(answer.status().code());
        });
    clock_.Advance(absl::Seconds(1));
    done(std::move(receipt));
  }
  std::vector<Span> Ended() {
    queue_.Close();
    return queue_.Take();
  }

  SimulatedClock clock_;
  SpanQueue queue_{clock_, {}};
  Tracer tracer_{clock_, Sampler(), queue_};
  StartRequest request_;
  std::vector<absl::StatusCode> answers_;
};

TEST_F(StartTraceTest, AStartIsASpanBelowItsCall) {
  Start({&tracer_, kCall}, StartReceipt{.execution_id = "e-1"});
  EXPECT_THAT(answers_, testing::ElementsAre(absl::StatusCode::kOk));
  const auto ended = Ended();
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(ended[0].name, "create_orchestration:Main@(2)");
  EXPECT_EQ(ended[0].kind, SpanKind::kProducer);
  EXPECT_EQ(ended[0].parent, kCall.span);
  EXPECT_EQ(ended[0].end - ended[0].begin, absl::Seconds(1));
  EXPECT_FALSE(ended[0].failed);
  EXPECT_EQ(ContextIn(request_.trace), ended[0].context);
}

TEST_F(StartTraceTest, AStartThatIsRefusedSaysSo) {
  Start({&tracer_, kCall}, absl::AlreadyExistsError("taken"));
  EXPECT_THAT(answers_, testing::ElementsAre(absl::StatusCode::kAlreadyExists));
  const auto ended = Ended();
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_TRUE(ended[0].failed);
}

TEST_F(StartTraceTest, TheRequestsOwnContextStays) {
  request_.trace = TraceMessage(kOwn);
  Start({&tracer_, kCall}, StartReceipt{});
  EXPECT_EQ(request_.trace, TraceMessage(kOwn));
  EXPECT_THAT(Ended(), IsEmpty());
}

TEST_F(StartTraceTest, ABadContextGivesWayToThatOfTheCall) {
  request_.trace = {"\x0a\x01t"};
  Start({nullptr, kCall}, StartReceipt{});
  EXPECT_EQ(ContextIn(request_.trace), kCall);
}

TEST_F(StartTraceTest, WithoutSpansTheCallersContextGoesOn) {
  Start({nullptr, kCall}, StartReceipt{});
  EXPECT_EQ(ContextIn(request_.trace), kCall);
  EXPECT_THAT(Ended(), IsEmpty());
}

TEST_F(StartTraceTest, WhatIsNotSampledGoesOnAsSuch) {
  SpanContext call = kCall;
  call.flags = 0;
  Start({&tracer_, call}, StartReceipt{});
  EXPECT_EQ(ContextIn(request_.trace), call);
  EXPECT_THAT(Ended(), IsEmpty());
}

TEST_F(StartTraceTest, WithoutAnyContextThereIsNone) {
  Start({nullptr, std::nullopt}, StartReceipt{});
  EXPECT_FALSE(request_.trace.has_value());
}

}  // namespace
}  // namespace leasehold
