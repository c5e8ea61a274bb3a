// Delivery: a result on its way to the server.
//
// One unary call, repeated for as long as it fails with a temporary error. The
// server answers when the result is durable; a second copy of a result that has
// arrived does no harm.
//
// Thread-safety: safe.   Lifetime: the loop outlives it; its owner keeps it
// until `done` has been called.
#ifndef LEASEHOLD_CLIENT_WORKER_DELIVERY_H_
#define LEASEHOLD_CLIENT_WORKER_DELIVERY_H_

#include <functional>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "client/wire/backoff.h"
#include "client/wire/event_loop.h"
#include "client/wire/timespan.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/async_unary_call.h"
#include "grpcpp/support/status.h"
#include "lease/base/mutex.h"

namespace leasehold::worker::internal {

class AnyDelivery {
 public:
  virtual ~AnyDelivery() = default;
  virtual void Start() = 0;
  // `done` follows soon, with CANCELLED unless it had ended.
  virtual void Cancel() = 0;
};

template <typename Request, typename Response>
class Delivery final
    : public AnyDelivery,
      public std::enable_shared_from_this<Delivery<Request, Response>> {
 public:
  struct Call {
    Request request;
    // `stub.PrepareAsync…(context, request, queue)`.
    std::function<std::unique_ptr<grpc::ClientAsyncResponseReader<Response>>(
        grpc::ClientContext*, const Request&, grpc::CompletionQueue*)>
        prepare;
    // Called once, on the loop's thread; not if the loop is being stopped.
    std::function<void(const grpc::Status&, Request&)> done;
  };

  Delivery(client::EventLoop& loop, client::RunAfter run_after, Call call)
      : loop_(loop), run_after_(std::move(run_after)), call_(std::move(call)) {
    tag_.done = [this](bool) { OnEnd(); };
  }

  void Start() override ABSL_LOCKS_EXCLUDED(mu_) {
    if (!loop_.Begin()) return;
    MutexLock lock(mu_);
    self_ = this->shared_from_this();
    context_ = std::make_unique<grpc::ClientContext>();
    context_->set_deadline(client::Timespan(kTimeout));
    if (cancelled_) context_->TryCancel();
    reader_ = call_.prepare(context_.get(), call_.request, &loop_.queue());
    reader_->StartCall();
    reader_->Finish(&response_, &status_, &tag_);
  }

  void Cancel() override ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    cancelled_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }

 private:
  static constexpr absl::Duration kTimeout = absl::Seconds(60);
  // Together with the waits, half a minute.
  static constexpr int kAttempts = 10;

  static bool WillPass(const grpc::Status& status) {
    switch (status.error_code()) {
      case grpc::StatusCode::UNAVAILABLE:
      case grpc::StatusCode::DEADLINE_EXCEEDED:
      case grpc::StatusCode::ABORTED:
      case grpc::StatusCode::INTERNAL:
      case grpc::StatusCode::UNKNOWN:
      // The token's file may be replaced soon.
      case grpc::StatusCode::UNAUTHENTICATED:
        return true;
      default:
        return false;
    }
  }

  void OnEnd() ABSL_LOCKS_EXCLUDED(mu_) {
    std::shared_ptr<Delivery> self;
    bool again = false;
    absl::Duration wait;
    {
      MutexLock lock(mu_);
      self = std::move(self_);
      again = !cancelled_ && WillPass(status_) && ++attempts_ < kAttempts;
      if (again) wait = backoff_.Next();
    }
    client::EventLoop& loop = loop_;
    if (again) {
      run_after_(wait, [weak = this->weak_from_this()] {
        if (const auto delivery = weak.lock()) delivery->Start();
      });
    } else {
      call_.done(status_, call_.request);
    }
    loop.End();
  }

  // Constant after construction.
  client::EventLoop& loop_;
  const client::RunAfter run_after_;
  client::EventLoop::Tag tag_;

  // Used by one attempt after another.
  Call call_;
  Response response_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader_;

  // Guarded by mu_.
  Mutex mu_;
  std::unique_ptr<grpc::ClientContext> context_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<Delivery> self_ ABSL_GUARDED_BY(mu_);
  client::Backoff backoff_ ABSL_GUARDED_BY(mu_);
  int attempts_ ABSL_GUARDED_BY(mu_) = 0;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_DELIVERY_H_
