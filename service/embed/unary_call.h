// UnaryCallback: a unary call of the callback API, bound to its instance.
//
// Inside InstanceBinder::Bind, which says what its handlers may be.
//
// Thread-safety: its parts come from gRPC's threads and the executor's, one
// after another.   Lifetime: deletes itself when the call is done.
#ifndef LEASEHOLD_SERVICE_EMBED_UNARY_CALL_H_
#define LEASEHOLD_SERVICE_EMBED_UNARY_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/statusor.h"
#include "service/embed/call_wait.h"
#include "service/embed/chain_metadata.h"
#include "service/embed/pending_answer.h"
#include "service/embed/state_extension.h"

namespace leasehold::internal {

// What a handler takes and returns.
template <typename State, typename Fn>
struct HandlerTraits {
  static constexpr bool kPlain =
      std::is_invocable_r_v<grpc::Status, Fn&, State&>;
  static constexpr bool kWithContext =
      std::is_invocable_r_v<grpc::Status, Fn&, State&, InstanceContext&>;
  static constexpr bool kWithChain =
      std::is_invocable_r_v<grpc::Status, Fn&, State&, InstanceContext&,
                            const CallChain&>;
  static constexpr bool kLater =
      std::is_invocable_r_v<void, Fn&, State&, PendingAnswer>;
  static constexpr bool kLaterWithContext =
      std::is_invocable_r_v<void, Fn&, State&, InstanceContext&, PendingAnswer>;
  static constexpr bool kAnyLater = kLater || kLaterWithContext;
  // Whether the call's chain is looked at.
  static constexpr bool kChained =
      kIsReentrant<State> || kWithChain || kAnyLater;

  static_assert(
      kPlain || kWithContext || kWithChain || kAnyLater,
      "Bind<State>(call, fn) wants `grpc::Status fn(State&)`, `grpc::Status "
      "fn(State&, InstanceContext&)`, the latter with a `const CallChain&` "
      "more, or `void fn(State&, PendingAnswer)` with or without an "
      "InstanceContext&");
};

// What calls that are answered at once and later have in common.
template <typename State, typename Fn>
class UnaryCallback : public grpc::ServerUnaryReactor, protected CallWait {
 public:
  UnaryCallback(const BinderCore& core, const ServiceOptions& service,
                grpc::CallbackServerContext& call, Fn fn, const char* method)
      : CallWait(core, service, call, method),
        fn_(std::move(fn)),
        method_(method),
        call_(call) {}

  void Start() {
    if constexpr (Handler::kChained) {
      absl::StatusOr<CallChain> chain = ChainFor(call_, kIsReentrant<State>);
      if (!chain.ok()) return EndWith(ToGrpcStatus(chain.status()));
      chain_ = *std::move(chain);
    }
    AwaitPin();
  }

 protected:
  using Handler = HandlerTraits<State, Fn>;

  // Everything is there: runs the handler.
  virtual void Run() = 0;
  // The call was cancelled, and is not waiting any more.
  virtual void Cancelled() {}

  // Answers, after it has given back what the call held.
  void EndWith(const grpc::Status& status) {
    access_.reset();
    pin_.Reset();
    Finish(status);
  }
  // What calls that are made for this one carry.
  CallChain OwnChain() const {
    return access_.has_value() ? ChainWith(chain_, *access_) : chain_;
  }
  const grpc::CallbackServerContext& call() const { return call_; }
  State& state() const { return *state_; }
  InstanceContext& context() const { return *pin_; }

  Fn fn_;
  const char* const method_;

 private:
  void OnPinned(absl::StatusOr<PinGrant> grant) final {
    if (!grant.ok()) return EndWith(ToGrpcStatus(grant.status()));
    core().door.Write(*grant, call_);
    pin_ = std::move(grant->pin);
    absl::StatusOr<StateMaker::Found<State>> found =
        core().states.template StateOf<State>(*pin_);
    if (!found.ok()) {
      return EndWith(ToGrpcStatus(StateFailed(core(), *pin_, found.status())));
    }
    state_ = found->state;
    if constexpr (kIsReentrant<State>) {
      AwaitAccess(*found->queue, method_, chain_);
    } else if constexpr (kIsSerial<State>) {
      AwaitAccess(*found->queue, method_);
    } else {
      Run();
    }
  }
  void OnHasAccess(absl::StatusOr<SerialAccess> access) final {
    if (!access.ok()) {
      return EndWith(ToGrpcStatus(InInstance(*pin_, access.status())));
    }
    access_ = *std::move(access);
    Run();
  }
  bool FailsInPlace() const final { return true; }
  void OnCancel() final {
    Cancel();
    Cancelled();
  }
  void OnDone() final { delete this; }

  grpc::CallbackServerContext& call_;
  CallChain chain_;  // Of those that look at it.
  Pin pin_;
  State* state_ = nullptr;
  std::optional<SerialAccess> access_;  // Destroyed before the pin.
};

template <typename State, typename Fn>
class UnaryNow final : public UnaryCallback<State, Fn> {
 public:
  using UnaryCallback<State, Fn>::UnaryCallback;

 private:
  using Handler = HandlerTraits<State, Fn>;

  void Run() override { this->EndWith(Answer()); }
  grpc::Status Answer() {
    try {
      if constexpr (Handler::kPlain) {
        return this->fn_(this->state());
      } else if constexpr (Handler::kWithContext) {
        return this->fn_(this->state(), this->context());
      } else {
        return this->fn_(this->state(), this->context(), this->OwnChain());
      }
    } catch (...) {
      return HandlerThrew(this->core(), this->context(), this->method_);
    }
  }
};

template <typename State, typename Fn>
class UnaryLater final : public UnaryCallback<State, Fn>, private PendingCall {
 public:
  using UnaryCallback<State, Fn>::UnaryCallback;

 private:
  using Handler = HandlerTraits<State, Fn>;

  void Run() override {
    std::optional<grpc::Status> thrown;
    try {
      if constexpr (Handler::kLater) {
        this->fn_(this->state(), PendingAnswer(*this));
      } else {
        this->fn_(this->state(), this->context(), PendingAnswer(*this));
      }
    } catch (...) {
      thrown = HandlerThrew(this->core(), this->context(), this->method_);
    }
    Returned(thrown.has_value() ? &*thrown : nullptr);
  }
  void Cancelled() override { TellCancelled(); }

  bool IsCancelled() const override { return this->call().IsCancelled(); }
  CallChain Chain() const override { return this->OwnChain(); }
  void End(const grpc::Status& status) override { this->EndWith(status); }
  grpc::Status Dropped() override {
    return AnswerDropped(this->core(), this->context(), this->method_);
  }
  void CancelledThrew() override {
    this->core().door.registry().OnThrew(this->request().key, 0,
                                         "the OnCancelled of a PendingAnswer");
  }
};

}  // namespace leasehold::internal

#endif  // LEASEHOLD_SERVICE_EMBED_UNARY_CALL_H_
