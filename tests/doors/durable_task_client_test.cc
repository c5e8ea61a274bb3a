// The Durable Task door for callers, without an engine: what each method asks
// of Orchestrations, and what becomes of the answer.
#include "service/doors/durable_task_client.h"

#include <google/protobuf/text_format.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_replace.h"
#include "durabletask/orchestrator_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/base/retry_after.h"
#include "service/doors/durable_task_server.h"
#include "tests/doors/door_server.h"
#include "tests/doors/fake_entities.h"
#include "tests/doors/fake_orchestrations.h"
#include "tests/doors/fake_work_exchange.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using google::protobuf::Empty;
using testing::HasSubstr;
using Hub = TaskHubSidecarService;

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message))
      << text;
  return message;
}

// A method, a request, and what the door then asks of Orchestrations.
struct Case {
  std::string request;
  std::string asked;
  // Calls the method with a request.
  std::function<grpc::Status(Hub::Stub&, const std::string& request)> call;
};

template <typename Request, typename Response>
Case Of(grpc::Status (Hub::Stub::*method)(grpc::ClientContext*, const Request&,
                                          Response*),
        std::string request, std::string asked) {
  return {std::move(request), std::move(asked),
          [method](Hub::Stub& stub, const std::string& text) {
            grpc::ClientContext context;
            Response response;
            return (stub.*method)(&context, Parse<Request>(text), &response);
          }};
}

std::vector<Case> Cases() {
  using Stub = Hub::Stub;
  return {
      Of(&Stub::StartInstance,
         "instanceId: 'a' name: 'N' version { value: '2' } input { value: 'i' "
         "}",
         "Start default/a N version=\"2\" input=\"i\" request="),
      Of(&Stub::RestartInstance, "instanceId: 'a'", "Restart default/a"),
      Of(&Stub::RestartInstance,
         "instanceId: 'a' restartWithNewInstanceId: true",
         "Restart default/a under a new ID"),
      Of(&Stub::RewindInstance, "instanceId: 'a' reason { value: 'why' }",
         "Rewind default/a \"why\""),
      Of(&Stub::GetInstance, "instanceId: 'a'", "Get default/a"),
      Of(&Stub::GetInstance, "instanceId: 'a' getInputsAndOutputs: true",
         "Get default/a payloads"),
      Of(&Stub::RaiseEvent, "instanceId: 'a' name: 'e' input { value: 'x' }",
         "RaiseEvent default/a e \"x\""),
      Of(&Stub::TerminateInstance,
         "instanceId: 'a' output { value: 'o' } recursive: true",
         "Terminate default/a \"o\" recursive"),
      Of(&Stub::SkipGracefulOrchestrationTerminations,
         "instanceBatch { instanceIds: 'a' instanceIds: 'b' }"
         "reason { value: 'why' }",
         "TerminateNow default/a,default/b \"why\""),
      Of(&Stub::SuspendInstance, "instanceId: 'a'", "Suspend default/a none"),
      Of(&Stub::ResumeInstance, "instanceId: 'a' reason {}",
         "Resume default/a \"\""),
      Of(&Stub::QueryInstances,
         "query { runtimeStatus: ORCHESTRATION_STATUS_FAILED"
         "  instanceIdPrefix { value: 'p' } maxInstanceCount: 7"
         "  continuationToken { value: 't' } fetchInputsAndOutputs: true }",
         "Query default/p* [3] 7 continuationToken=t payloads"),
      Of(&Stub::ListInstanceIds,
         "runtimeStatus: ORCHESTRATION_STATUS_COMPLETED pageSize: 5 "
         "lastInstanceKey { value: 't' }",
         "ListFinished default [1] 5 lastInstanceKey=t"),
      Of(&Stub::PurgeInstances, "instanceId: 'a'", "Purge default/a"),
      Of(&Stub::PurgeInstances,
         "instanceBatch { instanceIds: 'a' instanceIds: 'b' } recursive: true",
         "Purge default/a,default/b recursive"),
      Of(&Stub::PurgeInstances,
         "purgeInstanceFilter { timeout { seconds: 301 } }",
         "PurgeMatching default/* [] for 300 s"),
      Of(&Stub::CreateTaskHub, "recreateIfExists: true", "Wipe default"),
      Of(&Stub::DeleteTaskHub, "", "Wipe default"),
  };
}

OrchestrationInfo Info(OrchestrationStatus status) {
  OrchestrationInfo info;
  info.id = "a";
  info.status = status;
  return info;
}

class DurableTaskClientTest : public testing::Test {
 protected:
  // A call of a wait, on a thread of its own.
  class WaitCall {
   public:
    explicit WaitCall(Hub::Stub& stub)
        : thread_([this, &stub] {
            GetInstanceRequest request;
            request.set_instanceid("a");
            request.set_getinputsandoutputs(true);
            status_ =
                stub.WaitForInstanceCompletion(&context_, request, &response_);
          }) {}
    ~WaitCall() {
      if (thread_.joinable()) thread_.join();
    }
    void Cancel() { context_.TryCancel(); }
    const grpc::Status& Await() {
      thread_.join();
      return status_;
    }
    const GetInstanceResponse& response() const { return response_; }

   private:
    grpc::ClientContext context_;
    GetInstanceResponse response_;
    grpc::Status status_;
    std::thread thread_;
  };

  SimulatedClock clock_;
  FakeOrchestrations orchestrations_;
  FakeEntities entities_;
  FakeWorkExchange work_;
  DurableTaskServer service_{
      orchestrations_, entities_, work_, clock_, {.allow_hub_wipe = true}};
  DoorServer server_{service_, clock_};
  std::unique_ptr<Hub::Stub> stub_ = Hub::NewStub(server_.channel());
};

TEST_F(DurableTaskClientTest, EachMethodAsksForOneThing) {
  for (const Case& one : Cases()) {
    const grpc::Status status = one.call(*stub_, one.request);
    EXPECT_TRUE(status.ok()) << one.asked << ": " << status.error_message();
    EXPECT_EQ(orchestrations_.TakeCall(), one.asked);
    EXPECT_EQ(orchestrations_.untaken_calls(), 0u) << one.asked;
  }
}

TEST_F(DurableTaskClientTest, EachMethodPassesOnWhyItFailed) {
  orchestrations_.failure = absl::ResourceExhaustedError("there is no room");
  for (const Case& one : Cases()) {
    const grpc::Status status = one.call(*stub_, one.request);
    EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED) << one.asked;
    EXPECT_EQ(status.error_message(), "there is no room") << one.asked;
  }
}

TEST_F(DurableTaskClientTest, AnInvalidIdNeverGetsThrough) {
  size_t with_id = 0;
  for (const Case& one : Cases()) {
    if (one.request.find("'a'") == std::string::npos) continue;
    ++with_id;
    const grpc::Status status =
        one.call(*stub_, absl::StrReplaceAll(one.request, {{"'a'", "'a\\n'"}}));
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT) << one.asked;
    EXPECT_THAT(status.error_message(), HasSubstr("U+000A")) << one.asked;
  }
  EXPECT_EQ(with_id, 13u);
  EXPECT_EQ(orchestrations_.untaken_calls(), 0u);
}

TEST_F(DurableTaskClientTest, HelloAsksForNothing) {
  grpc::ClientContext context;
  Empty response;
  EXPECT_TRUE(stub_->Hello(&context, Empty(), &response).ok());
  EXPECT_EQ(orchestrations_.untaken_calls(), 0u);
}

TEST_F(DurableTaskClientTest, EachCodeStaysWhatItIs) {
  for (int code = 1; code <= 16; ++code) {
    orchestrations_.failure =
        absl::Status(static_cast<absl::StatusCode>(code), "why");
    grpc::ClientContext context;
    GetInstanceResponse response;
    const grpc::Status status = stub_->GetInstance(
        &context, Parse<GetInstanceRequest>("instanceId: 'a'"), &response);
    EXPECT_EQ(static_cast<int>(status.error_code()), code);
  }
}

TEST_F(DurableTaskClientTest, AdviceWhenToTryAgainIsInTheDetails) {
  orchestrations_.failure =
      WithRetryAfter(absl::UnavailableError("later"), absl::Seconds(2));
  grpc::ClientContext context;
  GetInstanceResponse response;
  const grpc::Status status = stub_->GetInstance(
      &context, Parse<GetInstanceRequest>("instanceId: 'a'"), &response);
  EXPECT_EQ(status.error_code(), grpc::UNAVAILABLE);
  EXPECT_THAT(status.error_details(), HasSubstr("google.rpc.RetryInfo"));
}

// In this contract a command to what has ended is not an error.
TEST_F(DurableTaskClientTest, CommandsForgiveAnEnd) {
  orchestrations_.failure = absl::FailedPreconditionError("it has ended");
  std::set<std::string> forgiven;
  for (const Case& one : Cases()) {
    if (one.call(*stub_, one.request).ok()) {
      forgiven.insert(one.asked.substr(0, one.asked.find(' ')));
    }
  }
  EXPECT_EQ(forgiven, (std::set<std::string>{"RaiseEvent", "Resume", "Suspend",
                                             "Terminate"}));
}

TEST_F(DurableTaskClientTest, AnswersBecomeMessages) {
  orchestrations_.receipt.instance_id = "made";
  orchestrations_.not_open = {{.tenant = "default", .id = "b"}};
  orchestrations_.page.next_page_token = "next";
  orchestrations_.page.orchestrations = {Info(OrchestrationStatus::kFailed)};
  orchestrations_.finished = {.ids = {"a", "b"}, .next_page_token = "more"};
  orchestrations_.purged = {.erased = 7, .complete = false};
  CreateInstanceResponse started;
  SkipGracefulOrchestrationTerminationsResponse terminated;
  QueryInstancesResponse queried;
  ListInstanceIdsResponse listed;
  PurgeInstancesResponse purged;
  grpc::ClientContext contexts[5];
  EXPECT_TRUE(stub_
                  ->StartInstance(&contexts[0],
                                  Parse<CreateInstanceRequest>("name: 'N'"),
                                  &started)
                  .ok());
  EXPECT_TRUE(
      stub_
          ->SkipGracefulOrchestrationTerminations(&contexts[1], {}, &terminated)
          .ok());
  EXPECT_TRUE(stub_->QueryInstances(&contexts[2], {}, &queried).ok());
  EXPECT_TRUE(stub_->ListInstanceIds(&contexts[3], {}, &listed).ok());
  EXPECT_TRUE(stub_
                  ->PurgeInstances(
                      &contexts[4],
                      Parse<PurgeInstancesRequest>("instanceId: 'a'"), &purged)
                  .ok());
  EXPECT_EQ(started.instanceid(), "made");
  EXPECT_THAT(terminated.unterminatedinstanceids(), testing::ElementsAre("b"));
  EXPECT_EQ(queried.orchestrationstate_size(), 1);
  EXPECT_EQ(queried.continuationtoken().value(), "next");
  EXPECT_THAT(listed.instanceids(), testing::ElementsAre("a", "b"));
  EXPECT_EQ(listed.lastinstancekey().value(), "more");
  EXPECT_EQ(purged.deletedinstancecount(), 7);
  EXPECT_FALSE(purged.iscomplete().value());
}

TEST_F(DurableTaskClientTest, NoOneMayWipeUnlessTheOptionSaysSo) {
  DurableTaskServer closed(orchestrations_, entities_, work_, clock_, {});
  DoorServer server(closed, clock_);
  const auto stub = Hub::NewStub(server.channel());
  for (const Case& one : Cases()) {
    if (one.asked != "Wipe default") continue;
    const grpc::Status status = one.call(*stub, one.request);
    EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
    EXPECT_THAT(status.error_message(), HasSubstr("--allow-hub-wipe"));
  }
  // A hub that need not be erased is there.
  EXPECT_TRUE(Of(&Hub::Stub::CreateTaskHub, "", "").call(*stub, "").ok());
  EXPECT_EQ(orchestrations_.untaken_calls(), 0u);
}

// ---- Waits ------------------------------------------------------------------

TEST_F(DurableTaskClientTest, AWaitIsAnsweredWhenThePortAnswers) {
  WaitCall call(*stub_);
  EXPECT_EQ(orchestrations_.TakeCall(), "Wait default/a 1 payloads seen=0");
  const FakeOrchestrations::Waiting waiting = orchestrations_.TakeWait();
  EXPECT_NE(waiting.request.peer, "");
  waiting.done(std::make_shared<const OrchestrationInfo>(
      Info(OrchestrationStatus::kCompleted)));
  EXPECT_TRUE(call.Await().ok());
  EXPECT_EQ(call.response().orchestrationstate().orchestrationstatus(),
            ORCHESTRATION_STATUS_COMPLETED);
}

TEST_F(DurableTaskClientTest, AWaitForWhatDoesNotExistSaysSo) {
  WaitCall call(*stub_);
  orchestrations_.TakeWait().done(nullptr);
  EXPECT_TRUE(call.Await().ok());
  EXPECT_FALSE(call.response().exists());
}

TEST_F(DurableTaskClientTest, AWaitPassesOnWhyItFailed) {
  WaitCall call(*stub_);
  orchestrations_.TakeWait().done(absl::ResourceExhaustedError("the oldest"));
  EXPECT_EQ(call.Await().error_code(), grpc::RESOURCE_EXHAUSTED);
}

TEST_F(DurableTaskClientTest, AWaitThatIsCancelledIsTakenBack) {
  WaitCall call(*stub_);
  orchestrations_.TakeCall();
  call.Cancel();
  EXPECT_EQ(orchestrations_.TakeCall(), "CancelWait default/a");
  EXPECT_EQ(call.Await().error_code(), grpc::CANCELLED);
}

TEST_F(DurableTaskClientTest, TheWaitForAStartIsAnother) {
  std::thread other([this] {
    grpc::ClientContext context;
    GetInstanceResponse response;
    EXPECT_TRUE(stub_
                    ->WaitForInstanceStart(
                        &context, Parse<GetInstanceRequest>("instanceId: 'a'"),
                        &response)
                    .ok());
  });
  EXPECT_EQ(orchestrations_.TakeCall(), "Wait default/a 0 seen=0");
  orchestrations_.TakeWait().done(nullptr);
  other.join();
}

}  // namespace
}  // namespace leasehold
