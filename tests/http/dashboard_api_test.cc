#include "service/http/dashboard_api.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lease/base/json.h"
#include "service/http/http_call.h"
#include "tests/http/dashboard_fixture.h"
#include "tests/support/history_builder.h"

namespace leasehold {
namespace {

using nlohmann::json;
using DashboardApiTest = DashboardTest;

OrchestrationInfo Running(const std::string& id) {
  OrchestrationInfo info;
  info.id = id;
  info.status = OrchestrationStatus::kRunning;
  info.created = absl::FromUnixSeconds(1'700'000'000);
  info.summary.name = "Greet";
  info.summary.execution_id = "run-1";
  info.revision = 3;
  return info;
}

TEST_F(DashboardApiTest, AContextIsShownWithTheEndOfItsLease) {
  Use("room");
  const json answer = Get({"contexts", "room"});
  const json& context = answer["context"];
  EXPECT_EQ(context["instance_id"], "room");
  EXPECT_EQ(context["state"], "IDLE");
  EXPECT_EQ(context["idle_timeout_ms"], 20'000);
  EXPECT_TRUE(context["generation"].is_string());
  EXPECT_FALSE(context.contains("lease_remaining_ms"));
  EXPECT_EQ(context["lease_deadline_ms"].get<int64_t>() -
                answer["server_now_ms"].get<int64_t>(),
            20'000);
}

TEST_F(DashboardApiTest, WhatIsNotThereIsSaidSo) {
  EXPECT_EQ(Call("GET", {"contexts", "none"})->status, 404);
  EXPECT_EQ(Call("GET", {"orchestrations", "none"})->status, 404);
}

TEST_F(DashboardApiTest, ContextsAreListedByPrefixAndState) {
  Use("a1");
  Use("a2");
  Use("b1");
  FakeCall busy("a3");
  busy.Ask(registry());
  executor_.RunAll();
  EXPECT_EQ(Get({"contexts"})["contexts"].size(), 4u);
  EXPECT_EQ(Get({"contexts"}, {{"prefix", "a"}})["contexts"].size(), 3u);
  EXPECT_EQ(Get({"contexts"}, {{"state", "busy"}})["contexts"].size(), 1u);
  EXPECT_EQ(Ask("GET", {"contexts"}, {{"state", "asleep"}}),
            "400 {\"Message\":\"state: there is no \\\"asleep\\\"; there are: "
            "OPENING, BUSY, IDLE, CLOSING\",\"code\":\"INVALID_ARGUMENT\"}");
  EXPECT_EQ(Call("GET", {"contexts"}, {{"limit", "0"}})->status, 400);
  EXPECT_EQ(Call("GET", {"contexts"}, {{"limit", "1001"}})->status, 400);
  busy.Finish();
}

TEST_F(DashboardApiTest, AReleaseIsAnsweredWhenTheContextIsGone) {
  Use("room");
  EXPECT_EQ(Ask("POST", {"contexts", "room:release"}), "200 {}");
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(DashboardApiTest, OnlyAnOperatorReleasesByForce) {
  Use("room");
  roles_ = {Role::kUser};
  EXPECT_EQ(Call("POST", {"contexts", "room:release"}, {}, R"({"force":true})")
                ->status,
            403);
  EXPECT_EQ(registry().size(), 1u);
}

TEST_F(DashboardApiTest, AVerbHasTheMembersOfItsMessage) {
  EXPECT_EQ(
      Ask("POST", {"orchestrations", "a:suspend"}, {}, R"({"reason":"lunch"})"),
      "202 {}");
  EXPECT_EQ(orchestrations_.TakeCall(),
            absl::StrCat("Suspend ", std::string(kTestTenant), "/a \"lunch\""));
  EXPECT_EQ(Ask("POST", {"orchestrations", "a:raise-event"}, {},
                R"({"name":"go","input":"1"})"),
            "202 {}");
  EXPECT_EQ(
      orchestrations_.TakeCall(),
      absl::StrCat("RaiseEvent ", std::string(kTestTenant), "/a go \"1\""));
}

TEST_F(DashboardApiTest, ABodyThatIsNotOfItsMessageChangesNothing) {
  for (const std::string body :
       {"{", "[]", "3", R"({"reson":"x"})", R"({"reason":{"a":1}})",
        R"({"instance_id":"b"})"}) {
    EXPECT_EQ(Call("POST", {"orchestrations", "a:suspend"}, {}, body)->status,
              400)
        << body;
  }
  EXPECT_EQ(orchestrations_.untaken_calls(), 0u);
}

TEST_F(DashboardApiTest, AStartAnswersWithItsReceipt) {
  orchestrations_.receipt = {
      .instance_id = "a", .execution_id = "run-1", .created = true};
  EXPECT_EQ(Ask("POST", {"orchestrations"}, {},
                R"({"name":"Greet","instance_id":"a","input":"1"})"),
            "202 {\"created\":true,\"execution_id\":\"run-1\","
            "\"instance_id\":\"a\"}");
  EXPECT_EQ(Call("POST", {"orchestrations"}, {}, "{}")->status, 400);
}

TEST_F(DashboardApiTest, TheAuditLogIsToldWhatWasStarted) {
  orchestrations_.receipt = {.instance_id = "made"};
  EXPECT_EQ(
      Call("POST", {"orchestrations"}, {}, R"({"name":"Greet"})")->instance_id,
      "made");
  EXPECT_EQ(
      Call("POST", {"orchestrations", "a:restart"}, {}, "{}")->instance_id,
      "made");
}

TEST_F(DashboardApiTest, OrchestrationsAreListed) {
  orchestrations_.page = {.orchestrations = {Running("a"), Running("b")},
                          .next_page_token = "more"};
  const json answer = Get({"orchestrations"}, {{"status", "running,PENDING"},
                                               {"prefix", "x"},
                                               {"limit", "2"},
                                               {"cursor", "here"}});
  EXPECT_EQ(orchestrations_.TakeCall(),
            absl::StrCat("Query ", std::string(kTestTenant),
                         "/x* [0,6] 2 cursor=here"));
  ASSERT_EQ(answer["orchestrations"].size(), 2u);
  EXPECT_EQ(answer["orchestrations"][0]["instance_id"], "a");
  EXPECT_EQ(answer["orchestrations"][0]["status"], "RUNNING");
  EXPECT_EQ(answer["orchestrations"][0]["create_time"],
            "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(answer["next_cursor"], "more");
  Get({"orchestrations"}, {{"name", "Named"},
                           {"tag", "team=blue"},
                           {"tag", "urgent"},
                           {"tag", ""},
                           {"order", "newest"}});
  EXPECT_EQ(orchestrations_.TakeCall(),
            absl::StrCat("Query ", std::string(kTestTenant),
                         "/* [] named Named tagged team=blue,urgent 100 "
                         "cursor= newest"));
  EXPECT_EQ(Call("GET", {"orchestrations"}, {{"order", "random"}})->status,
            400);
  EXPECT_EQ(Call("GET", {"orchestrations"}, {{"status", "runing"}})->status,
            400);
  EXPECT_EQ(Call("GET", {"orchestrations"}, {{"from", "today"}})->status, 400);
}

TEST_F(DashboardApiTest, OrchestrationsAreCountedByStatus) {
  orchestrations_.counts = {
      .by_status = {{OrchestrationStatus::kRunning, 2},
                    {OrchestrationStatus::kFailed, 100'000}},
      .complete = true};
  EXPECT_EQ(Ask("GET", {"orchestrations:count"},
                {{"prefix", "x"}, {"name", "Named"}}, ""),
            "200 {\"complete\":true,\"counts\":["
            "{\"count\":\"2\",\"status\":\"RUNNING\"},"
            "{\"count\":\"100000\",\"status\":\"FAILED\"}]}");
  EXPECT_EQ(orchestrations_.TakeCall(),
            absl::StrCat("Count ", std::string(kTestTenant),
                         "/x* [] named Named for 5 s"));
  EXPECT_EQ(Call("GET", {"orchestrations:count"}, {{"to", "x"}})->status, 400);
}

TEST_F(DashboardApiTest, ALongTextIsCutWhereACharacterBegins) {
  OrchestrationInfo info = Running("a");
  info.has_payloads = true;
  info.input = std::string(4095, 'x') + "\xC3\xA4" + "tail";
  orchestrations_.info = info;
  const json input = Get({"orchestrations", "a"})["orchestration"]["input"];
  EXPECT_EQ(input["$truncated"], true);
  EXPECT_EQ(input["bytes"], 4101);
  EXPECT_EQ(input["head"], std::string(4095, 'x'));
  const std::optional<HttpResponse> whole =
      Call("GET", {"orchestrations", "a", "payload"}, {{"field", "input"}});
  EXPECT_EQ(whole->body, *info.input);
  EXPECT_EQ(
      Call("GET", {"orchestrations", "a", "payload"}, {{"field", "status"}})
          ->status,
      404);
}

TEST_F(DashboardApiTest, WorkersAndReasonsAreThoseOfAdmin) {
  EXPECT_EQ(Ask("GET", {"workers"}), "200 {\"workers\":[]}");
  EXPECT_EQ(workers_.asked_tenant, kTestTenant);
  EXPECT_EQ(Call("GET", {"orchestrations", "a", "explain"})->status, 200);
  EXPECT_EQ(Call("GET", {"contexts", "b", "explain"})->status, 404);
}

TEST_F(DashboardApiTest, EntitiesAreListedAndShown) {
  EntityInfo info;
  info.id = "@counter@a";
  info.has_state = true;
  info.state = "17";
  info.waiting = 2;
  entities_.info = info;
  entities_.list = {.entities = {info}, .next_page_token = "more"};
  const json list = Get({"entities"}, {{"prefix", "@counter@"}});
  EXPECT_EQ(list["entities"][0]["instance_id"], "@counter@a");
  EXPECT_EQ(list["next_cursor"], "more");
  const json entity = Get({"entities", "@Counter@a"})["entity"];
  EXPECT_EQ(entity["state"], "17");
  EXPECT_EQ(entity["waiting_count"], "2");
  EXPECT_EQ(Call("GET", {"entities", "room"})->status, 400);
}

// Two pages of the port: three events, and two.
class HistoryTest : public DashboardApiTest {
 protected:
  HistoryTest() {
    orchestrations_.info = Running("a");
    Refill();
  }
  void Refill() {
    const std::string first =
        HistoryBuilder().Turn(1).Started("Greet", "1").Task(1, "Say").Frames();
    const std::string second =
        HistoryBuilder().Turn(2).TaskDone(1, "\"hi\"").Frames();
    HistoryQuery next;
    next.page_token.text = "page-2";
    orchestrations_.history = {{.chunks = {first}, .next = next},
                               {.chunks = {second}, .next = std::nullopt}};
  }
  static std::string Kinds(const json& part) {
    std::string kinds;
    for (const json& event : part["events"]) {
      absl::StrAppend(&kinds, event["sequence"].get<std::string>(), ":",
                      event["kind"].get<std::string>(), " ");
    }
    return kinds;
  }
};

TEST_F(HistoryTest, PartsFollowEachOtherAndTheLastOneGoesOn) {
  json part = Get({"orchestrations", "a", "history"});
  EXPECT_EQ(Kinds(part),
            "0:turn_started 1:execution_started 2:activity_scheduled ");
  EXPECT_EQ(part["more"], true);
  EXPECT_EQ(part["execution_id"], "run-1");
  EXPECT_EQ(part["events"][1]["name"], "Greet");
  EXPECT_EQ(part["events"][1]["input"], "1");

  part = Get({"orchestrations", "a", "history"},
             {{"after", part["next_after"].get<std::string>()}});
  EXPECT_EQ(Kinds(part), "3:turn_started 4:activity_completed ");
  EXPECT_EQ(part["more"], false);

  // The last page is read again, and has one event more now.
  orchestrations_.history = {
      {.chunks = {HistoryBuilder().Turn(2).TaskDone(1, "\"hi\"").Frames(),
                  HistoryBuilder().Turn(3).Frames()},
       .next = std::nullopt}};
  part = Get({"orchestrations", "a", "history"},
             {{"after", part["next_after"].get<std::string>()}});
  EXPECT_EQ(Kinds(part), "5:turn_started ");
}

TEST_F(HistoryTest, APartHasAsManyEventsAsAsked) {
  json part = Get({"orchestrations", "a", "history"}, {{"limit", "2"}});
  EXPECT_EQ(Kinds(part), "0:turn_started 1:execution_started ");
  EXPECT_EQ(part["more"], true);
  Refill();
  part = Get({"orchestrations", "a", "history"},
             {{"after", part["next_after"].get<std::string>()}});
  EXPECT_EQ(Kinds(part), "2:activity_scheduled ");
}

TEST_F(HistoryTest, AHistoryThatIsNoLongerThereIsAConflict) {
  orchestrations_.failure = absl::NotFoundError("no execution run-0");
  EXPECT_EQ(
      Call("GET", {"orchestrations", "a", "history"}, {{"after", "0~0~~run-0"}})
          ->status,
      409);
  EXPECT_EQ(
      Call("GET", {"orchestrations", "a", "history"}, {{"after", "x"}})->status,
      400);
}

TEST_F(HistoryTest, APayloadIsFoundByTheSequenceOfItsEvent) {
  const auto get = [this](std::string event, std::string field) {
    Refill();
    const std::optional<HttpResponse> response =
        Call("GET", {"orchestrations", "a", "payload"},
             {{"event", std::move(event)}, {"field", std::move(field)}});
    return response->status == 200 ? response->body
                                   : absl::StrCat(response->status);
  };
  EXPECT_EQ(get("1", "input"), "1");
  EXPECT_EQ(get("4", "output"), "\"hi\"");
  EXPECT_EQ(get("4", "input"), "404");
  EXPECT_EQ(get("5", "output"), "404");
  EXPECT_EQ(get("x", "output"), "400");
}

TEST_F(LiveTest, AViewerGetsASnapshotAndThenOnlyWhatChanges) {
  Use("room");
  const std::unique_ptr<Reader> body = Follow({"contexts:"});
  LookAfter(absl::ZeroDuration());
  const std::string snapshot = body->Take();
  EXPECT_NE(snapshot.find("event: contexts\ndata: {"), std::string::npos);
  EXPECT_NE(snapshot.find("\"snapshot\":[{"), std::string::npos);

  // A lease that runs down is no change.
  LookAfter(absl::Seconds(5));
  EXPECT_EQ(body->Take(), "");
  Use("other");
  LookAfter(absl::Seconds(1));
  const std::string change = body->Take();
  EXPECT_NE(change.find("\"changed\":[{"), std::string::npos);
  EXPECT_NE(change.find("\"instance_id\":\"other\""), std::string::npos);
  EXPECT_EQ(change.find("\"instance_id\":\"room\""), std::string::npos);

  Pass(absl::Seconds(16));
  LookAfter(absl::Seconds(1));
  EXPECT_NE(body->Take().find("\"reason\":\"idle\""), std::string::npos);
}

TEST_F(LiveTest, WhatSeveralFollowIsLookedAtOnce) {
  const std::unique_ptr<Reader> one = Follow({"contexts:"});
  const std::unique_ptr<Reader> two = Follow({"contexts:", "stats"});
  EXPECT_EQ(api_->live().topics(), 2u);
  LookAfter(absl::ZeroDuration());
  EXPECT_NE(one->Take().find("snapshot"), std::string::npos);
  EXPECT_NE(two->Take().find("event: stats"), std::string::npos);
}

TEST_F(LiveTest, WithoutViewersNothingIsLookedAt) {
  std::unique_ptr<Reader> body = Follow({"contexts:"});
  LookAfter(absl::ZeroDuration());
  body.reset();
  EXPECT_EQ(api_->live().LookNow(), Instant::Infinite());
  EXPECT_EQ(api_->live().topics(), 0u);
}

TEST_F(LiveTest, AStripIsFollowedByItsVersion) {
  const std::unique_ptr<Reader> body = Follow({"strip:room"});
  LookAfter(absl::ZeroDuration());
  EXPECT_NE(body->Take().find("event: strip\ndata: {\"instance_id\":\"room\""),
            std::string::npos);
  LookAfter(absl::Seconds(1));
  EXPECT_EQ(body->Take(), "");
  Use("other");
  LookAfter(absl::Seconds(1));
  EXPECT_EQ(body->Take(), "");
  Use("room");
  LookAfter(absl::Seconds(1));
  EXPECT_NE(body->Take().find("event: strip"), std::string::npos);
}

TEST_F(LiveTest, AnOrchestrationIsFollowedByItsRevision) {
  const std::unique_ptr<Reader> body = Follow({"orchestration:a"});
  LookAfter(absl::ZeroDuration());
  const FakeOrchestrations::Waiting first = orchestrations_.TakeWait();
  EXPECT_EQ(first.request.seen, 0u);
  first.done(std::make_shared<const OrchestrationInfo>(Running("a")));
  LookAfter(absl::Seconds(1));
  EXPECT_NE(body->Take().find("\"status\":\"RUNNING\""), std::string::npos);
  const FakeOrchestrations::Waiting second = orchestrations_.TakeWait();
  EXPECT_EQ(second.request.seen, 3u);
  LookAfter(absl::Seconds(1));
  EXPECT_EQ(body->Take(), "");
}

TEST_F(LiveTest, AStreamThatNobodyReadsIsBoundedAndStartsAgain) {
  const std::unique_ptr<Reader> body = Follow({"contexts:"});
  const std::string longish(400, 'x');
  for (int look = 0; look < 2; ++look) {
    for (int i = 0; i < 5000; ++i) Use(absl::StrCat(longish, i));
    LookAfter(absl::Seconds(1));
  }
  const std::string sent = body->Take();
  EXPECT_LE(sent.size(), LiveHub::kQueueMax + 100);
  EXPECT_TRUE(sent == ServerSentEvent("lagged", "{}")) << sent.size();
  LookAfter(absl::Seconds(1));
  EXPECT_NE(body->Take().find("\"snapshot\""), std::string::npos);
}

TEST_F(LiveTest, ALongSnapshotIsGivenPartByPart) {
  const std::unique_ptr<Reader> body = Follow({"contexts:"});
  const std::string longish(400, 'x');
  for (int i = 0; i < 1000; ++i) Use(absl::StrCat(longish, i));
  LookAfter(absl::Seconds(1));
  std::string all = body->Take();
  // What comes while it is read is behind it.
  Use("last");
  LookAfter(absl::Seconds(1));
  for (std::string part; !(part = body->Take()).empty(); all += part) {
    EXPECT_LE(part.size(), LiveHub::kPartMax);
  }
  const size_t data = all.find("data: ") + 6;
  const json snapshot =
      ParseJson(all.substr(data, all.find('\n', data) - data));
  EXPECT_EQ(snapshot["snapshot"].size(), 1000u);
  EXPECT_NE(all.find("\"last\""), std::string::npos);
  EXPECT_EQ(all.find("lagged"), std::string::npos);
}

TEST_F(LiveTest, StreamsOfATenantThatNobodyReadsAreBoundedTogether) {
  const std::string longish(400, 'x');
  for (int i = 0; i < 5000; ++i) Use(absl::StrCat(longish, i));
  std::vector<std::unique_ptr<Reader>> bodies;
  for (int i = 0; i < 12; ++i) bodies.push_back(Follow({"contexts:"}));
  LookAfter(absl::Seconds(1));
  const std::string tenant(kTestTenant);
  const size_t unread = api_->live().UnreadOf(tenant);
  EXPECT_GT(unread, LiveHub::kTenantQueueMax / 2);
  EXPECT_LE(unread, LiveHub::kTenantQueueMax);
  // The last one gets its snapshot once there is room.
  EXPECT_EQ(bodies.back()->Take(), "retry: 2000\n\n");
  for (int i = 0; i < 11; ++i) bodies[i] = nullptr;
  LookAfter(absl::Seconds(1));
  EXPECT_NE(bodies.back()->Take().find("\"snapshot\""), std::string::npos);
  bodies.clear();
  EXPECT_EQ(api_->live().UnreadOf(tenant), 0u);
}

TEST_F(LiveTest, AStreamEndsOnceItsViewerMayNotSeeItAnyMore) {
  bool may = true;
  may_still_ = [&may] { return may; };
  const std::unique_ptr<Reader> body = Follow({"contexts:"});
  const std::unique_ptr<Reader> unread = Follow({"contexts:"});
  LookAfter(LiveHub::kAskAgain);
  EXPECT_NE(body->Take(), "");
  EXPECT_EQ(body->Take(), "");
  EXPECT_FALSE(body->ended());
  may = false;
  LookAfter(LiveHub::kAskAgain);
  EXPECT_TRUE(body->ended());
  // What it was sent is not given out any more.
  EXPECT_EQ(unread->Take(), "");
  EXPECT_TRUE(unread->ended());
}

TEST_F(LiveTest, SilentStreamsHaveHeartbeats) {
  const std::unique_ptr<Reader> body = Follow({"contexts:"});
  LookAfter(absl::ZeroDuration());
  EXPECT_NE(body->Take(), "");
  LookAfter(absl::Seconds(15));
  EXPECT_EQ(body->Take(), ": \n\n");
}

TEST_F(LiveTest, AStreamOfSomebodyWhoSaidWhoHeIsEndsAndIsAskedForAgain) {
  known_by_ = Caller::KnownBy::kToken;
  const std::unique_ptr<Reader> body = Follow({"contexts:"});
  LookAfter(absl::Seconds(59));
  EXPECT_NE(body->Take(), "");
  EXPECT_EQ(body->Take(), "");
  EXPECT_FALSE(body->ended());
  LookAfter(absl::Seconds(1));
  EXPECT_TRUE(body->ended());
}

TEST_F(LiveTest, TopicsThatAreNotThereAreRefused) {
  EXPECT_EQ(Follow({}), nullptr);
  EXPECT_EQ(Follow({"weather"}), nullptr);
  EXPECT_EQ(Follow({"orchestration:"}), nullptr);
  EXPECT_EQ(Follow({"stats", "stats", "stats", "stats", "stats"}), nullptr);
}

TEST_F(LiveTest, StreamsEndWhenTheServerDoes) {
  const std::unique_ptr<Reader> body = Follow({"contexts:"});
  LookAfter(absl::ZeroDuration());
  EXPECT_NE(body->Take(), "");
  EXPECT_EQ(body->Take(), "");
  EXPECT_FALSE(body->ended());
  api_->Stop();
  EXPECT_TRUE(body->ended());
}

}  // namespace
}  // namespace leasehold
