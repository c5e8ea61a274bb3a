// TaskFailure: why an activity, a sub-orchestration or an orchestration failed;
// and the exceptions that this library throws into orchestrator code.
//
// User code may throw anything. It is caught once, at the boundary of a turn or
// an activity, and becomes a TaskFailure: the exception's type, its message,
// and the exceptions nested in it (std::throw_with_nested). Bytes of its text
// that are not UTF-8 are sent as U+FFFD.
//
// Thread-safety: safe.   Lifetime: values.
#ifndef LEASEHOLD_CLIENT_WORKER_FAILURE_H_
#define LEASEHOLD_CLIENT_WORKER_FAILURE_H_

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace leasehold::worker {

// How deeply failures may be nested, since code that reads them recurses;
// deeper ones are left out.
inline constexpr int kFailuresNested = 32;

struct TaskFailure {
  // The exception's type, as its language writes it; for an absl::Status its
  // code, as in NOT_FOUND.
  std::string error_type;
  std::string error_message;
  std::optional<std::string> stack_trace;
  // Whether the code that failed says that a retry is pointless.
  bool is_non_retriable = false;
  // The cause of this failure; null if there is none.
  std::shared_ptr<const TaskFailure> inner;
};

// An activity, a sub-orchestration or an operation on an entity has failed.
// `co_await` throws this. If the
// orchestrator does not catch it, the orchestration fails with that failure.
class TaskFailedError : public std::runtime_error {
 public:
  // `task`: as in `activity "Pay"`.
  TaskFailedError(int32_t task_id, const std::string& task, TaskFailure failure)
      : std::runtime_error("task " + std::to_string(task_id) + ", " + task +
                           ", failed: " + failure.error_type + ": " +
                           failure.error_message),
        task_id_(task_id),
        failure_(std::make_shared<const TaskFailure>(std::move(failure))) {}

  int32_t task_id() const { return task_id_; }
  const TaskFailure& failure() const { return *failure_; }
  const std::shared_ptr<const TaskFailure>& shared_failure() const {
    return failure_;
  }

 private:
  int32_t task_id_;
  std::shared_ptr<const TaskFailure> failure_;
};

// For an activity to throw: no RetryPolicy retries it.
class NonRetriableError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// An entity has no operation of this name.
class UnknownOperationError : public NonRetriableError {
 public:
  using NonRetriableError::NonRetriableError;
};

// The orchestrator does something that is not allowed while it has locked
// entities; the message says what would be right.
class EntityLockError : public NonRetriableError {
 public:
  using NonRetriableError::NonRetriableError;
};

// The orchestrator does something other than its history says that it did. It
// fails the orchestration; orchestrator code never sees it.
class NonDeterminismError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace internal {

// Thrown for an activity that returns an error status.
class StatusError : public std::runtime_error {
 public:
  explicit StatusError(const absl::Status& status)
      : std::runtime_error(std::string(status.message())),
        code_(status.code()) {}
  absl::StatusCode code() const { return code_; }

 private:
  absl::StatusCode code_;
};

}  // namespace internal

// The failure for an exception. REQUIRES: not null.
TaskFailure DescribeException(const std::exception_ptr& error);

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_FAILURE_H_
