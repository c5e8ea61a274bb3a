// EntityClient, and `leasehold entity …` on top of it: what they ask of the
// server, and what becomes of the answers.
#include "client/entities/entity_client.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_entity_server.h"
#include "tests/client/leasehold_run.h"
#include "tests/client/streaming_run.h"
#include "tests/server/events.h"

namespace leasehold::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Code = absl::StatusCode;

constexpr char kCounter[] =
    "instance_id: '@counter@a' exists: true state: '7' "
    "update_time { seconds: 1728064000 } waiting_count: 2 "
    "lock { holder: 'p' section_id: 's' lock_time { seconds: 1728064001 } "
    "expire_time { seconds: 1728064002 } } waiting_for: 'a worker'";

class EntityClientTest : public testing::Test {
 protected:
  EntityClient& client() {
    if (client_ == nullptr) {
      client_ = *EntityClient::Connect(server_.address());
    }
    return *client_;
  }
  cli::Outcome Execute(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"--address=" + server_.address(), "entity"});
    cli::LeaseholdRun run;
    run.now = absl::FromUnixSeconds(1728064000);
    run.With(std::move(arguments));
    return {run.code, run.out, run.err};
  }
  // The same, which is to be done.
  std::string Done(std::vector<std::string> arguments) {
    const cli::Outcome run = Execute(std::move(arguments));
    EXPECT_EQ(run.code, 0);
    EXPECT_EQ(run.err, "");
    return run.out;
  }

  FakeEntityServer server_;
  std::unique_ptr<EntityClient> client_;
};

// ---- The client -------------------------------------------------------------

TEST_F(EntityClientTest, AsksForWhatItIsTold) {
  EXPECT_TRUE(client()
                  .Signal({.instance_id = "@c@a",
                           .operation = "add",
                           .input = "1",
                           .scheduled_time = absl::FromUnixSeconds(5)})
                  .ok());
  EXPECT_TRUE(client().Delete("@c@a").ok());
  EXPECT_EQ(server_.Asked(),
            "SignalEntityRequest instance_id: \"@c@a\" operation: \"add\" "
            "input: \"1\" scheduled_time { seconds: 5 }; "
            "DeleteEntityRequest instance_id: \"@c@a\"; ");
}

TEST_F(EntityClientTest, ALockHasATimeFromNowOrNone) {
  EXPECT_TRUE(client()
                  .LimitLock({.instance_id = "@c@a",
                              .section_id = "s",
                              .timeout = absl::Milliseconds(1500)})
                  .ok());
  EXPECT_TRUE(
      client()
          .LimitLock({.instance_id = "@c@a", .timeout = absl::ZeroDuration()})
          .ok());
  server_.FailNext({grpc::StatusCode::NOT_FOUND, "it is not locked"});
  EXPECT_EQ(client().LimitLock({.instance_id = "@c@a", .timeout = {}}).code(),
            Code::kNotFound);
  EXPECT_EQ(server_.Asked(),
            "LimitEntityLockRequest instance_id: \"@c@a\" section_id: \"s\" "
            "timeout { seconds: 1 nanos: 500000000 }; "
            "LimitEntityLockRequest instance_id: \"@c@a\" timeout { }; "
            "LimitEntityLockRequest instance_id: \"@c@a\"; ");
}

TEST_F(EntityClientTest, ACallReturnsTheOutputIfThereIsOne) {
  const EntityCallOptions call{.instance_id = "@c@a",
                               .operation = "get",
                               .input = "",
                               .request_id = "r"};
  EXPECT_EQ(*client().Call(call), std::nullopt);
  EXPECT_EQ(server_.Asked(),
            "CallEntityRequest instance_id: \"@c@a\" operation: \"get\" "
            "input: \"\" request_id: \"r\"; ");
  server_.Return("7");
  EXPECT_EQ(*client().Call(call), "7");
}

TEST_F(EntityClientTest, AnOperationThatFailedIsUnknown) {
  server_.FailNext({grpc::StatusCode::UNKNOWN, "it broke"});
  const auto output =
      client().Call({.instance_id = "@c@a", .operation = "get"});
  EXPECT_EQ(output.status().code(), Code::kUnknown);
  EXPECT_THAT(std::string(output.status().message()), HasSubstr("it broke"));
}

TEST_F(EntityClientTest, GetReturnsAllThatIsKnown) {
  EXPECT_EQ(client().Get("@counter@a")->has_value(), false);
  server_.Show(kCounter);
  const EntityInfo info = **client().Get("@counter@a");
  EXPECT_EQ(info.instance_id, "@counter@a");
  EXPECT_TRUE(info.exists);
  EXPECT_EQ(info.state, "7");
  EXPECT_EQ(info.update_time, absl::FromUnixSeconds(1728064000));
  EXPECT_EQ(info.waiting_count, 2);
  EXPECT_EQ(info.waiting_for, "a worker");
  ASSERT_TRUE(info.lock.has_value());
  EXPECT_EQ(info.lock->holder, "p");
  EXPECT_EQ(info.lock->section_id, "s");
  EXPECT_EQ(info.lock->lock_time, absl::FromUnixSeconds(1728064001));
  EXPECT_EQ(info.lock->expire_time, absl::FromUnixSeconds(1728064002));
}

TEST_F(EntityClientTest, ListGoesOnToTheLastPage) {
  server_.Show("instance_id: '@c@a'");
  server_.Show("instance_id: '@c@b'");
  std::vector<std::string> ids;
  ListEntitiesOptions options;
  options.filter = {.id_prefix = "@c@",
                    .updated_from = absl::FromUnixSeconds(1),
                    .updated_to = absl::FromUnixSeconds(2),
                    .stateless = true};
  options.page_size = 3;
  options.states = true;
  EXPECT_TRUE(client()
                  .List(options,
                        [&](const std::vector<EntityInfo>& page) {
                          for (const auto& info : page) {
                            ids.push_back(info.instance_id);
                          }
                          return true;
                        })
                  .ok());
  EXPECT_THAT(ids, ElementsAre("@c@a", "@c@b"));
  const std::string asked =
      "ListEntitiesRequest filter { id_prefix: \"@c@\" "
      "updated_from { seconds: 1 } updated_to { seconds: 2 } "
      "include_stateless: true } page_size: 3 ";
  EXPECT_EQ(server_.Asked(), asked + "include_states: true; " + asked +
                                 "page_token: \"t\" include_states: true; ");
}

TEST_F(EntityClientTest, AWatchReportsEachChangeAndThenWhyItEnded) {
  server_.Show("instance_id: '@c@a'");
  server_.Show("instance_id: '@c@a' exists: true state: '1'");
  Mailbox<std::string> told;
  const auto watch = client().StartWatch(
      {.instance_id = "@c@a",
       .on_change =
           [&](const EntityInfo& info) { told.Put(info.state.value_or("-")); },
       .on_lost = {},
       .on_end =
           [&](const absl::Status& status) { told.Put(status.ToString()); },
       .run_after = {}});
  ASSERT_TRUE(watch.ok());
  EXPECT_EQ(told.Take("the present"), "-");
  EXPECT_EQ(told.Take("a change"), "1");
  EXPECT_EQ(told.Take("the end"), "OK");
}

TEST_F(EntityClientTest, TextThatIsNotUtf8IsNotSent) {
  const std::string bad = "\xff";
  EXPECT_EQ(client().Signal({.instance_id = bad, .operation = "o"}).code(),
            Code::kInvalidArgument);
  EXPECT_EQ(
      client().Call({.instance_id = "@c@a", .operation = bad}).status().code(),
      Code::kInvalidArgument);
  EXPECT_EQ(client()
                .Call({.instance_id = "@c@a",
                       .operation = "o",
                       .input = {},
                       .request_id = bad})
                .status()
                .code(),
            Code::kInvalidArgument);
  EXPECT_EQ(client().Get(bad).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(client().Delete(bad).code(), Code::kInvalidArgument);
  EXPECT_EQ(client()
                .LimitLock({.instance_id = "@c@a",
                            .section_id = bad,
                            .timeout = absl::ZeroDuration()})
                .code(),
            Code::kInvalidArgument);
  EXPECT_EQ(server_.Asked(), "");
}

// ---- The commands -----------------------------------------------------------

TEST_F(EntityClientTest, SignalSaysWhatItSent) {
  EXPECT_EQ(Done({"signal", "@c@a", "add", "--input=1", "--at=+5s"}),
            "Signalled add to @c@a.\n");
  EXPECT_EQ(server_.Asked(),
            "SignalEntityRequest instance_id: \"@c@a\" operation: \"add\" "
            "input: \"1\" scheduled_time { seconds: 1728064005 }; ");
  EXPECT_EQ(Done({"--output=json", "signal", "@c@a", "add"}),
            "{\"instance_id\":\"@c@a\",\"operation\":\"add\",\"done\":"
            "\"signal\"}\n");
}

TEST_F(EntityClientTest, CallShowsTheOutput) {
  EXPECT_EQ(Done({"call", "@c@a", "reset"}),
            "Called reset of @c@a: no output.\n");
  server_.Return("7");
  EXPECT_EQ(Done({"call", "@c@a", "get", "--request-id=r"}), "7\n");
  EXPECT_EQ(Done({"--output=json", "call", "@c@a", "get"}),
            "{\"instance_id\":\"@c@a\",\"operation\":\"get\",\"output\":"
            "7}\n");
  EXPECT_THAT(server_.Asked(), HasSubstr("request_id: \"r\""));
}

TEST_F(EntityClientTest, CallFailsIfTheOperationFailed) {
  server_.FailNext({grpc::StatusCode::UNKNOWN, "it broke"});
  const cli::Outcome run = Execute({"call", "@c@a", "get"});
  EXPECT_EQ(run.code, 1);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, HasSubstr("UNKNOWN"));
  EXPECT_THAT(run.err, HasSubstr("it broke"));
}

TEST_F(EntityClientTest, GetShowsADetailALine) {
  server_.Show(kCounter);
  EXPECT_EQ(Done({"get", "@counter@a"}),
            "Instance       @counter@a\n"
            "Exists         yes\n"
            "Updated        2024-10-04T17:46:40.000Z\n"
            "Waiting        2\n"
            "Waiting for    a worker\n"
            "Locked by      p\n"
            "Section        s\n"
            "Locked since   2024-10-04T17:46:41.000Z\n"
            "Locked until   2024-10-04T17:46:42.000Z\n"
            "State          7\n");
  const std::string json = Done({"--output=json", "get", "@counter@a"});
  EXPECT_THAT(json, HasSubstr("\"exists\":true"));
  EXPECT_THAT(json, HasSubstr("\"holder\":\"p\""));
}

TEST_F(EntityClientTest, GetOfNothingFails) {
  const cli::Outcome run = Execute({"get", "@c@a"});
  EXPECT_EQ(run.code, 3);
  EXPECT_EQ(run.err, "NOT_FOUND: there is no entity \"@c@a\"\n");
}

TEST_F(EntityClientTest, ListShowsARowForEach) {
  server_.Show(kCounter);
  server_.Show("instance_id: '@counter@b' exists: true");
  const std::string table =
      Done({"list", "--id-prefix=@counter@", "--states", "--stateless",
            "--updated-from=-1h", "--updated-to=+1h"});
  EXPECT_THAT(table, HasSubstr("INSTANCE    UPDATED"));
  EXPECT_THAT(table, HasSubstr("@counter@a  2024-10-04T17:46:40.000Z  2"));
  EXPECT_THAT(table, HasSubstr("@counter@b"));
  EXPECT_THAT(server_.Asked(),
              HasSubstr("filter { id_prefix: \"@counter@\" "
                        "updated_from { seconds: 1728060400 } "
                        "updated_to { seconds: 1728067600 } "
                        "include_stateless: true } include_states: true"));
  EXPECT_THAT(Done({"--output=json", "list", "--limit=1"}),
              testing::Not(HasSubstr("@counter@b")));
}

TEST_F(EntityClientTest, DeleteSaysThatItIsDone) {
  EXPECT_EQ(Done({"delete", "@c@a"}), "Deleted @c@a.\n");
  server_.FailNext({grpc::StatusCode::NOT_FOUND, "it has no state"});
  EXPECT_EQ(Execute({"delete", "@c@a"}).code, 3);
}

TEST_F(EntityClientTest, LimitLockSaysWhatBecomesOfTheLock) {
  EXPECT_EQ(Done({"limit-lock", "@c@a", "1m30s", "--section=s"}),
            "The lock of @c@a ends in 1m30s.\n");
  EXPECT_EQ(Done({"limit-lock", "@c@a", "0"}), "The lock of @c@a has ended.\n");
  EXPECT_EQ(Done({"limit-lock", "@c@a", "none"}),
            "The lock of @c@a has no limit.\n");
  EXPECT_EQ(server_.Asked(),
            "LimitEntityLockRequest instance_id: \"@c@a\" section_id: \"s\" "
            "timeout { seconds: 90 }; "
            "LimitEntityLockRequest instance_id: \"@c@a\" timeout { }; "
            "LimitEntityLockRequest instance_id: \"@c@a\"; ");
  EXPECT_EQ(Done({"--output=json", "limit-lock", "@c@a", "5s"}),
            "{\"instance_id\":\"@c@a\",\"done\":\"limit-lock\"}\n");
  server_.FailNext({grpc::StatusCode::FAILED_PRECONDITION, "it still waits"});
  const cli::Outcome run = Execute({"limit-lock", "@c@a", "5s"});
  EXPECT_EQ(run.code, 1);
  EXPECT_EQ(run.err, "FAILED_PRECONDITION: it still waits\n");
}

TEST_F(EntityClientTest, WatchShowsARowForEachChange) {
  server_.Show("instance_id: '@c@a'");
  server_.Show(kCounter);
  cli::StreamingRun run(
      {"--address=" + server_.address(), "entity", "watch", "@c@a"});
  run.Await("2024-10-04T17:46:40.000Z  yes     p");
  const cli::Outcome outcome = run.Interrupt();
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("EXISTS"));
}

TEST_F(EntityClientTest, WrongUsageIsRefusedBeforeAnythingIsAsked) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {},
           {"call", "@c@a"},
           {"call", "@c@a", "get", "--input=tea"},
           {"signal", "@c@a", "get", "--at=tea"},
           {"get"},
           {"limit-lock", "@c@a"},
           {"limit-lock", "@c@a", "tea"},
           {"limit-lock", "@c@a", "inf"},
           {"limit-lock", "@c@a", "5s", "--section="},
           {"list", "--limit=0"}}) {
    EXPECT_EQ(Execute(arguments).code, 2);
  }
  EXPECT_EQ(server_.Asked(), "");
}

}  // namespace
}  // namespace leasehold::client
