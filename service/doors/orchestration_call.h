// ServeUnary, AnsweredBy, AnswerAwaiter, Into, HistoryRead, ReadGate,
// CancellableWait and OrchestrationWait: how a call over gRPC waits for an
// answer of a port.
//
//   const auto begin = [&](AnswerAwaiter<absl::Status>::Done done) {
//     orchestrations_.Suspend(key, reason, std::move(done));
//   };
//   AnswerAwaiter<absl::Status> answered(call.queue(), begin);
//   const absl::Status status = co_await answered;
//
// Thread-safety: belongs to its call's queue; `done` may be called from any
// thread.   Lifetime: lies in the coroutine's frame until `done` was called.
#ifndef LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_CALL_H_
#define LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_CALL_H_

#include <coroutine>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lease/base/mutex.h"
#include "service/orchestration/orchestrations.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/server_call.h"

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

// Serves a unary method whose answer comes from a port. `handle(call, done)`
// fills the call's response, then calls `done`; both may happen on any thread.
template <typename Request, typename Response, typename Service,
          typename Accept, typename Handle>
CallTask ServeUnary(Service& service, MethodQueue& calls, Accept accept,
                    Handle handle) {
  UnaryCall<Request, Response> call(calls);
  if (!co_await call.Accept(service, accept)) co_return;
  ServeUnary<Request, Response>(service, calls, accept, handle);
  if (!co_await call.Parse()) co_return;

  absl::Status status = call.Admit();
  if (status.ok()) {
    const std::function<void(AnswerAwaiter<absl::Status>::Done)> begin =
        [&](const AnswerAwaiter<absl::Status>::Done& done) {
          handle(call, done);
        };
    AnswerAwaiter<absl::Status> answered(call.queue(), begin);
    status = co_await answered;
  }
  co_await call.Finish(status);
}

// How a method is served whose answer comes from `port`. `handle` fills the
// response, then calls `done`; both may happen on any thread.
template <typename Service, typename Accept, typename Port, typename Request,
          typename Response>
std::function<void(MethodQueue&)> AnsweredBy(
    Port& port, Service& service, Accept accept,
    void (*handle)(Port& port, const Caller& caller, Request& request,
                   Response& response, DoneStatus done)) {
  return [&port, &service, accept, handle](MethodQueue& calls) {
    const auto answer = [&port, handle](auto& call, const DoneStatus& done) {
      handle(port, call.caller(), call.request(), call.response(), done);
    };
    ServeUnary<Request, Response>(service, calls, accept, answer);
  };
}

// Takes an answer of a port: it becomes `response`, and `done` gets its status.
template <typename Response>
auto Into(Response& response, DoneStatus done) {
  return [&response, done = std::move(done)](const auto& answer) {
    if (answer.ok()) ToMessage(*answer, response);
    done(answer.status());
  };
}

// Awaits a part of a history.
class HistoryRead final {
 public:
  HistoryRead(Orchestrations& orchestrations, ServerCall& call, InstanceKey key,
              HistoryQuery query)
      : orchestrations_(orchestrations),
        queue_(call.queue()),
        key_(std::move(key)),
        query_(std::move(query)) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) {
    orchestrations_.ReadHistory(
        key_, query_, [this, coroutine](absl::StatusOr<HistoryPage> page) {
          page_ = std::move(page);
          queue_.Resume(coroutine);
        });
  }
  absl::StatusOr<HistoryPage> await_resume() { return std::move(page_); }

 private:
  Orchestrations& orchestrations_;
  RpcQueue& queue_;
  const InstanceKey key_;
  const HistoryQuery query_;
  absl::StatusOr<HistoryPage> page_ = absl::UnknownError("");
};

// Lets so many through at a time, and the others wait for their turn: for what
// is large in memory for a moment, but not for as long as a client likes.
//
// Thread-safety: safe.   Lifetime: outlives those who wait.
class ReadGate {
 public:
  explicit ReadGate(size_t count) : free_(count) {}

  // Awaits its turn; Leave ends it.
  class Entering {
   public:
    Entering(ReadGate& gate, RpcQueue& queue) : gate_(gate), queue_(queue) {}
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> coroutine) {
      MutexLock lock(gate_.mu_);
      if (gate_.free_ > 0) {
        --gate_.free_;
        return false;
      }
      gate_.waiting_.emplace_back(&queue_, coroutine);
      return true;
    }
    void await_resume() const noexcept {}

   private:
    ReadGate& gate_;
    RpcQueue& queue_;
  };
  Entering Enter(RpcQueue& queue) { return {*this, queue}; }
  void Leave() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (waiting_.empty()) {
      ++free_;
      return;
    }
    const auto [queue, coroutine] = waiting_.front();
    waiting_.pop_front();
    queue->Resume(coroutine);
  }

 private:
  Mutex mu_;
  size_t free_ ABSL_GUARDED_BY(mu_);
  std::deque<std::pair<RpcQueue*, std::coroutine_handle<>>> waiting_
      ABSL_GUARDED_BY(mu_);
};

// Who makes the call. REQUIRES: as of ServerCall::caller.
inline Requester RequesterOf(const ServerCall& call) {
  return {.identity = call.caller().name, .peer = call.context().peer()};
}

// What a part of a history takes while it is sent: as it was read, and on its
// way out.
inline size_t HistoryRoom(const HistoryPage& page) {
  size_t bytes = 0;
  for (const std::string& chunk : page.chunks) bytes += chunk.size();
  return 2 * bytes;
}

// Awaits the end of a wait of a port; a call that is cancelled waits no longer.
template <typename T>
class CancellableWait : private CancelHandler {
 public:
  using Answer = absl::StatusOr<T>;

  // `begin` says under which number the port knows the wait; `cancel` is true
  // if that wait will not be answered.
  CancellableWait(ServerCall& call, std::function<uint64_t(Done<T>)> begin,
                  std::function<bool(uint64_t)> cancel)
      : call_(call), begin_(std::move(begin)), cancel_(std::move(cancel)) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) {
    coroutine_ = coroutine;
    call_.set_cancel_handler(this);
    id_ = begin_([this, &queue = call_.queue()](Answer answer) {
      answer_ = std::move(answer);
      queue.Resume(coroutine_);
    });
    if (call_.cancelled()) OnCancelled();
  }
  Answer await_resume() {
    call_.set_cancel_handler(nullptr);
    return std::move(answer_);
  }

 private:
  void OnCancelled() override {
    if (!cancel_(id_)) return;
    answer_ = absl::CancelledError("the client waits no longer");
    call_.queue().Resume(coroutine_);
  }

  ServerCall& call_;
  const std::function<uint64_t(Done<T>)> begin_;
  const std::function<bool(uint64_t)> cancel_;
  uint64_t id_ = 0;
  std::coroutine_handle<> coroutine_;
  Answer answer_ = absl::UnknownError("");
};

class OrchestrationWait final
    : public CancellableWait<Orchestrations::SharedInfo> {
 public:
  // As Orchestrations::Wait; the peer is the call's.
  OrchestrationWait(Orchestrations& orchestrations, ServerCall& call,
                    WaitRequest request)
      : CancellableWait(
            call,
            [&orchestrations, &call,
             request](Done<Orchestrations::SharedInfo> done) mutable {
              request.peer = call.context().peer();
              return orchestrations.Wait(request, std::move(done));
            },
            [&orchestrations, key = request.key](uint64_t id) {
              return orchestrations.CancelWait(key, id);
            }) {}
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_CALL_H_
