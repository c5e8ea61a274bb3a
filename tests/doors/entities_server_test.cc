// leasehold.v1.Entities without an engine: what each method asks of Entities,
// and what becomes of the answer.
#include "service/doors/entities_server.h"

#include <google/protobuf/text_format.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "leasehold/internal/rpc_status.pb.h"
#include "leasehold/v1/entities.grpc.pb.h"
#include "leasehold/v1/orchestration.pb.h"
#include "service/instance/executor.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "service/orchestration/orchestration_info.h"
#include "tests/doors/door_case.h"
#include "tests/doors/door_server.h"
#include "tests/doors/fake_entities.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::HasSubstr;
using Stub = v1::Entities::Stub;

using Case = DoorCase<Stub>;

std::vector<Case> Cases() {
  return {
      CaseOf(&Stub::Signal, "instance_id: '@c@a' operation: 'add'",
             "Signal default/@c@a add none "),
      CaseOf(&Stub::Signal,
             "instance_id: '@c@a' operation: 'add' input: '1'"
             " scheduled_time { seconds: 7 }",
             "Signal default/@c@a add 1  at 7"),
      CaseOf(&Stub::Call, "instance_id: '@c@a' operation: 'add'",
             "Call default/@c@a add none "),
      CaseOf(&Stub::Call,
             "instance_id: '@c@a' operation: 'add' input: '1' request_id: 'r'",
             "Call default/@c@a add 1 r"),
      CaseOf(&Stub::Get, "instance_id: '@c@a'", "GetEntity default/@c@a state"),
      CaseOf(&Stub::Get, "instance_id: '@c@a' omit_state: true",
             "GetEntity default/@c@a"),
      CaseOf(&Stub::Delete, "instance_id: '@c@a'", "EraseEntity default/@c@a"),
      CaseOf(&Stub::LimitLock, "instance_id: '@c@a' timeout {}",
             "LimitLock default/@c@a  0"),
      CaseOf(&Stub::LimitLock,
             "instance_id: '@c@a' section_id: 's' timeout { seconds: 5 }",
             "LimitLock default/@c@a s 5s"),
      CaseOf(&Stub::LimitLock, "instance_id: '@c@a'",
             "LimitLock default/@c@a  inf"),
      CaseOf(&Stub::List, "", "QueryEntities default/* 100 page_token="),
      CaseOf(&Stub::List,
             "filter { id_prefix: '@Counter@A' updated_from { seconds: 1 }"
             " updated_to { seconds: 2 } include_stateless: true } page_size: 7"
             " page_token: 't' include_states: true",
             "QueryEntities default/@counter@A* 7 from to state stateless "
             "page_token=t"),
  };
}

class EntitiesServerTest : public testing::Test {
 protected:
  EntitiesServerTest() {
    entities_.info = EntityInfo{.id = "@c@a", .has_state = true};
    entities_.info->lock.emplace();
    entities_.result = OperationResult{.output = "7", .failure = {}};
  }
  ~EntitiesServerTest() override {
    registry_.Shutdown([] {});
  }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                 const Request&, Response*),
                    const std::string& request, Response& response) {
    grpc::ClientContext context;
    return ((*stub_).*method)(&context, Parse<Request>(request), &response);
  }
  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                 const Request&, Response*),
                    const std::string& request) {
    Response response;
    return Call(method, request, response);
  }

  SimulatedClock clock_;
  // Named by the door; no method here opens a context itself.
  ThreadExecutor executor_{1};
  SharedProvider provider_;
  InstanceRegistry registry_{clock_, executor_, provider_, {}, {}, {}};
  InstanceDoor door_{registry_, {}};
  FakeEntities entities_;
  EntitiesServer service_{entities_, door_};
  DoorServer server_{service_, clock_};
  std::unique_ptr<Stub> stub_ = v1::Entities::NewStub(server_.channel());
};

TEST_F(EntitiesServerTest, EachMethodAsksForOneThing) {
  for (const Case& one : Cases()) {
    const grpc::Status status = one.call(*stub_, one.request, "");
    EXPECT_TRUE(status.ok()) << one.asked << ": " << status.error_message();
    EXPECT_EQ(entities_.TakeCall(), one.asked);
    EXPECT_EQ(entities_.untaken_calls(), 0u) << one.asked;
  }
}

TEST_F(EntitiesServerTest, TheHeaderNamesTheEntityAsWell) {
  for (const Case& one : Cases()) {
    const std::string field = "instance_id: '@c@a'";
    if (one.request.find(field) == std::string::npos) continue;
    const grpc::Status status = one.call(
        *stub_, absl::StrReplaceAll(one.request, {{field, ""}}), "@C@a");
    EXPECT_TRUE(status.ok()) << one.asked << ": " << status.error_message();
    EXPECT_EQ(entities_.TakeCall(), one.asked);
    // Both, and they disagree.
    EXPECT_EQ(one.call(*stub_, one.request, "@c@b").error_code(),
              grpc::INVALID_ARGUMENT)
        << one.asked;
  }
  EXPECT_EQ(entities_.untaken_calls(), 0u);
}

TEST_F(EntitiesServerTest, AnIdThatIsNoEntitysIsRefused) {
  for (const Case& one : Cases()) {
    const std::string field = "instance_id: '@c@a'";
    if (one.request.find(field) == std::string::npos) continue;
    for (const std::string id : {"", "a", "@", "@@a", "@c"}) {
      const grpc::Status status =
          one.call(*stub_,
                   absl::StrReplaceAll(one.request,
                                       {{field, "instance_id: '" + id + "'"}}),
                   "");
      EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT)
          << one.asked << " " << id;
      EXPECT_THAT(status.error_message(), HasSubstr("instance_id"));
    }
  }
  EXPECT_EQ(entities_.untaken_calls(), 0u);
}

TEST_F(EntitiesServerTest, EachMethodPassesOnWhyItFailed) {
  entities_.failure = absl::DataLossError("it cannot be read");
  for (const Case& one : Cases()) {
    const grpc::Status status = one.call(*stub_, one.request, "");
    EXPECT_EQ(status.error_code(), grpc::DATA_LOSS) << one.asked;
    EXPECT_EQ(status.error_message(), "it cannot be read") << one.asked;
  }
}

TEST_F(EntitiesServerTest, WhatIsNotThereIsNotFound) {
  entities_.info = std::nullopt;
  const grpc::Status got = Call(&Stub::Get, "instance_id: '@c@a'");
  EXPECT_EQ(got.error_code(), grpc::NOT_FOUND);
  EXPECT_THAT(got.error_message(), HasSubstr("\"@c@a\" does not exist"));
  const grpc::Status deleted = Call(&Stub::Delete, "instance_id: '@c@a'");
  EXPECT_EQ(deleted.error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(deleted.error_message(), "entity \"@c@a\" has no state");
  const grpc::Status limited = Call(&Stub::LimitLock, "instance_id: '@c@a'");
  EXPECT_EQ(limited.error_code(), grpc::NOT_FOUND);
}

TEST_F(EntitiesServerTest, GetShowsAllThatIsKnown) {
  entities_.info =
      EntityInfo{.id = "@c@a",
                 .modified = absl::FromUnixSeconds(5),
                 .has_state = true,
                 .state = "s",
                 .waiting = 2,
                 .lock = EntityLock{"p", "x", 3'000'000, "e", 4'000'000},
                 .waiting_for = "no worker"};
  v1::EntityInfo info;
  EXPECT_TRUE(Call(&Stub::Get, "instance_id: '@c@a'", info).ok());
  EXPECT_EQ(info.ShortDebugString(),
            "instance_id: \"@c@a\" exists: true state: \"s\" "
            "update_time { seconds: 5 } waiting_count: 2 "
            "lock { holder: \"p\" section_id: \"x\" "
            "lock_time { seconds: 3 } expire_time { seconds: 4 } } "
            "waiting_for: \"no worker\"");
}

// Something waits for it, and nothing has run.
TEST_F(EntitiesServerTest, AnEntityWithoutAStateHasNoTime) {
  entities_.info = EntityInfo{.id = "@c@a", .waiting = 1};
  v1::EntityInfo info;
  EXPECT_TRUE(Call(&Stub::Get, "instance_id: '@c@a'", info).ok());
  EXPECT_EQ(info.ShortDebugString(), "instance_id: \"@c@a\" waiting_count: 1");
}

TEST_F(EntitiesServerTest, AListHasATokenWhileThereIsMore) {
  entities_.list.entities.push_back({.id = "@c@a", .has_state = true});
  entities_.list.next_page_token = "t";
  v1::ListEntitiesResponse response;
  EXPECT_TRUE(Call(&Stub::List, "", response).ok());
  ASSERT_EQ(response.entities_size(), 1);
  EXPECT_EQ(response.entities(0).instance_id(), "@c@a");
  EXPECT_EQ(response.next_page_token(), "t");
}

TEST_F(EntitiesServerTest, PagesHaveASizeBetweenOneAndAThousand) {
  EXPECT_TRUE(Call(&Stub::List, "page_size: 2147483647").ok());
  EXPECT_EQ(entities_.TakeCall(), "QueryEntities default/* 1000 page_token=");
  const grpc::Status status = Call(&Stub::List, "page_size: -1");
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("page_size"));
  EXPECT_EQ(entities_.untaken_calls(), 0u);
}

TEST_F(EntitiesServerTest, FieldsThatBreakARuleAreRefused) {
  const auto refused = [this](auto method, const std::string& request,
                              const std::string& field) {
    const grpc::Status status = Call(method, request);
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT) << request;
    EXPECT_THAT(status.error_message(), testing::StartsWith(field));
    EXPECT_EQ(entities_.untaken_calls(), 0u);
  };
  refused(&Stub::Signal, "instance_id: '@c@a'", "operation: is required");
  refused(&Stub::Signal,
          "instance_id: '@c@a' operation: '" + std::string(1025, 'x') + "'",
          "operation: ");
  refused(&Stub::Signal,
          "instance_id: '@c@a' operation: 'o' scheduled_time { nanos: -1 }",
          "scheduled_time: ");
  refused(&Stub::Call, "instance_id: '@c@a'", "operation: is required");
  refused(&Stub::LimitLock, "instance_id: '@c@a' timeout { seconds: -1 }",
          "timeout: ");
  refused(&Stub::List, "filter { updated_from { seconds: 999999999999 } }",
          "updated_from: ");
  refused(&Stub::List, "filter { updated_to { nanos: 1000000000 } }",
          "updated_to: ");
}

// ---- Calls ------------------------------------------------------------------

TEST_F(EntitiesServerTest, ACallIsAnsweredWithTheOutput) {
  const std::string request = "instance_id: '@c@a' operation: 'get'";
  v1::CallEntityResponse response;
  EXPECT_TRUE(Call(&Stub::Call, request, response).ok());
  EXPECT_EQ(response.output(), "7");
  entities_.result = OperationResult{};
  EXPECT_TRUE(Call(&Stub::Call, request, response).ok());
  EXPECT_FALSE(response.has_output());
}

TEST_F(EntitiesServerTest, AFailedOperationIsUnknownWithItsDetails) {
  entities_.result->failure = MakeFailure("ValueError", "it broke");
  const grpc::Status status =
      Call(&Stub::Call, "instance_id: '@c@a' operation: 'add'");
  EXPECT_EQ(status.error_code(), grpc::UNKNOWN);
  EXPECT_EQ(status.error_message(),
            "operation \"add\" of entity \"@c@a\" failed: ValueError: it "
            "broke");
  internal::RpcStatus details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), grpc::UNKNOWN);
  ASSERT_EQ(details.details_size(), 1);
  v1::OrchestrationFailure failure;
  ASSERT_TRUE(details.details(0).UnpackTo(&failure));
  EXPECT_EQ(failure.type(), "ValueError");
  EXPECT_EQ(failure.message(), "it broke");
}

TEST_F(EntitiesServerTest, AFailureThatIsTooLongForAHeaderIsCut) {
  entities_.result->failure = MakeFailure("T", std::string(60'000, 'x'));
  const grpc::Status status =
      Call(&Stub::Call, "instance_id: '@c@a' operation: 'add'");
  EXPECT_EQ(status.error_code(), grpc::UNKNOWN);
  EXPECT_LT(status.error_message().size() + status.error_details().size(),
            4'000u);
}

TEST_F(EntitiesServerTest, ACallerThatGoesIsNotWaitedFor) {
  entities_.result = std::nullopt;
  grpc::ClientContext context;
  std::thread caller([&] {
    v1::CallEntityResponse response;
    EXPECT_EQ(stub_
                  ->Call(&context,
                         Parse<v1::CallEntityRequest>(
                             "instance_id: '@c@a' operation: 'get'"),
                         &response)
                  .error_code(),
              grpc::CANCELLED);
  });
  EXPECT_EQ(entities_.TakeCall(), "Call default/@c@a get none ");
  context.TryCancel();
  EXPECT_EQ(entities_.TakeCall(), "CancelCall 1");
  caller.join();
}

// ---- Watches ----------------------------------------------------------------

TEST_F(EntitiesServerTest, AWatchSendsThePresentAndWaitsForWhatIsNew) {
  entities_.info->print = 5;
  entities_.info->state = "s";
  grpc::ClientContext context;
  const auto stream = stub_->Watch(
      &context, Parse<v1::GetEntityRequest>("instance_id: '@c@a'"));
  v1::EntityInfo message;
  ASSERT_TRUE(stream->Read(&message));
  EXPECT_EQ(message.state(), "s");
  EXPECT_EQ(entities_.TakeCall(), "AwaitChange default/@c@a state");
  EXPECT_EQ(entities_.TakeCall(), "AwaitChange default/@c@a state seen 5");
  context.TryCancel();
  EXPECT_EQ(entities_.TakeCall(), "CancelWait default/@c@a 2");
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().error_code(), grpc::CANCELLED);
}

TEST_F(EntitiesServerTest, AWatchEndsWithWhyItCannotGoOn) {
  entities_.failure = absl::DataLossError("it cannot be read");
  grpc::ClientContext context;
  const auto stream = stub_->Watch(
      &context,
      Parse<v1::GetEntityRequest>("instance_id: '@c@a' omit_state: true"));
  v1::EntityInfo message;
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().error_code(), grpc::DATA_LOSS);
  EXPECT_EQ(entities_.TakeCall(), "AwaitChange default/@c@a");
}

TEST_F(EntitiesServerTest, AWatchOfWhatIsNoEntityIsRefused) {
  grpc::ClientContext context;
  const auto stream =
      stub_->Watch(&context, Parse<v1::GetEntityRequest>("instance_id: 'a'"));
  v1::EntityInfo message;
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(entities_.untaken_calls(), 0u);
}

}  // namespace
}  // namespace leasehold
