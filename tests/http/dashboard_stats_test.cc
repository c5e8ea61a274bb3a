#include "service/http/dashboard_stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/time/time.h"
#include "tests/http/dashboard_fixture.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

using nlohmann::json;
using DashboardStatsTest = DashboardTest;

TEST_F(DashboardStatsTest, StatsAreTheFiguresOfTheCallersTenant) {
  figures_ = {.orchestrations = {{OrchestrationStatus::kPending, 2},
                                 {OrchestrationStatus::kFailed, 1}},
              .workers = 3,
              .calls = {5, 1, 2, 4}};
  clock_.Advance(absl::Seconds(2));
  const json answer = Get({"stats"});
  const json stats = answer["stats"];
  EXPECT_EQ(asked_.tenant, kTestTenant);
  EXPECT_FALSE(asked_.whole_server);
  EXPECT_EQ(stats["orchestrations"], (json{{"PENDING", 2}, {"FAILED", 1}}));
  EXPECT_EQ(stats["workers"], 3);
  EXPECT_EQ(
      stats["calls"],
      (json{
          {"ok", "5"}, {"failed", "1"}, {"refused", "2"}, {"cancelled", "4"}}));
  EXPECT_EQ(stats["contexts"], (json{{"open", 0}, {"busy", 0}, {"idle", 0}}));
  EXPECT_EQ(stats["uptime_ms"], 2000);
  EXPECT_EQ(answer["window_ms"], 600'000);
  EXPECT_EQ(answer["points"].size(), 1u);
}

TEST_F(DashboardStatsTest, StatsHaveThePointsOfTheWindow) {
  for (uint64_t i = 0; i < 20; ++i) {
    figures_.calls = {i, 0, 0, 0};
    Get({"stats"});
    clock_.Advance(absl::Seconds(1));
  }
  const json points = Get({"stats"}, {{"window", "5s"}})["points"];
  ASSERT_EQ(points.size(), 6u);
  EXPECT_EQ(points.front()["calls"]["ok"], "15");
  const auto at = [&](size_t i) { return points[i]["at_ms"].get<int64_t>(); };
  EXPECT_EQ(at(1) - at(0), 1000);
  // Nothing is kept for longer than anybody may ask for.
  clock_.Advance(DashboardStats::kWindow + absl::Seconds(2));
  EXPECT_EQ(Get({"stats"})["points"].size(), 1u);
}

TEST_F(DashboardStatsTest, StatsOfTheWholeServerAreForThoseWhoSeeIt) {
  EXPECT_THAT(Ask("GET", {"stats"}, {{"scope", "server"}}),
              testing::StartsWith("403 "));
  EXPECT_EQ(looks_, 0);
  sees_server_ = true;
  EXPECT_THAT(Ask("GET", {"stats"}, {{"scope", "server"}}),
              testing::StartsWith("200 "));
  EXPECT_TRUE(asked_.whole_server);
}

TEST_F(DashboardStatsTest, StatsOfWhatIsNotThereAreRefused) {
  for (const char* window : {"-1s", "11m", "soon", "inf"}) {
    EXPECT_THAT(Ask("GET", {"stats"}, {{"window", window}}),
                testing::StartsWith("400 "));
  }
  EXPECT_THAT(Ask("GET", {"stats"}, {{"scope", "others"}}),
              testing::StartsWith("400 "));
}

// ---- The topic
// ---------------------------------------------------------------

TEST_F(LiveTest, FiguresAreCollectedOnceForAllWhoFollowThem) {
  const std::unique_ptr<Reader> one = Follow({"stats"});
  const std::unique_ptr<Reader> two = Follow({"stats"});
  LookAfter(absl::ZeroDuration());
  EXPECT_EQ(looks_, 1);
  EXPECT_EQ(asked_.tenant, kTestTenant);
  EXPECT_FALSE(asked_.whole_server);
  EXPECT_NE(one->Take(), "");
  EXPECT_NE(two->Take(), "");
  LookAfter(absl::Milliseconds(999));
  EXPECT_EQ(looks_, 1);
  LookAfter(absl::Milliseconds(1));
  EXPECT_EQ(looks_, 2);
  // Whoever asks for them gets what was collected for the others.
  Get({"stats"});
  EXPECT_EQ(looks_, 2);
}

TEST_F(LiveTest, WithoutViewersNoFiguresAreCollected) {
  std::unique_ptr<Reader> one = Follow({"stats"});
  LookAfter(absl::ZeroDuration());
  one.reset();
  LookAfter(absl::Minutes(1));
  EXPECT_EQ(looks_, 1);
}

TEST_F(LiveTest, FiguresOfTheWholeServerAreForThoseWhoSeeIt) {
  EXPECT_EQ(Follow({"stats:server"}), nullptr);
  EXPECT_EQ(Follow({"stats:other"}), nullptr);
  sees_server_ = true;
  const std::unique_ptr<Reader> body = Follow({"stats:server", "stats"});
  figures_.contexts = 7;
  LookAfter(absl::ZeroDuration());
  EXPECT_EQ(looks_, 2);  // They are two topics.
  EXPECT_NE(body->Take().find("\"contexts\":{\"open\":7}"), std::string::npos);
}

}  // namespace
}  // namespace leasehold
