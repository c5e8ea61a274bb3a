// AnswerAwaiter: how a call over gRPC waits for the orchestration engine.
//
//   const auto begin = [&](AnswerAwaiter<absl::Status>::Done done) {
//     engine_.Suspend(key, reason, std::move(done));
//   };
//   AnswerAwaiter<absl::Status> answered(queue, begin);
//   const absl::Status status = co_await answered;
//
// Thread-safety: belongs to its call's queue; `done` may be called from any
// thread.   Lifetime: lies in the coroutine's frame until `done` was called.
#ifndef LEASEHOLD_SERVICE_SERVER_ENGINE_CALL_H_
#define LEASEHOLD_SERVICE_SERVER_ENGINE_CALL_H_

#include <coroutine>
#include <functional>
#include <optional>
#include <utility>

#include "service/server/rpc_runtime.h"

namespace leasehold {

template <typename Answer>
class AnswerAwaiter {
 public:
  using Done = std::function<void(Answer)>;

  AnswerAwaiter(RpcQueue& queue, std::function<void(Done done)> begin)
      : queue_(queue), begin_(std::move(begin)) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) {
    // Resumes in a task of the queue's own, so after this has returned.
    begin_([this, coroutine](Answer answer) {
      answer_ = std::move(answer);
      queue_.Resume(coroutine);
    });
  }
  Answer await_resume() { return *std::move(answer_); }

 private:
  RpcQueue& queue_;
  const std::function<void(Done done)> begin_;
  std::optional<Answer> answer_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_ENGINE_CALL_H_
