// Callables: functions, lambdas and members that are called with JSON.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_CLIENT_WORKER_CALLABLE_H_
#define LEASEHOLD_CLIENT_WORKER_CALLABLE_H_

#include <cstddef>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/worker/failure.h"
#include "client/worker/payload.h"

namespace leasehold::worker::internal {

// Result and parameters of a callable with one signature.
template <typename Callable>
struct Signature : Signature<decltype(&Callable::operator())> {};
template <typename R, typename... Parameters>
struct Signature<R (*)(Parameters...)> {
  using Result = R;
  template <size_t index>
  using Parameter = std::tuple_element_t<index, std::tuple<Parameters...>>;
  static constexpr size_t kCount = sizeof...(Parameters);
};
template <typename R, typename... Parameters>
struct Signature<R (*)(Parameters...) noexcept>
    : Signature<R (*)(Parameters...)> {};
template <typename Class, typename R, typename... Parameters>
struct Signature<R (Class::*)(Parameters...) const>
    : Signature<R (*)(Parameters...)> {};
template <typename Class, typename R, typename... Parameters>
struct Signature<R (Class::*)(Parameters...) const noexcept>
    : Signature<R (*)(Parameters...)> {};
template <typename Class, typename R, typename... Parameters>
struct Signature<R (Class::*)(Parameters...)> {
  static_assert(sizeof(Class) == 0,
                "several runs call it at once: it cannot be a mutable lambda");
};

template <typename T>
inline constexpr bool kIsStatusOr = false;
template <typename T>
inline constexpr bool kIsStatusOr<absl::StatusOr<T>> = true;

template <typename Parameter>
using InputOf = std::remove_cvref_t<Parameter>;

// The result of a plain function as a payload; an error is thrown.
template <typename R>
Payload ResultPayload(const R& result) {
  if constexpr (std::is_same_v<R, absl::Status>) {
    if (!result.ok()) throw StatusError(result);
    return std::nullopt;
  } else if constexpr (kIsStatusOr<R>) {
    if (!result.ok()) throw StatusError(result.status());
    return ToPayload(*result);
  } else {
    return ToPayload(result);
  }
}

template <typename Callable, typename... Arguments>
Payload CallForPayload(const Callable& code, Arguments&&... arguments) {
  using R = typename Signature<Callable>::Result;
  if constexpr (std::is_void_v<R>) {
    code(std::forward<Arguments>(arguments)...);
    return std::nullopt;
  } else {
    return ResultPayload<std::remove_cvref_t<R>>(
        code(std::forward<Arguments>(arguments)...));
  }
}

// The call of a plain function that takes at most a context and one input.
template <typename Context, typename Callable>
Payload PlainPayload(const Callable& code, Context& context,
                     const Payload& payload) {
  using Called = Signature<Callable>;
  if constexpr (Called::kCount == 0) {
    return CallForPayload(code);
  } else {
    using First = typename Called::template Parameter<0>;
    constexpr bool kTakesContext = std::is_same_v<First, Context&>;
    if constexpr (Called::kCount == 1 && kTakesContext) {
      return CallForPayload(code, context);
    } else {
      static_assert(Called::kCount == (kTakesContext ? 2 : 1),
                    "it takes at most its context and one input");
      using Parameter = typename Called::template Parameter<kTakesContext>;
      auto input = FromPayload<InputOf<Parameter>>(payload);
      if constexpr (kTakesContext) {
        return CallForPayload(code, context, static_cast<Parameter&&>(input));
      } else {
        return CallForPayload(code, static_cast<Parameter&&>(input));
      }
    }
  }
}

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_CALLABLE_H_
