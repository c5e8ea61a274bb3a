#include "service/http/http_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/base/retry_after.h"

namespace leasehold {
namespace {

using testing::ElementsAre;

TEST(HttpFields, NamesAreFoundInAnyCase) {
  HttpFields fields = {{"Accept", "a"}, {"accept", "b"}, {"Host", "h"}};
  EXPECT_EQ(fields.Get("HOST"), "h");
  EXPECT_EQ(fields.Get("accept"), "a");
  EXPECT_THAT(fields.All("ACCEPT"), ElementsAre("a", "b"));
  EXPECT_EQ(fields.Find("Origin"), std::nullopt);
  EXPECT_EQ(fields.Get("Origin", "none"), "none");
  EXPECT_FALSE(fields.Has("Hos"));
}

TEST(HttpFields, SetTakesThePlaceOfAllOfThatName) {
  HttpFields fields = {{"a", "1"}, {"b", "2"}, {"A", "3"}};
  fields.Set("A", "4");
  const std::vector<HttpFields::Field> found(fields.begin(), fields.end());
  EXPECT_THAT(found, ElementsAre(HttpFields::Field("b", "2"),
                                 HttpFields::Field("A", "4")));
}

TEST(ErrorResponse, SaysWhatFailedAndWithWhichCode) {
  const HttpResponse response =
      ErrorResponse(absl::NotFoundError("there is no \"a\""));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.headers.Get("content-type"), "application/json");
  EXPECT_EQ(response.body,
            R"({"Message":"there is no \"a\"","code":"NOT_FOUND"})");
  EXPECT_EQ(response.code, absl::StatusCode::kNotFound);
}

TEST(ErrorResponse, NamesTheInstanceAndItsStatus) {
  const HttpResponse response =
      ErrorResponse(410, absl::FailedPreconditionError("it has ended"),
                    {.instance_id = "order-1", .runtime_status = "Completed"});
  EXPECT_EQ(response.status, 410);
  EXPECT_EQ(response.body,
            R"({"Message":"it has ended","code":"FAILED_PRECONDITION",)"
            R"("instanceId":"order-1","runtimeStatus":"Completed"})");
}

TEST(ErrorResponse, BytesThatAreNotUtf8StayValidJson) {
  EXPECT_EQ(ErrorResponse(absl::InvalidArgumentError("\xff!")).body,
            "{\"Message\":\"\xEF\xBF\xBD!\",\"code\":\"INVALID_ARGUMENT\"}");
}

TEST(ErrorResponse, SaysWhenToTryAgainInWholeSeconds) {
  const auto after = [](absl::Duration delay) {
    return std::string(
        ErrorResponse(
            WithRetryAfter(absl::ResourceExhaustedError("too much"), delay))
            .headers.Get("Retry-After"));
  };
  EXPECT_EQ(after(absl::Milliseconds(1)), "1");
  EXPECT_EQ(after(absl::Seconds(2)), "2");
  EXPECT_EQ(after(absl::Milliseconds(2001)), "3");
  EXPECT_FALSE(ErrorResponse(absl::ResourceExhaustedError("too much"))
                   .headers.Has("Retry-After"));
}

TEST(ErrorResponse, AsksForACredential) {
  EXPECT_EQ(ErrorResponse(absl::UnauthenticatedError("who?"))
                .headers.Get("WWW-Authenticate"),
            "Bearer");
}

TEST(HttpStatusOf, EachCodeHasItsStatus) {
  EXPECT_EQ(HttpStatusOf(absl::OkStatus()), 200);
  EXPECT_EQ(HttpStatusOf(absl::InvalidArgumentError("")), 400);
  EXPECT_EQ(HttpStatusOf(absl::UnauthenticatedError("")), 401);
  EXPECT_EQ(HttpStatusOf(absl::PermissionDeniedError("")), 403);
  EXPECT_EQ(HttpStatusOf(absl::AlreadyExistsError("")), 409);
  EXPECT_EQ(HttpStatusOf(absl::FailedPreconditionError("")), 409);
  EXPECT_EQ(HttpStatusOf(absl::ResourceExhaustedError("")), 429);
  EXPECT_EQ(HttpStatusOf(absl::UnavailableError("")), 503);
  EXPECT_EQ(HttpStatusOf(absl::DeadlineExceededError("")), 504);
  EXPECT_EQ(HttpStatusOf(absl::DataLossError("")), 500);
}

TEST(IsJson, ParametersAndCaseDoNotCount) {
  const auto is_json = [](std::string type) {
    HttpRequest request;
    if (!type.empty()) request.headers.Add("content-type", std::move(type));
    return IsJson(request);
  };
  EXPECT_TRUE(is_json("application/json"));
  EXPECT_TRUE(is_json("Application/JSON ; charset=utf-8"));
  EXPECT_FALSE(is_json("application/jsonp"));
  EXPECT_FALSE(is_json("text/plain;application/json"));
  EXPECT_FALSE(is_json(""));
}

}  // namespace
}  // namespace leasehold
