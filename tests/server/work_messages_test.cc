#include "service/doors/work_messages.h"

#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

using Code = absl::StatusCode;

std::string Message(const absl::Status& status) {
  return std::string(status.message());
}

// ---- Answers to turns -------------------------------------------------------

template <typename T>
T OnlyAction(const OrchestratorResponse& message, int32_t id) {
  const auto answer = FromMessage(message);
  if (!answer.ok() || answer->actions.size() != 1) {
    ADD_FAILURE() << answer.status();
    return {};
  }
  EXPECT_EQ(answer->actions[0].id, id);
  const T* what = std::get_if<T>(&answer->actions[0].what);
  if (what == nullptr) ADD_FAILURE() << "another action";
  return what == nullptr ? T{} : *what;
}

TEST(DurableTaskAnswer, TakesTasks) {
  OrchestratorResponse message;
  auto& action = *message.add_actions();
  action.set_id(3);
  auto& task = *action.mutable_scheduletask();
  task.set_name("Work");
  task.mutable_version()->set_value("1");
  task.mutable_input()->set_value("in");
  task.mutable_parenttracecontext()->set_traceparent("t");
  (*task.mutable_tags())["k"] = "v";
  const auto value = OnlyAction<TaskScheduled>(message, 3);
  EXPECT_EQ(value.name, "Work");
  EXPECT_EQ(value.version, "1");
  EXPECT_EQ(value.input, "in");
  EXPECT_EQ(value.trace.bytes, task.parenttracecontext().SerializeAsString());
  EXPECT_THAT(value.tags, ElementsAre(Pair("k", "v")));
}

TEST(DurableTaskAnswer, TakesNamesOfAwaitedEventsFromAFieldOfOurOwn) {
  OrchestratorResponse message;
  auto& unknown = *message.GetReflection()->MutableUnknownFields(&message);
  unknown.AddLengthDelimited(1000, "Approve");
  unknown.AddVarint(1000, 7);
  unknown.AddLengthDelimited(999, "Other");
  unknown.AddLengthDelimited(1000, std::string(2000, 'x'));
  unknown.AddLengthDelimited(1000, "\xff");
  EXPECT_THAT(FromMessage(message)->awaited_events,
              ElementsAre("Approve", "\xEF\xBF\xBD"));
  for (int i = 0; i < 20; ++i) unknown.AddLengthDelimited(1000, "e");
  EXPECT_EQ(FromMessage(message)->awaited_events.size(), 10u);
}

TEST(DurableTaskAnswer, TakesChildren) {
  OrchestratorResponse message;
  auto& action = *message.add_actions();
  auto& child = *action.mutable_createsuborchestration();
  child.set_instanceid("c");
  child.set_name("Child");
  child.mutable_input();
  const auto value = OnlyAction<SubOrchestrationCreated>(message, 0);
  EXPECT_EQ(value.instance_id, "c");
  EXPECT_EQ(value.name, "Child");
  EXPECT_EQ(value.version, std::nullopt);
  EXPECT_EQ(value.input, "");
}

TEST(DurableTaskAnswer, TakesTimersToTheNanosecond) {
  OrchestratorResponse message;
  auto& action = *message.add_actions();
  action.set_id(-1);
  action.mutable_createtimer()->mutable_fireat()->set_seconds(-7);
  action.mutable_createtimer()->mutable_fireat()->set_nanos(1);
  EXPECT_EQ(OnlyAction<TimerCreated>(message, -1).fire_at, (Timestamp{-7, 1}));
}

TEST(DurableTaskAnswer, TakesEventsAndTerminations) {
  OrchestratorResponse events;
  auto& send = *events.add_actions()->mutable_sendevent();
  send.mutable_instance()->set_instanceid("b");
  send.set_name("e");
  send.mutable_data()->set_value("1");
  const auto sent = OnlyAction<EventSent>(events, 0);
  EXPECT_EQ(sent.instance_id, "b");
  EXPECT_EQ(sent.name, "e");
  EXPECT_EQ(sent.input, "1");
  OrchestratorResponse ends;
  auto& end = *ends.add_actions()->mutable_terminateorchestration();
  end.set_instanceid("b");
  end.mutable_reason()->set_value("why");
  end.set_recurse(true);
  const auto other = OnlyAction<TerminateOther>(ends, 0);
  EXPECT_EQ(other.instance_id, "b");
  EXPECT_EQ(other.reason, "why");
  EXPECT_TRUE(other.recursive);
}

TEST(DurableTaskAnswer, TakesTheEndWithWhatItCarriesOver) {
  OrchestratorResponse message;
  auto& action = *message.add_actions();
  action.set_id(9);
  auto& end = *action.mutable_completeorchestration();
  end.set_orchestrationstatus(ORCHESTRATION_STATUS_CONTINUED_AS_NEW);
  end.mutable_result()->set_value("2");
  end.mutable_newversion()->set_value("3");
  end.mutable_failuredetails()->set_errormessage("why");
  auto& event = *end.add_carryoverevents();
  event.set_eventid(-1);
  event.mutable_eventraised()->set_name("e");
  const auto value = OnlyAction<CompleteExecution>(message, 9);
  EXPECT_EQ(value.status, OrchestrationStatus::kContinuedAsNew);
  EXPECT_EQ(value.result, "2");
  EXPECT_EQ(value.new_version, "3");
  EXPECT_EQ(value.failure.bytes, end.failuredetails().SerializeAsString());
  EXPECT_THAT(value.carried_over, ElementsAre(event.SerializeAsString()));
}

TEST(DurableTaskAnswer, TakesTheEndInEachOfItsWaysAndNoOther) {
  for (int status = 0; status <= 8; ++status) {
    OrchestratorResponse message;
    message.add_actions()
        ->mutable_completeorchestration()
        ->set_orchestrationstatus(static_cast<::OrchestrationStatus>(status));
    const auto answer = FromMessage(message);
    if (status == 1 || status == 2 || status == 3 || status == 5) {
      EXPECT_TRUE(answer.ok()) << status;
      continue;
    }
    EXPECT_EQ(answer.status().code(), Code::kInvalidArgument) << status;
    EXPECT_THAT(
        Message(answer.status()),
        HasSubstr("cannot end with the status " + std::to_string(status)));
  }
}

TEST(DurableTaskAnswer, TakesWhatIsSentToEntities) {
  OrchestratorResponse message;
  auto* call = message.add_actions()
                   ->mutable_sendentitymessage()
                   ->mutable_entityoperationcalled();
  call->set_requestid("r");
  call->set_operation("get");
  call->mutable_targetinstanceid()->set_value("@c@a");
  call->mutable_scheduledtime()->set_seconds(7);
  auto* lock = message.add_actions()
                   ->mutable_sendentitymessage()
                   ->mutable_entitylockrequested();
  lock->set_criticalsectionid("s");
  lock->add_lockset("@c@a");
  lock->add_lockset("@c@b");
  message.add_actions()
      ->mutable_sendentitymessage()
      ->mutable_entityunlocksent()
      ->set_criticalsectionid("s");
  const absl::StatusOr<TurnAnswer> answer = FromMessage(message);
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->actions.size(), 3u);
  const auto& called = std::get<EntityOperationCalled>(answer->actions[0].what);
  EXPECT_EQ(called.request_id, "r");
  EXPECT_EQ(called.target, "@c@a");
  EXPECT_EQ(called.scheduled, (Timestamp{7, 0}));
  EXPECT_EQ(std::get<EntityLockRequested>(answer->actions[1].what).lock_set,
            (std::vector<std::string>{"@c@a", "@c@b"}));
  EXPECT_EQ(std::get<EntityUnlockSent>(answer->actions[2].what).section_id,
            "s");
}

TEST(DurableTaskAnswer, AnEventToAnEntityIsAMessageForIt) {
  OrchestratorResponse message;
  auto* send = message.add_actions()->mutable_sendevent();
  send->mutable_instance()->set_instanceid("@c@a");
  send->set_name("op");
  send->mutable_data()->set_value(R"({"op":"get","id":"r"})");
  const auto legacy = OnlyAction<LegacyEntityMessage>(message, 0);
  EXPECT_EQ(legacy.problem, "");
  EXPECT_EQ(legacy.sent.name, "op");
  EXPECT_EQ(std::get<EntityOperationCalled>(legacy.message).operation, "get");
}

TEST(DurableTaskAnswer, AMessageForAnEntityThatSaysNothingIsRefused) {
  OrchestratorResponse message;
  message.add_actions()->mutable_sendentitymessage();
  EXPECT_EQ(FromMessage(message).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(DurableTaskAnswer, TakesAHistoryToGoOnWith) {
  OrchestratorResponse message;
  auto* rewind = message.add_actions()->mutable_rewindorchestration();
  rewind->add_newhistory()->mutable_eventraised()->set_name("e");
  const std::string event = rewind->newhistory(0).SerializeAsString();
  EXPECT_THAT(OnlyAction<RewindHistory>(message, 0).events, ElementsAre(event));
}

TEST(DurableTaskAnswer, RefusesAnActionThatSaysNothing) {
  OrchestratorResponse message;
  message.add_actions()->set_id(4);
  const auto answer = FromMessage(message);
  EXPECT_EQ(answer.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Message(answer.status()), "action 4 says nothing to do");
}

TEST(DurableTaskAnswer, SaysWhichPartItIs) {
  OrchestratorResponse message;
  auto answer = FromMessage(message);
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(answer->partial);
  EXPECT_EQ(answer->part, std::nullopt);
  // Fields 8, isPartial, and 9, chunkIndex, which are marked deprecated.
  const std::string bytes = "\x40\x01\x4a\x02\x08\x02";
  ASSERT_TRUE(message.ParseFromString(bytes));
  answer = FromMessage(message);
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(answer->partial);
  EXPECT_EQ(answer->part, 2);
  EXPECT_EQ(answer->bytes, bytes.size());
}

TEST(DurableTaskAnswer, TakesWhatStandsBesideTheActions) {
  OrchestratorResponse message;
  auto answer = FromMessage(message);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->custom_status, std::nullopt);
  EXPECT_EQ(answer->events_processed, std::nullopt);
  EXPECT_FALSE(answer->trace_context.has_value());
  message.mutable_customstatus();
  message.mutable_numeventsprocessed();
  message.mutable_orchestrationtracecontext()->mutable_spanid()->set_value("s");
  answer = FromMessage(message);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->custom_status, "");
  EXPECT_EQ(answer->events_processed, 0);
  EXPECT_EQ(answer->trace_context.bytes,
            message.orchestrationtracecontext().SerializeAsString());
}

TEST(DurableTaskActivity, FailureWinsOverAResult) {
  ActivityResponse message;
  message.set_taskid(3);
  const EventBody nothing = FromMessage(message);
  ASSERT_TRUE(std::holds_alternative<TaskCompleted>(nothing));
  EXPECT_EQ(std::get<TaskCompleted>(nothing).task_scheduled_id, 3);
  EXPECT_EQ(std::get<TaskCompleted>(nothing).result, std::nullopt);
  message.mutable_result()->set_value("");
  EXPECT_EQ(std::get<TaskCompleted>(FromMessage(message)).result, "");
  message.mutable_failuredetails()->set_errortype("T");
  const EventBody failed = FromMessage(message);
  ASSERT_TRUE(std::holds_alternative<TaskFailed>(failed));
  EXPECT_EQ(std::get<TaskFailed>(failed).failure.bytes,
            message.failuredetails().SerializeAsString());
}

// The failure that an activity with this one ends with.
TaskFailureDetails Kept(const TaskFailureDetails& failure) {
  ActivityResponse message;
  *message.mutable_failuredetails() = failure;
  TaskFailureDetails kept;
  EXPECT_TRUE(kept.ParseFromString(
      *std::get<TaskFailed>(FromMessage(message)).failure.bytes));
  return kept;
}

TEST(DurableTaskFailure, LongTextIsCutWithAWord) {
  TaskFailureDetails failure;
  failure.set_errortype(std::string(2000, 't'));
  failure.set_errormessage(std::string(20 << 20, 'm'));
  failure.mutable_stacktrace()->set_value(std::string(65'535, 's') +
                                          "\xF0\x9F\x8E\x81");
  const TaskFailureDetails kept = Kept(failure);
  EXPECT_EQ(kept.errortype(),
            std::string(1024, 't') + "... (976 bytes were cut)");
  EXPECT_EQ(kept.errormessage(),
            std::string(65'536, 'm') + "... (20905984 bytes were cut)");
  EXPECT_EQ(kept.stacktrace().value(),
            std::string(65'535, 's') + "... (4 bytes were cut)");
}

TEST(DurableTaskFailure, DeepCausesAreCutWithAWord) {
  TaskFailureDetails failure;
  TaskFailureDetails* last = &failure;
  for (int i = 0; i < 98; ++i) {
    last->set_errormessage(std::to_string(i));
    last = last->mutable_innerfailure();
  }
  const TaskFailureDetails kept = Kept(failure);
  const TaskFailureDetails* one = &kept;
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(one->errormessage(), std::to_string(i));
    ASSERT_TRUE(one->has_innerfailure());
    one = &one->innerfailure();
  }
  EXPECT_EQ(one->errortype(), "CausesLeftOut");
  EXPECT_THAT(one->errormessage(), HasSubstr("at most 32"));
  EXPECT_FALSE(one->has_innerfailure());
}

TEST(DurableTaskFailure, AllOfItHasABound) {
  TaskFailureDetails failure;
  TaskFailureDetails* last = &failure;
  for (int i = 0; i < 31; ++i) {
    last->set_errormessage(std::string(60'000, 'm'));
    last->mutable_stacktrace()->set_value(std::string(60'000, 's'));
    (*last->mutable_properties())["p"].set_string_value(
        std::string(300'000, 'p'));
    last = last->mutable_innerfailure();
  }
  EXPECT_LT(Kept(failure).ByteSizeLong(), size_t{1} << 20);
}

TEST(DurableTaskFailure, DeepPropertiesAreLeftOut) {
  TaskFailureDetails failure;
  google::protobuf::Value* value = &(*failure.mutable_properties())["p"];
  for (int i = 0; i < 40; ++i)
    value = value->mutable_list_value()->add_values();
  EXPECT_EQ(Kept(failure).properties_size(), 0);
}

TEST(DurableTaskFailure, AnyOtherIsKeptAsItCame) {
  TaskFailureDetails failure;
  failure.set_errormessage("m");
  failure.mutable_innerfailure()->set_errormessage("inner");
  (*failure.mutable_properties())["p"].set_number_value(1);
  failure.set_isnonretriable(true);
  EXPECT_EQ(Kept(failure).SerializeAsString(), failure.SerializeAsString());
}

TEST(DurableTaskTurn, EventsThatAreHandedBackKeepTheBounds) {
  OrchestratorResponse message;
  auto& end = *message.add_actions()->mutable_completeorchestration();
  end.set_orchestrationstatus(ORCHESTRATION_STATUS_CONTINUED_AS_NEW);
  ::HistoryEvent& event = *end.add_carryoverevents();
  event.mutable_taskfailed()->mutable_failuredetails()->set_errormessage(
      std::string(100'000, 'm'));
  const auto answer = FromMessage(message);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_LT(std::get<CompleteExecution>(answer->actions[0].what)
                .carried_over[0]
                .size(),
            70'000u);

  event.mutable_timercreated()->mutable_fireat()->set_seconds(253'402'300'800);
  EXPECT_THAT(Message(FromMessage(message).status()),
              HasSubstr("timerCreated.fireAt: is not a time of the years"));
}

// ---- Workers ----------------------------------------------------------------

TEST(DurableTaskWorker, FiltersHaveABound) {
  GetWorkItemsRequest message;
  auto& filters = *message.mutable_workitemfilters();
  for (int i = 0; i < 5000; ++i) {
    filters.add_orchestrations()->set_name("o");
    filters.add_activities()->set_name("a");
  }
  EXPECT_TRUE(FromMessage(message).ok());
  filters.mutable_activities(0)->add_versions("1");
  EXPECT_THAT(Message(FromMessage(message).status()),
              HasSubstr("more than 10000 names and versions"));
  message.clear_workitemfilters();
  message.mutable_workitemfilters()->add_activities()->set_name(
      std::string(1025, 'n'));
  EXPECT_THAT(Message(FromMessage(message).status()),
              HasSubstr("workItemFilters.activities: has 1025 bytes"));
}

TEST(DurableTaskWorker, WithoutFiltersItTakesEverything) {
  GetWorkItemsRequest message;
  message.set_maxconcurrentorchestrationworkitems(3);
  message.set_maxconcurrentactivityworkitems(-1);
  const WorkerOptions options = FromMessage(message).value();
  EXPECT_EQ(options.slots[0], 3u);
  EXPECT_EQ(options.slots[1], 0u);  // As many as is usual.
  EXPECT_FALSE(options.filters[0].has_value());
  EXPECT_FALSE(options.filters[1].has_value());
}

TEST(DurableTaskWorker, OneOfGoThatSaysNothingOfEntitiesGetsNone) {
  GetWorkItemsRequest message;
  EXPECT_FALSE(FromMessage(message, "grpc-node-js/1.12").value().filters[2]);
  const WorkerOptions options = FromMessage(message, "grpc-go/1.60.1").value();
  EXPECT_FALSE(options.filters[0].has_value());
  EXPECT_FALSE(options.filters[1].has_value());
  ASSERT_TRUE(options.filters[2].has_value());
  EXPECT_TRUE(options.filters[2]->empty());
  message.set_maxconcurrententityworkitems(1);
  EXPECT_FALSE(FromMessage(message, "grpc-go/1.60.1").value().filters[2]);
  message.Clear();
  message.mutable_workitemfilters()->add_entities()->set_name("c");
  EXPECT_EQ(FromMessage(message, "grpc-go/1.60.1").value().filters[2]->size(),
            1u);
}

TEST(DurableTaskWorker, FiltersAreThreeListsAndAnEmptyOneTakesNothing) {
  GetWorkItemsRequest message;
  auto& filter = *message.mutable_workitemfilters()->add_orchestrations();
  filter.set_name("Main");
  filter.add_versions("1");
  filter.add_versions("");
  const WorkerOptions options = FromMessage(message).value();
  ASSERT_TRUE(options.filters[0].has_value());
  ASSERT_THAT(*options.filters[0], SizeIs(1));
  EXPECT_EQ(options.filters[0]->front().name, "Main");
  EXPECT_THAT(options.filters[0]->front().versions, ElementsAre("1", ""));
  ASSERT_TRUE(options.filters[1].has_value());
  EXPECT_THAT(*options.filters[1], IsEmpty());
}

}  // namespace
}  // namespace leasehold
