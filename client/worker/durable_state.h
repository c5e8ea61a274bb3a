// DurableState: the state of a task whose result is in the history.
//
// Thread-safety: one thread: the turn's.   Lifetime: as long as its task.
#ifndef LEASEHOLD_CLIENT_WORKER_DURABLE_STATE_H_
#define LEASEHOLD_CLIENT_WORKER_DURABLE_STATE_H_

#include <exception>
#include <type_traits>
#include <utility>

#include "client/worker/payload.h"
#include "client/worker/task_state.h"

namespace leasehold::worker::internal {

// Where a result from the history goes. Exactly one function is called, once.
class PayloadSink {
 public:
  virtual ~PayloadSink() = default;
  virtual void Complete(const Payload& payload) = 0;
  virtual void Fail(std::exception_ptr error) = 0;
};

// A payload that is not a T fails the task with PayloadError.
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
      } catch (...) {  // Also what a user's from_json throws.
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
