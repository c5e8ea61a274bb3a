// TopScreen, and `leasehold top` on a terminal.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/admin/admin_client.h"
#include "client/cli/display_width.h"
#include "client/cli/top_screen.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/client/fake_admin_server.h"
#include "tests/client/streaming_run.h"

namespace leasehold::client::cli {
namespace {

using leasehold::v1::StatsResponse;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

StatsResponse Stats(const std::string& text) {
  StatsResponse stats;
  google::protobuf::TextFormat::ParseFromString(text, &stats);
  return stats;
}

// A reading of a whole server, so many seconds after the first one.
std::string Reading(int second, int calls, int open, int commits) {
  return absl::StrCat(
      "whole_server: true time { seconds: ", 1728064000 + second,
      " } metrics { name: 'leasehold_calls_total' kind: COUNTER"
      "  samples { labels { key: 'code' value: 'OK' } value: ",
      calls,
      " } samples { labels { key: 'code' value: 'NOT_FOUND' } value: 5 }}",
      " metrics { name: 'leasehold_contexts' kind: GAUGE samples {"
      "  labels { key: 'state' value: 'open' } value: ",
      open,
      " } samples { labels { key: 'state' value: 'closing' } value: 2 } }",
      " metrics { name: 'leasehold_commit_seconds' kind: HISTOGRAM"
      "  upper_bounds: 1 samples { value: ",
      commits * 0.25, " bucket_counts: ", commits, " bucket_counts: 0 } }",
      " metrics { name: 'leasehold_store_writable' kind: GAUGE samples {"
      "  value: 1 } }");
}

Instance Idle(const std::string& id, absl::Duration remaining) {
  Instance instance;
  instance.instance_id = id;
  instance.generation = 7;
  instance.state = InstanceState::kIdle;
  instance.idle_timeout = absl::Seconds(20);
  instance.lease_remaining = remaining;
  return instance;
}

constexpr size_t kWide = 200;
constexpr size_t kAll = 1000;

TEST(TopScreen, WhatIsShownASecondIsTheDifferenceOfTwoReadings) {
  TopScreen screen("there:4001");
  screen.Apply(Stats(Reading(0, 100, 10, 4)), {});
  EXPECT_THAT(screen.Lines(kWide, kAll),
              Contains(AllOf(StartsWith("calls "), HasSubstr("-/s, "))));
  screen.Apply(Stats(Reading(2, 150, 10, 8)), {});
  EXPECT_THAT(screen.Lines(kWide, kAll),
              Contains(AllOf(StartsWith("calls "), HasSubstr("25.0/s, "))));
  EXPECT_THAT(screen.Lines(kWide, kAll),
              Contains(AllOf(StartsWith("contexts "), HasSubstr("10 open"),
                             HasSubstr("2 closing"))));
  EXPECT_THAT(screen.Lines(kWide, kAll),
              Contains(AllOf(StartsWith("commits "), HasSubstr("250ms each"),
                             HasSubstr("can be written"))));
}

TEST(TopScreen, AServerThatWasStartedAgainCountsFromZero) {
  TopScreen screen("there");
  screen.Apply(Stats(Reading(0, 100, 10, 4)), {});
  screen.Apply(Stats(Reading(1, 3, 0, 1)), {});
  EXPECT_THAT(screen.Lines(kWide, kAll),
              Contains(AllOf(StartsWith("calls "), HasSubstr("0.0/s, "))));
}

TEST(TopScreen, AStoreThatCannotBeWrittenIsSaidLoudly) {
  TopScreen screen("there");
  screen.Apply(Stats("whole_server: true metrics {"
                     " name: 'leasehold_store_writable' samples {} }"),
               {});
  EXPECT_THAT(screen.Lines(kWide, kAll),
              Contains(HasSubstr("CANNOT BE WRITTEN")));
}

TEST(TopScreen, LeasesThatEndNextComeInTheirOrder) {
  TopScreen screen("there");
  EndingLeases leases{.instances = {Idle("first", absl::Milliseconds(1500)),
                                    Idle("second\x1b[2J", absl::Seconds(3))},
                      .looked_at = 2000,
                      .more = true};
  screen.Apply(Stats(Reading(0, 1, 1, 1)), leases);
  const std::string text = absl::StrJoin(screen.Lines(kWide, kAll), "\n");
  EXPECT_THAT(text, HasSubstr("leases that end next, of 2000 contexts; there "
                              "are more"));
  EXPECT_THAT(text, HasSubstr("first"));
  EXPECT_THAT(text, HasSubstr("1.5s"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_LT(text.find("first"), text.find("second"));
}

TEST(TopScreen, ATenantSeesItsOwnNumbersAndThatTheyAreItsOwn) {
  TopScreen screen("there");
  screen.Apply(
      Stats("time { seconds: 1 } metrics { name: 'leasehold_tenant_contexts'"
            " samples { labels { key: 'tenant' value: 'a' } value: 3 } }"),
      {});
  const std::string text = absl::StrJoin(screen.Lines(kWide, kAll), "\n");
  EXPECT_THAT(text, HasSubstr("your tenant"));
  EXPECT_THAT(text, HasSubstr("contexts       3 open"));
  EXPECT_THAT(text, Not(HasSubstr("process")));
}

TEST(TopScreen, NoLineIsWiderThanTheTerminalAndNoneTooMany) {
  TopScreen screen("there");
  EndingLeases leases;
  for (int i = 0; i < 40; ++i) {
    leases.instances.push_back(
        Idle(absl::StrCat("a-rather-long-name-of-an-instance-\xe8\xaa\x9e-", i),
             absl::Seconds(i)));
  }
  screen.Apply(Stats(Reading(0, 1, 1, 1)), leases);
  for (const size_t columns : {1, 20, 39, 80}) {
    for (const std::string& line : screen.Lines(columns, kAll)) {
      EXPECT_LE(DisplayWidth(line), columns) << line;
    }
  }
  for (const int rows : {2, 10, 24}) {
    const std::string drawn = screen.Draw(rows, 40);
    EXPECT_EQ(std::count(drawn.begin(), drawn.end(), '\n'), rows - 1);
    // It is drawn over what is there: nothing is cleared before.
    EXPECT_THAT(drawn, StartsWith("\x1b[?7l\x1b[H"));
    EXPECT_THAT(drawn, Not(HasSubstr("\x1b[2J")));
  }
}

TEST(TopScreen, LeasesScrollAndAreSortedAsTheKeysSay) {
  TopScreen screen("there");
  EndingLeases leases;
  for (int i = 0; i < 40; ++i) {
    leases.instances.push_back(
        Idle(absl::StrCat("a-", i), absl::Seconds(100 - i)));
  }
  screen.Apply(Stats(Reading(0, 1, 1, 1)), leases);
  EXPECT_THAT(screen.Draw(/*rows=*/24, /*columns=*/100),
              AllOf(HasSubstr("leases that end next, 1 to "),
                    HasSubstr("\na-39 "), Not(HasSubstr("\na-0 "))));
  screen.Press(Key::kEnd);
  EXPECT_THAT(screen.Draw(24, 100),
              AllOf(HasSubstr(" to 40 of 40\x1b[K"), HasSubstr("\na-0 ")));
  screen.Press(Key::kHome);
  screen.Press(Key::kSort);
  EXPECT_THAT(screen.Draw(24, 100),
              AllOf(HasSubstr("leases by id, 1 to "), HasSubstr("\na-0 "),
                    Not(HasSubstr("\na-39 "))));
}

TEST(TopScreen, WithoutNewsTheLastNumbersStayAndTheReasonIsShown) {
  TopScreen screen("there");
  screen.Apply(Stats(Reading(0, 100, 10, 4)), {});
  screen.Fail(absl::UnavailableError("nobody\nanswers"));
  EXPECT_THAT(screen.Lines(kWide, kAll),
              Contains("no news: UNAVAILABLE: nobody\\nanswers"));
  EXPECT_THAT(screen.Lines(kWide, kAll), Contains(HasSubstr("10 open")));
  screen.Apply(Stats(Reading(1, 100, 10, 4)), {});
  EXPECT_THAT(screen.Lines(kWide, kAll), Not(Contains(HasSubstr("no news"))));
}

TEST(TopScreen, JsonHasEachNumberAndTheLeases) {
  TopScreen screen("there");
  screen.Apply(Stats(Reading(0, 100, 10, 4)), {});
  screen.Apply(Stats(Reading(1, 110, 10, 4)),
               {.instances = {Idle("a", absl::Seconds(3))}});
  const std::string json = screen.Json(kAll).text();
  EXPECT_THAT(json, HasSubstr("\"whole_server\":true"));
  EXPECT_THAT(json, HasSubstr("{\"name\":\"leasehold_calls_total\","
                              "\"per_second\":10,\"samples\":[{\"labels\":{"
                              "\"code\":\"OK\"},\"value\":110}"));
  EXPECT_THAT(json, HasSubstr("\"value\":1,\"count\":4"));
  EXPECT_THAT(json, HasSubstr("\"lease_remaining_ms\":3000"));
}

class TopCommandTest : public testing::Test {
 protected:
  FakeAdminServer server_;
};

TEST_F(TopCommandTest, OnATerminalItShowsAnotherScreenAndGivesTheFirstBack) {
  server_.AddStats(Reading(0, 100, 10, 4));
  server_.SetInstances(
      "instances { instance_id: 'later' state: IDLE"
      " lease_remaining { seconds: 9 } idle_timeout { seconds: 20 } }"
      " instances { instance_id: 'sooner' state: IDLE"
      " lease_remaining { seconds: 2 } idle_timeout { seconds: 20 } }");
  StreamingRun run({"--address=" + server_.address(), "top"},
                   {.terminal_rows = 30});
  run.Await("later");
  const Outcome outcome = run.Interrupt();
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, StartsWith("\x1b[?1049h\x1b[?25l"));
  EXPECT_THAT(outcome.out, testing::EndsWith("\x1b[?25h\x1b[?1049l"));
  EXPECT_LT(outcome.out.find("sooner"), outcome.out.find("later"));
}

TEST_F(TopCommandTest, AServerThatCannotBeReachedIsAnErrorAtOnce) {
  server_.Break();
  LeaseholdRun run;
  run.With({"--address=" + server_.address(), "top", "--once"});
  EXPECT_EQ(run.code, 4);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, HasSubstr("UNAVAILABLE: "));
}

TEST_F(TopCommandTest, TheClientAsksForWhatIsNamed) {
  server_.AddStats(Reading(0, 100, 10, 4));
  const auto client = *AdminClient::Connect(server_.address());
  const auto stats = client->Stats({"leasehold_"});
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->metrics(0).name(), "leasehold_calls_total");
  EXPECT_EQ(client->Stats({"\xff"}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace leasehold::client::cli
