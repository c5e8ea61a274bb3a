#include "service/http/http_span.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr char kParent[] =
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

class HttpSpanTest : public testing::Test {
 protected:
  HttpSpanTest() {
    entry_.route.method = "POST";
    entry_.route.pattern = "/i/{id}";
    request_.method = "POST";
    request_.headers = {{"TraceParent", kParent}, {"tracestate", "a=1"}};
    auto caller = std::make_shared<Caller>();
    caller->tenant = "acme";
    request_.caller = caller;
  }
  std::vector<Span> Ended() {
    queue_.Close();
    return queue_.Take();
  }
  static std::string ValueOf(const Span& span, std::string_view name) {
    std::string all;
    for (const auto& [key, value] : span.attributes) {
      if (key != name) continue;
      const auto* text = std::get_if<std::string>(&value);
      absl::StrAppend(&all, text != nullptr
                                ? *text
                                : absl::StrCat(std::get<int64_t>(value)));
    }
    return all;
  }

  SimulatedClock clock_;
  SpanQueue queue_{clock_, {}};
  Tracer tracer_{clock_, Sampler(), queue_};
  HttpRouter::Entry entry_;
  HttpRequest request_;
};

TEST_F(HttpSpanTest, WithoutATracerTheCallersContextGoesOn) {
  EXPECT_EQ(HttpSpan::Begin(nullptr, entry_, request_), nullptr);
  EXPECT_EQ(request_.trace.tracer, nullptr);
  ASSERT_TRUE(request_.trace.context.has_value());
  EXPECT_EQ(FormatTraceParent(*request_.trace.context), kParent);
  EXPECT_EQ(request_.trace.context->state, "a=1");
}

TEST_F(HttpSpanTest, TwoParentsAreNone) {
  request_.headers.Add("traceparent", kParent);
  HttpSpan::Begin(nullptr, entry_, request_);
  EXPECT_EQ(request_.trace.context, std::nullopt);
}

TEST_F(HttpSpanTest, ASpanLastsUntilTheAnswer) {
  request_.params.Add("id", "a");
  auto span = HttpSpan::Begin(&tracer_, entry_, request_);
  clock_.Advance(absl::Seconds(2));
  HttpResponse response;
  response.status = 202;
  response.instance_id = "a";  // Named once.
  span->Answer(response);
  span.reset();
  const auto ended = Ended();
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(ended[0].name, "POST /i/{id}");
  EXPECT_EQ(ended[0].kind, SpanKind::kServer);
  EXPECT_EQ(HexOf(ended[0].parent), "b7ad6b7169203331");
  EXPECT_EQ(ended[0].context, *request_.trace.context);
  EXPECT_EQ(ended[0].end - ended[0].begin, absl::Seconds(2));
  EXPECT_FALSE(ended[0].failed);
  EXPECT_EQ(ValueOf(ended[0], "http.request.method"), "POST");
  EXPECT_EQ(ValueOf(ended[0], "http.route"), "/i/{id}");
  EXPECT_EQ(ValueOf(ended[0], "http.response.status_code"), "202");
  EXPECT_EQ(ValueOf(ended[0], "leasehold.instance_id"), "a");
  EXPECT_EQ(ValueOf(ended[0], "leasehold.tenant"), "acme");
}

TEST_F(HttpSpanTest, OnlyTheServersOwnFaultsAreFailures) {
  for (const int status : {404, 503}) {
    HttpResponse response;
    response.status = status;
    HttpSpan::Begin(&tracer_, entry_, request_)->Answer(response);
  }
  const auto ended = Ended();
  ASSERT_THAT(ended, SizeIs(2));
  EXPECT_FALSE(ended[0].failed);
  EXPECT_TRUE(ended[1].failed);
}

TEST_F(HttpSpanTest, HealthChecksBeginNoTrace) {
  entry_.method.call_class = CallClass::kEssential;
  EXPECT_NE(HttpSpan::Begin(&tracer_, entry_, request_), nullptr);
  request_.headers = {};
  EXPECT_EQ(HttpSpan::Begin(&tracer_, entry_, request_), nullptr);
  EXPECT_EQ(request_.trace.context, std::nullopt);
}

TEST_F(HttpSpanTest, AClientThatGoesEndsIt) {
  HttpSpan::Begin(&tracer_, entry_, request_).reset();
  const auto ended = Ended();
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(ValueOf(ended[0], "error.type"), "client_gone");
}

TEST_F(HttpSpanTest, WhatIsNotSampledIsOnlyPassedOn) {
  std::string parent = kParent;
  parent.back() = '0';
  request_.headers = {{"traceparent", parent}};
  EXPECT_EQ(HttpSpan::Begin(&tracer_, entry_, request_), nullptr);
  EXPECT_EQ(request_.trace.tracer, &tracer_);
  EXPECT_FALSE(request_.trace.context->sampled());
  EXPECT_THAT(Ended(), IsEmpty());
}

}  // namespace
}  // namespace leasehold
