// `leasehold orchestration history`, against a server that does as a test says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/client/orchestration_command_run.h"
#include "tests/support/temporary_directory.h"

namespace leasehold::client::cli {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

class OrchestrationHistory : public OrchestrationCommandRun {};

TEST_F(OrchestrationHistory, HistoryIsATimeline) {
  std::vector<v1::OrchestrationEvent> events(12);
  for (size_t i = 0; i < events.size(); ++i) {
    events[i].set_id(-1);
    events[i].mutable_time()->set_seconds(1728064000 + static_cast<int64_t>(i));
  }
  auto& started = *events[0].mutable_execution_started();
  started.set_name("Greet");
  started.set_version("1");
  started.set_input("\"Ada\"");
  started.set_parent_instance_id("parent");
  events[1].mutable_turn_started();
  events[2].set_id(1);
  events[2].mutable_activity_scheduled()->set_name("SayHello");
  events[2].mutable_activity_scheduled()->set_input(std::string(200, 'x'));
  events[3].mutable_activity_completed()->set_scheduled_id(1);
  events[3].mutable_activity_completed()->set_output("\"Hello\"");
  events[4].set_id(2);
  events[4].mutable_timer_created()->mutable_fire_time()->set_seconds(
      1728064060);
  events[5].mutable_timer_fired()->set_scheduled_id(2);
  events[6].mutable_event_raised()->set_name("go");
  events[7].set_id(3);
  events[7].mutable_event_sent()->set_name("go");
  events[7].mutable_event_sent()->set_instance_id("b");
  events[8].mutable_execution_suspended()->set_reason("lunch");
  events[9].mutable_execution_terminated()->set_recursive(true);
  events[10].mutable_other()->set_number(18);
  events[11].set_id(4);
  events[11].mutable_execution_completed()->set_status(State::FAILED);
  events[11].mutable_execution_completed()->mutable_failure()->set_message(
      "no");
  server_.PutHistory("a", events);
  const std::vector<std::string> lines =
      Lines(Done({"history", "a", "--execution=run-1"}));
  EXPECT_EQ(Asked<v1::GetOrchestrationHistoryRequest>().execution_id(),
            "run-1");
  // Columns: ELAPSED, TURN, ID, EVENT, DETAIL.
  const auto row = [](const std::string& time, const std::string& elapsed,
                      const std::string& turn, const std::string& id,
                      const std::string& event, const std::string& detail) {
    return absl::StrCat(
        "2024-10-04T17:46:", time, ".000Z  ",
        absl::StrFormat("%-9s%-6s%-4s%-22s", elapsed, turn, id, event), detail);
  };
  EXPECT_THAT(
      lines,
      ElementsAre(
          "TIME                      ELAPSED  TURN  ID  EVENT                 "
          "DETAIL",
          row("40", "+0", "-", "-", "execution_started",
              "Greet, version 1, input \"Ada\", child of parent"),
          row("41", "+1s", "1", "-", "turn_started", "-"),
          row("42", "+2s", "1", "1", "activity_scheduled",
              "SayHello, input " + std::string(100, 'x') + "\u2026"),
          row("43", "+3s", "1", "1", "activity_completed",
              "SayHello, output \"Hello\""),
          row("44", "+4s", "1", "2", "timer_created",
              "until 2024-10-04T17:47:40.000Z"),
          row("45", "+5s", "1", "2", "timer_fired", "-"),
          row("46", "+6s", "1", "-", "event_raised", "go"),
          row("47", "+7s", "1", "3", "event_sent", "go, to b"),
          row("48", "+8s", "1", "-", "execution_suspended", "lunch"),
          row("49", "+9s", "1", "-", "execution_terminated",
              "with sub-orchestrations"),
          row("50", "+10s", "1", "-", "other",
              "number 18 in the Durable Task contract"),
          row("51", "+11s", "1", "4", "execution_completed",
              "FAILED, failure no")));
}

TEST_F(OrchestrationHistory,
       HistoryStandsInTheOrderOfTimeWithTheTurnOfEachEvent) {
  // As it is recorded: a turn, and after it what had come before it; and what
  // came while the turn was out, after that.
  std::vector<v1::OrchestrationEvent> events(6);
  const auto at = [&events](size_t i, int millisecond) -> auto& {
    events[i].set_id(-1);
    events[i].mutable_time()->set_seconds(1728064000);
    events[i].mutable_time()->set_nanos(millisecond * 1'000'000);
    return events[i];
  };
  at(0, 9).mutable_turn_started();
  at(1, 2).mutable_execution_started()->set_name("Greet");
  at(2, 20).mutable_turn_completed();
  at(3, 30).mutable_turn_started();
  at(4, 15).mutable_event_raised()->set_name("go");
  at(5, 40).mutable_turn_completed();
  server_.PutHistory("a", events);
  std::vector<std::string> rows;
  for (const std::string& line : Lines(Done({"history", "a"}))) {
    rows.push_back(line.substr(line.find("  ") + 2));
  }
  EXPECT_THAT(std::vector<std::string>(rows.begin() + 1, rows.end()),
              ElementsAre(StartsWith("+0       1     -   execution_started"),
                          StartsWith("+7ms     1     -   turn_started"),
                          StartsWith("+13ms    2     -   event_raised"),
                          StartsWith("+18ms    1     -   turn_completed"),
                          StartsWith("+28ms    2     -   turn_started"),
                          StartsWith("+38ms    2     -   turn_completed")));
  // A program gets it as it was recorded, with the same turns.
  EXPECT_THAT(Lines(Done({"history", "a", "--output=json"}))[4],
              StartsWith("{\"turn\":2,\"time\":\"2024-10-04T17:46:40."
                         "015000000Z\",\"event\":\"event_raised\""));
}

TEST_F(OrchestrationHistory, HistoryOfNothingIsAHeadingOrNothing) {
  server_.PutHistory("a", {});
  EXPECT_THAT(Lines(Done({"history", "a"})), ElementsAre(StartsWith("TIME ")));
  EXPECT_THAT(Done({"history", "a", "--output=json"}), IsEmpty());
}

TEST_F(OrchestrationHistory, HistoryAsJsonHasItAll) {
  v1::OrchestrationEvent scheduled;
  scheduled.set_id(1);
  scheduled.mutable_time()->set_seconds(1728064000);
  scheduled.mutable_activity_scheduled()->set_name("SayHello");
  scheduled.mutable_activity_scheduled()->set_input(std::string(200, 'x'));
  v1::OrchestrationEvent failed;
  failed.set_id(-1);
  failed.mutable_time()->set_seconds(1728064001);
  failed.mutable_activity_failed()->set_scheduled_id(1);
  failed.mutable_activity_failed()->mutable_failure()->set_type("Oops");
  server_.PutHistory("a", {scheduled, failed});
  EXPECT_EQ(Done({"history", "a", "--output=json"}),
            "{\"id\":1,\"time\":\"2024-10-04T17:46:40.000000000Z\","
            "\"event\":\"activity_scheduled\",\"name\":\"SayHello\",\"input\":"
            "\"" +
                std::string(200, 'x') +
                "\"}\n"
                "{\"time\":\"2024-10-04T17:46:41.000000000Z\","
                "\"event\":\"activity_failed\",\"scheduled_id\":1,\"failure\":{"
                "\"type\":\"Oops\",\"message\":\"\"}}\n");
}

// What an orchestration did with entities: two calls, a signal and a lock.
std::vector<v1::OrchestrationEvent> EventsOfEntities() {
  std::vector<v1::OrchestrationEvent> events(8);
  for (size_t i = 0; i < events.size(); ++i) {
    events[i].set_id(-1);
    events[i].mutable_time()->set_seconds(1728064000 + static_cast<int64_t>(i));
  }
  events[0].set_id(1);
  auto& lock = *events[0].mutable_entity_lock_requested();
  lock.add_instance_ids("@a@1");
  lock.add_instance_ids("@a@2");
  lock.set_section_id("c");
  events[1].mutable_entity_lock_granted()->set_section_id("c");
  events[2].set_id(2);
  auto& call = *events[2].mutable_entity_called();
  call.set_instance_id("@a@1");
  call.set_operation("add");
  call.set_input("5");
  call.set_request_id("r");
  events[3].mutable_entity_call_completed()->set_request_id("r");
  events[3].mutable_entity_call_completed()->set_output("7");
  events[4].set_id(3);
  events[4].mutable_entity_unlocked()->set_instance_id("@a@1");
  events[4].mutable_entity_unlocked()->set_section_id("c");
  events[5].set_id(4);
  auto& signal = *events[5].mutable_entity_signaled();
  signal.set_instance_id("@b@1");
  signal.set_operation("log");
  signal.set_request_id("s");
  signal.mutable_scheduled_time()->set_seconds(1728064060);
  events[6].mutable_entity_call_failed()->set_request_id("r");
  events[6].mutable_entity_call_failed()->mutable_failure()->set_message("no");
  events[7].mutable_entity_call_completed()->set_request_id("of no call");
  return events;
}

TEST_F(OrchestrationHistory, HistoryHasWhatWasAskedOfEntities) {
  server_.PutHistory("a", EventsOfEntities());
  EXPECT_THAT(
      Lines(Done({"history", "a"})),
      ElementsAre(
          StartsWith("TIME "),
          EndsWith("  1   entity_lock_requested  @a@1 @a@2"),
          EndsWith("  1   entity_lock_granted    @a@1 @a@2"),
          EndsWith("  2   entity_called          add of @a@1, input 5"),
          EndsWith("  2   entity_call_completed  add of @a@1, output 7"),
          EndsWith("  3   entity_unlocked        @a@1"),
          EndsWith("  4   entity_signaled        log of @b@1, not before "
                   "2024-10-04T17:47:40.000Z"),
          EndsWith("  2   entity_call_failed     add of @a@1, failure no"),
          EndsWith("  -   entity_call_completed  -")));
}

TEST_F(OrchestrationHistory, HistoryAsJsonHasWhatWasAskedOfEntities) {
  server_.PutHistory("a", EventsOfEntities());
  const auto lines = Lines(Done({"history", "a", "--output=json"}));
  ASSERT_THAT(lines, SizeIs(8));
  EXPECT_THAT(lines[0],
              EndsWith("\"event\":\"entity_lock_requested\",\"section_id\":"
                       "\"c\",\"instance_ids\":[\"@a@1\",\"@a@2\"]}"));
  EXPECT_THAT(lines[1], EndsWith("\"event\":\"entity_lock_granted\","
                                 "\"section_id\":\"c\"}"));
  EXPECT_THAT(lines[2],
              EndsWith("\"event\":\"entity_called\",\"instance_id\":\"@a@1\","
                       "\"operation\":\"add\",\"request_id\":\"r\","
                       "\"input\":5}"));
  EXPECT_THAT(lines[3],
              EndsWith("\"event\":\"entity_call_completed\",\"request_id\":"
                       "\"r\",\"output\":7}"));
  EXPECT_THAT(lines[4],
              EndsWith("\"event\":\"entity_unlocked\",\"instance_id\":"
                       "\"@a@1\",\"section_id\":\"c\"}"));
  EXPECT_THAT(
      lines[5],
      EndsWith("\"operation\":\"log\",\"request_id\":\"s\","
               "\"scheduled_time\":\"2024-10-04T17:47:40.000000000Z\"}"));
  EXPECT_THAT(lines[6], EndsWith("\"request_id\":\"r\",\"failure\":{\"type\":"
                                 "\"\",\"message\":\"no\"}}"));
}

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_F(OrchestrationHistory, HistoryIsExportedToAFile) {
  v1::OrchestrationEvent turn;
  turn.set_id(-1);
  turn.mutable_time()->set_seconds(1728064000);
  turn.mutable_turn_started();
  server_.PutHistory("a", {turn, turn});
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/a.history";
  EXPECT_EQ(Done({"history", "a", "--export=" + path}),
            "Exported 2 events to " + path + ".\n");
  const std::string line =
      "{\"id\":-1,\"time\":\"2024-10-04T17:46:40.000000000Z\",\"event\":"
      "\"turn_started\"}\n";
  EXPECT_EQ(ReadWhole(path),
            "{\"format\":\"leasehold.history.v1\",\"instance_id\":\"a\"}\n" +
                line + line);
  server_.PutHistory("a", {turn});
  EXPECT_EQ(Done({"history", "a", "--export", path, "--output=json"}),
            "{\"instance_id\":\"a\",\"file\":\"" + path + "\",\"events\":1}\n");
  EXPECT_THAT(Lines(ReadWhole(path)), SizeIs(2));
}

TEST_F(OrchestrationHistory, AnExportThatFailsLeavesTheFileAsItWas) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/a.history";
  std::ofstream(path) << "before";
  EXPECT_EQ(Execute({"history", "unknown", "--export=" + path}).code, 3);
  EXPECT_EQ(ReadWhole(path), "before");
  EXPECT_FALSE(std::ifstream(path + ".part").good());
  server_.PutHistory("a", {});
  ExpectFailure(
      Execute({"history", "a", "--export=" + folder.path() + "/no/a"}),
      "UNKNOWN: --export: cannot write " + folder.path() +
          "/no/a: No such file or directory\n");
  ExpectWrongUsage({"history", "a", "--export="}, "write --export=FILE");
  ExpectWrongUsage({"history", "a", "--export", ""}, "not the path of a file");
}

}  // namespace
}  // namespace leasehold::client::cli
