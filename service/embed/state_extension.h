// StateExtension: an embedder's class as an extension of an instance context.
//
// Any class can be a State. A class that derives from Extension is attached as
// it is; any other is wrapped, so that it need not know of Leasehold at all.
// What a State may declare:
//
//   static constexpr auto kConcurrency = leasehold::Concurrency::kSerial;
//   explicit State(leasehold::InstanceContext& context);   // Else State().
//   void OnAttach(leasehold::InstanceContext& context);    // It is in use now.
//   void OnDetach(leasehold::DetachReason reason);         // May block.
//
// (A State that derives from Extension is serial if it derives from
// SerialExtension, whose constructor may be told that it is kReentrant, and
// overrides Extension's OnDetach.) Others find a wrapped State of kMultiple by
// its own type: `context.Find<Counter>()`.
//
// OnAttach and OnDetach run without access: OnAttach perhaps beside the first
// calls, OnDetach when there are none.
//
// Thread-safety: as every Extension.   Lifetime: as every Extension.
#ifndef LEASEHOLD_SERVICE_EMBED_STATE_EXTENSION_H_
#define LEASEHOLD_SERVICE_EMBED_STATE_EXTENSION_H_

#include <any>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/instance/extension.h"
#include "service/instance/hook.h"
#include "service/instance/instance_context.h"
#include "service/instance/serial_queue.h"

namespace leasehold {
namespace internal {

template <typename State>
consteval bool IsSerial() {
  if constexpr (std::is_base_of_v<SerialExtension, State>) {
    return true;
  } else if constexpr (std::is_base_of_v<Extension, State>) {
    static_assert(
        !requires { State::kConcurrency; },
        "an Extension is serial by deriving from SerialExtension");
    return false;
  } else if constexpr (requires { State::kConcurrency; }) {
    return State::kConcurrency != Concurrency::kMultiple;
  } else {
    return false;
  }
}

template <typename State>
consteval bool IsReentrant() {
  // An Extension says so when it is made: its chain is always looked at.
  if constexpr (std::is_base_of_v<SerialExtension, State>) {
    return true;
  } else if constexpr (IsSerial<State>()) {
    return State::kConcurrency == Concurrency::kReentrant;
  } else {
    return false;
  }
}

}  // namespace internal

template <typename State>
inline constexpr bool kIsSerial = internal::IsSerial<State>();

// Whether calls of a State may come back to it by their chain.
template <typename State>
inline constexpr bool kIsReentrant = internal::IsReentrant<State>();

namespace internal {

// The base of a StateExtension.
template <typename State>
class SerialStateBase : public SerialExtension {
 protected:
  SerialStateBase() : SerialExtension(State::kConcurrency) {}
};

}  // namespace internal

template <typename State>
class StateExtension final
    : public std::conditional_t<kIsSerial<State>,
                                internal::SerialStateBase<State>, Extension> {
 public:
  explicit StateExtension(std::unique_ptr<State> state)
      : state_(std::move(state)) {}

  State& state() { return *state_; }

  void OnAttach(InstanceContext& context) override {
    if constexpr (requires { state_->OnAttach(context); }) {
      state_->OnAttach(context);
    }
  }
  bool MayBlock() const override {
    return requires(State & state) { state.OnDetach(DetachReason::kIdle); };
  }
  void OnDetach(InstanceContext&, DetachReason reason, HookDone done) override {
    if constexpr (requires { state_->OnDetach(reason); }) {
      state_->OnDetach(reason);
    }
    done();
  }

 private:
  const std::unique_ptr<State> state_;
};

namespace internal {

template <typename State>
void* CastState(Extension* extension) {
  return &static_cast<StateExtension<State>*>(extension)->state();
}

// Not for a serial State: code that found it this way would have no access.
template <typename State>
inline constexpr std::array<ExtensionInterface, kIsSerial<State> ? 0 : 1>
    kStateInterfaces = {};
template <typename State>
requires(!kIsSerial<State>) inline constexpr std::array<
    ExtensionInterface, 1> kStateInterfaces<State> = {
    ExtensionInterface{&kInterfaceTag<State>, &CastState<State>}};

// Known to people, and found, by the State's own type.
template <typename State>
inline const ExtensionType kExtensionType<StateExtension<State>> = {
    &typeid(State), &kInterfaceTag<StateExtension<State>>,
    kStateInterfaces<State>};

}  // namespace internal

// Creates the States of contexts that have none yet.
//
// Thread-safety: Set before the first call is served; then safe.
class StateMaker {
 public:
  template <typename State>
  using Factory = std::function<std::unique_ptr<State>(InstanceContext&)>;

  // States of this type come from `factory`. It may be called for two calls at
  // once; then one of the two States is used.
  template <typename State>
  void Set(Factory<State> factory) {
    factories_[&kInterfaceTag<State>] = std::move(factory);
  }

  template <typename State>
  struct Found {
    State* state;
    SerialQueue* queue;  // Null: not serial.
  };

  // The State of `context`, which the caller keeps pinned. If the context has
  // none, creates and attaches it.
  //   Internal: its constructor or the factory threw, or the factory returned
  //     nothing.
  template <typename State>
  absl::StatusOr<Found<State>> StateOf(InstanceContext& context) const {
    using Attached = std::conditional_t<std::is_base_of_v<Extension, State>,
                                        State, StateExtension<State>>;
    Attached* extension = context.Get<Attached>();
    if (extension == nullptr) {
      try {
        std::unique_ptr<State> made = Make<State>(context);
        if (made == nullptr) return Failed(typeid(State), "nothing");
        if constexpr (std::is_same_v<Attached, State>) {
          extension = context.GetOrAttachMade<State>(std::move(made));
        } else {
          extension = context.GetOrAttachMade<Attached>(
              std::make_unique<Attached>(std::move(made)));
        }
      } catch (...) {
        return Failed(typeid(State), WhatWasThrown());
      }
    }
    Found<State> found = {.state = nullptr, .queue = nullptr};
    if constexpr (std::is_same_v<Attached, State>) {
      found.state = extension;
    } else {
      found.state = &extension->state();
    }
    if constexpr (kIsSerial<State>) found.queue = &extension->queue();
    return found;
  }

 private:
  template <typename State>
  std::unique_ptr<State> Make(InstanceContext& context) const {
    const auto factory = factories_.find(&kInterfaceTag<State>);
    if (factory != factories_.end()) {
      return (*std::any_cast<Factory<State>>(&factory->second))(context);
    }
    if constexpr (std::is_constructible_v<State, InstanceContext&>) {
      return std::make_unique<State>(context);
    } else if constexpr (std::is_default_constructible_v<State>) {
      return std::make_unique<State>();
    } else {
      return nullptr;  // The type needs a factory, and has none.
    }
  }

  static absl::Status Failed(const std::type_info& type,
                             const std::string& what);

  std::map<const InterfaceTag*, std::any> factories_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_EMBED_STATE_EXTENSION_H_
