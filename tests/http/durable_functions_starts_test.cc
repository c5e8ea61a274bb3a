#include "service/http/durable_functions_starts.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "tests/http/durable_functions_fixture.h"

namespace leasehold {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using enum OrchestrationStatus;

constexpr char kStatusUrl[] =
    "http://127.0.0.1:4002/runtime/webhooks/durabletask/instances/a?"
    "taskHub=default";

class DurableFunctionsStartsTest : public DurableFunctionsTest {
 public:
  DurableFunctionsStartsTest() {
    orchestrations.receipt = {.instance_id = "a", .created = true};
  }

  // Begins a start that waits.
  Sent BeginWait(const std::string& query = "") {
    Sent sent = Begin("POST",
                      "/orchestrators/Hello/a?timeout=10&"
                      "pollingInterval=1" +
                          query);
    orchestrations.TakeCall();
    EXPECT_FALSE(sent.answer->has_value());
    waiting = orchestrations.TakeWait();
    return sent;
  }
  // The orchestration ends, and the wait with it.
  void End(OrchestrationStatus status, Payload output = std::nullopt) {
    Show(status, std::move(output));
    waiting.done(
        std::make_shared<const OrchestrationInfo>(*orchestrations.info));
  }

  FakeOrchestrations::Waiting waiting;
};

TEST_F(DurableFunctionsStartsTest, AnswersWithTheUrls) {
  const Answer answer = Send("POST", "/orchestrators/Hello/a", "{\"n\": 1}",
                             {{"Content-Type", "text/anything"}});
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.headers.Get("Location"), kStatusUrl);
  EXPECT_EQ(answer.headers.Get("Retry-After"), "10");
  EXPECT_EQ(answer.headers.Get("x-leasehold-created"), "true");
  EXPECT_EQ(answer.instance_id, "a");
  EXPECT_EQ(
      answer.body,
      CheckStatusJson(ManagementUrls{.origin = "http://127.0.0.1:4002"}, "a"));
  EXPECT_EQ(orchestrations.TakeCall(),
            "Start default/a Hello version=none input=\"{\"n\": 1}\" request= "
            "policy");
}

TEST_F(DurableFunctionsStartsTest, MakesAnIdIfThereIsNone) {
  for (const char* path : {"/orchestrators/Hello", "/orchestrators/Hello/"}) {
    EXPECT_EQ(Send("POST", path).status, 202);
    EXPECT_THAT(orchestrations.TakeCall(),
                testing::MatchesRegex("Start default/[-0-9a-f]+ Hello .*"));
  }
}

TEST_F(DurableFunctionsStartsTest, TakesJsonOrNothing) {
  EXPECT_EQ(Send("POST", "/orchestrators/Hello/a?version=2", " ").status, 202);
  EXPECT_THAT(orchestrations.TakeCall(), HasSubstr("version=\"2\" input=none"));
  const Answer answer = Send("POST", "/orchestrators/Hello/a", "hello");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("not valid JSON"));
  EXPECT_EQ(orchestrations.untaken_calls(), 0U);
}

TEST_F(DurableFunctionsStartsTest, RefusesWhatBreaksARule) {
  for (const char* path :
       {"/orchestrators/Hello/@a", "/orchestrators/Hello/\x01",
        "/orchestrators/\xff/a", "/orchestrators/Hello/a?ifActive=maybe",
        "/orchestrators/Hello/a?timeout=soon",
        "/orchestrators/Hello/a?capabilities=x",
        "/orchestrators/Hello/a?capabilities=",
        "/orchestrators/Hello/a?returnInternalServerErrorOnFailure=1"}) {
    EXPECT_EQ(Send("POST", path).status, 400) << path;
  }
  EXPECT_EQ(Send("POST", "/orchestrators/" + std::string(1025, 'x')).status,
            400);
  EXPECT_EQ(orchestrations.untaken_calls(), 0U);
}

TEST_F(DurableFunctionsStartsTest, AnActiveIdIs409AndSaysWhatElseIsPossible) {
  Show(kSuspended);
  orchestrations.refusal = absl::AlreadyExistsError("it is there");
  const Answer answer = Send("POST", "/orchestrators/Hello/a");
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(
      answer.body,
      R"-({"Message":"orchestration \"a\" is Suspended; at most one of an ID )-"
      R"-(is active. Or start with ?ifActive=ATTACH (use it) or TERMINATE )-"
      R"-((end it and start a new one)","code":"ALREADY_EXISTS",)-"
      R"-("instanceId":"a","runtimeStatus":"Suspended"})-");
  Show(kFailed);
  EXPECT_THAT(Send("POST", "/orchestrators/Hello/a?ifFinished=FAIL").body,
              HasSubstr("?ifFinished=ATTACH"));
}

TEST_F(DurableFunctionsStartsTest, AttachingIsToldInAHeader) {
  orchestrations.receipt.created = false;
  const Answer answer = Send("POST", "/orchestrators/Hello/a?ifActive=ATTACH");
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.headers.Get("x-leasehold-created"), "false");
}

TEST_F(DurableFunctionsStartsTest, SaysWhenTheEngineRefuses) {
  orchestrations.refusal = absl::UnavailableError("draining");
  EXPECT_EQ(Send("POST", "/orchestrators/Hello/a").status, 503);
  EXPECT_EQ(Send("POST", "/instances/a/restart").status, 503);
}

// ---- Waiting for the end ----------------------------------------------------

TEST_F(DurableFunctionsStartsTest, OneThatCompletesInTimeAnswersWithItsOutput) {
  const Sent sent = BeginWait();
  EXPECT_EQ(waiting.request.until, Until::kFinished);
  EXPECT_EQ(waiting.request.peer, "ipv4:127.0.0.1:1");
  End(kCompleted, "[1, 2]");
  EXPECT_EQ((*sent.answer)->status, 200);
  EXPECT_EQ((*sent.answer)->body, "[1, 2]");
  clock.Advance(absl::Minutes(10));
  EXPECT_EQ(api.RunDue(), 0U);
}

TEST_F(DurableFunctionsStartsTest, OneThatFailsAnswersWithItsStatus) {
  const Sent sent = BeginWait();
  End(kFailed);
  EXPECT_EQ((*sent.answer)->status, 200);
  EXPECT_THAT((*sent.answer)->body, HasSubstr(R"("runtimeStatus":"Failed")"));
  const Sent asked = BeginWait("&returnInternalServerErrorOnFailure=true");
  End(kFailed);
  EXPECT_EQ((*asked.answer)->status, 500);
}

TEST_F(DurableFunctionsStartsTest, OneThatTakesLongerAnswersWithTheUrls) {
  const Sent sent = BeginWait();
  orchestrations.TakeCall();  // The wait.
  clock.Advance(absl::Milliseconds(9'900));
  api.RunDue();
  EXPECT_FALSE(sent.answer->has_value());
  clock.Advance(absl::Milliseconds(200));
  api.RunDue();
  ASSERT_TRUE(sent.answer->has_value());
  EXPECT_EQ((*sent.answer)->status, 202);
  EXPECT_EQ((*sent.answer)->headers.Get("Location"), kStatusUrl);
  EXPECT_EQ(orchestrations.TakeCall(), "CancelWait default/a");
}

TEST_F(DurableFunctionsStartsTest, AWaitIsNotLongerThanFiveMinutes) {
  const Sent sent =
      Begin("POST", "/orchestrators/Hello/a?timeout=1e9&pollingInterval=1");
  clock.Advance(DurableFunctionsStarts::kTimeoutMax + absl::Seconds(1));
  api.RunDue();
  ASSERT_TRUE(sent.answer->has_value());
  EXPECT_EQ((*sent.answer)->status, 202);
}

TEST_F(DurableFunctionsStartsTest, WithoutAnIntervalNobodyWaits) {
  EXPECT_EQ(Send("POST", "/orchestrators/Hello/a?timeout=10").status, 202);
  EXPECT_EQ(Send("POST", "/orchestrators/Hello/a?pollingInterval=1").status,
            202);
}

TEST_F(DurableFunctionsStartsTest, WhoWaitsStaysOpen) {
  const auto waits = [](HttpFields query) {
    HttpRequest request;
    request.query = std::move(query);
    return DurableFunctionsStarts::Waits(request);
  };
  EXPECT_TRUE(waits({{"timeout", "1"}, {"pollingInterval", "1"}}));
  EXPECT_FALSE(waits({{"timeout", "1"}}));
  EXPECT_FALSE(waits({{"pollingInterval", "1"}}));
  EXPECT_FALSE(waits({}));
  int waiting = 0;
  for (const HttpRoute& route : api.Routes()) {
    if (route.waits != nullptr) ++waiting;
  }
  EXPECT_EQ(waiting, 6);  // Two starts and a restart, at two prefixes.
}

TEST_F(DurableFunctionsStartsTest, ARestartIsInTheTraceOfItsRequest) {
  const SpanContext caller{.trace = {1, 2}, .span = 3, .flags = 1};
  trace = {nullptr, caller};
  EXPECT_EQ(Send("POST", "/instances/a/restart").status, 202);
  ASSERT_TRUE(orchestrations.restart_trace.context.has_value());
  EXPECT_EQ(orchestrations.restart_trace.context->span, caller.span);
}

TEST_F(DurableFunctionsStartsTest, AClientThatLeavesBeforeItsStartIsAnswered) {
  orchestrations.hold_starts = true;
  const Sent sent =
      Begin("POST", "/orchestrators/Hello/a?timeout=10&pollingInterval=1");
  sent.call->SetGone();
  orchestrations.TakeCall();
  orchestrations.AnswerStarts();
  waiting = orchestrations.TakeWait();
  orchestrations.TakeCall();
  EXPECT_EQ(orchestrations.TakeCall(), "CancelWait default/a");
}

TEST_F(DurableFunctionsStartsTest, AClientThatLeavesWaitsNoLonger) {
  const Sent sent = BeginWait();
  orchestrations.TakeCall();
  sent.call->SetGone();
  EXPECT_EQ(orchestrations.TakeCall(), "CancelWait default/a");
  clock.Advance(absl::Minutes(10));
  EXPECT_EQ(api.RunDue(), 0U);
  EXPECT_FALSE(sent.answer->has_value());
}

TEST_F(DurableFunctionsStartsTest, OneThatIsPurgedMeanwhileIs404) {
  const Sent sent = BeginWait();
  waiting.done(Orchestrations::SharedInfo());
  EXPECT_EQ((*sent.answer)->status, 404);
}

// ---- Restarts ---------------------------------------------------------------

TEST_F(DurableFunctionsStartsTest, RestartsUnderANewIdUnlessToldOtherwise) {
  orchestrations.receipt.instance_id = "b";
  const Answer answer = Send("POST", "/instances/a/restart");
  EXPECT_EQ(answer.status, 202);
  EXPECT_THAT(answer.body, StartsWith(R"({"id":"b",)"));
  EXPECT_EQ(orchestrations.TakeCall(), "Restart default/a under a new ID");
  EXPECT_EQ(Send("POST", "/instances/a/restart?restartWithNewInstanceId=False")
                .status,
            202);
  EXPECT_EQ(orchestrations.TakeCall(), "Restart default/a");
}

TEST_F(DurableFunctionsStartsTest, ARestartOfAnUnknownOneIs400) {
  orchestrations.refusal = absl::NotFoundError("there is none");
  const Answer answer = Send("POST", "/instances/a/restart");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr(R"("code":"NOT_FOUND","instanceId":"a")"));
}

TEST_F(DurableFunctionsStartsTest, ARestartOfAnActiveOneIs409) {
  Show(kRunning);
  orchestrations.refusal = absl::FailedPreconditionError("it is Running");
  const Answer answer =
      Send("POST", "/instances/a/restart?restartWithNewInstanceId=false");
  EXPECT_EQ(answer.status, 409);
  EXPECT_THAT(answer.body, HasSubstr(R"("runtimeStatus":"Running")"));
}

}  // namespace
}  // namespace leasehold
