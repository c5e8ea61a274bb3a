// The strip of an ID: what was recorded, with what is known beside it.
#include "service/http/dashboard_strip.h"

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
#include "tests/doors/fake_orchestrations.h"
#include "tests/instance/instance_fakes.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

using nlohmann::json;

constexpr auto kRunning = OrchestrationStatus::kRunning;
constexpr auto kCompleted = OrchestrationStatus::kCompleted;

class DashboardStripTest : public InstanceRegistryTest {
 protected:
  DashboardStripTest() { observers_ = {&strips_}; }

  std::string Ask(std::string_view id, size_t route = 0,
                  std::string tenant = std::string(kTestTenant)) {
    HttpRequest request;
    request.params.Add("id", std::string(id));
    request.caller =
        std::make_shared<Caller>(Caller{.tenant = std::move(tenant)});
    std::string answer = "no answer";
    const std::vector<HttpRoute> routes =
        DashboardStripRoutes({registry(), orchestrations_, strips_});
    routes.at(route).handler(std::make_shared<HttpCall>(
        std::move(request), [&answer](const HttpResponse& response) {
          answer = absl::StrCat(response.status, " ", response.body);
        }));
    return answer;
  }
  json Get(std::string_view id) {
    const std::string answer = Ask(id);
    EXPECT_EQ(answer.substr(0, 4), "200 ") << answer;
    return ParseJson(answer.substr(4));
  }
  absl::Time At(int seconds) const { return begin_ + absl::Seconds(seconds); }
  void Began(std::string run) {
    strips_.Begin(TestKey("a"), std::move(run), "", clock_.Now());
  }
  void Ended(std::string_view run) {
    strips_.End(TestKey("a"), run, kCompleted, clock_.Now());
  }
  // `ID FROM-TO STATUS`, of each run.
  std::vector<std::string> Runs(const std::vector<StoredRun>& stored) {
    Strip strip = strips_.Read(TestKey("a"));
    AddWhatIsKnown(stored, std::nullopt, strip);
    std::vector<std::string> runs;
    const auto at = [this](std::optional<absl::Time> time) -> std::string {
      if (!time.has_value()) return "?";
      return absl::StrCat(absl::ToInt64Seconds(*time - begin_));
    };
    for (const Strip::Run& run : strip.runs) {
      runs.push_back(absl::StrCat(
          run.execution_id, " ", at(run.began), "-", at(run.ended),
          run.status.has_value()
              ? absl::StrCat(" ", std::string(StatusName(*run.status)))
              : ""));
    }
    return runs;
  }

  const absl::Time begin_ = clock_.WallNow();
  Strips strips_{clock_};
  FakeOrchestrations orchestrations_;
};

using Texts = std::vector<std::string>;

TEST_F(DashboardStripTest, AnIdHasContextsRunsAndStarts) {
  Use("a");
  Began("r1");
  strips_.Answer(TestKey("a"), {.identity = "ann", .peer = "ipv4:1"},
                 StartReceipt{.execution_id = "r1",
                              .created = true,
                              .context = StartReceipt::Context{}});
  strips_.Answer(TestKey("a"), {.identity = "bob"},
                 absl::AlreadyExistsError("no"));
  clock_.Advance(absl::Milliseconds(1500));
  Ended("r1");
  Pass(kTimeout);
  Use("a");
  const json strip = Get("a");
  EXPECT_EQ(strip["instance_id"], "a");
  ASSERT_EQ(strip["contexts"].size(), 2u);
  const json& first = strip["contexts"][0];
  EXPECT_TRUE(first["generation"].is_string());
  EXPECT_EQ(first["create_time"], "2020-01-01T00:00:00.000Z");
  EXPECT_EQ(first["reason"], "idle");
  EXPECT_FALSE(strip["contexts"][1].contains("end_time"));
  EXPECT_EQ(strip["runs"],
            json::parse(R"([{"execution_id":"r1","status":"COMPLETED",
                             "create_time":"2020-01-01T00:00:00.000Z",
                             "end_time":"2020-01-01T00:00:01.500Z"}])"));
  EXPECT_EQ(strip["starts"],
            json::parse(R"([{"result":"STARTED","identity":"ann",
                             "peer":"ipv4:1","execution_id":"r1",
                             "time":"2020-01-01T00:00:00.000Z"},
                            {"result":"REFUSED","identity":"bob",
                             "code":"ALREADY_EXISTS",
                             "time":"2020-01-01T00:00:00.000Z"}])"));
  EXPECT_EQ(strip["runs_before"], "0");
  EXPECT_EQ(strip["since_time"], "2020-01-01T00:00:00.000Z");
  EXPECT_EQ(strip["since_time"], strip["server_start_time"]);
  EXPECT_EQ(strip["server_time"], "2020-01-01T00:00:21.500Z");
}

TEST_F(DashboardStripTest, TheSameIsServedOfContextsAndOrchestrations) {
  Use("a");
  EXPECT_EQ(Ask("a", 0), Ask("a", 1));
  const auto routes =
      DashboardStripRoutes({registry(), orchestrations_, strips_});
  ASSERT_EQ(routes.size(), 2u);
  // A viewer may ask, as for the orchestration.
  for (const HttpRoute& route : routes) {
    EXPECT_EQ(route.row, "leasehold.v1.Orchestration/Get");
  }
}

TEST_F(DashboardStripTest, OfAnUnknownIdAndOfAnotherTenantNothingIsSaid) {
  Use("a");
  EXPECT_EQ(Ask("b").substr(0, 4), "404 ");
  EXPECT_EQ(Ask("a", 0, "other").substr(0, 4), "404 ");
  EXPECT_EQ(Ask("").substr(0, 4), "400 ");
}

TEST_F(DashboardStripTest, AContextWhoseRecordIsForgottenIsStillShown) {
  FakeCall call("a");
  call.Ask(registry());
  executor_.RunAll();
  strips_.Forget(TestKey("a"));
  EXPECT_EQ(Get("a")["contexts"].size(), 1u);
  Strip strip{
      .contexts = {{.generation = 1, .opened = At(0), .closed = At(50)}}};
  InstanceInfo open;
  open.generation = 2;
  open.create_time = At(40);
  AddWhatIsKnown({}, open, strip);
  ASSERT_EQ(strip.contexts.size(), 2u);
  EXPECT_EQ(strip.contexts[1].opened, At(50)) << "the clock was set back";
  // What was recorded since is newer.
  AddWhatIsKnown({}, open, strip);
  open.generation = 1;
  AddWhatIsKnown({}, open, strip);
  EXPECT_EQ(strip.contexts.size(), 2u);
  call.Finish();
}

TEST_F(DashboardStripTest, TheStoreTellsOfRunsFromBeforeTheServerStarted) {
  EXPECT_EQ(Runs({{"new", kRunning, At(-5), {}},
                  {"old", kCompleted, At(-9), At(-6)}}),
            (Texts{"old -9--6 Completed", "new -5-? Running"}));
  // One that began before, and ended since.
  clock_.Advance(absl::Seconds(2));
  Ended("new");
  Began("next");
  EXPECT_EQ(
      Runs({{"next", kRunning, At(2), {}},
            {"new", kCompleted, At(-5), At(2)},
            {"old", kCompleted, At(-9), At(-6)}}),
      (Texts{"old -9--6 Completed", "new -5-2 Completed", "next 2-? Running"}));
}

TEST_F(DashboardStripTest, WhatWasRecordedSinceTheStoreWasReadStays) {
  Began("r1");
  clock_.Advance(absl::Seconds(1));
  Ended("r1");
  Began("r2");
  EXPECT_EQ(Runs({{"r1", kRunning, At(0), {}}}),
            (Texts{"r1 0-1 Completed", "r2 1-?"}));
}

TEST_F(DashboardStripTest, AnEndThatNobodyWasToldOfIsNotAnOverlap) {
  Began("r1");  // Its end was committed while the store failed.
  clock_.Advance(absl::Seconds(3));
  EXPECT_EQ(Runs({{"r2", kRunning, At(2), {}}}),
            (Texts{"r1 0-2", "r2 2-? Running"}));
  EXPECT_EQ(Runs({{"r1", kCompleted, At(0), At(2)}}),
            (Texts{"r1 0-2 Completed"}));
}

TEST_F(DashboardStripTest, AFailingStoreIsSaid) {
  orchestrations_.failure = absl::UnavailableError("the store is away");
  EXPECT_EQ(Ask("a").substr(0, 4), "503 ");
}

}  // namespace
}  // namespace leasehold
