#include "service/orchestration/legacy_answers.h"

#include <string>

#include "gtest/gtest.h"

namespace leasehold {
namespace {

TEST(LegacyAnswers, AnOutputIsTextInJson) {
  const EventRaised answer = LegacyAnswer("r", "{\"a\": \"b\\c\"}\n", {});
  EXPECT_EQ(answer.name, "r");
  EXPECT_EQ(answer.input, R"({"result":"{\"a\": \"b\\c\"}\u000a"})");
}

TEST(LegacyAnswers, NoOutputIsNull) {
  EXPECT_EQ(LegacyAnswer("r", {}, {}).input, R"({"result":null})");
  EXPECT_EQ(LegacyAnswer("r", "", {}).input, R"({"result":""})");
}

TEST(LegacyAnswers, AFailureHasItsDetails) {
  EXPECT_EQ(
      LegacyAnswer("r", "ignored", MakeFailure("Bad", "it \"broke\"")).input,
      R"({"exceptionType":"Bad","failureDetails":{"ErrorType":"Bad",)"
      R"("ErrorMessage":"it \"broke\"","StackTrace":null,)"
      R"("InnerFailure":null,"IsNonRetriable":false}})");
}

TEST(LegacyAnswers, AFailureHasItsCauseAndWhereItWas) {
  std::string bytes;
  WireWriter writer(bytes);
  writer.Bytes(1, "Outer");
  writer.Bytes(2, "o");
  writer(3, Payload("at x"));
  writer.Bytes(4, *MakeFailure("Inner", "i").bytes);
  writer(5, true);
  EXPECT_EQ(LegacyAnswer("r", {}, {bytes}).input,
            R"({"exceptionType":"Outer","failureDetails":{"ErrorType":"Outer",)"
            R"("ErrorMessage":"o","StackTrace":"at x","InnerFailure":)"
            R"({"ErrorType":"Inner","ErrorMessage":"i","StackTrace":null,)"
            R"("InnerFailure":null,"IsNonRetriable":false},)"
            R"("IsNonRetriable":true}})");
}

TEST(LegacyAnswers, AFailureThatCannotBeReadSaysSo) {
  EXPECT_EQ(LegacyAnswer("r", {}, {"\xff"}).input->substr(0, 29),
            R"({"exceptionType":"Unreadable")");
}

TEST(LegacyAnswers, AGrantedLockIsAResult) {
  const EventRaised granted = LegacyGrant("c");
  EXPECT_EQ(granted.name, "c");
  EXPECT_EQ(granted.input, R"({"result":"Lock Acquisition Completed"})");
}

}  // namespace
}  // namespace leasehold
