// PendingAnswer: the answer of a unary call that comes later.
//
// A handler that takes one need not know its answer when it returns:
//
//   return instances_.Bind<Cart>(call, [=, this](Cart& cart,
//                                                PendingAnswer answer) {
//     prices_.Ask(cart.items(), [&cart, reply, answer](int64_t total) {
//       reply->set_total(cart.Discount(total));
//       answer(grpc::Status::OK);
//     });
//   });
//
// Until then the call keeps its instance, and the access of a serial State: the
// State, request and reply stay valid. Then it gives both back and answers. If
// the call is cancelled, it still waits for the answer; OnCancelled says so to
// whoever could stop early. Copies are of one answer: the first one that is
// given counts. If the last copy goes without one, the call ends with Internal.
//
// Thread-safety: safe.   Lifetime: all copies end before the server, whose
// Shutdown waits for the answer.
#ifndef LEASEHOLD_SERVICE_EMBED_PENDING_ANSWER_H_
#define LEASEHOLD_SERVICE_EMBED_PENDING_ANSWER_H_

#include <grpcpp/support/status.h>

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "lease/base/mutex.h"
#include "service/instance/call_chain.h"

namespace leasehold {

namespace internal {

// The call that waits for its answer. It ends when its handler has returned and
// the answer is there: the handler's own object is part of it.
class PendingCall {
 public:
  // Once. `status`: null, it was dropped.
  void Answer(const grpc::Status* status);
  // Keeps `told` and returns true, unless the call was cancelled.
  bool KeepOnCancelled(std::function<void()>& told) ABSL_LOCKS_EXCLUDED(mu_);
  virtual bool IsCancelled() const = 0;
  virtual CallChain Chain() const = 0;

 protected:
  PendingCall() = default;
  virtual ~PendingCall() = default;

  // The handler has returned, or thrown: then the call ends with that, but not
  // before its answer, because somebody may still be using the State.
  void Returned(const grpc::Status* thrown);
  // The call was cancelled.
  void TellCancelled() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  static constexpr unsigned kReturned = 1;
  static constexpr unsigned kAnswered = 2;

  // Gives back what the call holds, and answers. This may be destroyed in it.
  virtual void End(const grpc::Status& status) = 0;
  // Tells observers, and returns what the caller gets.
  virtual grpc::Status Dropped() = 0;
  // What was passed to OnCancelled threw. REQUIRES: it is being handled.
  virtual void CancelledThrew() = 0;
  // `bit` is the first of the two, or the call ends.
  void Meet(unsigned bit);

  std::atomic<unsigned> met_{0};
  // Each is written before its bit is set, and read when both are.
  grpc::Status answer_;
  bool dropped_ = false;
  bool threw_ = false;
  grpc::Status thrown_;

  Mutex mu_;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  std::function<void()> on_cancelled_ ABSL_GUARDED_BY(mu_);
};

// What the copies of a PendingAnswer share.
class AnswerHandle {
 public:
  explicit AnswerHandle(PendingCall& call) : call_(&call) {}
  ~AnswerHandle();
  void Answer(const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  bool IsCancelled() const ABSL_LOCKS_EXCLUDED(mu_);
  void OnCancelled(std::function<void()> told) ABSL_LOCKS_EXCLUDED(mu_);
  CallChain Chain() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  PendingCall* Take() ABSL_LOCKS_EXCLUDED(mu_);

  mutable Mutex mu_;
  PendingCall* call_ ABSL_GUARDED_BY(mu_);  // Null: answered.
};

}  // namespace internal

class PendingAnswer {
 public:
  // Made by Bind.
  explicit PendingAnswer(internal::PendingCall& call)
      : handle_(std::make_shared<internal::AnswerHandle>(call)) {}

  // Answers the call, from any thread, also inside the handler. Fill in the
  // reply first: it, the request and the State must not be used afterwards.
  // Later answers do nothing.
  void operator()(const grpc::Status& status) const { handle_->Answer(status); }

  // Whether the call was cancelled; false once it is answered.
  bool cancelled() const { return handle_->IsCancelled(); }
  // `told` is called once if the call is cancelled before it is answered:
  // inside this if that has happened, else on a thread of gRPC, where it must
  // not block. It may answer, and may come when an answer has just been given.
  // It replaces an earlier one. What it captures lives as long as the call:
  // with a copy of this in it, nobody notices that the last other one has gone.
  void OnCancelled(std::function<void()> told) const {
    handle_->OnCancelled(std::move(told));
  }

  // What calls that are made for this one pass on (chain_metadata.h); an empty
  // chain once it is answered.
  CallChain chain() const { return handle_->Chain(); }

 private:
  std::shared_ptr<internal::AnswerHandle> handle_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_EMBED_PENDING_ANSWER_H_
