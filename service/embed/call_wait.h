// What the calls of an embedder wait for, and hold: inside InstanceBinder.
//
// CallWait waits for a call's context and then perhaps for access; MessageWait
// for the access of one message of a stream; Binding is a long call's hold.
//
// Thread-safety: BinderCore is safe; a wait may be cancelled from any thread;
// the rest belongs to its call.   Lifetime: the Instances outlive all of them.
#ifndef LEASEHOLD_SERVICE_EMBED_CALL_WAIT_H_
#define LEASEHOLD_SERVICE_EMBED_CALL_WAIT_H_

#include <grpcpp/server_context.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/doors/instance_call.h"
#include "service/embed/service_options.h"
#include "service/embed/state_extension.h"
#include "service/instance/call_chain.h"
#include "service/instance/executor.h"
#include "service/instance/held_pin.h"
#include "service/instance/instance_registry.h"
#include "service/instance/serial_queue.h"

namespace leasehold::internal {

// What all binders of one Instances object share.
struct BinderCore {
  const InstanceDoor& door;
  Clock& clock;
  Executor& executor;
  // Where continuations learn that they get no instance, or no access: calls
  // that wait may occupy every thread of the other executor.
  Executor& failures;
  AccessTimer& access_timer;
  const absl::Duration idle_timeout;
  InstanceContextProvider& provider;  // Of services without one of their own.
  StateMaker states;
};

// Which of three events came first: the answer to a wait, its cancellation, or
// the moment when the thread that began it is done with it ("parked"). Before a
// wait is parked, its object belongs to that thread; afterwards, to the thread
// that answers.
class WaitGate {
 public:
  enum class Parked { kWaits, kAnswered, kCancelled };

  // Called once by the thread that began the wait. kWaits: an answer will come;
  // do not touch the object any more. kAnswered: the answer is there.
  // kCancelled: `cancel`, which stops the wait if it can, has done so, and no
  // answer will come.
  template <typename Cancel>
  Parked Park(Cancel cancel) {
    unsigned bits = bits_.load();
    while ((bits & kAnswered) == 0) {
      if ((bits & kCancelled) != 0 && cancel()) return Parked::kCancelled;
      if (bits_.compare_exchange_weak(bits, bits | kParked)) {
        return Parked::kWaits;
      }
    }
    return Parked::kAnswered;
  }
  // The answer is there. True: pass it on. False: Park will return kAnswered.
  [[nodiscard]] bool Answer() {
    return (bits_.fetch_or(kAnswered) & kParked) != 0;
  }
  // True: the wait is parked; stop it if that is still possible. False: Park
  // stops it, or the wait has been answered.
  [[nodiscard]] bool Cancel() {
    return (bits_.fetch_or(kCancelled) & (kParked | kAnswered)) == kParked;
  }

 private:
  static constexpr unsigned kParked = 1;
  static constexpr unsigned kAnswered = 2;
  static constexpr unsigned kCancelled = 4;
  std::atomic<unsigned> bits_{0};
};

// A wait that can be cancelled.
class Waiting {
 public:
  virtual ~Waiting() = default;
  virtual void Cancel() = 0;
};

// The waits of a call: for its context, then perhaps for access.
class CallWait : public Waiting,
                 private CallMetadata,
                 private PinWaiter,
                 private AccessWaiter {
 public:
  // The wait ends with Cancelled, before this returns or on the thread that is
  // about to begin it. An answer that is there already stays.
  void Cancel() final;

 protected:
  // `method` outlives it.
  CallWait(const BinderCore& core, const ServiceOptions& service,
           const grpc::ServerContextBase& call, std::string_view method);

  const BinderCore& core() const { return core_; }
  // Whether OnPinned runs on a thread of ours, and not inside the call that
  // began the wait.
  bool elsewhere() const { return elsewhere_; }
  using PinWaiter::request;

  // Each is called once. Its answer comes once, inside the call or on the
  // executor (Cancelled inside Cancel; for other errors see FailsInPlace).
  void AwaitPin();
  void AwaitAccess(SerialQueue& queue, std::string method,
                   CallChain chain = {});
  virtual void OnPinned(absl::StatusOr<PinGrant> grant) = 0;
  // Whether an error runs no code of the embedder: then the thread that has the
  // error passes it on.
  virtual bool FailsInPlace() const = 0;
  virtual void OnHasAccess(absl::StatusOr<SerialAccess> access) = 0;

 private:
  CallWait(const BinderCore& core, absl::StatusOr<InstanceRequest> request,
           const ServiceOptions& service, const grpc::ServerContextBase& call,
           std::string_view method);

  void OnGrant(absl::StatusOr<PinGrant> grant) final;
  void OnAccess(absl::StatusOr<SerialAccess> access) final;

  // Constant after construction.
  const BinderCore& core_;
  const absl::Status request_status_;

  // Synchronises itself.
  WaitGate pin_gate_;
  WaitGate access_gate_;

  bool elsewhere_ = false;  // Set before the answer is passed on.

  // Between an answer and the thread that takes it.
  std::optional<absl::StatusOr<PinGrant>> grant_;
  std::optional<absl::StatusOr<SerialAccess>> access_;
  SerialQueue* queue_ = nullptr;
};

// A wait for access for one message of a stream.
class MessageWait final : public Waiting,
                          private AccessWaiter,
                          public std::enable_shared_from_this<MessageWait> {
 public:
  using Then = absl::AnyInvocable<void(absl::StatusOr<SerialAccess>) &&>;

  // `failures`: where `then` runs with an error; null: on the thread that has
  // the error. `threw` is called if `then` throws.
  MessageWait(Then then, Executor* failures, std::function<void()> threw)
      : then_(std::move(then)), failures_(failures), threw_(std::move(threw)) {}
  void Begin(AccessTimer& timer, SerialQueue& queue, std::string method,
             CallChain chain);
  void Cancel() override;

 private:
  void OnAccess(absl::StatusOr<SerialAccess> access) override;
  void Finish(absl::StatusOr<SerialAccess> access);
  // Finish, for threads on which nobody would catch an exception.
  void FinishElsewhere();

  Then then_;
  Executor* const failures_;
  const std::function<void()> threw_;
  WaitGate gate_;
  SerialQueue* queue_ = nullptr;
  std::optional<absl::StatusOr<SerialAccess>> access_;
  std::shared_ptr<MessageWait> self_;  // While waiting.
};

// A long call's hold on its context.
class Binding {
 public:
  // `listener` is told of a forced release; if it is null, a forced release
  // cancels the call.
  Binding(const BinderCore& core, grpc::ServerContextBase& call, PinGrant grant,
          std::shared_ptr<ReleaseListener> listener);
  ~Binding();

  const BinderCore& core() const { return core_; }
  grpc::ServerContextBase& call() const { return call_; }
  InstanceContext& context() const { return **pin_; }
  bool created() const { return created_; }
  InstanceKey key() const {
    return {.tenant = std::string(context().tenant()),
            .id = std::string(context().id())};
  }

 private:
  class CancelOnRelease;

  const BinderCore& core_;
  grpc::ServerContextBase& call_;
  const bool created_;
  std::shared_ptr<CancelOnRelease> canceller_;
  std::optional<HeldPin> pin_;
};

// An answer that a thread waits for.
template <typename T>
class BlockingAnswer {
 public:
  void Tell(absl::StatusOr<T> answer) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    answer_ = std::move(answer);
    told_.NotifyAll();
  }
  // Cancels `wait` if `call` is cancelled.
  absl::StatusOr<T> Await(Clock& clock, const grpc::ServerContextBase& call,
                          Waiting& wait) ABSL_LOCKS_EXCLUDED(mu_) {
    // A synchronous call learns that it was cancelled only by asking.
    constexpr absl::Duration kAskEvery = absl::Milliseconds(50);
    for (;;) {
      {
        MutexLock lock(mu_);
        if (!answer_.has_value()) {
          clock.WaitUntil(told_, mu_, clock.Now() + kAskEvery);
        }
        if (answer_.has_value()) return *std::move(answer_);
      }
      if (call.IsCancelled()) wait.Cancel();
    }
  }

 private:
  Mutex mu_;
  CondVar told_;
  std::optional<absl::StatusOr<T>> answer_ ABSL_GUARDED_BY(mu_);
};

// `status`, naming the instance of `context`.
absl::Status InInstance(const InstanceContext& context,
                        const absl::Status& status);

// The chain that `call` came by.
//   InvalidArgument: it cannot be read.
//   ResourceExhausted: it is full, and the call `adds` a link to it.
absl::StatusOr<CallChain> ChainFor(const grpc::ServerContextBase& call,
                                   bool adds);
// `chain`, and the link of `access` if its queue is reentrant.
CallChain ChainWith(const CallChain& chain, const SerialAccess& access);

// The answer of a call whose handler threw, as gRPC itself would give it; tells
// observers what was thrown. REQUIRES: the exception is being handled.
grpc::Status HandlerThrew(const BinderCore& core,
                          const InstanceContext& context,
                          std::string_view method);
// The answer of a call whose handler gave none; tells observers.
grpc::Status AnswerDropped(const BinderCore& core,
                           const InstanceContext& context,
                           std::string_view method);
// The continuation of a long call threw on a thread of ours: tells observers
// and cancels the call.
void ContinuationThrew(const BinderCore& core, grpc::ServerContextBase& call,
                       const InstanceKey& key, uint64_t generation);
// Returns `status`, of a State that could not be created; tells observers.
absl::Status StateFailed(const BinderCore& core, const InstanceContext& context,
                         const absl::Status& status);

}  // namespace leasehold::internal

#endif  // LEASEHOLD_SERVICE_EMBED_CALL_WAIT_H_
