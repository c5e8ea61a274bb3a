#include "service/http/http_call.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace leasehold {
namespace {

// A call, and the answers that it was given.
struct Asked {
  std::vector<int> answers;
  std::shared_ptr<HttpCall> call = std::make_shared<HttpCall>(
      HttpRequest(),
      [this](HttpResponse response) { answers.push_back(response.status); });
};

TEST(HttpCall, OnlyTheFirstAnswerCounts) {
  Asked asked;
  asked.call->Finish(EmptyResponse(202));
  asked.call->Finish(EmptyResponse(404));
  asked.call.reset();
  EXPECT_EQ(asked.answers, std::vector<int>{202});
}

TEST(HttpCall, OneThatIsDroppedIsAnsweredAllTheSame) {
  Asked asked;
  asked.call.reset();
  EXPECT_EQ(asked.answers, std::vector<int>{500});
}

TEST(HttpCall, AHookIsToldOnceThatTheClientHasGone) {
  Asked asked;
  int told = 0;
  asked.call->OnGone([&told] { ++told; });
  asked.call->SetGone();
  asked.call->SetGone();
  EXPECT_EQ(told, 1);
  asked.call->Finish(EmptyResponse(200));
  EXPECT_TRUE(asked.answers.empty());
}

TEST(HttpCall, AHookThatComesTooLateIsToldAtOnce) {
  Asked asked;
  asked.call->SetGone();
  int told = 0;
  asked.call->OnGone([&told] { ++told; });
  EXPECT_EQ(told, 1);
}

TEST(HttpCall, AClientThatGoesAfterItsAnswerIsNoNews) {
  Asked asked;
  int told = 0;
  asked.call->OnGone([&told] { ++told; });
  asked.call->Finish(EmptyResponse(200));
  asked.call->SetGone();
  asked.call->OnGone([&told] { ++told; });
  EXPECT_EQ(told, 0);
}

TEST(HttpCall, WhatAHookHoldsIsFreedWithTheAnswer) {
  Asked asked;
  const std::weak_ptr<HttpCall> weak = asked.call;
  asked.call->OnGone([held = asked.call] {});
  asked.call->Finish(EmptyResponse(200));
  asked.call.reset();
  EXPECT_TRUE(weak.expired());
}

}  // namespace
}  // namespace leasehold
