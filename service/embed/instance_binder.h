// InstanceBinder: gives a call the state of its instance.
//
// `Bind` reads the call's metadata, finds or creates the context, pins it,
// finds or creates the State in it, writes the response metadata, and runs the
// given function with the State: at once if the context is open (and, for a
// serial State, access is free), otherwise later on the executor. It never
// blocks.
//
//   grpc::ServerUnaryReactor* Add(grpc::CallbackServerContext* call,
//                                 const AddRequest* request,
//                                 AddReply* reply) override {
//     return instances_.Bind<Counter>(call, [=](Counter& counter) {
//       reply->set_value(counter.Add(request->amount()));
//       return grpc::Status::OK;
//     });
//   }
//
// Streams and completion-queue services bind with a continuation, which gets a
// Bound, and keep that Bound for as long as their call lasts. state_extension.h
// says what a State is.
//
// Thread-safety: InstanceBinder and WaitHandle are safe; a Bound belongs to its
// call.   Lifetime: the Instances outlive all of them.
#ifndef LEASEHOLD_SERVICE_EMBED_INSTANCE_BINDER_H_
#define LEASEHOLD_SERVICE_EMBED_INSTANCE_BINDER_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
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
#include "service/instance/executor.h"
#include "service/instance/held_pin.h"
#include "service/instance/instance_registry.h"
#include "service/instance/serial_queue.h"
#include "service/rpc/status_mapping.h"

namespace leasehold {

namespace internal {

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
  CallWait(const BinderCore& core, const ServiceOptions& service,
           const grpc::ServerContextBase& call);

  const BinderCore& core() const { return core_; }
  // Whether OnPinned runs on a thread of ours, and not inside the call that
  // began the wait.
  bool elsewhere() const { return elsewhere_; }
  using PinWaiter::request;

  // Each is called once. Its answer comes once, inside the call or on the
  // executor (Cancelled inside Cancel; for other errors see FailsInPlace).
  void AwaitPin();
  void AwaitAccess(SerialQueue& queue, std::string method);
  virtual void OnPinned(absl::StatusOr<PinGrant> grant) = 0;
  // Whether an error runs no code of the embedder: then the thread that has the
  // error passes it on.
  virtual bool FailsInPlace() const = 0;
  virtual void OnHasAccess(absl::StatusOr<SerialAccess> access) = 0;

 private:
  CallWait(const BinderCore& core, absl::StatusOr<InstanceRequest> request,
           const ServiceOptions& service, const grpc::ServerContextBase& call);

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
  void Begin(AccessTimer& timer, SerialQueue& queue, std::string method);
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

// The answer of a call whose handler threw, as gRPC itself would give it; tells
// observers what was thrown. REQUIRES: the exception is being handled.
grpc::Status HandlerThrew(const BinderCore& core,
                          const InstanceContext& context,
                          std::string_view method);
// The continuation of a long call threw on a thread of ours: tells observers
// and cancels the call.
void ContinuationThrew(const BinderCore& core, grpc::ServerContextBase& call,
                       const InstanceKey& key, uint64_t generation);
// Returns `status`, of a State that could not be created; tells observers.
absl::Status StateFailed(const BinderCore& core, const InstanceContext& context,
                         const absl::Status& status);

}  // namespace internal

// A wait that has begun. Cancel it when its call is cancelled. Destroying the
// handle cancels nothing.
class WaitHandle {
 public:
  WaitHandle() = default;
  explicit WaitHandle(std::shared_ptr<internal::Waiting> wait)
      : wait_(std::move(wait)) {}

  // The continuation gets Cancelled, unless it has got its answer, or is about
  // to get it. Idempotent.
  void Cancel() {
    if (wait_ != nullptr) wait_->Cancel();
  }

 private:
  std::shared_ptr<internal::Waiting> wait_;
};

// The access of one message to a serial State.
// Move-only. Its destruction, which must come before that of its Bound, passes
// the access on.
template <typename State>
class StateAccess {
 public:
  StateAccess(SerialAccess access, State& state)
      : access_(std::move(access)), state_(&state) {}

  State& operator*() const { return *state_; }
  State* operator->() const { return state_; }

 private:
  SerialAccess access_;
  State* state_;
};

// A call's hold on its instance, and on the State in it. Move-only. Destroy it
// no later than when the call is done (OnDone, or the tag of its Finish),
// because it may cancel the call; and better before you finish the call: then a
// client that has its answer and releases the instance never finds it busy.
template <typename State>
class Bound {
 public:
  InstanceContext& context() const { return binding_->context(); }
  // Whether this call created the context.
  bool created() const { return binding_->created(); }

  State& operator*() const requires(!kIsSerial<State>) { return *state_.state; }
  State* operator->() const requires(!kIsSerial<State>) { return state_.state; }

  // Waits for access for one message:
  // `then(absl::StatusOr<StateAccess<State>>)` gets it inside this call if
  // access is free, otherwise on the executor. `method` names the message in
  // the error of calls that wait behind it for too long; by default it is the
  // function that calls this.
  //   Unavailable: it waited for longer than the access timeout.
  //   Cancelled: through the handle.
  // REQUIRES: this Bound lives until `then` has been called.
  template <typename Then>
  requires kIsSerial<State> WaitHandle
  AwaitAccess(Then then, std::string_view method = __builtin_FUNCTION())
  const {
    auto wait = std::make_shared<internal::MessageWait>(
        [then = std::move(then), state = state_.state,
         &context = context()](absl::StatusOr<SerialAccess> access) mutable {
          if (!access.ok()) {
            then(absl::StatusOr<StateAccess<State>>(
                internal::InInstance(context, access.status())));
          } else {
            then(absl::StatusOr<StateAccess<State>>(
                StateAccess<State>(*std::move(access), *state)));
          }
        },
        &binding_->core().failures,
        [binding = binding_.get()] {
          internal::ContinuationThrew(binding->core(), binding->call(),
                                      binding->key(),
                                      binding->context().generation());
        });
    wait->Begin(binding_->core().access_timer, *state_.queue,
                std::string(method));
    return WaitHandle(wait);
  }

  // The same for synchronous handlers, which may block.
  absl::StatusOr<StateAccess<State>> AwaitAccessBlocking(
      std::string_view method =
          __builtin_FUNCTION()) const requires kIsSerial<State> {
    auto answer = std::make_shared<internal::BlockingAnswer<SerialAccess>>();
    auto wait = std::make_shared<internal::MessageWait>(
        [answer](absl::StatusOr<SerialAccess> access) {
          answer->Tell(std::move(access));
        },
        nullptr, [] {});
    wait->Begin(binding_->core().access_timer, *state_.queue,
                std::string(method));
    absl::StatusOr<SerialAccess> access =
        answer->Await(binding_->core().clock, binding_->call(), *wait);
    if (!access.ok()) return internal::InInstance(context(), access.status());
    return StateAccess<State>(*std::move(access), *state_.state);
  }

 private:
  friend class InstanceBinder;

  Bound(std::unique_ptr<internal::Binding> binding,
        StateMaker::Found<State> state)
      : binding_(std::move(binding)), state_(state) {}

  std::unique_ptr<internal::Binding> binding_;
  StateMaker::Found<State> state_;
};

class InstanceBinder {
 public:
  InstanceBinder(const internal::BinderCore& core, ServiceOptions service)
      : core_(&core), service_(service) {}

  // Serves a unary call of the callback API with `fn(State&)` or `fn(State&,
  // InstanceContext&)`, which may fill in the reply and returns a grpc::Status.
  // The pin, and the access of a serial State, last until `fn` has returned,
  // and are given back before the answer goes out, so that a client that has
  // the answer can release the instance. The call ends with
  //   what `fn` returns, or Unknown if `fn` throws;
  //   InvalidArgument, NotFound, AlreadyExists, ResourceExhausted, Unavailable,
  //     or an initializer's status: it gets no instance, or no access;
  //   Cancelled: it was cancelled while it waited.
  // `method` names the call in the error of calls that wait behind it for too
  // long; by default it is the function that calls this.
  template <typename State, typename Fn>
  [[nodiscard]] grpc::ServerUnaryReactor* Bind(
      grpc::CallbackServerContext* call, Fn fn,
      const char* method = __builtin_FUNCTION()) const {
    auto* unary = new UnaryCallback<State, Fn>(*core_, service_, *call,
                                               std::move(fn), method);
    unary->Start();
    return unary;
  }

  // Binds a stream, or a call of a completion queue. `then(
  // absl::StatusOr<Bound<State>>)` is called once, inside this call or on the
  // executor; the errors are those above. If it throws on the executor,
  // observers are told and the call is cancelled: so it must not throw once it
  // has finished the call. The response metadata is added to `call`, which
  // sends it with its next operation. `listener` is told when the instance is
  // released by force or the server drains, so that it can let go; if it is
  // null, a forced release cancels the call, and in a drain the call goes on
  // until the drain timeout. REQUIRES: `call` is not over before `then` has
  // been called.
  template <typename State, typename Then>
  WaitHandle Bind(grpc::ServerContextBase& call, Then then,
                  std::shared_ptr<ReleaseListener> listener = nullptr) const {
    auto wait = std::make_shared<LongCall<State, Then>>(
        *core_, service_, call, std::move(then), std::move(listener));
    wait->Start();
    return WaitHandle(wait);
  }

  // Binds in a synchronous handler, which may block: it waits until the context
  // is open or the call is cancelled. `listener` as above.
  template <typename State>
  absl::StatusOr<Bound<State>> BindBlocking(
      grpc::ServerContext& call,
      std::shared_ptr<ReleaseListener> listener = nullptr) const {
    auto answer = std::make_shared<internal::BlockingAnswer<Bound<State>>>();
    auto tell = [answer](absl::StatusOr<Bound<State>> bound) {
      answer->Tell(std::move(bound));
    };
    auto wait = std::make_shared<LongCall<State, decltype(tell), true>>(
        *core_, service_, call, tell, std::move(listener));
    wait->Start();
    return answer->Await(core_->clock, call, *wait);
  }

 private:
  template <typename State, typename Fn>
  class UnaryCallback final : public grpc::ServerUnaryReactor,
                              private internal::CallWait {
   public:
    static_assert(
        std::is_invocable_r_v<grpc::Status, Fn&, State&> ||
            std::is_invocable_r_v<grpc::Status, Fn&, State&, InstanceContext&>,
        "Bind<State>(call, fn) wants `grpc::Status fn(State&)` or "
        "`grpc::Status fn(State&, InstanceContext&)`");

    UnaryCallback(const internal::BinderCore& core,
                  const ServiceOptions& service,
                  grpc::CallbackServerContext& call, Fn fn, const char* method)
        : CallWait(core, service, call),
          call_(call),
          fn_(std::move(fn)),
          method_(method) {}

    void Start() { AwaitPin(); }

   private:
    void OnPinned(absl::StatusOr<PinGrant> grant) override {
      if (!grant.ok()) return End(ToGrpcStatus(grant.status()));
      core().door.Write(*grant, call_);
      pin_ = std::move(grant->pin);
      absl::StatusOr<StateMaker::Found<State>> found =
          core().states.template StateOf<State>(*pin_);
      if (!found.ok()) {
        return End(
            ToGrpcStatus(internal::StateFailed(core(), *pin_, found.status())));
      }
      state_ = found->state;
      if constexpr (kIsSerial<State>) {
        AwaitAccess(*found->queue, method_);
      } else {
        End(Run());
      }
    }
    void OnHasAccess(absl::StatusOr<SerialAccess> access) override {
      if (!access.ok()) {
        return End(ToGrpcStatus(internal::InInstance(*pin_, access.status())));
      }
      access_ = *std::move(access);
      End(Run());
    }
    // Answers, after it has given back what the call held.
    void End(const grpc::Status& status) {
      access_.reset();
      pin_.Reset();
      Finish(status);
    }
    grpc::Status Run() {
      try {
        if constexpr (std::is_invocable_v<Fn&, State&>) {
          return fn_(*state_);
        } else {
          return fn_(*state_, *pin_);
        }
      } catch (...) {
        return internal::HandlerThrew(core(), *pin_, method_);
      }
    }
    bool FailsInPlace() const override { return true; }
    void OnCancel() override { Cancel(); }
    void OnDone() override { delete this; }

    grpc::CallbackServerContext& call_;
    Fn fn_;
    const char* const method_;
    Pin pin_;
    State* state_ = nullptr;
    std::optional<SerialAccess> access_;  // Destroyed before the pin.
  };

  // `ours`: `then` does not block, and is not the embedder's code.
  template <typename State, typename Then, bool ours = false>
  class LongCall final
      : public internal::CallWait,
        public std::enable_shared_from_this<LongCall<State, Then, ours>> {
   public:
    LongCall(const internal::BinderCore& core, const ServiceOptions& service,
             grpc::ServerContextBase& call, Then then,
             std::shared_ptr<ReleaseListener> listener)
        : CallWait(core, service, call),
          call_(call),
          then_(std::move(then)),
          listener_(std::move(listener)) {}

    void Start() {
      self_ = this->shared_from_this();
      this->AwaitPin();
    }

   private:
    using Answer = absl::StatusOr<Bound<State>>;

    void OnPinned(absl::StatusOr<PinGrant> grant) override {
      const std::shared_ptr<LongCall> self = std::move(self_);
      InstanceKey key = this->request().key;
      const uint64_t generation = grant.ok() ? grant->pin->generation() : 0;
      Then then = *std::move(then_);
      then_.reset();
      Answer answer = MakeAnswer(std::move(grant));
      // Inside Bind, its caller sees the exception.
      if (!this->elsewhere()) return then(std::move(answer));
      try {
        then(std::move(answer));
      } catch (...) {
        internal::ContinuationThrew(this->core(), call_, key, generation);
      }
    }
    Answer MakeAnswer(absl::StatusOr<PinGrant> grant) {
      if (!grant.ok()) return grant.status();
      this->core().door.Write(*grant, call_);
      auto binding = std::make_unique<internal::Binding>(
          this->core(), call_, *std::move(grant), std::move(listener_));
      absl::StatusOr<StateMaker::Found<State>> found =
          this->core().states.template StateOf<State>(binding->context());
      if (!found.ok()) {
        return internal::StateFailed(this->core(), binding->context(),
                                     found.status());
      }
      return Bound<State>(std::move(binding), *found);
    }
    bool FailsInPlace() const override { return ours; }
    void OnHasAccess(absl::StatusOr<SerialAccess>) override {
    }  // It awaits no access.

    grpc::ServerContextBase& call_;
    std::optional<Then> then_;
    std::shared_ptr<ReleaseListener> listener_;
    std::shared_ptr<LongCall> self_;  // Until the answer.
  };

  const internal::BinderCore* core_;
  ServiceOptions service_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_EMBED_INSTANCE_BINDER_H_
