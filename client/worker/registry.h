// Registry: the orchestrators and activities of a worker, by name.
//
// Each is a callable that lives as long as the registry and is called in place.
// That is why an orchestrator may be a lambda that captures: such a coroutine
// refers to its closure, which would not outlive a temporary lambda. Many runs
// use one callable at the same time, so it is called as const.
//
//   orchestrator: Task<R>(OrchestrationContext&), or with an input as well
//   activity:     R(), R(In), R(ActivityContext&), R(ActivityContext&, In);
//                 R may be void, absl::Status or absl::StatusOr<T>
//
// Thread-safety: Add* by one thread, before it is shared; then safe.
// Lifetime: outlives the runs of its callables.
#ifndef LEASEHOLD_CLIENT_WORKER_REGISTRY_H_
#define LEASEHOLD_CLIENT_WORKER_REGISTRY_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/wire/utf8.h"
#include "client/worker/activity_context.h"
#include "client/worker/failure.h"
#include "client/worker/orchestration_context.h"
#include "client/worker/payload.h"
#include "client/worker/task.h"

namespace leasehold::worker {
namespace internal {

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

// Whether this compiler awaits only what is evaluated. g++ 12 also awaits, and
// so calls, the right side of && and || and both sides of a conditional, if
// that is part of a larger expression or of a loop's condition.
template <typename Callable>
inline constexpr bool kAwaitsWhatItShould =
#if defined(__clang__) || __GNUC__ > 12 || \
    defined(LEASEHOLD_GCC12_ORCHESTRATORS)
    true;
#else
    sizeof(Callable) == 0;
#endif

template <typename Parameter>
using InputOf = std::remove_cvref_t<Parameter>;

// One run of an orchestrator, from payload to payload.
template <typename Callable>
Task<Payload> OrchestratorPayload(const Callable& code,
                                  OrchestrationContext& context,
                                  Payload payload) {
  using Called = Signature<Callable>;
  using R = typename Called::Result::value_type;
  if constexpr (Called::kCount == 1) {
    Task<R> run = code(context);
    if constexpr (std::is_void_v<R>) {
      co_await run;
      co_return std::nullopt;
    } else {
      const R result = co_await std::move(run);
      co_return ToPayload(result);
    }
  } else {
    using Parameter = typename Called::template Parameter<1>;
    // Holds the input for a parameter that is a reference.
    auto input = FromPayload<InputOf<Parameter>>(payload);
    Task<R> run = code(context, static_cast<Parameter&&>(input));
    if constexpr (std::is_void_v<R>) {
      co_await run;
      co_return std::nullopt;
    } else {
      const R result = co_await std::move(run);
      co_return ToPayload(result);
    }
  }
}

// An activity's result as a payload; an error is thrown.
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

template <typename Callable>
Payload ActivityPayload(const Callable& code, ActivityContext& context,
                        const Payload& payload) {
  using Called = Signature<Callable>;
  if constexpr (Called::kCount == 0) {
    return CallForPayload(code);
  } else {
    using First = typename Called::template Parameter<0>;
    constexpr bool kTakesContext = std::is_same_v<First, ActivityContext&>;
    if constexpr (Called::kCount == 1 && kTakesContext) {
      return CallForPayload(code, context);
    } else {
      static_assert(Called::kCount == (kTakesContext ? 2 : 1),
                    "an activity takes at most an ActivityContext& and one "
                    "input");
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

}  // namespace internal

class Registry {
 public:
  using Orchestrator =
      std::function<Task<Payload>(OrchestrationContext&, Payload)>;
  using Activity = std::function<Payload(ActivityContext&, const Payload&)>;

  template <typename Callable>
  void AddOrchestrator(std::string name, Callable callable) {
    using Called = internal::Signature<Callable>;
    static_assert(internal::kAwaitsWhatItShould<Callable>,
                  "g++ 12 calls what it should not in some expressions with "
                  "co_await after &&, || or ?. Compile orchestrators with "
                  "Clang; or follow the rules for g++ 12 in "
                  "client/worker/README.md, and define "
                  "LEASEHOLD_GCC12_ORCHESTRATORS");
    static_assert(internal::kIsTask<typename Called::Result>,
                  "an orchestrator returns a Task");
    static_assert(Called::kCount == 1 || Called::kCount == 2,
                  "an orchestrator takes an OrchestrationContext& and at "
                  "most one input");
    static_assert(std::is_same_v<typename Called::template Parameter<0>,
                                 OrchestrationContext&>,
                  "an orchestrator takes an OrchestrationContext& first");
    auto kept = std::make_shared<const Callable>(std::move(callable));
    Add("orchestrator", std::move(name),
        Orchestrator([kept](OrchestrationContext& context, Payload input) {
          return internal::OrchestratorPayload(*kept, context,
                                               std::move(input));
        }),
        orchestrators_);
  }

  template <typename Callable>
  void AddActivity(std::string name, Callable callable) {
    auto kept = std::make_shared<const Callable>(std::move(callable));
    Add("activity", std::move(name),
        Activity([kept](ActivityContext& context, const Payload& input) {
          return internal::ActivityPayload(*kept, context, input);
        }),
        activities_);
  }

  // Null if there is none with this name, which is case-sensitive.
  const Orchestrator* FindOrchestrator(const std::string& name) const;
  const Activity* FindActivity(const std::string& name) const;
  // In alphabetical order.
  std::vector<std::string> OrchestratorNames() const;
  std::vector<std::string> ActivityNames() const;

  // OK, or the first error.
  // INVALID_ARGUMENT: a name is empty or is not UTF-8.
  // ALREADY_EXISTS: a name was added twice; the first callable is kept.
  const absl::Status& status() const { return status_; }

 private:
  template <typename Erased>
  void Add(const char* kind, std::string name, Erased erased,
           std::map<std::string, Erased>& to) {
    if (name.empty()) {
      Note(absl::InvalidArgumentError(std::string(kind) + " without a name"));
      return;
    }
    if (absl::Status status =
            client::CheckUtf8(std::string("the name of the ") + kind, name);
        !status.ok()) {
      Note(status);
      return;
    }
    const auto [place, added] = to.emplace(std::move(name), std::move(erased));
    if (!added) {
      Note(absl::AlreadyExistsError(std::string(kind) + " \"" + place->first +
                                    "\" was added twice"));
    }
  }
  void Note(const absl::Status& status) {
    if (status_.ok()) status_ = status;
  }

  std::map<std::string, Orchestrator> orchestrators_;
  std::map<std::string, Activity> activities_;
  absl::Status status_;
};

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_REGISTRY_H_
