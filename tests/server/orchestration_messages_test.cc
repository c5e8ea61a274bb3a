#include "service/doors/orchestration_messages.h"

#include <string>
#include <utility>

#include "durabletask/orchestrator_service.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

const Caller kCaller = {.tenant = "default"};

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

using Code = absl::StatusCode;

std::string Message(const absl::Status& status) {
  return std::string(status.message());
}

InstanceRequest Named(std::string id) { return {.key = TestKey(id)}; }

v1::StartOrchestrationRequest Start() {
  v1::StartOrchestrationRequest message;
  message.set_name("Main");
  return message;
}

// ---- Starts -----------------------------------------------------------------

TEST(OrchestrationStart, TakesEveryField) {
  v1::StartOrchestrationRequest message = Start();
  message.set_input("");
  message.set_version("2");
  message.mutable_scheduled_start_time()->set_seconds(5);
  message.mutable_scheduled_start_time()->set_nanos(6);
  (*message.mutable_tags())["b"] = "2";
  (*message.mutable_tags())["a"] = "1";
  message.set_if_active(v1::IfActive::ATTACH);
  message.set_if_finished(v1::IfFinished::REPLACE);
  message.set_request_id("r");
  InstanceRequest context = Named("a-1");
  context.idle_timeout = absl::Seconds(9);
  const auto request = FromMessage(message, std::move(context));
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->key, (InstanceKey{"default", "a-1"}));
  EXPECT_EQ(request->name, "Main");
  EXPECT_EQ(request->input, "");
  EXPECT_EQ(request->version, "2");
  EXPECT_EQ(request->scheduled_start, (Timestamp{5, 6}));
  EXPECT_THAT(request->tags, ElementsAre(Pair("a", "1"), Pair("b", "2")));
  EXPECT_EQ(request->request_id, "r");
  EXPECT_EQ(request->context.idle_timeout, absl::Seconds(9));
  EXPECT_EQ(DecideStart(OrchestrationStatus::kRunning, request->policy),
            StartDecision::kAttach);
  EXPECT_EQ(DecideStart(OrchestrationStatus::kFailed, request->policy),
            StartDecision::kReplace);
}

TEST(OrchestrationStart, AbsentIsAbsentAndTakenIdsAreRefused) {
  const auto request = FromMessage(Start(), Named("a-1"));
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->input, std::nullopt);
  EXPECT_EQ(request->version, std::nullopt);
  EXPECT_EQ(request->scheduled_start, std::nullopt);
  for (const auto status :
       {OrchestrationStatus::kPending, OrchestrationStatus::kCompleted}) {
    EXPECT_EQ(DecideStart(status, request->policy), StartDecision::kRefuse);
  }
}

TEST(OrchestrationStart, FingerprintIsThatOfTheBodyWithoutTheRequestId) {
  v1::StartOrchestrationRequest one = Start();
  v1::StartOrchestrationRequest other = Start();
  for (int i = 0; i < 50; ++i) {
    (*one.mutable_tags())[std::to_string(i)] = "x";
    (*other.mutable_tags())[std::to_string(49 - i)] = "x";
  }
  one.set_request_id("1");
  other.set_request_id("2");
  const uint64_t print = FromMessage(one, Named("a"))->fingerprint;
  EXPECT_EQ(FromMessage(other, Named("a"))->fingerprint, print);
  EXPECT_NE(FromMessage(one, Named("b"))->fingerprint, print);
  other.set_input("");  // Not the same as none.
  EXPECT_NE(FromMessage(other, Named("a"))->fingerprint, print);

  // Whatever ID the server makes, the request is the same.
  InstanceRequest made = Named("made-1");
  made.id_generated = true;
  InstanceRequest again = Named("made-2");
  again.id_generated = true;
  EXPECT_EQ(FromMessage(one, made)->fingerprint,
            FromMessage(one, again)->fingerprint);
}

TEST(OrchestrationStart, BadTimesAreRefusedByName) {
  for (const auto& [seconds, nanos] :
       {std::pair<int64_t, int32_t>{-62'135'596'801, 0},
        {253'402'300'800, 0},
        {0, -1},
        {0, 1'000'000'000}}) {
    v1::StartOrchestrationRequest message = Start();
    message.mutable_scheduled_start_time()->set_seconds(seconds);
    message.mutable_scheduled_start_time()->set_nanos(nanos);
    const auto request = FromMessage(message, Named("a"));
    EXPECT_EQ(request.status().code(), Code::kInvalidArgument);
    EXPECT_THAT(Message(request.status()), HasSubstr("scheduled_start_time"));
  }
}

// ---- Lists ------------------------------------------------------------------

TEST(OrchestrationList, TakesEveryField) {
  v1::ListOrchestrationsRequest message;
  message.mutable_filter()->add_statuses(v1::OrchestrationState::PENDING);
  message.mutable_filter()->add_statuses(v1::OrchestrationState::TERMINATED);
  message.mutable_filter()->set_id_prefix("a");
  message.mutable_filter()->mutable_created_from()->set_seconds(1);
  message.mutable_filter()->mutable_created_to()->set_seconds(2);
  message.set_page_size(2000);
  message.set_page_token("17");
  message.set_include_payloads(true);
  const auto query = FromMessage(message, kCaller);
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_THAT(query->filter.statuses, ElementsAre(6, 5));
  EXPECT_EQ(query->filter.id_prefix, "a");
  EXPECT_EQ(query->filter.created_from, 1'000'000);
  EXPECT_EQ(query->filter.created_to, 2'000'000);
  EXPECT_EQ(query->filter.count_max, 1000u);
  EXPECT_EQ(query->page_token.text, "17");
  EXPECT_TRUE(query->payloads);
}

TEST(OrchestrationList, LastPageHasNoToken) {
  OrchestrationPage page;
  v1::ListOrchestrationsResponse last;
  ToMessage(page, last);
  EXPECT_EQ(last.next_page_token(), "");
  page.next_page_token = "17";
  v1::ListOrchestrationsResponse first;
  ToMessage(page, first);
  EXPECT_EQ(first.next_page_token(), "17");
}

// ---- States -----------------------------------------------------------------

TEST(OrchestrationState, EachStatusHasItsOwn) {
  const std::pair<OrchestrationStatus, v1::OrchestrationState::Status> all[] = {
      {OrchestrationStatus::kPending, v1::OrchestrationState::PENDING},
      {OrchestrationStatus::kRunning, v1::OrchestrationState::RUNNING},
      {OrchestrationStatus::kSuspended, v1::OrchestrationState::SUSPENDED},
      {OrchestrationStatus::kCompleted, v1::OrchestrationState::COMPLETED},
      {OrchestrationStatus::kFailed, v1::OrchestrationState::FAILED},
      {OrchestrationStatus::kTerminated, v1::OrchestrationState::TERMINATED}};
  for (const auto& [value, status] : all) {
    OrchestrationInfo info;
    info.status = value;
    v1::OrchestrationState message;
    ToMessage(info, message);
    EXPECT_EQ(message.status(), status);
  }
}

TEST(OrchestrationState, PayloadsAreThereIfTheyWereAskedFor) {
  OrchestrationInfo info;
  info.input = "in";
  info.output = "";
  info.summary.custom_status = "half";
  v1::OrchestrationState message;
  ToMessage(info, message);
  EXPECT_FALSE(message.has_input());
  EXPECT_FALSE(message.has_output());
  EXPECT_EQ(message.custom_status(), "half");
  info.has_payloads = true;
  ToMessage(info, message);
  EXPECT_EQ(message.input(), "in");
  EXPECT_TRUE(message.has_output());
}

TEST(OrchestrationState, FailureIsToldToItsRoot) {
  TaskFailureDetails details;
  details.set_errortype("Broken");
  details.set_errormessage("it broke");
  details.mutable_stacktrace()->set_value("at x");
  details.set_isnonretriable(true);
  details.mutable_innerfailure()->set_errortype("Deep");
  OrchestrationInfo info;
  info.has_payloads = true;
  info.failure.bytes = details.SerializeAsString();
  v1::OrchestrationState message;
  ToMessage(info, message);
  EXPECT_EQ(message.failure().type(), "Broken");
  EXPECT_EQ(message.failure().message(), "it broke");
  EXPECT_EQ(message.failure().stack_trace(), "at x");
  EXPECT_TRUE(message.failure().non_retriable());
  EXPECT_EQ(message.failure().cause().type(), "Deep");
}

// ---- Events -----------------------------------------------------------------

TEST(OrchestrationEvent, HasItsNumberAndTime) {
  TaskScheduled scheduled;
  scheduled.name = "act";
  v1::OrchestrationEvent message;
  ToMessage(HistoryEvent{7, {5, 6}, scheduled}, message);
  EXPECT_EQ(message.id(), 7);
  EXPECT_EQ(message.time().seconds(), 5);
  EXPECT_EQ(message.time().nanos(), 6);
  EXPECT_EQ(message.activity_scheduled().name(), "act");
  EXPECT_FALSE(message.activity_scheduled().has_input());
}

v1::OrchestrationEvent ToldAs(EventBody body) {
  v1::OrchestrationEvent message;
  ToMessage(HistoryEvent{3, {}, std::move(body)}, message);
  return message;
}

TEST(OrchestrationEvent, OperationsOfEntitiesAreToldWithTheirEnds) {
  const auto called = ToldAs(EntityOperationCalled{.request_id = "r",
                                                   .operation = "add",
                                                   .input = "5",
                                                   .caller = "a-1",
                                                   .target = "@counter@a"});
  EXPECT_EQ(called.entity_called().ShortDebugString(),
            "instance_id: \"@counter@a\" operation: \"add\" input: \"5\" "
            "request_id: \"r\"");
  const auto bare = ToldAs(EntityOperationSignaled{
      .request_id = "s", .operation = "reset", .target = "@counter@a"});
  EXPECT_EQ(bare.entity_signaled().ShortDebugString(),
            "instance_id: \"@counter@a\" operation: \"reset\" request_id: "
            "\"s\"");
  const auto later = ToldAs(
      EntityOperationSignaled{.scheduled = Timestamp{7, 8}, .input = ""});
  EXPECT_EQ(later.entity_signaled().scheduled_time().seconds(), 7);
  EXPECT_EQ(later.entity_signaled().scheduled_time().nanos(), 8);
  EXPECT_TRUE(later.entity_signaled().has_input());
  const auto completed = ToldAs(EntityOperationCompleted{"r", "7"});
  EXPECT_EQ(completed.entity_call_completed().ShortDebugString(),
            "request_id: \"r\" output: \"7\"");
  EXPECT_FALSE(ToldAs(EntityOperationCompleted{"r", {}})
                   .entity_call_completed()
                   .has_output());
  TaskFailureDetails details;
  details.set_errormessage("it broke");
  const auto failed = ToldAs(
      EntityOperationFailed{"r", OpaqueMessage{details.SerializeAsString()}});
  EXPECT_EQ(failed.entity_call_failed().ShortDebugString(),
            "request_id: \"r\" failure { message: \"it broke\" }");
}

TEST(OrchestrationEvent, LocksOfEntitiesAreToldWithTheirEnds) {
  const auto requested =
      ToldAs(EntityLockRequested{"c", {"@counter@a", "@counter@b"}, 0, "a-1"});
  EXPECT_EQ(requested.entity_lock_requested().ShortDebugString(),
            "instance_ids: \"@counter@a\" instance_ids: \"@counter@b\" "
            "section_id: \"c\"");
  EXPECT_EQ(
      ToldAs(EntityLockGranted{"c"}).entity_lock_granted().ShortDebugString(),
      "section_id: \"c\"");
  EXPECT_EQ(ToldAs(EntityUnlockSent{"c", "a-1", "@counter@a"})
                .entity_unlocked()
                .ShortDebugString(),
            "instance_id: \"@counter@a\" section_id: \"c\"");
}

TEST(OrchestrationEvent, OneWithoutWordsHasItsNumberInTheContract) {
  v1::OrchestrationEvent message;
  ToMessage(HistoryEvent{-1, {}, OtherEvent{18, ""}}, message);
  EXPECT_EQ(message.other().number(), 18);
}

}  // namespace
}  // namespace leasehold
