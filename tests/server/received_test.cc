#include "service/rpc/received.h"

#include <string>
#include <string_view>

#include "durabletask/orchestrator_service.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lease/base/utf8.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using Code = absl::StatusCode;

constexpr char kHalfEmoji[] = "no price for \xED\xA0\xBC";
constexpr char kLatin1[] = "caf\xE9";

grpc::ByteBuffer Buffer(const std::string& bytes) {
  // In two slices, as what comes over the wire may lie in several.
  const size_t half = bytes.size() / 2;
  const grpc::Slice slices[] = {grpc::Slice(bytes.substr(0, half)),
                                grpc::Slice(bytes.substr(half))};
  return {slices, 2};
}

template <typename Message>
absl::Status Parse(const std::string& bytes, Message& message) {
  grpc::ByteBuffer buffer = Buffer(bytes);
  return ParseReceived(buffer, message);
}

std::string Why(const std::string& bytes, google::protobuf::Message& message) {
  const absl::Status status = Parse(bytes, message);
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  return std::string(status.message());
}

// A failure with so many causes.
TaskFailureDetails Nested(int causes) {
  TaskFailureDetails failure;
  TaskFailureDetails* last = &failure;
  for (int i = 0; i < causes; ++i) last = last->mutable_innerfailure();
  last->set_errormessage("root");
  return failure;
}

int CausesOf(const TaskFailureDetails& failure) {
  int causes = 0;
  const TaskFailureDetails* next = &failure;
  for (; next->has_innerfailure(); next = &next->innerfailure()) ++causes;
  return causes;
}

// A field of text or of a message, as bytes.
std::string Field(int number, const std::string& value) {
  std::string field(1, static_cast<char>(number << 3 | 2));
  size_t size = value.size();
  for (; size >= 0x80; size >>= 7) {
    field.push_back(static_cast<char>(size | 0x80));
  }
  field.push_back(static_cast<char>(size));
  return field + value;
}

// A failure with so many causes, as bytes: more than a message could have.
std::string NestedBytes(int causes) {
  std::string bytes;
  for (int i = 0; i < causes; ++i) {
    bytes = Field(TaskFailureDetails::kInnerFailureFieldNumber, bytes);
  }
  return bytes;
}

TEST(Utf8, FindsWhatIsNotUtf8) {
  EXPECT_EQ(FindNotUtf8("gr\xC3\xBC\xC3\x9F \xF0\x9F\x8E\x81"),
            std::string_view::npos);
  EXPECT_EQ(FindNotUtf8(kHalfEmoji), 13u);
  EXPECT_EQ(FindNotUtf8(kLatin1), 3u);
  EXPECT_EQ(FindNotUtf8("\xC0\x80"), 0u);
  EXPECT_EQ(MakeUtf8(kLatin1), "caf\xEF\xBF\xBD");
  EXPECT_EQ(MakeUtf8("fine"), "fine");
}

TEST(Utf8, TheFrontOfATextCutsNoCharacter) {
  EXPECT_EQ(Utf8Front("abc", 3), "abc");
  EXPECT_EQ(Utf8Front("abc", 2), "ab");
  EXPECT_EQ(Utf8Front("a\xF0\x9F\x8E\x81", 4), "a");
  EXPECT_EQ(Utf8Front("a\xF0\x9F\x8E\x81", 5), "a\xF0\x9F\x8E\x81");
}

TEST(Received, TakesAMessage) {
  CreateInstanceRequest sent;
  sent.set_name("N");
  sent.mutable_input()->set_value(std::string(100'000, 'x'));
  CreateInstanceRequest message;
  ASSERT_TRUE(Parse(sent.SerializeAsString(), message).ok());
  EXPECT_EQ(message.SerializeAsString(), sent.SerializeAsString());
  ASSERT_TRUE(Parse("", message).ok());  // One that says nothing.
}

TEST(Received, NamesTheFieldWhoseTextIsNotUtf8) {
  CreateInstanceRequest message;
  EXPECT_EQ(Why(Field(2, "\xE9"), message),
            "name: is not valid UTF-8 at byte 0");
  // A wrapper is what it wraps.
  EXPECT_EQ(Why(Field(4, Field(1, kLatin1)), message),
            "input: is not valid UTF-8 at byte 3");
  EXPECT_EQ(Why(Field(8, Field(1, "\xE9")), message),
            "tags.key: is not valid UTF-8 at byte 0");
  OrchestratorResponse answer;
  EXPECT_EQ(
      Why(Field(2, "") + Field(2, Field(2, Field(1, kHalfEmoji))), answer),
      "actions[1].scheduleTask.name: is not valid UTF-8 at byte 13");
}

TEST(Received, SaysWhyItIsNotAMessage) {
  CreateInstanceRequest message;
  EXPECT_EQ(Why("\xFF\xFF\xFF", message),
            "the request is not a valid CreateInstanceRequest");
  EXPECT_EQ(Why("\x22\x02\xFF\xFF", message),
            "input: is not a valid google.protobuf.StringValue");
}

TEST(Received, SaysWhatIsNestedTooDeep) {
  TaskFailureDetails message;
  EXPECT_TRUE(Parse(NestedBytes(100), message).ok());
  const std::string why = Why(NestedBytes(101), message);
  EXPECT_THAT(why, AllOf(HasSubstr("innerFailure.innerFailure"),
                         HasSubstr(": is nested more than 100 levels deep")));
  EXPECT_LT(why.size(), 200u);
  // However deep: it takes no more stack.
  EXPECT_EQ(Why(NestedBytes(5000), message), why);
}

TEST(Received, RefusesMoreThanTheBound) {
  grpc::ByteBuffer buffer = Buffer("\x12\x03xyz");
  CreateInstanceRequest message;
  EXPECT_TRUE(ParseReceived(buffer, message, 5).ok());
  const absl::Status status = ParseReceived(buffer, message, 4);
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_EQ(status.message(), "the request has 5 bytes; at most 4 are allowed");
}

std::string Repair(const std::string& bytes,
                   const google::protobuf::Descriptor* type,
                   int depth_max = 5) {
  return RepairFailures(bytes, *type, *TaskFailureDetails::descriptor(),
                        depth_max);
}

TEST(RepairFailures, MakesTheTextOfFailuresReadable) {
  // As the contract has them, by hand: a message object takes no such text.
  const std::string failure = Field(1, "Error") + Field(2, kHalfEmoji);
  const std::string bytes = Field(1, "a") + Field(4, failure);
  ActivityResponse message;
  EXPECT_FALSE(message.ParseFromString(bytes));
  ASSERT_TRUE(
      message.ParseFromString(Repair(bytes, ActivityResponse::descriptor())));
  EXPECT_EQ(message.instanceid(), "a");
  EXPECT_EQ(message.failuredetails().errortype(), "Error");
  EXPECT_EQ(message.failuredetails().errormessage(),
            "no price for \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(RepairFailures, LeavesPayloadsAsTheyAre) {
  const std::string bytes = "\x1A\x03\x0A\x01\xE9";  // A result.
  EXPECT_EQ(Repair(bytes, ActivityResponse::descriptor()), bytes);
}

TEST(RepairFailures, LeavesWhatIsGoodOrNoMessageAsItIs) {
  ActivityResponse message;
  *message.mutable_failuredetails() = Nested(3);
  const std::string bytes = message.SerializeAsString();
  EXPECT_EQ(Repair(bytes, ActivityResponse::descriptor()), bytes);
  EXPECT_EQ(Repair("\xFF\xFF", ActivityResponse::descriptor()), "\xFF\xFF");
}

TEST(RepairFailures, CutsCausesThatLieTooDeep) {
  for (const int causes : {4, 5, 99, 101, 5000}) {
    TaskFailureDetails message;
    ASSERT_TRUE(message.ParseFromString(
        Repair(NestedBytes(causes), TaskFailureDetails::descriptor())))
        << causes;
    EXPECT_EQ(CausesOf(message), 4) << causes;
  }
}

TEST(RepairFailures, CutsPropertiesThatLieTooDeep) {
  std::string value;
  for (int i = 0; i < 200; ++i) value = Field(6, Field(1, value));  // A list.
  const std::string failure = Field(6, Field(1, "k") + Field(2, value));
  TaskFailureDetails message;
  EXPECT_FALSE(message.ParseFromString(failure));
  EXPECT_TRUE(message.ParseFromString(
      Repair(failure, TaskFailureDetails::descriptor())));
  EXPECT_EQ(message.properties_size(), 1);
}

}  // namespace
}  // namespace leasehold
