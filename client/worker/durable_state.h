// DurableState: the state of a task that the history completes.
//
// Thread-safety: one thread: that which runs the turn.   Lifetime: its task's.
#ifndef LEASEHOLD_CLIENT_WORKER_DURABLE_STATE_H_
#define LEASEHOLD_CLIENT_WORKER_DURABLE_STATE_H_

#include <exception>
#include <type_traits>
#include <utility>

#include "client/worker/payload.h"
#include "client/worker/task_state.h"

namespace leasehold::worker::internal {

// Where the history's results go. Each is called once, and one of them.
class PayloadSink {
 public:
  virtual ~PayloadSink() = default;
  virtual void Complete(const Payload& payload) = 0;
  virtual void Fail(std::exception_ptr error) = 0;
};

// A payload that is no T fails the task with PayloadError.
template <typename T>
class DurableState final : public TaskState<T>, public PayloadSink {
 public:
  void Complete(const Payload& payload) override {
    if constexpr (std::is_void_v<T>) {
      this->SetValue({});
    } else if constexpr (std::is_same_v<T, Payload>) {
      this->SetValue(payload);
    } else {
      try {
        this->SetValue(FromPayload<T>(payload));
      } catch (...) {  // Also what a from_json of the user throws.
        this->SetError(std::current_exception());
      }
    }
  }
  void Fail(std::exception_ptr error) override {
    this->SetError(std::move(error));
  }
};

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_DURABLE_STATE_H_
