// Registry: the orchestrators, activities and entities of a worker, by name.
//
// Each is a callable that lives as long as the registry and is called in place.
// That is why an orchestrator may be a lambda that captures: such a coroutine
// refers to its closure, which would not outlive a temporary lambda. Many runs
// use one callable at the same time, so it is called as const.
//
//   orchestrator: Task<R>(OrchestrationContext&), or with an input as well
//   activity:     R(), R(In), R(ActivityContext&), R(ActivityContext&, In);
//                 R may be void, absl::Status or absl::StatusOr<T>
//   entity:       R(EntityContext&), R as above; or an EntityClass
//
// Thread-safety: Add* by one thread, before it is shared; then safe.
// Lifetime: outlives the runs of its callables.
#ifndef LEASEHOLD_CLIENT_WORKER_REGISTRY_H_
#define LEASEHOLD_CLIENT_WORKER_REGISTRY_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "client/wire/utf8.h"
#include "client/worker/activity_context.h"
#include "client/worker/callable.h"
#include "client/worker/entity_class.h"
#include "client/worker/entity_context.h"
#include "client/worker/failure.h"
#include "client/worker/orchestration_context.h"
#include "client/worker/payload.h"
#include "client/worker/task.h"

namespace leasehold::worker {
namespace internal {

// Whether this compiler awaits only what is evaluated. g++ (12 to 14, at least)
// also awaits, and so calls, the right side of && and || and both sides of a
// conditional, if that is part of a larger expression or of a loop's condition.
template <typename Callable>
inline constexpr bool kAwaitsWhatItShould =
#if defined(__clang__) || defined(LEASEHOLD_GCC12_ORCHESTRATORS)
    true;
#else
    sizeof(Callable) == 0;
#endif

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

}  // namespace internal

class Registry {
 public:
  using Orchestrator =
      std::function<Task<Payload>(OrchestrationContext&, Payload)>;
  using Activity = std::function<Payload(ActivityContext&, const Payload&)>;
  using Entity = std::function<Payload(EntityContext&)>;

  template <typename Callable>
  void AddOrchestrator(std::string name, Callable callable) {
    using Called = internal::Signature<Callable>;
    static_assert(internal::kAwaitsWhatItShould<Callable>,
                  "g++ calls what it should not in some expressions with "
                  "co_await after &&, || or ?. Compile orchestrators with "
                  "Clang; or follow the rules for g++ in "
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
          return internal::PlainPayload(*kept, context, input);
        }),
        activities_);
  }

  // Its name, and those of its operations, are found without regard to case.
  template <typename Callable>
  void AddEntity(const std::string& name, Callable callable) {
    if (name.find('@') != std::string::npos) {
      return Note(absl::InvalidArgumentError(
          "entity \"" + name + "\": its name must not have an @ in it"));
    }
    if constexpr (internal::kIsEntityClass<Callable>) {
      if (!callable.status().ok()) {
        Note(absl::Status(callable.status().code(),
                          "entity \"" + name + "\": " +
                              std::string(callable.status().message())));
      }
      Add("entity", internal::LowerCase(name), Entity(std::move(callable)),
          entities_);
    } else {
      using Called = internal::Signature<Callable>;
      static_assert(Called::kCount == 1 &&
                        std::is_same_v<typename Called::template Parameter<0>,
                                       EntityContext&>,
                    "an entity takes an EntityContext& and nothing else");
      Add("entity", internal::LowerCase(name),
          Entity([kept = std::move(callable)](EntityContext& context) {
            return internal::CallForPayload(kept, context);
          }),
          entities_);
    }
  }

  // Null if there is none with this name, which is case-sensitive.
  const Orchestrator* FindOrchestrator(const std::string& name) const;
  const Activity* FindActivity(const std::string& name) const;
  // The name is in lower case.
  const Entity* FindEntity(const std::string& name) const;
  // In alphabetical order; those of entities in lower case.
  std::vector<std::string> OrchestratorNames() const;
  std::vector<std::string> ActivityNames() const;
  std::vector<std::string> EntityNames() const;

  // OK, or the first error.
  // INVALID_ARGUMENT: a name is empty or is not UTF-8, or that of an entity has
  //   an @ in it.
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
  std::map<std::string, Entity> entities_;
  absl::Status status_;
};

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_REGISTRY_H_
