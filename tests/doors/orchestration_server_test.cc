// leasehold.v1.Orchestration without an engine: what each method asks of
// Orchestrations, and what becomes of the answer.
#include "service/doors/orchestration_server.h"

#include <google/protobuf/text_format.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "leasehold/v1/orchestration.grpc.pb.h"
#include "service/instance/executor.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "tests/doors/door_case.h"
#include "tests/doors/door_server.h"
#include "tests/doors/fake_orchestrations.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::HasSubstr;
using Stub = v1::Orchestration::Stub;

using Case = DoorCase<Stub>;

std::vector<Case> Cases() {
  return {
      CaseOf(&Stub::Start,
             "name: 'N' instance_id: 'a' input: 'i' request_id: 'r'",
             "Start default/a N version=none input=\"i\" request=r policy"),
      CaseOf(&Stub::Get, "instance_id: 'a'", "Get default/a payloads"),
      CaseOf(&Stub::Get, "instance_id: 'a' omit_payloads: true",
             "Get default/a"),
      CaseOf(&Stub::RaiseEvent, "instance_id: 'a' name: 'e' input: 'x'",
             "RaiseEvent default/a e \"x\""),
      CaseOf(&Stub::Suspend, "instance_id: 'a' reason: 'why'",
             "Suspend default/a \"why\""),
      CaseOf(&Stub::Resume, "instance_id: 'a'", "Resume default/a none"),
      CaseOf(&Stub::Terminate, "instance_id: 'a' output: '' recursive: true",
             "Terminate default/a \"\" recursive"),
      CaseOf(&Stub::Terminate, "instance_id: 'a' force: true",
             "TerminateByForce default/a none"),
      CaseOf(&Stub::Restart, "instance_id: 'a'", "Restart default/a"),
      CaseOf(&Stub::Restart, "instance_id: 'a' new_instance_id: true",
             "Restart default/a under a new ID"),
      CaseOf(&Stub::Rewind, "instance_id: 'a' reason: 'why'",
             "Rewind default/a \"why\""),
      CaseOf(&Stub::Purge, "instance_id: 'a' recursive: true",
             "Purge default/a recursive"),
      CaseOf(&Stub::PurgeMany, "instance_ids: 'a' instance_ids: 'b'",
             "Purge default/a,default/b"),
      CaseOf(&Stub::PurgeMany, "filter { id_prefix: 'p' statuses: FAILED }",
             "PurgeMatching default/p* [3] for 30 s"),
      CaseOf(&Stub::List,
             "filter { id_prefix: 'p' statuses: RUNNING } page_size: 7"
             " page_token: 't' include_payloads: true",
             "Query default/p* [0] 7 page_token=t payloads"),
      CaseOf(&Stub::List,
             "filter { name: 'n' tags: 'a=b' tags: 'c' } order: NEWEST_FIRST",
             "Query default/* [] named n tagged a=b,c 100 page_token= newest"),
      CaseOf(&Stub::Count, "filter { id_prefix: 'p' statuses: FAILED }",
             "Count default/p* [3] for 5 s"),
  };
}

OrchestrationInfo Info(OrchestrationStatus status, uint64_t revision = 0) {
  OrchestrationInfo info;
  info.id = "a";
  info.status = status;
  info.revision = revision;
  return info;
}

Orchestrations::SharedInfo Shared(OrchestrationStatus status,
                                  uint64_t revision = 0) {
  return std::make_shared<const OrchestrationInfo>(Info(status, revision));
}

class OrchestrationServerTest : public testing::Test {
 protected:
  OrchestrationServerTest() {
    orchestrations_.info = Info(OrchestrationStatus::kRunning);
    orchestrations_.purged = {.erased = 1, .complete = true};
  }
  ~OrchestrationServerTest() override {
    registry_.Shutdown([] {});
  }

  static v1::GetOrchestrationRequest GetA() {
    return Parse<v1::GetOrchestrationRequest>("instance_id: 'a'");
  }

  SimulatedClock clock_;
  // Named by the door; no method here opens a context itself.
  ThreadExecutor executor_{1};
  SharedProvider provider_;
  InstanceRegistry registry_{clock_, executor_, provider_, {}, {}, {}};
  InstanceDoor door_{registry_, {}};
  FakeOrchestrations orchestrations_;
  OrchestrationServer service_{orchestrations_, door_, /*observer=*/nullptr};
  DoorServer server_{service_, clock_};
  std::unique_ptr<Stub> stub_ = v1::Orchestration::NewStub(server_.channel());
};

TEST_F(OrchestrationServerTest, EachMethodAsksForOneThing) {
  for (const Case& one : Cases()) {
    const grpc::Status status = one.call(*stub_, one.request, "");
    EXPECT_TRUE(status.ok()) << one.asked << ": " << status.error_message();
    EXPECT_EQ(orchestrations_.TakeCall(), one.asked);
    EXPECT_EQ(orchestrations_.untaken_calls(), 0u) << one.asked;
  }
}

TEST_F(OrchestrationServerTest, TheHeaderNamesTheInstanceAsWell) {
  for (const Case& one : Cases()) {
    const std::string field = "instance_id: 'a'";
    if (one.request.find(field) == std::string::npos) continue;
    const grpc::Status status =
        one.call(*stub_, absl::StrReplaceAll(one.request, {{field, ""}}), "a");
    EXPECT_TRUE(status.ok()) << one.asked << ": " << status.error_message();
    EXPECT_EQ(orchestrations_.TakeCall(), one.asked);
    // Both, and they disagree.
    EXPECT_EQ(one.call(*stub_, one.request, "b").error_code(),
              grpc::INVALID_ARGUMENT)
        << one.asked;
  }
  EXPECT_EQ(orchestrations_.untaken_calls(), 0u);
}

TEST_F(OrchestrationServerTest, AnOrderOrATagThatIsNoneIsRefused) {
  for (const auto& [request, text] :
       {std::pair("order: 9", "order: there is no order 9"),
        std::pair("filter { tags: 'a' tags: '' }", "tags: a tag is KEY")}) {
    const grpc::Status status =
        CaseOf(&Stub::List, "", "").call(*stub_, request, "");
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), testing::HasSubstr(text));
  }
  EXPECT_EQ(orchestrations_.untaken_calls(), 0u);
}

TEST_F(OrchestrationServerTest, CountsAreByStatus) {
  orchestrations_.counts = {.by_status = {{OrchestrationStatus::kSuspended, 7}},
                            .complete = false};
  grpc::ClientContext context;
  v1::CountOrchestrationsResponse response;
  ASSERT_TRUE(stub_->Count(&context, {}, &response).ok());
  ASSERT_EQ(response.counts_size(), 1);
  EXPECT_EQ(response.counts(0).status(), v1::OrchestrationState::SUSPENDED);
  EXPECT_EQ(response.counts(0).count(), 7);
  EXPECT_FALSE(response.complete());
}

TEST_F(OrchestrationServerTest, EachMethodPassesOnWhyItFailed) {
  orchestrations_.failure = absl::FailedPreconditionError("it has ended");
  for (const Case& one : Cases()) {
    const grpc::Status status = one.call(*stub_, one.request, "");
    EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION) << one.asked;
    EXPECT_EQ(status.error_message(), "it has ended") << one.asked;
  }
}

TEST_F(OrchestrationServerTest, WhatMustBeThereIsNotFoundOtherwise) {
  orchestrations_.info = std::nullopt;
  orchestrations_.purged.erased = 0;
  for (const Case& one :
       {CaseOf(&Stub::Get, "", ""), CaseOf(&Stub::Purge, "", "")}) {
    const grpc::Status status = one.call(*stub_, "instance_id: 'a'", "");
    EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
    EXPECT_THAT(status.error_message(), HasSubstr("\"a\""));
  }
}

TEST_F(OrchestrationServerTest, APurgeOfWhatIsOpenNamesItsStatus) {
  orchestrations_.purged.erased = 0;
  const grpc::Status status =
      CaseOf(&Stub::Purge, "", "").call(*stub_, "instance_id: 'a'", "");
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("is Running"));
}

TEST_F(OrchestrationServerTest, AStartSaysWhichContextItMet) {
  orchestrations_.receipt = {
      .instance_id = "a",
      .execution_id = "x",
      .created = true,
      .context = StartReceipt::Context{
          .generation = 5, .created = true, .idle_timeout = absl::Seconds(20)}};
  grpc::ClientContext context;
  v1::StartOrchestrationResponse response;
  EXPECT_TRUE(stub_
                  ->Start(&context,
                          Parse<v1::StartOrchestrationRequest>("name: 'N'"),
                          &response)
                  .ok());
  EXPECT_EQ(response.instance_id(), "a");
  EXPECT_EQ(response.execution_id(), "x");
  EXPECT_TRUE(response.created());
  const auto& headers = context.GetServerInitialMetadata();
  const auto header = [&headers](const char* name) {
    const auto it = headers.find(name);
    return it == headers.end()
               ? std::string("none")
               : std::string(it->second.data(), it->second.size());
  };
  EXPECT_EQ(header("instance-id"), "a");
  EXPECT_EQ(header("instance-generation"), "5");
  EXPECT_EQ(header("instance-idle-timeout-ms"), "20000");
}

// ---- Waits ------------------------------------------------------------------

TEST_F(OrchestrationServerTest, WaitsEndWhenThePortSaysSo) {
  const auto wait = [this](auto method, const std::string& asked,
                           const auto& answer) {
    grpc::Status status;
    v1::OrchestrationState state;
    std::thread caller([&] {
      grpc::ClientContext context;
      status = (stub_.get()->*method)(&context, GetA(), &state);
    });
    EXPECT_EQ(orchestrations_.TakeCall(), asked);
    orchestrations_.TakeWait().done(answer);
    caller.join();
    return status;
  };
  const auto started = "Wait default/a 0 payloads seen=0";
  const auto finished = "Wait default/a 1 payloads seen=0";
  const auto method = &Stub::WaitForCompletion;
  EXPECT_TRUE(
      wait(&Stub::WaitForStart, started, Shared(OrchestrationStatus::kRunning))
          .ok());
  EXPECT_TRUE(
      wait(method, finished, Shared(OrchestrationStatus::kFailed)).ok());
  EXPECT_EQ(wait(method, finished, nullptr).error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(
      wait(method, finished, absl::UnavailableError("draining")).error_code(),
      grpc::UNAVAILABLE);
}

TEST_F(OrchestrationServerTest, AWaitThatIsCancelledIsTakenBack) {
  grpc::ClientContext context;
  std::thread caller([&] {
    v1::OrchestrationState state;
    EXPECT_EQ(stub_->WaitForCompletion(&context, GetA(), &state).error_code(),
              grpc::CANCELLED);
  });
  orchestrations_.TakeCall();
  context.TryCancel();
  EXPECT_EQ(orchestrations_.TakeCall(), "CancelWait default/a");
  caller.join();
}

// ---- Streams ----------------------------------------------------------------

TEST_F(OrchestrationServerTest, AWatchGoesFromRevisionToRevisionToTheEnd) {
  grpc::ClientContext context;
  const auto reader = stub_->Watch(&context, GetA());
  v1::OrchestrationState state;
  EXPECT_EQ(orchestrations_.TakeCall(), "Wait default/a 2 payloads seen=0");
  orchestrations_.TakeWait().done(Shared(OrchestrationStatus::kRunning, 3));
  ASSERT_TRUE(reader->Read(&state));
  EXPECT_EQ(state.status(), v1::OrchestrationState::RUNNING);
  EXPECT_EQ(orchestrations_.TakeCall(), "Wait default/a 2 payloads seen=3");
  // Nothing that a watcher sees has changed: it is not told.
  orchestrations_.TakeWait().done(Shared(OrchestrationStatus::kRunning, 4));
  EXPECT_EQ(orchestrations_.TakeCall(), "Wait default/a 2 payloads seen=4");
  orchestrations_.TakeWait().done(Shared(OrchestrationStatus::kCompleted, 5));
  ASSERT_TRUE(reader->Read(&state));
  EXPECT_EQ(state.status(), v1::OrchestrationState::COMPLETED);
  EXPECT_FALSE(reader->Read(&state));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(OrchestrationServerTest, AWatcherThatVanishesIsTakenBack) {
  grpc::ClientContext context;
  const auto reader = stub_->Watch(&context, GetA());
  orchestrations_.TakeCall();
  context.TryCancel();
  EXPECT_EQ(orchestrations_.TakeCall(), "CancelWait default/a");
  v1::OrchestrationState state;
  EXPECT_FALSE(reader->Read(&state));
  EXPECT_EQ(reader->Finish().error_code(), grpc::CANCELLED);
}

TEST_F(OrchestrationServerTest, AWatchOfNothingIsNotFound) {
  grpc::ClientContext context;
  const auto reader = stub_->Watch(&context, GetA());
  orchestrations_.TakeWait().done(nullptr);
  v1::OrchestrationState state;
  EXPECT_FALSE(reader->Read(&state));
  EXPECT_EQ(reader->Finish().error_code(), grpc::NOT_FOUND);
}

TEST_F(OrchestrationServerTest, AHistoryIsReadPartByPart) {
  const auto frames = [](const std::string& name) {
    std::string bytes;
    AppendFrame(
        bytes, kStoredFrame,
        EncodeEvent({.id = 1, .time = {}, .body = EventRaised{name, {}}}));
    return bytes;
  };
  orchestrations_.history = {{.chunks = {frames("1"), frames("2")},
                              .next = HistoryQuery{.page_token = {"t"}}},
                             {.chunks = {frames("3")}, .next = {}}};
  grpc::ClientContext context;
  const auto reader = stub_->GetHistory(
      &context, Parse<v1::GetOrchestrationHistoryRequest>("instance_id: 'a'"));
  std::vector<std::string> names;
  v1::OrchestrationEvent event;
  while (reader->Read(&event)) names.push_back(event.event_raised().name());
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(names, testing::ElementsAre("1", "2", "3"));
  EXPECT_EQ(orchestrations_.TakeCall(),
            "ReadHistory default/a \"\" or a replaced one from \"\"");
  EXPECT_EQ(orchestrations_.TakeCall(),
            "ReadHistory default/a none from \"t\"");
}

}  // namespace
}  // namespace leasehold
