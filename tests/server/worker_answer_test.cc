#include "service/doors/worker_answer.h"

#include <string>

#include "durabletask/orchestrator_service.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const Caller kCaller = {.tenant = "default"};

grpc::ByteBuffer Buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

std::string Text(int number, const std::string& value) {
  return std::string(1, static_cast<char>(number << 3 | 2)) +
         static_cast<char>(value.size()) + value;
}

FailureDetails FailureOf(const EventBody& end) {
  const auto* failed = std::get_if<TaskFailed>(&end);
  if (failed == nullptr) return {.type = "none", .message = ""};
  return *DecodeMessage<FailureDetails>(*failed->failure.bytes);
}

ActivityResponse Result() {
  ActivityResponse message;
  message.set_instanceid("a-1");
  message.set_taskid(7);
  message.set_completiontoken("token");
  message.mutable_result()->set_value("\"done\"");
  return message;
}

TEST(ActivityAnswer, IsTheEndOfItsActivity) {
  grpc::ByteBuffer bytes = Buffer(Result().SerializeAsString());
  const auto answer = ReadActivityAnswer(bytes, kCaller);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->name.token, "token");
  EXPECT_EQ(answer->name.key, (InstanceKey{"default", "a-1"}));
  EXPECT_EQ(answer->name.task_id, 7);
  EXPECT_EQ(std::get<TaskCompleted>(answer->end).result, "\"done\"");
}

TEST(ActivityAnswer, ThatIsTooLargeFailsItsActivity) {
  const std::string sent = Result().SerializeAsString();
  grpc::ByteBuffer bytes = Buffer(sent);
  const auto answer = ReadActivityAnswer(bytes, kCaller, sent.size() - 1);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->name.token, "token");
  EXPECT_EQ(answer->name.task_id, 7);
  EXPECT_EQ(FailureOf(answer->end).type, "AnswerTooLarge");
  EXPECT_THAT(FailureOf(answer->end).message,
              AllOf(HasSubstr(std::to_string(sent.size())),
                    HasSubstr(std::to_string(sent.size() - 1))));
}

TEST(ActivityAnswer, OfAResultThatIsNotUtf8FailsItsActivity) {
  grpc::ByteBuffer bytes =
      Buffer(Text(1, "a-1") + "\x10\x07" + Text(3, Text(1, "caf\xE9")) +
             Text(5, "token"));
  const auto answer = ReadActivityAnswer(bytes, kCaller);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->name.token, "token");
  EXPECT_EQ(answer->name.task_id, 7);
  EXPECT_EQ(FailureOf(answer->end).type, "UnreadableAnswer");
  EXPECT_THAT(FailureOf(answer->end).message,
              HasSubstr("result: is not valid UTF-8 at byte 3"));
}

TEST(ActivityAnswer, OfAFailureThatIsNotUtf8IsThatFailure) {
  grpc::ByteBuffer bytes =
      Buffer(Text(5, "token") + Text(4, Text(1, "E") + Text(2, "caf\xE9")));
  const auto answer = ReadActivityAnswer(bytes, kCaller);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->name.token, "token");
  EXPECT_EQ(FailureOf(answer->end).type, "E");
  EXPECT_EQ(FailureOf(answer->end).message, "caf\xEF\xBF\xBD");
}

TEST(ActivityAnswer, OfNobodyIsRefused) {
  for (const std::string sent : {"\xFF\xFF\xFF", "\x1A\x03\x0A\x01\xE9"}) {
    grpc::ByteBuffer bytes = Buffer(sent);
    EXPECT_EQ(ReadActivityAnswer(bytes, kCaller).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(OrchestratorAnswer, IsTheAnswerToItsTurn) {
  OrchestratorResponse message;
  message.set_instanceid("a-1");
  message.set_completiontoken("token");
  message.mutable_customstatus()->set_value("s");
  grpc::ByteBuffer bytes = Buffer(message.SerializeAsString());
  auto answer = ReadOrchestratorAnswer(bytes, kCaller);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->name.token, "token");
  EXPECT_FALSE(answer->wants_history);
  ASSERT_TRUE(answer->turn.ok());
  EXPECT_EQ(answer->turn->custom_status, "s");
  EXPECT_EQ(answer->turn->refusal, std::nullopt);

  message.set_requireshistory(true);
  bytes = Buffer(message.SerializeAsString());
  answer = ReadOrchestratorAnswer(bytes, kCaller);
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(answer->wants_history);
}

TEST(OrchestratorAnswer, ThatIsTooLargeOrNotUtf8IsARefusalOfItsTurn) {
  const std::string sent =
      Text(2, "\x08\x01" + Text(2, Text(1, "caf\xE9"))) + Text(4, "token");
  grpc::ByteBuffer bytes = Buffer(sent);
  auto answer = ReadOrchestratorAnswer(bytes, kCaller, sent.size() - 1);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->name.token, "token");
  ASSERT_TRUE(answer->turn.ok());
  EXPECT_EQ(answer->turn->refusal->type, "AnswerTooLarge");

  answer = ReadOrchestratorAnswer(bytes, kCaller);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->name.token, "token");
  ASSERT_TRUE(answer->turn.ok());
  EXPECT_EQ(answer->turn->refusal->type, "UnreadableAnswer");
  EXPECT_THAT(answer->turn->refusal->message,
              HasSubstr("actions[0].scheduleTask.name: is not valid UTF-8"));
}

TEST(OrchestratorAnswer, WithAnActionThatCannotBeParsedSaysSo) {
  OrchestratorResponse message;
  message.set_completiontoken("token");
  message.add_actions();
  grpc::ByteBuffer bytes = Buffer(message.SerializeAsString());
  const auto answer = ReadOrchestratorAnswer(bytes, kCaller);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->name.token, "token");
  EXPECT_EQ(answer->turn.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace leasehold
