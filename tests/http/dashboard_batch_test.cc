#include "service/http/dashboard_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "lease/base/json.h"
#include "service/base/retry_after.h"
#include "tests/http/dashboard_fixture.h"

namespace leasehold {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

class DashboardBatchTest : public DashboardTest {
 protected:
  std::string Batch(const json& body) {
    return Ask("POST", {"orchestrations:batch"}, {}, WriteJson(body));
  }
  // What a look answers.
  json Look(const json& body) {
    const std::string answer = Batch(body);
    EXPECT_THAT(answer, StartsWith("200 "));
    return ParseJson(answer.substr(4));
  }
  // A token for these.
  std::string TokenFor(const std::string& verb, std::vector<std::string> ids) {
    return Look({{"verb", verb}, {"instance_ids", ids}})["token"];
  }
  // The stream of what is done with a token.
  std::unique_ptr<Reader> Do(const std::string& token,
                             const json& request = json::object()) {
    std::optional<HttpResponse> response =
        Call("POST", {"orchestrations:batch"}, {},
             WriteJson({{"token", token}, {"request", request}}));
    EXPECT_TRUE(response.has_value());
    EXPECT_EQ(response->status, 200) << response->body;
    EXPECT_EQ(response->headers.Get("Content-Type"), "application/x-ndjson");
    return std::make_unique<Reader>(std::move(response->source));
  }
  // All lines, once all is done.
  std::vector<json> Lines(Reader& reader) {
    std::string text;
    for (std::string more; !(more = ReadSome(reader)).empty();) text += more;
    std::vector<json> lines;
    for (const absl::string_view line :
         absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      lines.push_back(ParseJson({line.data(), line.size()}));
    }
    return lines;
  }
  std::string ReadSome(Reader& reader) {
    executor_.RunAll();
    return reader.Take();
  }
  void List(const std::vector<std::string>& ids) {
    orchestrations_.page = {};
    for (const std::string& id : ids) {
      OrchestrationInfo info;
      info.id = id;
      info.status = OrchestrationStatus::kRunning;
      orchestrations_.page.orchestrations.push_back(std::move(info));
    }
  }
};

TEST_F(DashboardBatchTest, ALookChangesNothingAndSaysWhatMatches) {
  List({"a1", "a2"});
  const json look =
      Look({{"verb", "terminate"}, {"filter", {{"name", "Main"}}}});
  EXPECT_EQ(look["matched"], 2);
  EXPECT_EQ(look["first"], (json{"a1", "a2"}));
  EXPECT_EQ(look["expires_in_ms"], 300'000);
  EXPECT_THAT(parts_, SizeIs(0));
  EXPECT_THAT(orchestrations_.TakeCall(), HasSubstr(" named Main "));
}

TEST_F(DashboardBatchTest, ALookAsksForAllTagsOfTheFilter) {
  Look({{"verb", "terminate"}, {"filter", {{"tag", "team=blue"}}}});
  EXPECT_THAT(orchestrations_.TakeCall(), HasSubstr(" tagged team=blue "));
  Look({{"verb", "terminate"},
        {"filter", {{"tag", {"team=blue", "urgent"}}, {"prefix", "a"}}}});
  EXPECT_THAT(orchestrations_.TakeCall(),
              AllOf(HasSubstr("/a* "), HasSubstr(" tagged team=blue,urgent ")));
  EXPECT_THAT(Batch({{"verb", "terminate"}, {"filter", {{"tag", 7}}}}),
              StartsWith("400 "));
}

TEST_F(DashboardBatchTest, ALookAsksForTheStatusesThatTheVerbFits) {
  List({"a1"});
  Look({{"verb", "suspend"}});
  EXPECT_THAT(orchestrations_.TakeCall(), HasSubstr("Query"));
  EXPECT_EQ(orchestrations_.last_statuses,
            (std::vector<int32_t>{
                static_cast<int32_t>(OrchestrationStatus::kPending),
                static_cast<int32_t>(OrchestrationStatus::kRunning)}));
  Look({{"verb", "suspend"}, {"filter", {{"status", "RUNNING,FAILED"}}}});
  EXPECT_EQ(orchestrations_.last_statuses,
            (std::vector<int32_t>{
                static_cast<int32_t>(OrchestrationStatus::kRunning)}));
  // None that has failed can be suspended: nobody need look.
  const size_t calls = orchestrations_.untaken_calls();
  EXPECT_EQ(Look({{"verb", "suspend"},
                  {"filter", {{"status", "FAILED"}}}})["matched"],
            0);
  EXPECT_EQ(orchestrations_.untaken_calls(), calls);
}

TEST_F(DashboardBatchTest, TheTokenDoesItToEachThatMatched) {
  const std::string token = TokenFor("terminate", {"a", "b:c", "a"});
  const auto reader = Do(token, {{"output", "\"bye\""}});
  const std::vector<json> lines = Lines(*reader);
  EXPECT_THAT(parts_,
              ElementsAre("a:terminate {\"output\":\"\\\"bye\\\"\"}",
                          "b:c:terminate {\"output\":\"\\\"bye\\\"\"}"));
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(
      lines.back(),
      (json{{"finished", true}, {"done", 2}, {"failed", 0}, {"left", 0}}));
  EXPECT_TRUE(reader->ended());
}

TEST_F(DashboardBatchTest, ATokenIsGoodOnce) {
  const std::string token = TokenFor("suspend", {"a"});
  Lines(*Do(token));
  EXPECT_THAT(Batch({{"token", token}}), StartsWith("404 "));
  EXPECT_THAT(parts_, SizeIs(1));
}

TEST_F(DashboardBatchTest, ATokenIsGoodForAWhileAndForWhoeverWasGivenIt) {
  name_ = "ann";
  const std::string late = TokenFor("suspend", {"a"});
  clock_.Advance(DashboardBatch::kTokenLifetime);
  EXPECT_THAT(Batch({{"token", late}}), StartsWith("404 "));
  const std::string token = TokenFor("suspend", {"a"});
  name_ = "bob";
  EXPECT_THAT(Batch({{"token", token}}), StartsWith("404 "));
  name_ = "ann";
  known_by_ = Caller::KnownBy::kToken;
  EXPECT_THAT(Batch({{"token", token}}), StartsWith("404 "));
  EXPECT_THAT(Batch({{"token", "no-such"}}), StartsWith("404 "));
  known_by_ = Caller::KnownBy::kNothing;
  EXPECT_THAT(parts_, SizeIs(0));
  Lines(*Do(token));
  EXPECT_THAT(parts_, SizeIs(1));
}

TEST_F(DashboardBatchTest, ATokenIsForItsVerbAndFilter) {
  List({"a1"});
  const json filter = {{"prefix", "a"}};
  const std::string token =
      Look({{"verb", "suspend"}, {"filter", filter}})["token"];
  EXPECT_THAT(Batch({{"token", token}, {"verb", "purge"}}), StartsWith("400 "));
  EXPECT_THAT(Batch({{"token", token}, {"filter", {{"prefix", "b"}}}}),
              StartsWith("400 "));
  EXPECT_THAT(parts_, SizeIs(0));
  EXPECT_THAT(
      Batch({{"token", token}, {"verb", "suspend"}, {"filter", filter}}),
      StartsWith("200 "));
}

TEST_F(DashboardBatchTest, WhatFailsIsToldAndCanBeTriedAgain) {
  refusals_.push_back(ErrorResponse(absl::NotFoundError("there is no a")));
  const auto reader = Do(TokenFor("suspend", {"a", "b"}));
  const std::vector<json> lines = Lines(*reader);
  ASSERT_GE(lines.size(), 2u);
  EXPECT_EQ(lines.front(), (json{{"instance_id", "a"},
                                 {"code", "NOT_FOUND"},
                                 {"message", "there is no a"}}));
  EXPECT_EQ(lines.back()["done"], 1);
  EXPECT_EQ(lines.back()["failed"], 1);
  EXPECT_EQ(lines.back()["rest"]["matched"], 1);
  parts_.clear();
  const auto again = Do(lines.back()["rest"]["token"]);
  EXPECT_EQ(Lines(*again).back()["done"], 1);
  EXPECT_THAT(parts_, ElementsAre("a:suspend {}"));
}

TEST_F(DashboardBatchTest, WhoMayNotIsToldSoOnce) {
  for (size_t i = 0; i < BatchRun::kAtOnce; ++i) {
    refusals_.push_back(
        ErrorResponse(absl::PermissionDeniedError("only operators may")));
  }
  std::vector<std::string> ids;
  for (int i = 0; i < 100; ++i) ids.push_back(absl::StrCat("i", i));
  const auto reader = Do(TokenFor("purge", ids));
  const json last = Lines(*reader).back();
  EXPECT_EQ(last["done"], 0);
  EXPECT_EQ(last["why"], "only operators may");
  EXPECT_THAT(parts_, SizeIs(last["failed"].get<size_t>()));
  EXPECT_LE(parts_.size(), BatchRun::kAtOnce);
  EXPECT_EQ(last["failed"].get<size_t>() + last["left"].get<size_t>(), 100u);
}

TEST_F(DashboardBatchTest, WhoIsToldToComeBackLaterDoes) {
  refusals_.push_back(ErrorResponse(WithRetryAfter(
      absl::ResourceExhaustedError("too often"), absl::Seconds(3))));
  const auto reader = Do(TokenFor("suspend", {"a"}));
  ReadSome(*reader);
  EXPECT_THAT(parts_, SizeIs(1));
  clock_.Advance(absl::Seconds(2));
  api_->batch().EndPauses();
  ReadSome(*reader);
  EXPECT_THAT(parts_, SizeIs(1));
  clock_.Advance(absl::Seconds(2));
  api_->batch().EndPauses();
  EXPECT_EQ(Lines(*reader).back()["done"], 1);
  EXPECT_THAT(parts_, SizeIs(2));
}

TEST_F(DashboardBatchTest, WhoIsAlwaysToldToComeBackLaterGivesUp) {
  for (int i = 0; i < 2 * BatchRun::kRefusalsMax; ++i) {
    refusals_.push_back(
        ErrorResponse(absl::ResourceExhaustedError("too often")));
  }
  const auto reader = Do(TokenFor("suspend", {"a"}));
  for (int i = 0; i < 2 * BatchRun::kRefusalsMax; ++i) {
    executor_.RunAll();
    clock_.Advance(absl::Seconds(2));
    api_->batch().EndPauses();
  }
  const json last = Lines(*reader).back();
  EXPECT_EQ(last["left"], 1);
  EXPECT_EQ(last["why"], "too often");
}

TEST_F(DashboardBatchTest, ABatchEndsWhenItIsStopped) {
  refusals_.push_back(ErrorResponse(absl::ResourceExhaustedError("later")));
  const std::string token = TokenFor("suspend", {"a", "b"});
  const auto reader = Do(token);
  EXPECT_THAT(Batch({{"token", token}, {"stop", true}}), StartsWith("200 "));
  const json last = Lines(*reader).back();
  EXPECT_EQ(last["why"], "it was stopped");
  EXPECT_EQ(last["finished"], true);
  EXPECT_THAT(Batch({{"token", "other"}, {"stop", true}}), StartsWith("404 "));
}

TEST_F(DashboardBatchTest, ABatchEndsWithItsClient) {
  refusals_.push_back(ErrorResponse(absl::ResourceExhaustedError("later")));
  auto reader = Do(TokenFor("suspend", {"a", "b", "c"}));
  executor_.RunAll();
  const size_t before = parts_.size();
  reader.reset();
  clock_.Advance(absl::Seconds(10));
  api_->batch().EndPauses();
  executor_.RunAll();
  EXPECT_EQ(parts_.size(), before);
}

TEST_F(DashboardBatchTest, ItsTimeIsBoundedAndTheRestGoesOn) {
  refusals_.push_back(ErrorResponse(absl::ResourceExhaustedError("later")));
  const auto reader = Do(TokenFor("suspend", {"a"}));
  executor_.RunAll();
  clock_.Advance(BatchRun::kTimeMax);
  api_->batch().EndPauses();
  const json last = Lines(*reader).back();
  EXPECT_EQ(last["left"], 1);
  EXPECT_THAT(last["why"].get<std::string>(), HasSubstr("time is over"));
  EXPECT_EQ(Lines(*Do(last["rest"]["token"])).back()["done"], 1);
}

TEST_F(DashboardBatchTest, ItsTimeIsOverInALongPauseToo) {
  refusals_.push_back(ErrorResponse(WithRetryAfter(
      absl::ResourceExhaustedError("too often"), absl::Hours(1))));
  const auto reader = Do(TokenFor("suspend", {"a"}));
  executor_.RunAll();
  clock_.Advance(BatchRun::kTimeMax);
  EXPECT_EQ(api_->batch().EndPauses(), 1u);
  EXPECT_THAT(Lines(*reader).back()["why"].get<std::string>(),
              HasSubstr("time is over"));
}

TEST_F(DashboardBatchTest, OnlySoManyTokensAreKept) {
  const std::string first = TokenFor("suspend", {"a"});
  clock_.Advance(absl::Seconds(1));
  std::string last;
  for (size_t i = 0; i < DashboardBatch::kTokensMax; ++i) {
    last = TokenFor("suspend", {"a"});
  }
  EXPECT_THAT(Batch({{"token", first}}), StartsWith("404 "));
  EXPECT_THAT(Batch({{"token", last}}), StartsWith("200 "));
}

TEST_F(DashboardBatchTest, OnlySoManyRunAtOnce) {
  std::vector<std::unique_ptr<Reader>> readers;
  for (size_t i = 0; i < DashboardBatch::kRunsMax; ++i) {
    readers.push_back(Do(TokenFor("suspend", {"a"})));
  }
  const std::string token = TokenFor("suspend", {"a"});
  EXPECT_THAT(Batch({{"token", token}}), StartsWith("429 "));
  readers.clear();
  EXPECT_THAT(Batch({{"token", token}}), StartsWith("200 "));
}

TEST_F(DashboardBatchTest, WhatIsWrongIsRefused) {
  for (const char* body :
       {"", "[]", "{", R"({"verb":"dance"})", R"({"filter":{}})",
        R"({"verb":"purge","filter":{"colour":"red"}})",
        R"({"verb":"purge","filter":{"status":"GREEN"}})",
        R"({"verb":"purge","filter":{"from":"soon"}})",
        R"({"verb":"purge","filter":{"prefix":1}})",
        R"({"verb":"purge","filter":[]})", R"({"verb":"purge","more":1})",
        R"({"verb":"purge","instance_ids":[]})",
        R"({"verb":"purge","instance_ids":[1]})",
        R"({"verb":"purge","instance_ids":[""]})",
        R"({"verb":"purge","instance_ids":["a"],"filter":{}})",
        R"({"token":1})", R"({"token":"x","request":[]})",
        R"({"token":"x","more":1})"}) {
    EXPECT_THAT(Ask("POST", {"orchestrations:batch"}, {}, body),
                StartsWith("400 "))
        << body;
  }
  json ids = json::array();
  for (size_t i = 0; i <= DashboardBatch::kIdsGivenMax; ++i) {
    ids.push_back(absl::StrCat("i", i));
  }
  EXPECT_THAT(Batch({{"verb", "purge"}, {"instance_ids", ids}}),
              StartsWith("400 "));
}

}  // namespace
}  // namespace leasehold
