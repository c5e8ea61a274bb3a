#include "service/doors/durable_task_messages.h"

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

using Code = absl::StatusCode;

const Caller kCaller = {.tenant = "default"};

// The messages that a caller's tenant belongs to, from one caller.
using leasehold::FromMessage;
auto FromMessage(CreateInstanceRequest message) {
  return FromMessage(std::move(message), kCaller);
}
auto FromMessage(const ::InstanceQuery& message) {
  return FromMessage(message, kCaller);
}
auto FromMessage(const ListInstanceIdsRequest& message) {
  return FromMessage(message, kCaller);
}
auto FromMessage(const PurgeInstanceFilter& message) {
  return FromMessage(message, kCaller);
}

std::string Message(const absl::Status& status) {
  return std::string(status.message());
}

// ---- Starts -----------------------------------------------------------------

CreateInstanceRequest Create() {
  CreateInstanceRequest message;
  message.set_instanceid("a-1");
  message.set_name("Main");
  return message;
}

TEST(DurableTaskStart, TakesEveryField) {
  CreateInstanceRequest message = Create();
  message.mutable_version()->set_value("2");
  message.mutable_input()->set_value("");
  message.mutable_executionid()->set_value("e-1");
  message.mutable_scheduledstarttimestamp()->set_seconds(5);
  message.mutable_scheduledstarttimestamp()->set_nanos(6);
  message.mutable_parenttracecontext()->set_traceparent("t");
  (*message.mutable_tags())["b"] = "2";
  (*message.mutable_tags())["a"] = "1";
  const auto request = FromMessage(message);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->key, (InstanceKey{"default", "a-1"}));
  EXPECT_EQ(request->name, "Main");
  EXPECT_EQ(request->version, "2");
  EXPECT_EQ(request->input, "");
  EXPECT_EQ(request->execution_id, "e-1");
  EXPECT_EQ(request->scheduled_start, (Timestamp{5, 6}));
  EXPECT_EQ(request->trace.bytes,
            message.parenttracecontext().SerializeAsString());
  EXPECT_THAT(request->tags, ElementsAre(Pair("a", "1"), Pair("b", "2")));
  EXPECT_EQ(request->policy.replaceable, std::nullopt);
  EXPECT_THAT(request->policy.attachable, IsEmpty());
}

TEST(DurableTaskStart, AbsentStaysAbsent) {
  const auto request = FromMessage(Create());
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->version, std::nullopt);
  EXPECT_EQ(request->input, std::nullopt);
  EXPECT_EQ(request->execution_id, std::nullopt);
  EXPECT_EQ(request->scheduled_start, std::nullopt);
  EXPECT_FALSE(request->trace.has_value());
}

TEST(DurableTaskStart, HasBounds) {
  const auto refused = [](const auto& change) {
    CreateInstanceRequest message = Create();
    change(message);
    const auto request = FromMessage(message);
    EXPECT_EQ(request.status().code(), Code::kInvalidArgument);
    return Message(request.status());
  };
  EXPECT_THAT(refused([](auto& m) { m.set_name(std::string(1025, 'n')); }),
              HasSubstr("name: has 1025 bytes; at most 1024"));
  EXPECT_THAT(refused([](auto& m) {
                m.mutable_version()->set_value(std::string(257, 'v'));
              }),
              HasSubstr("version: has 257 bytes"));
  EXPECT_THAT(refused([](auto& m) {
                m.mutable_executionid()->set_value(std::string(257, 'e'));
              }),
              HasSubstr("executionId: has 257 bytes"));
  EXPECT_THAT(refused([](auto& m) {
                (*m.mutable_tags())["k"] = std::string(4097, 't');
              }),
              HasSubstr("tags: the value of \"k\": has 4097 bytes"));
  EXPECT_THAT(
      refused([](auto& m) {
        m.mutable_scheduledstarttimestamp()->set_seconds(8'640'000'000'000);
      }),
      HasSubstr("scheduledStartTimestamp: is not a time of the years"));
}

TEST(DurableTaskStart, ATraceThatIsTooLongIsLeftOut) {
  CreateInstanceRequest message = Create();
  message.mutable_parenttracecontext()->set_traceparent(std::string(5000, 't'));
  const auto request = FromMessage(message);
  ASSERT_TRUE(request.ok());
  EXPECT_FALSE(request->trace.has_value());
}

// One client always sends them.
TEST(DurableTaskStart, ZeroTimeAndEmptyExecutionIdMeanNone) {
  CreateInstanceRequest message = Create();
  message.mutable_scheduledstarttimestamp();
  message.mutable_executionid();
  const auto request = FromMessage(message);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->scheduled_start, std::nullopt);
  EXPECT_EQ(request->execution_id, std::nullopt);
}

TEST(DurableTaskStart, WithoutAnIdItGetsAFreshOne) {
  CreateInstanceRequest message = Create();
  message.clear_instanceid();
  const auto one = FromMessage(message);
  const auto two = FromMessage(message);
  ASSERT_TRUE(one.ok());
  EXPECT_FALSE(one->key.id.empty());
  EXPECT_NE(one->key.id, two->key.id);
}

TEST(DurableTaskStart, RefusesWithTheRule) {
  const struct {
    std::string id;
    std::string name;
    const char* message;
  } cases[] = {
      {"a", "", "name is empty; it says which orchestrator to start"},
      {std::string(101, 'x'), "Main",
       "the length of instanceId is 101 characters; at most 100 are allowed"},
      {"@counter@a", "Main",
       "instanceId \"@counter@a\" begins with @; such IDs are those of "
       "entities"},
  };
  for (const auto& one : cases) {
    CreateInstanceRequest message;
    message.set_instanceid(one.id);
    message.set_name(one.name);
    const auto request = FromMessage(message);
    EXPECT_EQ(request.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(Message(request.status()), one.message);
  }
  CreateInstanceRequest message = Create();
  message.set_instanceid("a\x01");
  EXPECT_EQ(FromMessage(message).status().code(), Code::kInvalidArgument);
  message.set_instanceid(std::string(100, 'x'));
  EXPECT_TRUE(FromMessage(message).ok());
}

TEST(DurableTaskStart, PolicyNamesTheStatusesThatAreReplaced) {
  CreateInstanceRequest message = Create();
  message.mutable_orchestrationidreusepolicy();
  auto request = FromMessage(message);
  ASSERT_TRUE(request.ok());
  ASSERT_TRUE(request->policy.replaceable.has_value());
  EXPECT_THAT(*request->policy.replaceable, IsEmpty());
  auto& policy = *message.mutable_orchestrationidreusepolicy();
  policy.add_replaceablestatus(ORCHESTRATION_STATUS_RUNNING);
  policy.add_replaceablestatus(ORCHESTRATION_STATUS_TERMINATED);
  request = FromMessage(message);
  ASSERT_TRUE(request.ok());
  EXPECT_THAT(*request->policy.replaceable,
              ElementsAre(OrchestrationStatus::kRunning,
                          OrchestrationStatus::kTerminated));
}

TEST(DurableTaskStart, PolicyThatReplacesRunningOnesReplacesTerminatedOnes) {
  for (const auto status :
       {ORCHESTRATION_STATUS_RUNNING, ORCHESTRATION_STATUS_PENDING,
        ORCHESTRATION_STATUS_SUSPENDED}) {
    CreateInstanceRequest message = Create();
    message.mutable_orchestrationidreusepolicy()->add_replaceablestatus(status);
    const auto request = FromMessage(message);
    EXPECT_EQ(request.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(Message(request.status()),
              "Invalid reusable statuses: cannot exclude 'Terminated' while "
              "also allowing reuse of running instances");
  }
}

TEST(DurableTaskStart, OldPolicySaysWhatToDoWithTheStatusesThatItLists) {
  // As older clients have it: field 1 the statuses, field 2 what to do.
  const auto start = [](int action) {
    CreateInstanceRequest message = Create();
    auto& policy = *message.mutable_orchestrationidreusepolicy();
    EXPECT_TRUE(policy.ParseFromString(
        absl::StrCat("\x0a\x02", std::string("\x00\x03", 2), "\x10",
                     std::string(1, static_cast<char>(action)))));
    return FromMessage(message);
  };
  const std::set<OrchestrationStatus> listed = {OrchestrationStatus::kRunning,
                                                OrchestrationStatus::kFailed};
  auto request = start(1);  // Ignore.
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->policy.attachable, listed);
  EXPECT_THAT(*request->policy.replaceable, IsEmpty());
  request = start(2);  // Terminate.
  ASSERT_TRUE(request.ok());
  EXPECT_THAT(request->policy.attachable, IsEmpty());
  EXPECT_EQ(*request->policy.replaceable, listed);
  EXPECT_EQ(start(0).status().code(), Code::kInvalidArgument);
}

TEST(DurableTaskKey, NamesTheFieldAndTheRule) {
  EXPECT_EQ(DurableTaskKey("a-1", kCaller)->id, "a-1");
  const auto empty = DurableTaskKey("", kCaller);
  EXPECT_EQ(empty.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(Message(empty.status()), HasSubstr("instanceId"));
  // Children have longer ones, and entities one form.
  EXPECT_TRUE(DurableTaskKey(std::string(1024, 'x'), kCaller).ok());
  EXPECT_FALSE(DurableTaskKey(std::string(1025, 'x'), kCaller).ok());
  EXPECT_EQ(DurableTaskKey("@Counter@A", kCaller)->id, "@counter@A");
}

// ---- Queries ----------------------------------------------------------------

TEST(DurableTaskQuery, TakesEveryField) {
  ::InstanceQuery message;
  message.add_runtimestatus(ORCHESTRATION_STATUS_FAILED);
  message.mutable_createdtimefrom()->set_seconds(1);
  message.mutable_createdtimeto()->set_seconds(2);
  message.set_maxinstancecount(7);
  message.mutable_continuationtoken()->set_value("41");
  message.mutable_instanceidprefix()->set_value("a-");
  message.set_fetchinputsandoutputs(true);
  const auto query = FromMessage(message);
  ASSERT_TRUE(query.ok());
  EXPECT_TRUE(query->payloads);
  EXPECT_EQ(query->filter.tenant, "default");
  EXPECT_THAT(query->filter.statuses, ElementsAre(3));
  EXPECT_EQ(query->filter.created_from, 1'000'000);
  EXPECT_EQ(query->filter.created_to, 2'000'000);
  EXPECT_EQ(query->filter.id_prefix, "a-");
  EXPECT_EQ(query->filter.count_max, 7u);
  EXPECT_EQ(query->page_token.text, "41");
  EXPECT_EQ(query->page_token.field, "continuationToken");
}

TEST(DurableTaskQuery, PagesHaveABound) {
  const std::pair<int32_t, size_t> cases[] = {
      {0, 100}, {-1, 100}, {1, 1}, {1'000, 1'000}, {2'147'483'647, 1'000}};
  for (const auto& [asked, size] : cases) {
    ::InstanceQuery query;
    query.set_maxinstancecount(asked);
    EXPECT_EQ(FromMessage(query)->filter.count_max, size) << asked;
    ListInstanceIdsRequest list;
    list.set_pagesize(asked);
    EXPECT_EQ(FromMessage(list)->count_max, size) << asked;
  }
}

TEST(DurableTaskQuery, ListTakesEveryFieldAndItsOwnToken) {
  ListInstanceIdsRequest message;
  message.add_runtimestatus(ORCHESTRATION_STATUS_COMPLETED);
  message.mutable_completedtimefrom()->set_seconds(1);
  message.mutable_completedtimeto()->set_seconds(2);
  message.mutable_lastinstancekey();  // Empty: the first page.
  auto query = FromMessage(message);
  ASSERT_TRUE(query.ok());
  EXPECT_EQ(query->page_token.text, "");
  EXPECT_EQ(query->tenant, "default");
  EXPECT_THAT(query->statuses, ElementsAre(1));
  EXPECT_EQ(query->finished_from, 1'000'000);
  EXPECT_EQ(query->finished_to, 2'000'000);

  FinishedIdsPage page;
  page.next_page_token = "-5:8";
  page.ids = {"a"};
  ListInstanceIdsResponse answer;
  ToMessage(page, answer);
  EXPECT_THAT(answer.instanceids(), ElementsAre("a"));
  *message.mutable_lastinstancekey() = answer.lastinstancekey();
  query = FromMessage(message);
  ASSERT_TRUE(query.ok());
  EXPECT_EQ(query->page_token.text, "-5:8");
  EXPECT_EQ(query->page_token.field, "lastInstanceKey");
}

TEST(DurableTaskQuery, TimesAreThoseOfTheYears1To9999) {
  google::protobuf::Timestamp late;
  late.set_seconds(253'402'300'800);
  ::InstanceQuery query;
  *query.mutable_createdtimeto() = late;
  EXPECT_THAT(Message(FromMessage(query).status()),
              HasSubstr("createdTimeTo: is not a time"));
  ListInstanceIdsRequest list;
  *list.mutable_completedtimefrom() = late;
  EXPECT_THAT(Message(FromMessage(list).status()),
              HasSubstr("completedTimeFrom: is not a time"));
  PurgeInstanceFilter purge;
  *purge.mutable_createdtimefrom() = late;
  EXPECT_THAT(Message(FromMessage(purge).status()),
              HasSubstr("createdTimeFrom: is not a time"));
}

TEST(DurableTaskQuery, PurgeFilterTakesEveryField) {
  PurgeInstanceFilter message;
  message.add_runtimestatus(ORCHESTRATION_STATUS_FAILED);
  message.mutable_createdtimefrom()->set_seconds(1);
  message.mutable_createdtimeto()->set_seconds(2);
  const OrchestrationFilter query = FromMessage(message).value();
  EXPECT_EQ(query.tenant, "default");
  EXPECT_THAT(query.statuses, ElementsAre(3));
  EXPECT_EQ(query.created_from, 1'000'000);
  EXPECT_EQ(query.created_to, 2'000'000);
}

// ---- To messages ------------------------------------------------------------

OrchestrationInfo FullInfo() {
  OrchestrationInfo info;
  info.id = "a-1";
  info.status = OrchestrationStatus::kFailed;
  info.created = absl::FromUnixSeconds(1);
  info.finished = absl::FromUnixSeconds(3);
  info.summary.name = "Main";
  info.summary.version = "";
  info.summary.execution_id = "e-1";
  info.summary.parent_id = "p";
  info.summary.scheduled_start = Timestamp{5, 6};
  info.summary.updated = {2, 7};
  info.summary.tags = {{"k", "v"}};
  info.summary.custom_status = "half";
  info.has_payloads = true;
  info.input = "in";
  info.output = "";
  info.failure = MakeFailure("Type", "why");
  return info;
}

TEST(DurableTaskState, TellsEverything) {
  OrchestrationState state;
  ToMessage(FullInfo(), state);
  EXPECT_EQ(state.instanceid(), "a-1");
  EXPECT_EQ(state.name(), "Main");
  EXPECT_TRUE(state.has_version());
  EXPECT_EQ(state.orchestrationstatus(), ORCHESTRATION_STATUS_FAILED);
  EXPECT_EQ(state.scheduledstarttimestamp().nanos(), 6);
  EXPECT_EQ(state.createdtimestamp().seconds(), 1);
  EXPECT_EQ(state.lastupdatedtimestamp().seconds(), 2);
  EXPECT_EQ(state.lastupdatedtimestamp().nanos(), 7);
  EXPECT_EQ(state.completedtimestamp().seconds(), 3);
  EXPECT_EQ(state.executionid().value(), "e-1");
  EXPECT_EQ(state.parentinstanceid().value(), "p");
  EXPECT_EQ(state.tags().at("k"), "v");
  EXPECT_EQ(state.input().value(), "in");
  EXPECT_TRUE(state.has_output());
  EXPECT_EQ(state.customstatus().value(), "half");
  EXPECT_EQ(state.failuredetails().errortype(), "Type");
  EXPECT_EQ(state.failuredetails().errormessage(), "why");
}

TEST(DurableTaskState, WithoutPayloadsTheyAreUnset) {
  OrchestrationInfo info = FullInfo();
  info.has_payloads = false;
  OrchestrationState state;
  ToMessage(info, state);
  EXPECT_FALSE(state.has_input());
  EXPECT_FALSE(state.has_output());
  EXPECT_FALSE(state.has_customstatus());
  EXPECT_FALSE(state.has_failuredetails());
}

TEST(DurableTaskState, AbsentStaysAbsent) {
  OrchestrationInfo info;
  info.id = "a-1";
  info.has_payloads = true;
  OrchestrationState state;
  ToMessage(info, state);
  EXPECT_FALSE(state.has_version());
  EXPECT_FALSE(state.has_scheduledstarttimestamp());
  EXPECT_FALSE(state.has_completedtimestamp());
  EXPECT_FALSE(state.has_parentinstanceid());
  EXPECT_FALSE(state.has_input());
  EXPECT_FALSE(state.has_output());
  EXPECT_FALSE(state.has_customstatus());
  EXPECT_FALSE(state.has_failuredetails());
  // One client looks at these without asking whether they are there.
  EXPECT_TRUE(state.has_createdtimestamp());
  EXPECT_TRUE(state.has_lastupdatedtimestamp());
}

TEST(DurableTaskState, AMissingOneIsNotAnError) {
  GetInstanceResponse missing;
  ToMessage(nullptr, missing);
  EXPECT_FALSE(missing.exists());
  EXPECT_FALSE(missing.has_orchestrationstate());
  GetInstanceResponse there;
  const OrchestrationInfo info = FullInfo();
  ToMessage(&info, there);
  EXPECT_TRUE(there.exists());
  EXPECT_EQ(there.orchestrationstate().instanceid(), "a-1");
}

// Some clients go on for as long as a token is there.
TEST(DurableTaskState, LastPageHasNoToken) {
  OrchestrationPage page;
  page.orchestrations.push_back(FullInfo());
  QueryInstancesResponse last;
  ToMessage(page, last);
  EXPECT_EQ(last.orchestrationstate_size(), 1);
  EXPECT_FALSE(last.has_continuationtoken());
  page.next_page_token = "41";
  QueryInstancesResponse first;
  ToMessage(page, first);
  EXPECT_EQ(first.continuationtoken().value(), "41");
  ListInstanceIdsResponse list;
  ToMessage(FinishedIdsPage{}, list);
  EXPECT_FALSE(list.has_lastinstancekey());
}

}  // namespace
}  // namespace leasehold
