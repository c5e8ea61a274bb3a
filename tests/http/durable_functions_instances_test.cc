#include "service/http/durable_functions_instances.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/http/durable_functions_fixture.h"

namespace leasehold {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using enum OrchestrationStatus;

class DurableFunctionsInstancesTest : public DurableFunctionsTest {
 public:
  static HistoryPage PageOf(const std::vector<HistoryEvent>& events) {
    std::string chunk;
    for (const HistoryEvent& event : events) {
      AppendFrame(chunk, kStoredFrame, EncodeEvent(event));
    }
    return {.chunks = {chunk}, .next = std::nullopt};
  }
};

const HttpFields kIsJson = {{"Content-Type", "application/json"}};

// ---- Status -----------------------------------------------------------------

TEST_F(DurableFunctionsInstancesTest, TheStatusOfAnOpenOneSaysWhereToAskAgain) {
  for (const OrchestrationStatus status : {kPending, kRunning, kSuspended}) {
    Show(status);
    const Answer answer = Send("GET", "/instances/a?showInput=true&x=%20");
    EXPECT_EQ(answer.status, 202);
    EXPECT_EQ(answer.headers.Get("Location"),
              "http://127.0.0.1:4002/runtime/webhooks/durabletask/instances/"
              "a?showInput=true&x=%20");
    EXPECT_EQ(answer.headers.Get("Retry-After"), "5");
    EXPECT_THAT(answer.body,
                HasSubstr(absl::StrCat("\"runtimeStatus\":\"",
                                       std::string(StatusName(status)), "\"")));
  }
}

TEST_F(DurableFunctionsInstancesTest, TheStatusOfAnEndedOneIs200) {
  for (const OrchestrationStatus status :
       {kCompleted, kTerminated, kFailed, kDamaged}) {
    Show(status, "[2]");
    const Answer answer = Send("GET", "/instances/a");
    EXPECT_EQ(answer.status, 200);
    EXPECT_FALSE(answer.headers.Has("Location"));
    EXPECT_THAT(answer.body, HasSubstr("\"output\":[2]"));
    EXPECT_THAT(answer.body, Not(HasSubstr("historyEvents")));
  }
}

TEST_F(DurableFunctionsInstancesTest, AFailedOneIsA500OnlyIfAsked) {
  const std::string path =
      "/instances/a?returnInternalServerErrorOnFailure=true";
  Show(kFailed);
  const Answer answer = Send("GET", path);
  EXPECT_EQ(answer.status, 500);
  EXPECT_THAT(answer.body, StartsWith("{\"name\":\"Hello\""));
  Show(kTerminated);
  EXPECT_EQ(Send("GET", path).status, 200);
}

TEST_F(DurableFunctionsInstancesTest, TheStatusOfAnUnknownOneIs404) {
  const Answer answer = Send("GET", "/instances/a");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, R"({"Message":"there is no orchestration \"a\"",)"
                         R"("code":"NOT_FOUND","instanceId":"a"})");
}

TEST_F(DurableFunctionsInstancesTest, LiteralSegmentsAreInAnyCase) {
  Show(kCompleted);
  EXPECT_EQ(Send("GET", "/INSTANCES/a").status, 200);
  EXPECT_EQ(Send("POST", "/Instances/a/Terminate").status, 202);
}

TEST_F(DurableFunctionsInstancesTest, AnotherMethodIs405) {
  const Answer answer = Send("PUT", "/instances/a");
  EXPECT_EQ(answer.status, 405);
  EXPECT_THAT(answer.headers.Get("Allow"), HasSubstr("DELETE"));
  EXPECT_EQ(Send("GET", "/instances/a/terminate").status, 405);
  EXPECT_EQ(Send("POST", "/instances/a/other").status, 404);
}

// ---- History ----------------------------------------------------------------

TEST_F(DurableFunctionsInstancesTest, AHistoryFollowsThePagesOfTheStore) {
  Show(kRunning);
  HistoryPage first = PageOf({{-1, {1, 0}, OrchestratorStarted{}}});
  first.next =
      HistoryQuery{.execution_id = "e1", .page_token = {.text = "second"}};
  HistoryPage second = PageOf({{-1, {1, 0}, EventRaised{"A", "1"}},
                               {-1, {2, 0}, EventRaised{"B", "2"}}});
  // Read twice; since the first reading another event has come.
  HistoryPage grown = PageOf({{-1, {1, 0}, EventRaised{"A", "1"}},
                              {-1, {2, 0}, EventRaised{"B", "2"}},
                              {-1, {3, 0}, EventRaised{"C", "3"}}});
  orchestrations.history = {first, second, first, grown};
  const Answer answer = Send("GET", "/instances/a?showHistory=true");
  EXPECT_EQ(answer.status, 202);
  EXPECT_THAT(answer.body, StartsWith("{\"name\":\"Hello\""));
  EXPECT_THAT(answer.body,
              EndsWith(R"(,"historyEvents":[)"
                       R"({"EventType":"EventRaised","Name":"A","Input":1,)"
                       R"("Timestamp":"1970-01-01T00:00:01.0000000Z"},)"
                       R"({"EventType":"EventRaised","Name":"B","Input":2,)"
                       R"("Timestamp":"1970-01-01T00:00:02.0000000Z"}]})"));
  EXPECT_EQ(orchestrations.TakeCall(), "Get default/a payloads");
  EXPECT_EQ(orchestrations.TakeCall(),
            "ReadHistory default/a \"e1\" from \"\"");
  EXPECT_EQ(orchestrations.TakeCall(),
            "ReadHistory default/a \"e1\" from \"second\"");
}

TEST_F(DurableFunctionsInstancesTest, AnEmptyHistoryIsAnEmptyArray) {
  Show(kRunning);
  EXPECT_THAT(Send("GET", "/instances/a?showHistory=true").body,
              EndsWith(",\"historyEvents\":[]}"));
}

TEST_F(DurableFunctionsInstancesTest, WhatHasNotBegunHasNoHistory) {
  for (const OrchestrationStatus status : {kPending, kDamaged}) {
    Show(status);
    EXPECT_THAT(Send("GET", "/instances/a?showHistory=true").body,
                Not(HasSubstr("historyEvents")));
  }
}

TEST_F(DurableFunctionsInstancesTest, AHistoryThatIsGoneIsLookedForAnew) {
  Show(kRunning);
  const absl::Status gone = absl::AbortedError("another one goes on");
  orchestrations.lost = {gone, absl::NotFoundError("no such execution")};
  const Answer found = Send("GET", "/instances/a?showHistory=true");
  EXPECT_EQ(found.status, 202);
  EXPECT_THAT(found.body, EndsWith(",\"historyEvents\":[]}"));

  orchestrations.lost = {gone, gone, gone, gone};
  const Answer never = Send("GET", "/instances/a?showHistory=true");
  EXPECT_EQ(never.status, 503);
  EXPECT_EQ(orchestrations.lost.size(), 1U);
}

TEST_F(DurableFunctionsInstancesTest, AHistoryThatEndsAmidstIsCut) {
  Show(kRunning);
  HistoryPage first = PageOf({{-1, {1, 0}, EventRaised{"A", "1"}}});
  first.next = HistoryQuery{.execution_id = "e1"};
  const HistoryPage second = PageOf({{-1, {1, 0}, EventRaised{"B", "1"}}});
  orchestrations.history = {first, second, first};
  orchestrations.lost = {absl::OkStatus(), absl::OkStatus(), absl::OkStatus(),
                         absl::DataLossError("cannot be read")};
  EXPECT_THAT(Send("GET", "/instances/a?showHistory=true").body,
              EndsWith("CUT: cannot be read"));
}

// ---- Lists ------------------------------------------------------------------

TEST_F(DurableFunctionsInstancesTest, AListHasATokenOnlyIfThereIsMore) {
  Show(kRunning);
  orchestrations.page.orchestrations = {*orchestrations.info,
                                        *orchestrations.info};
  const Answer last = Send("GET", "/instances?runtimeStatus=running,pending");
  EXPECT_EQ(last.status, 200);
  EXPECT_THAT(last.body, StartsWith("[{\"name\":\"Hello\""));
  EXPECT_THAT(last.body, HasSubstr("},{\"name\""));
  EXPECT_FALSE(last.headers.Has("x-ms-continuation-token"));
  EXPECT_EQ(orchestrations.TakeCall(),
            "Query default/* [0,6] 100 x-ms-continuation-token= payloads");

  orchestrations.page = {.orchestrations = {}, .next_page_token = "next"};
  const Answer first = Send("GET", "/instances/?top=5&instanceIdPrefix=ab", "",
                            {{"x-ms-continuation-token", "token"}});
  EXPECT_EQ(first.body, "[]");
  EXPECT_EQ(first.headers.Get("x-ms-continuation-token"), "next");
  EXPECT_EQ(orchestrations.TakeCall(),
            "Query default/ab* [] 5 x-ms-continuation-token=token payloads");
}

TEST_F(DurableFunctionsInstancesTest, AListHidesInputsIfAsked) {
  Show(kRunning);
  orchestrations.page.orchestrations = {*orchestrations.info};
  EXPECT_THAT(Send("GET", "/instances").body, HasSubstr("\"input\":1,"));
  EXPECT_THAT(Send("GET", "/instances?showInput=False").body,
              HasSubstr("\"input\":null,"));
}

TEST_F(DurableFunctionsInstancesTest, AFilterThatCannotBeReadSelectsNothing) {
  for (const char* query : {"runtimeStatus=Runing", "createdTimeFrom=yesterday",
                            "createdTimeTo=x", "top=0", "showInput=maybe"}) {
    EXPECT_EQ(Send("GET", absl::StrCat("/instances?", query)).status, 400);
  }
  for (const char* query : {"runtimeStatus=Runing", "createdTimeTo=x"}) {
    EXPECT_EQ(
        Send("DELETE",
             absl::StrCat("/instances?createdTimeFrom=2020-01-01&", query))
            .status,
        400);
  }
  EXPECT_EQ(orchestrations.untaken_calls(), 0U);
}

// ---- Purges -----------------------------------------------------------------

TEST_F(DurableFunctionsInstancesTest, APurgeOfManyNeedsATime) {
  const Answer answer = Send("DELETE", "/instances?runtimeStatus=Completed");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body,
            "\"Please provide value for 'createdTimeFrom' parameter.\"");
  EXPECT_EQ(orchestrations.untaken_calls(), 0U);
}

TEST_F(DurableFunctionsInstancesTest, APurgeOfManySaysHowManyAndWhetherAll) {
  const std::string path =
      "/instances/?createdTimeFrom=2020-01-01&runtimeStatus=Completed,Failed";
  EXPECT_EQ(Send("DELETE", path).status, 404);
  EXPECT_EQ(orchestrations.TakeCall(),
            "PurgeMatching default/* [1,3] for 30 s");
  orchestrations.purged = {.erased = 7, .complete = true};
  const Answer all = Send("DELETE", path);
  EXPECT_EQ(all.status, 200);
  EXPECT_EQ(all.body, "{\"instancesDeleted\":7}");
  EXPECT_FALSE(all.headers.Has("x-leasehold-incomplete"));
  orchestrations.purged = {.erased = 7, .complete = false};
  const Answer some = Send("DELETE", path);
  EXPECT_EQ(some.status, 200);
  EXPECT_EQ(some.headers.Get("x-leasehold-incomplete"), "true");
}

TEST_F(DurableFunctionsInstancesTest, APurgeOfOneThatIsActiveIs409) {
  EXPECT_EQ(Send("DELETE", "/instances/a").status, 404);
  Show(kRunning);
  const Answer answer = Send("DELETE", "/instances/a");
  EXPECT_EQ(answer.status, 409);
  EXPECT_THAT(answer.body, HasSubstr(R"("runtimeStatus":"Running")"));
  orchestrations.purged.erased = 1;
  EXPECT_EQ(Send("DELETE", "/instances/a").body, "{\"instancesDeleted\":1}");
}

// ---- Commands ---------------------------------------------------------------

TEST_F(DurableFunctionsInstancesTest, CommandsAreAccepted) {
  for (const auto& [command, call] :
       {std::pair("terminate", "Terminate default/a \"\"no more\"\""),
        std::pair("suspend", "Suspend default/a \"no more\""),
        std::pair("resume", "Resume default/a \"no more\""),
        std::pair("rewind", "Rewind default/a \"no more\"")}) {
    const Answer answer =
        Send("POST", absl::StrCat("/instances/a/", command, "?reason=no more"),
             "{\"ignored\":true}");
    EXPECT_EQ(answer.status, 202) << command;
    EXPECT_EQ(answer.body, "");
    EXPECT_EQ(orchestrations.TakeCall(), call);
  }
  EXPECT_EQ(Send("POST", "/instances/a/terminate").status, 202);
  EXPECT_EQ(orchestrations.TakeCall(), "Terminate default/a none");
}

TEST_F(DurableFunctionsInstancesTest, WhatHasEndedIsGone) {
  Show(kCompleted);
  orchestrations.refusal = absl::FailedPreconditionError("it has ended");
  for (const char* command :
       {"terminate", "suspend", "resume", "raiseEvent/E"}) {
    const Answer answer = Send("POST", absl::StrCat("/instances/a/", command));
    EXPECT_EQ(answer.status, 410) << command;
    EXPECT_EQ(answer.body,
              R"({"Message":"it has ended","code":"FAILED_PRECONDITION",)"
              R"("instanceId":"a","runtimeStatus":"Completed"})");
  }
}

TEST_F(DurableFunctionsInstancesTest, WhatHasNotFailedIsNotRewound) {
  Show(kRunning);
  orchestrations.refusal = absl::FailedPreconditionError("it is Running");
  const Answer answer = Send("POST", "/instances/a/rewind");
  EXPECT_EQ(answer.status, 412);
  EXPECT_THAT(answer.body, HasSubstr(R"("runtimeStatus":"Running")"));
}

TEST_F(DurableFunctionsInstancesTest, WhatIsNotThereIs404) {
  orchestrations.refusal = absl::NotFoundError("there is none");
  for (const char* command :
       {"terminate", "suspend", "resume", "raiseEvent/E", "rewind"}) {
    const Answer answer = Send("POST", absl::StrCat("/instances/a/", command));
    EXPECT_EQ(answer.status, 404) << command;
    EXPECT_THAT(answer.body, HasSubstr(R"("instanceId":"a")"));
  }
}

TEST_F(DurableFunctionsInstancesTest, AnEventTakesJson) {
  EXPECT_EQ(
      Send("POST", "/instances/a/raiseEvent/E", "{\"n\": 1}", kIsJson).status,
      202);
  EXPECT_EQ(orchestrations.TakeCall(), "RaiseEvent default/a E \"{\"n\": 1}\"");
  EXPECT_EQ(Send("POST", "/instances/a/raiseEvent/E", "{", kIsJson).status,
            400);
  const Answer text = Send("POST", "/instances/a/raiseEvent/E", "1",
                           {{"Content-Type", "text/plain"}});
  EXPECT_EQ(text.status, 400);
  EXPECT_THAT(text.body, HasSubstr("application/json, not \\\"text/plain\\\""));
  EXPECT_EQ(orchestrations.untaken_calls(), 0U);
}

TEST_F(DurableFunctionsInstancesTest, AnEventWithoutABodyHasNoInput) {
  EXPECT_EQ(Send("POST", "/instances/a/raiseevent/E").status, 202);
  EXPECT_EQ(orchestrations.TakeCall(), "RaiseEvent default/a E none");
}

TEST_F(DurableFunctionsInstancesTest, RefusesNamesThatNothingCanHave) {
  EXPECT_EQ(Send("POST", "/instances/a/raiseEvent/\xff").status, 400);
  EXPECT_EQ(Send("GET", "/instances/\xff").status, 400);
  EXPECT_EQ(Send("POST", "/instances/a/suspend?reason=\xff").status, 400);
  EXPECT_EQ(
      Send("POST", "/instances/a/raiseEvent/" + std::string(1025, 'x')).status,
      400);
  EXPECT_EQ(orchestrations.untaken_calls(), 0U);
}

}  // namespace
}  // namespace leasehold
