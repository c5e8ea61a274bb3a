// Our own encoding against the generated classes of the Durable Task contract:
// each reads what the other has written.
#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "durabletask/orchestrator_service.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/stubs/logging.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "service/orchestration/history.h"
#include "service/orchestration/work_item.h"
#include "tests/support/history_builder.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;

constexpr size_t kKinds = std::variant_size_v<EventBody>;

// The number of the kind's field; 0 for OtherEvent.
template <size_t index = 1>
int NumberOfKind(size_t kind) {
  if constexpr (index == kKinds) {
    return 0;
  } else {
    return kind == index ? std::variant_alternative_t<index, EventBody>::kNumber
                         : NumberOfKind<index + 1>(kind);
  }
}

// Whether a field is one of those that a message of ours has not.
bool HasUnknown(const Message& message) {
  const Reflection& reflection = *message.GetReflection();
  if (reflection.GetUnknownFields(message).field_count() > 0) return true;
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (field->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        if (HasUnknown(reflection.GetRepeatedMessage(message, field, i))) {
          return true;
        }
      }
    } else if (HasUnknown(reflection.GetMessage(message, field))) {
      return true;
    }
  }
  return false;
}

// Fills a message of the contract at random, to some depth.
void FillMessage(Random& random, Message& message, int depth) {
  const Descriptor& descriptor = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  RandomFields values(random);
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor* field = descriptor.field(i);
    // Ours always has these; empty is as good as not there.
    const bool always =
        field->name() == "orchestrationInstance" || field->name() == "fireAt";
    if (!always && OneIn(random, 4)) continue;
    std::string text;
    if (field->is_map()) {
      for (uint64_t n = Uniform(random, 0, 2); n > 0; --n) {
        Message* entry = reflection.AddMessage(&message, field);
        const Descriptor& of = *entry->GetDescriptor();
        entry->GetReflection()->SetString(entry, of.map_key(),
                                          "key " + std::to_string(n));
        if (of.map_value()->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
          values(0, text);
          entry->GetReflection()->SetString(entry, of.map_value(), text);
        }
      }
      continue;
    }
    if (field->is_repeated()) continue;
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32: {
        int32_t value;
        values(0, value);
        reflection.SetInt32(&message, field, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_INT64: {
        int64_t value;
        values(0, value);
        reflection.SetInt64(&message, field, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_BOOL:
        reflection.SetBool(&message, field, OneIn(random, 2));
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        reflection.SetEnumValue(&message, field,
                                static_cast<int>(Uniform(random, 0, 7)));
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        values(0, text);
        reflection.SetString(&message, field, text);
        break;
      case FieldDescriptor::CPPTYPE_MESSAGE:
        if (depth > 0 || always) {
          FillMessage(random, *reflection.MutableMessage(&message, field),
                      depth - 1);
        }
        break;
      default:
        break;
    }
  }
}

// Without what is only ours: it stays with the engine.
HistoryEvent OfTheContract(HistoryEvent event) {
  std::visit(
      [](auto& body) {
        if constexpr (requires { body.requester_execution; }) {
          body.requester_execution.clear();
        }
        if constexpr (requires { body.legacy; }) body.legacy = false;
      },
      event.body);
  return event;
}

// ---- Events -----------------------------------------------------------------

TEST(WireForm, EveryEventOfOursIsOneOfTheContract) {
  ForEachSeed(100, [](Random& random) {
    for (size_t kind = 0; kind < kKinds; ++kind) {
      const HistoryEvent event = OfTheContract(RandomEventOfKind(random, kind));
      const std::string bytes = EncodeEvent(event);
      ::HistoryEvent message;
      ASSERT_TRUE(message.ParseFromString(bytes)) << "kind " << kind;
      EXPECT_EQ(message.eventid(), event.id);
      EXPECT_EQ(message.timestamp().seconds(), event.time.seconds);
      EXPECT_EQ(message.timestamp().nanos(), event.time.nanos);
      if (kind > 0) {
        EXPECT_EQ(static_cast<int>(message.eventType_case()),
                  NumberOfKind(kind));
      }
      // Nothing of it stands where the contract has nothing.
      EXPECT_FALSE(HasUnknown(message)) << message.ShortDebugString();
      // And nothing of it was lost.
      const auto again = DecodeEvent(message.SerializeAsString());
      ASSERT_TRUE(again.has_value());
      ::HistoryEvent same;
      ASSERT_TRUE(same.ParseFromString(EncodeEvent(*again)));
      EXPECT_TRUE(MessageDifferencer::Equals(same, message));
    }
  });
}

TEST(WireForm, EveryEventOfTheContractIsOneOfOursWithAllItsFields) {
  const Descriptor& descriptor = *::HistoryEvent::descriptor();
  ForEachSeed(100, [&descriptor](Random& random) {
    for (int i = 0; i < descriptor.field_count(); ++i) {
      const FieldDescriptor* field = descriptor.field(i);
      if (field->containing_oneof() == nullptr) continue;
      ::HistoryEvent message;
      message.set_eventid(static_cast<int32_t>(random()));
      message.mutable_timestamp()->set_seconds(
          static_cast<int64_t>(Uniform(random, 0, 1u << 31)));
      FillMessage(random,
                  *message.GetReflection()->MutableMessage(&message, field), 4);
      const auto event = DecodeEvent(message.SerializeAsString());
      ASSERT_TRUE(event.has_value()) << field->name();
      ::HistoryEvent again;
      ASSERT_TRUE(again.ParseFromString(EncodeEvent(*event))) << field->name();
      EXPECT_TRUE(MessageDifferencer::Equals(again, message))
          << field->name() << "\n"
          << message.ShortDebugString() << "\n"
          << again.ShortDebugString();
    }
  });
}

TEST(WireForm, FailureOfOursIsOneOfTheContract) {
  TaskFailureDetails details;
  ASSERT_TRUE(details.ParseFromString(*MakeFailure("Type", "why").bytes));
  EXPECT_EQ(details.errortype(), "Type");
  EXPECT_EQ(details.errormessage(), "why");
}

TEST(WireForm, StatusesHaveTheNumbersOfTheContract) {
  EXPECT_EQ(static_cast<int>(OrchestrationStatus::kRunning),
            ORCHESTRATION_STATUS_RUNNING);
  EXPECT_EQ(static_cast<int>(OrchestrationStatus::kCompleted),
            ORCHESTRATION_STATUS_COMPLETED);
  EXPECT_EQ(static_cast<int>(OrchestrationStatus::kContinuedAsNew),
            ORCHESTRATION_STATUS_CONTINUED_AS_NEW);
  EXPECT_EQ(static_cast<int>(OrchestrationStatus::kFailed),
            ORCHESTRATION_STATUS_FAILED);
  EXPECT_EQ(static_cast<int>(OrchestrationStatus::kCanceled),
            ORCHESTRATION_STATUS_CANCELED);
  EXPECT_EQ(static_cast<int>(OrchestrationStatus::kTerminated),
            ORCHESTRATION_STATUS_TERMINATED);
  EXPECT_EQ(static_cast<int>(OrchestrationStatus::kPending),
            ORCHESTRATION_STATUS_PENDING);
  EXPECT_EQ(static_cast<int>(OrchestrationStatus::kSuspended),
            ORCHESTRATION_STATUS_SUSPENDED);
}

TEST(WireForm, WhatIsReadByTheContractIsReadByUs) {
  google::protobuf::LogSilencer silencer;  // It complains of cut letters.
  ForEachSeed(3'000, [](Random& random) {
    std::string bytes = EncodeEvent(OfTheContract(RandomEvent(random)));
    if (bytes.size() > 1) bytes.resize(Uniform(random, 1, bytes.size() - 1));
    ::HistoryEvent message;
    const bool theirs = message.ParsePartialFromString(bytes);
    const bool ours = DecodeEvent(bytes).has_value();
    // Of what nobody here looks into only the length counts.
    if (!ours) {
      EXPECT_FALSE(theirs);
    }
  });
}

// ---- Work items -------------------------------------------------------------

TEST(WireForm, TurnItemIsAWorkItemOfTheContract) {
  ForEachSeed(100, [](Random& random) {
    std::string past;
    std::vector<std::string> all;
    for (uint64_t i = Uniform(random, 0, 5); i > 0; --i) {
      all.push_back(EncodeEvent(OfTheContract(RandomEvent(random))));
      AppendFrame(past, kStoredFrame, all.back());
    }
    std::vector<std::string> events;
    for (uint64_t i = Uniform(random, 0, 5); i > 0; --i) {
      events.push_back(EncodeEvent(OfTheContract(RandomEvent(random))));
    }
    OpaqueMessage trace;
    if (OneIn(random, 2)) {
      OrchestrationTraceContext context;
      context.mutable_spanid()->set_value("span");
      trace = {context.SerializeAsString()};
    }
    WorkItem item;
    ASSERT_TRUE(item.ParseFromString(EncodeTurnItem({.token = "t-1",
                                                     .instance_id = "a-1",
                                                     .execution_id = "e-1",
                                                     .past = past,
                                                     .events = events,
                                                     .trace_context = trace})));
    EXPECT_FALSE(HasUnknown(item));
    EXPECT_EQ(item.completiontoken(), "t-1");
    ASSERT_TRUE(item.has_orchestratorrequest());
    const OrchestratorRequest& request = item.orchestratorrequest();
    EXPECT_EQ(request.instanceid(), "a-1");
    EXPECT_EQ(request.executionid().value(), "e-1");
    EXPECT_TRUE(request.has_entityparameters());
    EXPECT_FALSE(request.requireshistorystreaming());
    EXPECT_EQ(request.has_orchestrationtracecontext(), trace.has_value());
    if (trace.has_value()) {
      EXPECT_EQ(request.orchestrationtracecontext().spanid().value(), "span");
    }
    const auto same = [](const auto& messages,
                         const std::vector<std::string>& encoded) {
      ASSERT_EQ(static_cast<size_t>(messages.size()), encoded.size());
      for (size_t i = 0; i < encoded.size(); ++i) {
        ::HistoryEvent one;
        ASSERT_TRUE(one.ParseFromString(encoded[i]));
        EXPECT_TRUE(
            MessageDifferencer::Equals(messages[static_cast<int>(i)], one));
      }
    };
    same(request.pastevents(), all);
    same(request.newevents(), events);
  });
}

TEST(WireForm, ActivityItemIsAWorkItemOfTheContract) {
  ForEachSeed(100, [](Random& random) {
    TaskScheduled task;
    RandomFields fields(random);
    TaskScheduled::Visit(task, fields);
    int32_t id;
    fields(0, id);
    WorkItem item;
    ASSERT_TRUE(item.ParseFromString(EncodeActivityItem({.token = "t-1",
                                                         .instance_id = "a-1",
                                                         .execution_id = "e-1",
                                                         .id = id,
                                                         .task = task})));
    EXPECT_FALSE(HasUnknown(item));
    EXPECT_EQ(item.completiontoken(), "t-1");
    ASSERT_TRUE(item.has_activityrequest());
    const ActivityRequest& request = item.activityrequest();
    EXPECT_EQ(request.name(), task.name);
    EXPECT_EQ(request.has_version(), task.version.has_value());
    EXPECT_EQ(request.version().value(), task.version.value_or(""));
    EXPECT_EQ(request.has_input(), task.input.has_value());
    EXPECT_EQ(request.input().value(), task.input.value_or(""));
    EXPECT_EQ(request.orchestrationinstance().instanceid(), "a-1");
    EXPECT_EQ(request.orchestrationinstance().executionid().value(), "e-1");
    EXPECT_EQ(request.taskid(), id);
    EXPECT_EQ(request.has_parenttracecontext(), task.trace.has_value());
    StringMap tags(request.tags().begin(), request.tags().end());
    std::sort(tags.begin(), tags.end());
    std::sort(task.tags.begin(), task.tags.end());
    EXPECT_EQ(tags, task.tags);
  });
}

TEST(WireForm, BatchItemIsAWorkItemOfTheContract) {
  const std::string signal = EncodeEvent(
      {-1, {1, 2}, EntityOperationSignaled{"r", "add", Timestamp{7, 0}, "in"}});
  for (const Payload& state : {Payload(), Payload(""), Payload("state")}) {
    WorkItem item;
    ASSERT_TRUE(item.ParseFromString(EncodeBatchItem({.token = "t-1",
                                                      .instance_id = "@c@a",
                                                      .execution_id = "e-1",
                                                      .state = state,
                                                      .events = {signal}})));
    EXPECT_FALSE(HasUnknown(item));
    EXPECT_EQ(item.completiontoken(), "t-1");
    ASSERT_TRUE(item.has_entityrequestv2());
    const EntityRequest& request = item.entityrequestv2();
    EXPECT_EQ(request.instanceid(), "@c@a");
    EXPECT_EQ(request.executionid(), "e-1");
    EXPECT_EQ(request.has_entitystate(), state.has_value());
    EXPECT_EQ(request.entitystate().value(), state.value_or(""));
    ASSERT_EQ(request.operationrequests_size(), 1);
    const auto& operation =
        request.operationrequests(0).entityoperationsignaled();
    EXPECT_EQ(operation.operation(), "add");
    EXPECT_EQ(operation.input().value(), "in");
    EXPECT_EQ(operation.scheduledtime().seconds(), 7);
  }
}

}  // namespace
}  // namespace leasehold
