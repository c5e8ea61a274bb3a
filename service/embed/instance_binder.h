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

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/embed/call_wait.h"
#include "service/embed/chain_metadata.h"
#include "service/embed/pending_answer.h"
#include "service/embed/service_options.h"
#include "service/embed/state_extension.h"
#include "service/embed/unary_call.h"
#include "service/instance/call_chain.h"
#include "service/instance/instance_registry.h"
#include "service/instance/serial_queue.h"
#include "service/rpc/status_mapping.h"

namespace leasehold {

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
  StateAccess(SerialAccess access, CallChain chain, State& state)
      : access_(std::move(access)), chain_(std::move(chain)), state_(&state) {}

  State& operator*() const { return *state_; }
  State* operator->() const { return state_; }

  // What calls that the message makes pass on (chain_metadata.h): while they
  // run, calls that come back to the State may use it, and the message must
  // not.
  CallChain chain() const { return internal::ChainWith(chain_, access_); }

 private:
  SerialAccess access_;
  CallChain chain_;  // That the stream came by.
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
  //   InvalidArgument, ResourceExhausted: the stream's call chain is malformed,
  //     or too long for one link more.
  // REQUIRES: this Bound lives until `then` has been called.
  template <typename Then>
  requires kIsSerial<State> WaitHandle
  AwaitAccess(Then then, std::string_view method = __builtin_FUNCTION())
  const {
    absl::StatusOr<CallChain> chain = Chain();
    if (!chain.ok()) {
      then(absl::StatusOr<StateAccess<State>>(chain.status()));
      return WaitHandle();
    }
    auto wait = std::make_shared<internal::MessageWait>(
        [then = std::move(then), state = state_.state, chain = *chain,
         &context = context()](absl::StatusOr<SerialAccess> access) mutable {
          if (!access.ok()) {
            then(absl::StatusOr<StateAccess<State>>(
                internal::InInstance(context, access.status())));
          } else {
            then(absl::StatusOr<StateAccess<State>>(StateAccess<State>(
                *std::move(access), std::move(chain), *state)));
          }
        },
        &binding_->core().failures,
        [binding = binding_.get()] {
          internal::ContinuationThrew(binding->core(), binding->call(),
                                      binding->key(),
                                      binding->context().generation());
        });
    wait->Begin(binding_->core().access_timer, *state_.queue,
                std::string(method), *std::move(chain));
    return WaitHandle(wait);
  }

  // The same for synchronous handlers, which may block.
  absl::StatusOr<StateAccess<State>> AwaitAccessBlocking(
      std::string_view method =
          __builtin_FUNCTION()) const requires kIsSerial<State> {
    absl::StatusOr<CallChain> chain = Chain();
    if (!chain.ok()) return chain.status();
    auto answer = std::make_shared<internal::BlockingAnswer<SerialAccess>>();
    auto wait = std::make_shared<internal::MessageWait>(
        [answer](absl::StatusOr<SerialAccess> access) {
          answer->Tell(std::move(access));
        },
        nullptr, [] {});
    wait->Begin(binding_->core().access_timer, *state_.queue,
                std::string(method), *chain);
    absl::StatusOr<SerialAccess> access =
        answer->Await(binding_->core().clock, binding_->call(), *wait);
    if (!access.ok()) return internal::InInstance(context(), access.status());
    return StateAccess<State>(*std::move(access), *std::move(chain),
                              *state_.state);
  }

 private:
  friend class InstanceBinder;

  // The chain that the call came by, if it matters.
  absl::StatusOr<CallChain> Chain() const {
    if constexpr (kIsReentrant<State>) {
      return internal::ChainFor(binding_->call(), /*adds=*/true);
    } else {
      return CallChain();
    }
  }

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

  // Serves a unary call of the callback API with one of
  //   grpc::Status fn(State&)
  //   grpc::Status fn(State&, InstanceContext&)
  //   grpc::Status fn(State&, InstanceContext&, const CallChain&)
  //   void fn(State&, PendingAnswer)
  //   void fn(State&, InstanceContext&, PendingAnswer)
  // which may fill in the reply, and return the call's status or answer with it
  // later (pending_answer.h). The chain is what calls that `fn` makes pass on
  // (chain_metadata.h). The pin, and the access of a serial State, last until
  // `fn` has returned or answered, and are given back before the answer goes
  // out, so that a client that has the answer can release the instance. The
  // call ends with
  //   what `fn` returns or answers, or Unknown if `fn` throws;
  //   Internal: the last copy of its PendingAnswer has gone;
  //   InvalidArgument, NotFound, AlreadyExists, ResourceExhausted, Unavailable,
  //     or an initializer's status: it gets no instance, or no access;
  //   Cancelled: it was cancelled while it waited.
  // `method` names the call to initializers, and in the error of calls that
  // wait behind it for too long; by default it is the function that calls this.
  template <typename State, typename Fn>
  [[nodiscard]] grpc::ServerUnaryReactor* Bind(
      grpc::CallbackServerContext* call, Fn fn,
      const char* method = __builtin_FUNCTION()) const {
    using Unary =
        std::conditional_t<internal::HandlerTraits<State, Fn>::kAnyLater,
                           internal::UnaryLater<State, Fn>,
                           internal::UnaryNow<State, Fn>>;
    auto* unary = new Unary(*core_, service_, *call, std::move(fn), method);
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
  // until the drain timeout. `method` names the call to initializers. REQUIRES:
  // `call` is not over before `then` has been called.
  template <typename State, typename Then>
  WaitHandle Bind(grpc::ServerContextBase& call, Then then,
                  std::shared_ptr<ReleaseListener> listener = nullptr,
                  const char* method = __builtin_FUNCTION()) const {
    auto wait = std::make_shared<LongCall<State, Then>>(
        *core_, service_, call, std::move(then), std::move(listener), method);
    wait->Start();
    return WaitHandle(wait);
  }

  // Binds in a synchronous handler, which may block: it waits until the context
  // is open or the call is cancelled. `listener` and `method` as above.
  template <typename State>
  absl::StatusOr<Bound<State>> BindBlocking(
      grpc::ServerContext& call,
      std::shared_ptr<ReleaseListener> listener = nullptr,
      const char* method = __builtin_FUNCTION()) const {
    auto answer = std::make_shared<internal::BlockingAnswer<Bound<State>>>();
    auto tell = [answer](absl::StatusOr<Bound<State>> bound) {
      answer->Tell(std::move(bound));
    };
    auto wait = std::make_shared<LongCall<State, decltype(tell), true>>(
        *core_, service_, call, tell, std::move(listener), method);
    wait->Start();
    return answer->Await(core_->clock, call, *wait);
  }

 private:
  // `ours`: `then` does not block, and is not the embedder's code.
  template <typename State, typename Then, bool ours = false>
  class LongCall final
      : public internal::CallWait,
        public std::enable_shared_from_this<LongCall<State, Then, ours>> {
   public:
    LongCall(const internal::BinderCore& core, const ServiceOptions& service,
             grpc::ServerContextBase& call, Then then,
             std::shared_ptr<ReleaseListener> listener, const char* method)
        : CallWait(core, service, call, method),
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
