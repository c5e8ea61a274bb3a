// InstanceBinder: gives a call the state of its instance.
//
// `Bind` reads the call's metadata, finds or makes the context, pins it, finds
// or makes the State in it, writes the response metadata, and runs what it was
// given with the State: here and now if the context is open (and, of a serial
// State, the turn is free), else on the executor, later. It never blocks.
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
// Streams and completion-queue services bind with a continuation, and keep the
// Bound that it gets for as long as their call lasts. What a State is:
// state_extension.h.
//
// Thread-safety: InstanceBinder and WaitHandle are safe; a Bound belongs to its
// call.   Lifetime: the Instances outlive all of them.
#ifndef LEASEHOLD_SERVICE_SERVER_INSTANCE_BINDER_H_
#define LEASEHOLD_SERVICE_SERVER_INSTANCE_BINDER_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <exception>
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
#include "lease/clock.h"
#include "lease/mutex.h"
#include "service/instance/executor.h"
#include "service/instance/held_pin.h"
#include "service/instance/instance_registry.h"
#include "service/instance/turn_queue.h"
#include "service/server/instance_call.h"
#include "service/server/state_extension.h"
#include "service/server/status_mapping.h"

namespace leasehold {

// What a service wants of the contexts that it touches.
struct ServiceOptions {
  // Their idle timeout is at least this; zero: the server's. (A context has the
  // longest of those that its services want.)
  absl::Duration idle_timeout = absl::ZeroDuration();
};

namespace internal {

// What all binders of an Instances share.
struct BinderCore {
  const InstanceDoor& door;
  Clock& clock;
  Executor& executor;
  TurnTimer& turn_timer;
  const absl::Duration idle_timeout;
  StateMaker states;
};

// Which of three came first: the answer to a wait, its being cancelled, or that
// who began it is done with it ("parked"). Before a wait is parked, its object
// belongs to who began it; after that, to whoever answers.
class WaitGate {
 public:
  enum class Parked { kWaits, kAnswered, kCancelled };

  // Called once by who began the wait. kWaits: an answer will come, and touch
  // the object no more. kAnswered: the answer is there. kCancelled: `cancel`,
  // which stops the wait if it can, has done so, and no answer will come.
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
  // The answer is there. True: pass it on. False: Park says so.
  [[nodiscard]] bool Answer() {
    return (bits_.fetch_or(kAnswered) & kParked) != 0;
  }
  // True: the wait is parked; stop it, if that still can be. False: Park sees
  // to it; or there is no such wait, or no more.
  [[nodiscard]] bool Cancel() {
    return (bits_.fetch_or(kCancelled) & (kParked | kAnswered)) == kParked;
  }

 private:
  static constexpr unsigned kParked = 1;
  static constexpr unsigned kAnswered = 2;
  static constexpr unsigned kCancelled = 4;
  std::atomic<unsigned> bits_{0};
};

// A wait that can be told to give up.
class Waiting {
 public:
  virtual ~Waiting() = default;
  virtual void Cancel() = 0;
};

// The waits of a call: for its context, then perhaps for its turn.
class CallWait : public Waiting,
                 private CallMetadata,
                 private PinWaiter,
                 private TurnWaiter {
 public:
  // Whatever is waited for is answered with Cancelled, before this returns or
  // by who is about to begin the wait. An answer that is there already stands.
  void Cancel() final;

 protected:
  CallWait(const BinderCore& core, const ServiceOptions& service,
           const grpc::ServerContextBase& call);

  const BinderCore& core() const { return core_; }

  // Each is called once. Its answer comes once, inside the call or on the
  // executor (or, if it is Cancelled, inside Cancel).
  void AwaitPin();
  void AwaitTurn(TurnQueue& turns, std::string method);
  virtual void OnPinned(absl::StatusOr<PinGrant> grant) = 0;
  virtual void OnHasTurn(absl::StatusOr<Turn> turn) = 0;

 private:
  CallWait(const BinderCore& core, absl::StatusOr<InstanceRequest> request,
           const ServiceOptions& service, const grpc::ServerContextBase& call);

  void OnGrant(absl::StatusOr<PinGrant> grant) final;
  void OnTurn(absl::StatusOr<Turn> turn) final;

  // Constant after construction.
  const BinderCore& core_;
  const absl::Status request_status_;

  // Synchronises itself.
  WaitGate pin_gate_;
  WaitGate turn_gate_;

  // Between an answer and who takes it up.
  std::optional<absl::StatusOr<PinGrant>> grant_;
  std::optional<absl::StatusOr<Turn>> turn_;
  TurnQueue* turns_ = nullptr;
};

// The wait of a message of a stream for its turn.
class MessageWait final : public Waiting,
                          private TurnWaiter,
                          public std::enable_shared_from_this<MessageWait> {
 public:
  using Then = absl::AnyInvocable<void(absl::StatusOr<Turn>) &&>;

  explicit MessageWait(Then then) : then_(std::move(then)) {}
  void Begin(TurnTimer& timer, TurnQueue& turns, std::string method);
  void Cancel() override;

 private:
  void OnTurn(absl::StatusOr<Turn> turn) override;
  void Finish(absl::StatusOr<Turn> turn);

  Then then_;
  WaitGate gate_;
  TurnQueue* turns_ = nullptr;
  std::optional<absl::StatusOr<Turn>> turn_;
  std::shared_ptr<MessageWait> self_;  // While waiting.
};

// The hold of a long call on its context.
class Binding {
 public:
  // `listener`: told of a forced release; null: the call is cancelled then.
  Binding(const BinderCore& core, grpc::ServerContextBase& call, PinGrant grant,
          std::shared_ptr<ReleaseListener> listener);
  ~Binding();

  const BinderCore& core() const { return core_; }
  grpc::ServerContextBase& call() const { return call_; }
  InstanceContext& context() const { return **pin_; }
  bool created() const { return created_; }

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
  // Has `wait` cancelled if `call` is.
  absl::StatusOr<T> Await(Clock& clock, const grpc::ServerContextBase& call,
                          Waiting& wait) ABSL_LOCKS_EXCLUDED(mu_) {
    // A synchronous call hears of its end only if it asks.
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

// What a call gets whose handler has thrown, as from gRPC itself.
grpc::Status HandlerThrew();

}  // namespace internal

// A wait that has begun, to be cancelled when its call is. Forgetting it
// cancels nothing.
class WaitHandle {
 public:
  WaitHandle() = default;
  explicit WaitHandle(std::shared_ptr<internal::Waiting> wait)
      : wait_(std::move(wait)) {}

  // The continuation gets Cancelled, unless it has had its answer, or is about
  // to get it. Idempotent.
  void Cancel() {
    if (wait_ != nullptr) wait_->Cancel();
  }

 private:
  std::shared_ptr<internal::Waiting> wait_;
};

// The turn of one message in a serial State, and with it the State. Move-only;
// passed on when destroyed, which is before its Bound is.
template <typename State>
class StateTurn {
 public:
  StateTurn(Turn turn, State& state) : turn_(std::move(turn)), state_(&state) {}

  State& operator*() const { return *state_; }
  State* operator->() const { return state_; }

 private:
  Turn turn_;
  State* state_;
};

// A call's hold on its instance, and on the State in it. Move-only. Destroyed
// when the call is done (OnDone, or the tag of its Finish) and not later: it
// may cancel the call.
template <typename State>
class Bound {
 public:
  InstanceContext& context() const { return binding_->context(); }
  // Whether this call made the context.
  bool created() const { return binding_->created(); }

  State& operator*() const requires(!kIsSerial<State>) { return *state_.state; }
  State* operator->() const requires(!kIsSerial<State>) { return state_.state; }

  // The turn of one message: `then(absl::StatusOr<StateTurn<State>>)` gets it
  // here if it is free, else on the executor. `method` names the message to
  // those who wait for too long behind it; by default the function that calls
  // this.
  //   Unavailable: it waited for longer than the turn timeout.
  //   Cancelled: through the handle.
  // REQUIRES: this Bound lives until `then` has been called.
  template <typename Then>
  requires kIsSerial<State> WaitHandle
  TakeTurn(Then then, std::string_view method = __builtin_FUNCTION())
  const {
    auto wait = std::make_shared<internal::MessageWait>(
        [then = std::move(then), state = state_.state,
         &context = context()](absl::StatusOr<Turn> turn) mutable {
          if (!turn.ok()) {
            then(absl::StatusOr<StateTurn<State>>(
                internal::InInstance(context, turn.status())));
          } else {
            then(absl::StatusOr<StateTurn<State>>(
                StateTurn<State>(*std::move(turn), *state)));
          }
        });
    wait->Begin(binding_->core().turn_timer, *state_.turns,
                std::string(method));
    return WaitHandle(wait);
  }

  // The same for synchronous handlers, which may block.
  absl::StatusOr<StateTurn<State>> TakeTurnBlocking(
      std::string_view method =
          __builtin_FUNCTION()) const requires kIsSerial<State> {
    auto answer = std::make_shared<internal::BlockingAnswer<Turn>>();
    auto wait = std::make_shared<internal::MessageWait>(
        [answer](absl::StatusOr<Turn> turn) { answer->Tell(std::move(turn)); });
    wait->Begin(binding_->core().turn_timer, *state_.turns,
                std::string(method));
    absl::StatusOr<Turn> turn =
        answer->Await(binding_->core().clock, binding_->call(), *wait);
    if (!turn.ok()) return internal::InInstance(context(), turn.status());
    return StateTurn<State>(*std::move(turn), *state_.state);
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
  // InstanceContext&)`, which returns a grpc::Status and may fill in the reply
  // before. The pin, and the turn of a serial State, last until the call is
  // done. The call ends with
  //   what `fn` returns; Unknown if it throws;
  //   InvalidArgument, NotFound, AlreadyExists, ResourceExhausted, Unavailable,
  //     or an initializer's status: if it gets no instance, or no turn;
  //   Cancelled: it was cancelled while it waited.
  // `method` names the call to those who wait for too long behind it; by
  // default the function that calls this.
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
  // absl::StatusOr<Bound<State>>)` is called once, here or on the executor, and
  // must not throw; the errors are those above. The response metadata is added
  // to `call`, which sends it with its next operation. `listener` is told if
  // the instance is released by force, and lets go; null: the call is cancelled
  // then. REQUIRES: `call` is not over before `then` has been called.
  template <typename State, typename Then>
  WaitHandle Bind(grpc::ServerContextBase& call, Then then,
                  std::shared_ptr<ReleaseListener> listener = nullptr) const {
    auto wait = std::make_shared<LongCall<State, Then>>(
        *core_, service_, call, std::move(then), std::move(listener));
    wait->Start();
    return WaitHandle(wait);
  }

  // Binds in a synchronous handler, which may block: until the context is open,
  // or the call cancelled.
  template <typename State>
  absl::StatusOr<Bound<State>> BindBlocking(grpc::ServerContext& call) const {
    auto answer = std::make_shared<internal::BlockingAnswer<Bound<State>>>();
    auto tell = [answer](absl::StatusOr<Bound<State>> bound) {
      answer->Tell(std::move(bound));
    };
    auto wait = std::make_shared<LongCall<State, decltype(tell)>>(
        *core_, service_, call, tell, nullptr);
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
      if (!grant.ok()) return Finish(ToGrpcStatus(grant.status()));
      core().door.Write(*grant, call_);
      pin_ = std::move(grant->pin);
      absl::StatusOr<StateMaker::Found<State>> found =
          core().states.template StateOf<State>(*pin_);
      if (!found.ok()) return Finish(ToGrpcStatus(found.status()));
      state_ = found->state;
      if constexpr (kIsSerial<State>) {
        AwaitTurn(*found->turns, method_);
      } else {
        Finish(Run());
      }
    }
    void OnHasTurn(absl::StatusOr<Turn> turn) override {
      if (!turn.ok()) {
        return Finish(ToGrpcStatus(internal::InInstance(*pin_, turn.status())));
      }
      turn_ = *std::move(turn);
      Finish(Run());
    }
    grpc::Status Run() {
      try {
        if constexpr (std::is_invocable_v<Fn&, State&>) {
          return fn_(*state_);
        } else {
          return fn_(*state_, *pin_);
        }
      } catch (...) {
        return internal::HandlerThrew();
      }
    }
    void OnCancel() override { Cancel(); }
    void OnDone() override { delete this; }

    grpc::CallbackServerContext& call_;
    Fn fn_;
    const char* const method_;
    Pin pin_;
    State* state_ = nullptr;
    std::optional<Turn> turn_;  // Goes before the pin.
  };

  template <typename State, typename Then>
  class LongCall final
      : public internal::CallWait,
        public std::enable_shared_from_this<LongCall<State, Then>> {
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
    void OnPinned(absl::StatusOr<PinGrant> grant) override {
      const std::shared_ptr<LongCall> self = std::move(self_);
      Then then = *std::move(then_);
      then_.reset();
      if (!grant.ok()) return then(Answer(grant.status()));
      this->core().door.Write(*grant, call_);
      auto binding = std::make_unique<internal::Binding>(
          this->core(), call_, *std::move(grant), std::move(listener_));
      absl::StatusOr<StateMaker::Found<State>> found =
          this->core().states.template StateOf<State>(binding->context());
      if (!found.ok()) return then(Answer(found.status()));
      then(Answer(Bound<State>(std::move(binding), *found)));
    }
    void OnHasTurn(absl::StatusOr<Turn>) override {}  // It awaits none.

    using Answer = absl::StatusOr<Bound<State>>;

    grpc::ServerContextBase& call_;
    std::optional<Then> then_;
    std::shared_ptr<ReleaseListener> listener_;
    std::shared_ptr<LongCall> self_;  // Until the answer.
  };

  const internal::BinderCore* core_;
  ServiceOptions service_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_INSTANCE_BINDER_H_
