// AnswerAwaiter and EngineWait: how a call over gRPC waits for the
// orchestration engine.
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

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/orchestration/engine.h"
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

// Awaits the end of a wait in the engine; a call that is cancelled waits no
// longer.
class EngineWait final : private CancelHandler {
 public:
  using Answer = absl::StatusOr<std::optional<OrchestrationInfo>>;

  // As Engine::Wait.
  EngineWait(Engine& engine, ServerCall& call, InstanceKey key,
             Engine::Until until, bool payloads, uint64_t seen = 0)
      : engine_(engine),
        call_(call),
        key_(std::move(key)),
        until_(until),
        payloads_(payloads),
        seen_(seen) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) {
    coroutine_ = coroutine;
    call_.set_cancel_handler(this);
    id_ = engine_.Wait(
        key_, until_, payloads_,
        [this, &queue = call_.queue()](Answer answer) {
          answer_ = std::move(answer);
          queue.Resume(coroutine_);
        },
        seen_);
    if (call_.cancelled()) OnCancelled();
  }
  Answer await_resume() {
    call_.set_cancel_handler(nullptr);
    return std::move(answer_);
  }

 private:
  void OnCancelled() override {
    if (!engine_.CancelWait(key_, id_)) return;
    answer_ = absl::CancelledError("the client waits no longer");
    call_.queue().Resume(coroutine_);
  }

  Engine& engine_;
  ServerCall& call_;
  const InstanceKey key_;
  const Engine::Until until_;
  const bool payloads_;
  const uint64_t seen_;
  Engine::WaitId id_ = 0;
  std::coroutine_handle<> coroutine_;
  Answer answer_ = absl::UnknownError("");
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_ENGINE_CALL_H_
