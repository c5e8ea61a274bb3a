// JSON, URLs and statuses of the Durable Functions HTTP API.
#include "service/http/durable_functions_json.h"

#include <string>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lease/base/json_text.h"
#include "service/http/durable_functions_status.h"
#include "service/http/durable_functions_urls.h"

namespace leasehold {
namespace {

TEST(PayloadJson, IsTheOriginalBytes) {
  // Large integers, order, and members that are there twice.
  const std::string json =
      R"( {"b":12345678901234567890123,"a":1.0,"a":[2e3] } )";
  EXPECT_EQ(PayloadJson(json), json);
}

TEST(PayloadJson, OfNoneIsNullAndOfBlankTextIsAnEmptyString) {
  EXPECT_EQ(PayloadJson(std::nullopt), "null");
  EXPECT_EQ(PayloadJson(""), "\"\"");
  EXPECT_EQ(PayloadJson(" \r\n\t"), "\"\"");
}

TEST(PayloadJson, OfOtherTextIsAString) {
  EXPECT_EQ(PayloadJson("hello \"you\""), R"("hello \"you\"")");
  EXPECT_EQ(PayloadJson("{\"a\":1"), R"("{\"a\":1")");
  EXPECT_EQ(PayloadJson("1 2"), "\"1 2\"");
  EXPECT_EQ(PayloadJson("\xff"), "\"\xEF\xBF\xBD\"");
}

TEST(PayloadJson, NeverEndsWhatItStandsIn) {
  // Each would be read as JSON by some parser, but not inside of other JSON.
  for (const std::string text :
       {"\xEF\xBB\xBF{}", "1,\"a\":2", "null}", "NaN", "'a'", "1 // note"}) {
    EXPECT_EQ(PayloadJson(text), JsonString(text));
  }
  EXPECT_EQ(PayloadJson(std::string("1\0", 2)), "\"1\\u0000\"");
}

TEST(PayloadJson, ThatIsTooDeepIsAString) {
  const std::string deep(100'000, '[');
  EXPECT_EQ(PayloadJson(deep + std::string(100'000, ']')).front(), '"');
  EXPECT_EQ(PayloadJson("[[[1]]]"), "[[[1]]]");
}

TEST(Times, AreCutAndNotRounded) {
  EXPECT_EQ(SecondsJson(absl::FromUnixMillis(1'763'772'168'999)),
            "\"2025-11-22T00:42:48Z\"");
  EXPECT_EQ(TicksJson({1'763'772'168, 123'456'789}),
            "\"2025-11-22T00:42:48.1234567Z\"");
  EXPECT_EQ(TicksJson({0, 0}), "\"1970-01-01T00:00:00.0000000Z\"");
}

TEST(ManagementUrls, AreTheNineThatClientsKnow) {
  const ManagementUrls urls{.origin = "http://h:1", .query = "code=c1.x"};
  const std::string i = "http://h:1/runtime/webhooks/durabletask/instances/a";
  EXPECT_EQ(
      CheckStatusJson(urls, "a"),
      R"({"id":"a","statusQueryGetUri":")" + i + R"(?code=c1.x",)" +
          R"("sendEventPostUri":")" + i +
          R"(/raiseEvent/{eventName}?code=c1.x",)" + R"("terminatePostUri":")" +
          i + R"(/terminate?reason={text}&code=c1.x",)" +
          R"("rewindPostUri":")" + i + R"(/rewind?reason={text}&code=c1.x",)" +
          R"("purgeHistoryDeleteUri":")" + i + R"(?code=c1.x",)" +
          R"("restartPostUri":")" + i + R"(/restart?code=c1.x",)" +
          R"("suspendPostUri":")" + i +
          R"(/suspend?reason={text}&code=c1.x",)" + R"("resumePostUri":")" + i +
          R"(/resume?reason={text}&code=c1.x"})");
}

TEST(ManagementUrls, HaveAQueryToAppendTo) {
  for (const auto& [name, url] : ManagementUrls{.origin = "http://h"}.Of("a")) {
    if (name == "id") continue;
    EXPECT_THAT(url, testing::HasSubstr("?")) << name;
    EXPECT_THAT(url, testing::EndsWith("taskHub=default")) << name;
  }
}

TEST(ManagementUrls, EncodeWhatAPathCannotHave) {
  EXPECT_EQ(PathSegment("a b/c?d#e%f+g@h"), "a%20b%2Fc%3Fd%23e%25f%2Bg%40h");
  EXPECT_EQ(PathSegment("\xC3\xA4-._~"), "%C3%A4-._~");
  // These alone would be steps in the path.
  EXPECT_EQ(PathSegment("."), "%2E");
  EXPECT_EQ(PathSegment(".."), "%2E%2E");
  EXPECT_EQ(ManagementUrls{.origin = "http://h"}.StatusOf("a b"),
            "http://h/runtime/webhooks/durabletask/instances/a%20b?"
            "taskHub=default");
}

TEST(RuntimeStatus, HasTheNamesOfTheReferenceInAnyCase) {
  EXPECT_EQ(RuntimeStatusNamed("ContinuedAsNew"),
            OrchestrationStatus::kContinuedAsNew);
  EXPECT_EQ(RuntimeStatusNamed("rUNNING"), OrchestrationStatus::kRunning);
  EXPECT_EQ(RuntimeStatusNamed("Runing"), std::nullopt);
  EXPECT_EQ(RuntimeStatusNamed("Damaged"), std::nullopt);
  EXPECT_EQ(RuntimeStatusOf(OrchestrationStatus::kDamaged), "Failed");
}

TEST(StatusJson, OfAFailedOneHasTheMessageAsItsOutput) {
  OrchestrationInfo info;
  info.id = "a";
  info.status = OrchestrationStatus::kFailed;
  info.created = absl::UnixEpoch();
  info.summary.name = "Hello";
  info.failure = MakeFailure("ValueError", "no \"x\"");
  info.input = "{\"n\":12345678901234567890}";
  EXPECT_EQ(StatusJson(info, /*show_input=*/true),
            R"({"name":"Hello","instanceId":"a","runtimeStatus":"Failed",)"
            R"("input":{"n":12345678901234567890},"customStatus":null,)"
            R"("output":"no \"x\"","createdTime":"1970-01-01T00:00:00Z",)"
            R"("lastUpdatedTime":"1970-01-01T00:00:00Z"})");
  EXPECT_THAT(StatusJson(info, /*show_input=*/false),
              testing::HasSubstr("\"input\":null"));
}

TEST(FailureJson, HasItsCauses) {
  struct WithCause {
    std::string type, message;
    OpaqueMessage cause;
    static void Visit(const WithCause& self, WireWriter& field) {
      field(1, self.type);
      field(2, self.message);
      field(4, self.cause);
    }
  };
  OpaqueMessage failure{
      EncodeMessage(WithCause{"E", "outer", MakeFailure("F", "inner")})};
  EXPECT_EQ(FailureJson(failure),
            R"({"ErrorType":"E","ErrorMessage":"outer","StackTrace":null,)"
            R"("InnerFailure":{"ErrorType":"F","ErrorMessage":"inner",)"
            R"("StackTrace":null,"InnerFailure":null,"IsNonRetriable":false},)"
            R"("IsNonRetriable":false})");
  for (int i = 0; i < 10'000; ++i) {
    failure.bytes = EncodeMessage(WithCause{"E", "", failure});
  }
  EXPECT_LT(FailureJson(failure).size(), 10'000);
}

TEST(EntityJson, TellsNameAndKeyApart) {
  EntityInfo info{.id = "@counter@a@b",
                  .modified = absl::FromUnixMicros(1'500'000),
                  .has_state = true,
                  .state = "{\"n\":1}"};
  EXPECT_EQ(EntityJson(info),
            R"({"entityId":{"name":"counter","key":"a@b"},)"
            R"("lastOperationTime":"1970-01-01T00:00:01.5000000Z",)"
            R"("state":{"n":1}})");
  info.id = "@counter@";
  EXPECT_THAT(EntityJson(info), testing::HasSubstr(R"("key":""})"));
}

}  // namespace
}  // namespace leasehold
