#include "client/worker/failure.h"

#include <stdexcept>
#include <string>

#include "client/worker/failure_messages.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold::worker {

class OutOfTea : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace {

template <typename Error>
TaskFailure Describe(const Error& error) {
  return DescribeException(std::make_exception_ptr(error));
}

TEST(Failure, ExceptionIsItsTypeAndMessage) {
  const TaskFailure failure = Describe(OutOfTea("no Assam"));
  EXPECT_EQ(failure.error_type, "leasehold::worker::OutOfTea");
  EXPECT_EQ(failure.error_message, "no Assam");
  EXPECT_FALSE(failure.is_non_retriable);
  EXPECT_EQ(failure.inner, nullptr);
}

TEST(Failure, WhatIsNestedInAnExceptionStandsWithin) {
  std::exception_ptr outer;
  try {
    try {
      throw OutOfTea("no Assam");
    } catch (...) {
      std::throw_with_nested(std::logic_error("breakfast"));
    }
  } catch (...) {
    outer = std::current_exception();
  }
  const TaskFailure failure = DescribeException(outer);
  EXPECT_EQ(failure.error_type, "std::logic_error");
  EXPECT_EQ(failure.error_message, "breakfast");
  ASSERT_NE(failure.inner, nullptr);
  EXPECT_EQ(failure.inner->error_type, "leasehold::worker::OutOfTea");
  EXPECT_EQ(failure.inner->error_message, "no Assam");
}

TEST(Failure, StatusIsItsCode) {
  const TaskFailure failure =
      Describe(internal::StatusError(absl::NotFoundError("no cup")));
  EXPECT_EQ(failure.error_type, "NOT_FOUND");
  EXPECT_EQ(failure.error_message, "no cup");
}

TEST(Failure, FailedTaskHasItsFailureWithin) {
  TaskFailure why;
  why.error_type = "Burnt";
  why.error_message = "too hot";
  const TaskFailure failure =
      Describe(TaskFailedError(3, "activity \"Brew\"", why));
  EXPECT_EQ(failure.error_message,
            "task 3, activity \"Brew\", failed: Burnt: too hot");
  ASSERT_NE(failure.inner, nullptr);
  EXPECT_EQ(failure.inner->error_type, "Burnt");
}

TEST(Failure, WhatSaysSoIsNotRetriable) {
  EXPECT_TRUE(Describe(NonRetriableError("never")).is_non_retriable);
}

TEST(Failure, AnExceptionThatIsNotStandardIsNamedByItsType) {
  EXPECT_EQ(Describe(7).error_type, "int");
}

TEST(Failure, MessageKeepsAllOfIt) {
  TaskFailure inner;
  inner.error_type = "Inner";
  TaskFailure failure;
  failure.error_type = "Outer";
  failure.error_message = "text";
  failure.stack_trace = "at line 1";
  failure.is_non_retriable = true;
  failure.inner = std::make_shared<const TaskFailure>(inner);
  const TaskFailure back = internal::FromProto(internal::ToProto(failure));
  EXPECT_EQ(back.error_type, "Outer");
  EXPECT_EQ(back.error_message, "text");
  EXPECT_EQ(back.stack_trace, "at line 1");
  EXPECT_TRUE(back.is_non_retriable);
  ASSERT_NE(back.inner, nullptr);
  EXPECT_EQ(back.inner->error_type, "Inner");
  EXPECT_EQ(back.inner->inner, nullptr);
}

}  // namespace
}  // namespace leasehold::worker
