// What a server tells of orchestrations, between the contract and values.
#include "client/orchestrations/orchestration.h"

#include <gtest/gtest.h>

#include "client/orchestrations/orchestration_event.h"

namespace leasehold::client {
namespace {

namespace v1 = leasehold::v1;

using State = v1::OrchestrationState;

TEST(OrchestrationStatus, HasTheNameOfTheContract) {
  for (const OrchestrationStatus status :
       {OrchestrationStatus::kPending, OrchestrationStatus::kRunning,
        OrchestrationStatus::kSuspended, OrchestrationStatus::kCompleted,
        OrchestrationStatus::kFailed, OrchestrationStatus::kTerminated}) {
    EXPECT_EQ(FromProto(ToProto(status)), status);
    EXPECT_EQ(State::Status_Name(ToProto(status)),
              OrchestrationStatusName(status));
    EXPECT_EQ(HasEnded(status), ToProto(status) >= State::COMPLETED);
  }
  EXPECT_EQ(FromProto(static_cast<State::Status>(77)),
            OrchestrationStatus::kUnknown);
}

TEST(OrchestrationEvent, EachKindHasTheNameOfTheContract) {
  const auto* oneof =
      v1::OrchestrationEvent::descriptor()->FindOneofByName("event");
  const auto* reflection = v1::OrchestrationEvent::GetReflection();
  for (int i = 0; i < oneof->field_count(); ++i) {
    v1::OrchestrationEvent event;
    reflection->MutableMessage(&event, oneof->field(i));
    EXPECT_EQ(OrchestrationEventName(FromProto(event).kind),
              oneof->field(i)->name());
  }
}

TEST(OrchestrationEvent, HasWhatItsKindHas) {
  v1::OrchestrationEvent event;
  event.mutable_execution_terminated()->set_output("1");
  event.mutable_execution_terminated()->set_recursive(true);
  EXPECT_EQ(FromProto(event).output, "1");
  EXPECT_TRUE(FromProto(event).recursive);
  event.mutable_execution_suspended()->set_reason("lunch");
  EXPECT_EQ(FromProto(event).reason, "lunch");
  event.mutable_timer_fired()->set_scheduled_id(3);
  event.mutable_timer_fired()->mutable_fire_time()->set_seconds(9);
  EXPECT_EQ(FromProto(event).scheduled_id, 3);
  EXPECT_EQ(FromProto(event).fire_time, absl::FromUnixSeconds(9));
  event.mutable_event_sent()->set_instance_id("b");
  event.mutable_event_sent()->set_name("go");
  EXPECT_EQ(FromProto(event).instance_id, "b");
  EXPECT_EQ(FromProto(event).name, "go");
  event.mutable_other()->set_number(18);
  EXPECT_EQ(FromProto(event).number, 18);
}

TEST(OrchestrationEvent, HasWhatWasAskedOfEntities) {
  v1::OrchestrationEvent event;
  event.mutable_entity_called()->set_instance_id("@counter@a");
  event.mutable_entity_called()->set_operation("add");
  event.mutable_entity_called()->set_input("5");
  event.mutable_entity_called()->set_request_id("r");
  EXPECT_EQ(FromProto(event).instance_id, "@counter@a");
  EXPECT_EQ(FromProto(event).operation, "add");
  EXPECT_EQ(FromProto(event).input, "5");
  EXPECT_EQ(FromProto(event).request_id, "r");
  EXPECT_EQ(FromProto(event).scheduled_time, std::nullopt);
  event.mutable_entity_signaled()->mutable_scheduled_time()->set_seconds(9);
  EXPECT_EQ(FromProto(event).scheduled_time, absl::FromUnixSeconds(9));
  event.mutable_entity_call_failed()->set_request_id("r");
  event.mutable_entity_call_failed()->mutable_failure()->set_message("no");
  EXPECT_EQ(FromProto(event).request_id, "r");
  EXPECT_EQ(FromProto(event).failure->message, "no");
  event.mutable_entity_lock_requested()->set_section_id("c");
  event.mutable_entity_lock_requested()->add_instance_ids("@counter@a");
  event.mutable_entity_lock_requested()->add_instance_ids("@counter@b");
  EXPECT_EQ(FromProto(event).section_id, "c");
  EXPECT_EQ(FromProto(event).instance_ids,
            (std::vector<std::string>{"@counter@a", "@counter@b"}));
  event.mutable_entity_unlocked()->set_instance_id("@counter@b");
  event.mutable_entity_unlocked()->set_section_id("c");
  EXPECT_EQ(FromProto(event).instance_id, "@counter@b");
  EXPECT_EQ(FromProto(event).section_id, "c");
}

}  // namespace
}  // namespace leasehold::client
