// AdminClient, and `leasehold workers` and `why` on top of it.
#include "client/admin/admin_client.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_admin_server.h"
#include "tests/client/leasehold_run.h"
#include "tests/client/streaming_run.h"

namespace leasehold::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Code = absl::StatusCode;

constexpr char kNamed[] =
    "worker_id: 3 address: 'ipv4:10.0.0.7:1' identity: 'shop'"
    " user_agent: 'grpc-go/1.71.0 (linux)'"
    " work { kind: 'orchestrator' names { name: 'Greet' versions: '1'"
    " versions: '2' } names { name: 'Bye' } name_count: 5 slots_used: 1"
    " slots: 2 }"
    " work { kind: 'activity' } work { kind: 'entity' all: true slots: 9 }"
    " connect_time { seconds: 1728063000 }"
    " last_seen_time { seconds: 1728063990 } silent: true"
    " unknown_name_count: 4 unread_bytes: 6";
constexpr char kAny[] =
    "worker_id: 4 address: 'built-in' sdk: 'leasehold-cpp/1' built_in: true"
    " work { kind: 'orchestrator' all: true slots: 100 }"
    " connect_time { seconds: 1728064000 }"
    " last_seen_time { seconds: 1728064000 }";
constexpr char kWhy[] =
    "instance_id: 'a' sentence: 'orchestration a waits' subject: ORCHESTRATION"
    " name: 'Main' status: 'Running' generation: 7 more_causes: 2"
    " causes { kind: NOT_TAKEN text: 'nobody takes it' work: 'activity'"
    " name: 'NoSuch' attempt: 2 failure: 'it broke'"
    " outlook { workers: 2 unknown: 1 } }"
    " causes { kind: TIMER text: 'a timer' time { seconds: 1728064000 } }"
    " causes { kind: HELD text: 'a hold' pin: 'hold' age { seconds: 3 }"
    " holder { address: 'x' identity: 'shop' method: 'm' } }";

class AdminClientTest : public testing::Test {
 protected:
  cli::Outcome Execute(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "--address=" + server_.address());
    cli::LeaseholdRun run;
    run.now = absl::FromUnixSeconds(1728064000);
    run.With(std::move(arguments));
    return {run.code, run.out, run.err};
  }
  std::string Done(std::vector<std::string> arguments) {
    const cli::Outcome run = Execute(std::move(arguments));
    EXPECT_EQ(run.code, 0);
    EXPECT_EQ(run.err, "");
    return run.out;
  }

  FakeAdminServer server_;
};

TEST_F(AdminClientTest, WorkersOfAllPages) {
  server_.AddWorker(kNamed);
  server_.AddWorker(kAny);
  const auto client = *AdminClient::Connect(server_.address());
  std::vector<ConnectedWorker> workers;
  EXPECT_TRUE(client
                  ->Workers([&](const std::vector<ConnectedWorker>& page) {
                    workers.insert(workers.end(), page.begin(), page.end());
                    return true;
                  })
                  .ok());
  ASSERT_EQ(workers.size(), 2u);
  EXPECT_EQ(workers[0].worker_id, 3u);
  EXPECT_EQ(workers[0].identity, "shop");
  EXPECT_EQ(workers[0].last_seen_time, absl::FromUnixSeconds(1728063990));
  EXPECT_THAT(workers[0].work[0].names,
              ElementsAre(ConnectedWorker::Name{"Greet", {"1", "2"}},
                          ConnectedWorker::Name{"Bye", {}}));
  EXPECT_TRUE(workers[1].built_in);
  int pages = 0;
  EXPECT_TRUE(client
                  ->Workers([&](const std::vector<ConnectedWorker>&) {
                    ++pages;
                    return false;
                  })
                  .ok());
  EXPECT_EQ(pages, 1);
  EXPECT_EQ(client->WorkersOnPage("\xff").status().code(),
            Code::kInvalidArgument);
}

TEST_F(AdminClientTest, ExplainReturnsTheFacts) {
  server_.SetExplanation(kWhy);
  const auto client = *AdminClient::Connect(server_.address());
  const auto explanation = client->Explain("a");
  ASSERT_TRUE(explanation.ok()) << explanation.status();
  EXPECT_EQ(explanation->causes(0).kind(), leasehold::v1::Cause::NOT_TAKEN);
  EXPECT_EQ(client->Explain("b").status().code(), Code::kNotFound);
  EXPECT_EQ(client->Explain("\xff").status().code(), Code::kInvalidArgument);
}

TEST_F(AdminClientTest, CommandWorkersShowsARowForEach) {
  server_.AddWorker(kNamed);
  server_.AddWorker(kAny);
  const std::vector<std::string> rows =
      absl::StrSplit(Done({"workers"}), '\n', absl::SkipEmpty());
  EXPECT_THAT(
      rows,
      ElementsAre(
          "WORKER  ADDRESS          SDK             SLOTS IN USE              "
          "    CONNECTED  SEEN  STATE   TAKES",
          "3       ipv4:10.0.0.7:1  grpc-go/1.71.0  orchestrator 1/2, entity "
          "0/9  16m40s     10s   silent  Greet@1|2, Bye, all of kind entity, "
          "and 3 more",
          // A column is as wide as it has to be so far.
          "4       built-in         leasehold-cpp/1  orchestrator 0/100       "
          "     0          0     answers  all"));
  const std::vector<std::string> lines = absl::StrSplit(
      Done({"--output=json", "workers"}), '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(
      lines[0],
      "{\"worker_id\":3,\"address\":\"ipv4:10.0.0.7:1\",\"identity\":"
      "\"shop\",\"user_agent\":\"grpc-go/1.71.0 (linux)\",\"built_in\":"
      "false,\"work\":{\"orchestrator\":{\"all\":false,\"names\":["
      "\"Greet@1|2\",\"Bye\"],\"name_count\":5,\"slots_used\":1,"
      "\"slots\":2},\"activity\":{\"all\":false,\"names\":[],"
      "\"name_count\":0,\"slots_used\":0,\"slots\":0},\"entity\":{"
      "\"all\":true,\"names\":[],\"name_count\":0,\"slots_used\":0,"
      "\"slots\":9}},\"connect_time\":\"2024-10-04T17:30:00.000000000Z\","
      "\"last_seen_time\":\"2024-10-04T17:46:30.000000000Z\",\"silent\":true,"
      "\"unknown_name_count\":4,\"unread_bytes\":6}");
}

TEST_F(AdminClientTest, CommandWhySaysTheSentenceAndEachCause) {
  server_.SetExplanation(kWhy);
  EXPECT_EQ(Done({"why", "a"}),
            "orchestration a waits\n"
            "CAUSE      WHAT\n"
            "NOT_TAKEN  nobody takes it\n"
            "TIMER      a timer\n"
            "HELD       a hold\n"
            "and 2 more\n");
  EXPECT_EQ(
      Done({"--output=json", "why", "a"}),
      "{\"instance_id\":\"a\",\"sentence\":\"orchestration a waits\","
      "\"subject\":\"ORCHESTRATION\",\"name\":\"Main\",\"status\":\"Running\","
      "\"generation\":7,\"causes\":[{\"kind\":\"NOT_TAKEN\",\"text\":\"nobody "
      "takes it\",\"work\":\"activity\",\"name\":\"NoSuch\",\"attempt\":2,"
      "\"failure\":\"it broke\",\"outlook\":{\"workers\":2,\"takes\":0,"
      "\"unknown\":1,\"takers\":0,\"slots_used\":0,\"slots\":0,\"silent\":0,"
      "\"full\":0,\"unread\":0}},{\"kind\":\"TIMER\",\"text\":\"a timer\","
      "\"time\":\"2024-10-04T17:46:40.000000000Z\"},{\"kind\":\"HELD\","
      "\"text\":\"a "
      "hold\",\"pin\":\"hold\",\"holder\":{\"address\":\"x\",\"identity\":"
      "\"shop\",\"method\":\"m\"},\"age_ms\":3000}],\"more_causes\":2}\n");
  // What the sentence says alone is not said twice.
  server_.SetExplanation(
      "instance_id: 'a' sentence: 'it \x01 is idle'"
      " causes { kind: LEASE text: 'x' }");
  EXPECT_EQ(Done({"why", "a"}), "it \\x01 is idle\n");
  const cli::Outcome run = Execute({"why", "b"});
  EXPECT_EQ(run.code, 3);
  EXPECT_EQ(run.err, "NOT_FOUND: there is nothing\n");
  EXPECT_EQ(Execute({"why"}).code, 2);
}

}  // namespace
}  // namespace leasehold::client
