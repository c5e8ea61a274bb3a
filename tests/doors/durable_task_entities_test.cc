// The Durable Task door for callers of entities, without an engine: what each
// method asks of Entities, and what becomes of the answer.
#include "service/doors/durable_task_entities.h"

#include <grpcpp/client_context.h>

#include <memory>
#include <string>

#include "durabletask/orchestrator_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/doors/durable_task_server.h"
#include "tests/doors/door_server.h"
#include "tests/doors/fake_entities.h"
#include "tests/doors/fake_orchestrations.h"
#include "tests/doors/fake_work_exchange.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::HasSubstr;
using Hub = TaskHubSidecarService;

class DurableTaskEntitiesTest : public testing::Test {
 protected:
  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (Hub::Stub::*method)(grpc::ClientContext*,
                                                      const Request&,
                                                      Response*),
                    const Request& request, Response& response) {
    grpc::ClientContext context;
    return ((*stub_).*method)(&context, request, &response);
  }
  grpc::Status Signal(const SignalEntityRequest& request) {
    SignalEntityResponse response;
    return Call(&Hub::Stub::SignalEntity, request, response);
  }

  SimulatedClock clock_;
  FakeOrchestrations orchestrations_;
  FakeEntities entities_;
  FakeWorkExchange work_;
  DurableTaskServer service_{orchestrations_, entities_, work_, clock_, {}};
  DoorServer server_{service_, clock_};
  std::unique_ptr<Hub::Stub> stub_ = Hub::NewStub(server_.channel());
};

TEST_F(DurableTaskEntitiesTest, ASignalReachesItsEntity) {
  SignalEntityRequest request;
  request.set_instanceid("@Counter@A");
  request.set_name("add");
  request.mutable_input()->set_value("1");
  request.set_requestid("r");
  EXPECT_TRUE(Signal(request).ok());
  EXPECT_EQ(entities_.TakeCall(), "Signal default/@counter@A add 1 r");
  // Some clients always set the time.
  request.mutable_scheduledtime();
  EXPECT_TRUE(Signal(request).ok());
  EXPECT_EQ(entities_.TakeCall(), "Signal default/@counter@A add 1 r");
  request.mutable_scheduledtime()->set_seconds(7);
  EXPECT_TRUE(Signal(request).ok());
  EXPECT_EQ(entities_.TakeCall(), "Signal default/@counter@A add 1 r at 7");
}

TEST_F(DurableTaskEntitiesTest, AnIdThatIsTooLongIsRefused) {
  SignalEntityRequest request;
  request.set_instanceid("@c@" + std::string(98, 'x'));
  const grpc::Status status = Signal(request);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("length"));
  EXPECT_EQ(entities_.untaken_calls(), 0u);
}

TEST_F(DurableTaskEntitiesTest, OnlyAnEntityWithAStateExists) {
  GetEntityRequest request;
  request.set_instanceid("@c@a");
  request.set_includestate(true);
  GetEntityResponse response;
  EXPECT_TRUE(Call(&Hub::Stub::GetEntity, request, response).ok());
  EXPECT_EQ(entities_.TakeCall(), "GetEntity default/@c@a state");
  EXPECT_FALSE(response.exists());

  entities_.info = EntityInfo{.id = "@c@a", .waiting = 2};
  EXPECT_TRUE(Call(&Hub::Stub::GetEntity, request, response).ok());
  EXPECT_FALSE(response.exists());

  entities_.info->has_state = true;
  entities_.info->state = "s";
  entities_.info->modified = absl::FromUnixSeconds(5);
  entities_.info->lock = EntityLock{"p", "x", 1};
  EXPECT_TRUE(Call(&Hub::Stub::GetEntity, request, response).ok());
  EXPECT_TRUE(response.exists());
  EXPECT_EQ(response.entity().instanceid(), "@c@a");
  EXPECT_EQ(response.entity().serializedstate().value(), "s");
  EXPECT_EQ(response.entity().backlogqueuesize(), 2);
  EXPECT_EQ(response.entity().lockedby().value(), "p");
  EXPECT_EQ(response.entity().lastmodifiedtime().seconds(), 5);
}

TEST_F(DurableTaskEntitiesTest, AQueryAsksForWhatItSays) {
  QueryEntitiesRequest request;
  ::EntityQuery& query = *request.mutable_query();
  query.mutable_instanceidstartswith()->set_value("@Counter@A");
  query.mutable_lastmodifiedfrom()->set_seconds(1);
  query.mutable_lastmodifiedto()->set_seconds(2);
  query.set_includestate(true);
  query.set_includetransient(true);
  query.mutable_pagesize()->set_value(3);
  query.mutable_continuationtoken()->set_value("t");
  entities_.list.entities.push_back({.id = "@counter@A"});
  QueryEntitiesResponse response;
  EXPECT_TRUE(Call(&Hub::Stub::QueryEntities, request, response).ok());
  EXPECT_EQ(entities_.TakeCall(),
            "QueryEntities default/@counter@A* 3 from to state stateless "
            "continuationToken=t");
  ASSERT_EQ(response.entities_size(), 1);
  // Unset: some clients go on even with an empty one.
  EXPECT_FALSE(response.has_continuationtoken());

  entities_.list.next_page_token = "u";
  EXPECT_TRUE(Call(&Hub::Stub::QueryEntities, {}, response).ok());
  EXPECT_EQ(entities_.TakeCall(),
            "QueryEntities default/* 100 continuationToken=");
  EXPECT_EQ(response.continuationtoken().value(), "u");
}

TEST_F(DurableTaskEntitiesTest, OnlyOrphanedLocksAreLeftToClean) {
  CleanEntityStorageRequest request;
  request.set_removeemptyentities(true);
  CleanEntityStorageResponse response;
  EXPECT_TRUE(Call(&Hub::Stub::CleanEntityStorage, request, response).ok());
  EXPECT_EQ(entities_.untaken_calls(), 0u);
  request.set_releaseorphanedlocks(true);
  entities_.orphans = 4;
  EXPECT_TRUE(Call(&Hub::Stub::CleanEntityStorage, request, response).ok());
  EXPECT_EQ(entities_.TakeCall(), "ReleaseOrphanedLocks default");
  EXPECT_EQ(response.orphanedlocksreleased(), 4);
  EXPECT_EQ(response.emptyentitiesremoved(), 0);
  EXPECT_FALSE(response.has_continuationtoken());
}

TEST_F(DurableTaskEntitiesTest, EachMethodPassesOnWhyItFailed) {
  entities_.failure = absl::DataLossError("why");
  SignalEntityRequest signal;
  signal.set_instanceid("@c@a");
  EXPECT_EQ(Signal(signal).error_code(), grpc::DATA_LOSS);
  GetEntityRequest get;
  get.set_instanceid("@c@a");
  GetEntityResponse got;
  EXPECT_EQ(Call(&Hub::Stub::GetEntity, get, got).error_code(),
            grpc::DATA_LOSS);
  QueryEntitiesResponse listed;
  EXPECT_EQ(Call(&Hub::Stub::QueryEntities, {}, listed).error_code(),
            grpc::DATA_LOSS);
  CleanEntityStorageRequest clean;
  clean.set_releaseorphanedlocks(true);
  CleanEntityStorageResponse cleaned;
  EXPECT_EQ(Call(&Hub::Stub::CleanEntityStorage, clean, cleaned).error_code(),
            grpc::DATA_LOSS);
}

// ---- Workers ----------------------------------------------------------------

TEST_F(DurableTaskEntitiesTest, AnAnswerToABatchReachesTheExchange) {
  EntityBatchResult request;
  request.set_completiontoken("t");
  request.add_results()->mutable_success()->mutable_result()->set_value("1");
  request.add_results()->mutable_failure();
  request.mutable_entitystate()->set_value("s");
  auto& signal = *request.add_actions()->mutable_sendsignal();
  signal.set_instanceid("@c@b");
  signal.set_name("add");
  request.add_actions()->mutable_startneworchestration()->set_name("O");
  CompleteTaskResponse response;
  EXPECT_TRUE(Call(&Hub::Stub::CompleteEntityTask, request, response).ok());
  EXPECT_EQ(work_.TakeCall(),
            "CompleteEntity default/ t 2 results 2 actions s");
}

TEST_F(DurableTaskEntitiesTest, AnAnswerThatSaysNothingEndsItsWork) {
  EntityBatchResult request;
  request.set_completiontoken("t");
  request.add_actions();
  CompleteTaskResponse response;
  EXPECT_EQ(
      Call(&Hub::Stub::CompleteEntityTask, request, response).error_code(),
      grpc::INVALID_ARGUMENT);
  EXPECT_THAT(work_.TakeCall(), HasSubstr("RefuseAnswer entity default/ t"));
}

TEST_F(DurableTaskEntitiesTest, AnAnswerToABatchHasItsToken) {
  EntityBatchResult request;
  request.add_results();
  CompleteTaskResponse response;
  const grpc::Status status =
      Call(&Hub::Stub::CompleteEntityTask, request, response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("completionToken is empty"));
}

TEST_F(DurableTaskEntitiesTest, ABatchCanBeGivenBack) {
  AbandonEntityTaskRequest request;
  request.set_completiontoken("t");
  AbandonEntityTaskResponse response;
  EXPECT_TRUE(
      Call(&Hub::Stub::AbandonTaskEntityWorkItem, request, response).ok());
  EXPECT_EQ(work_.TakeCall(), "Abandon entity t");
}

}  // namespace
}  // namespace leasehold
