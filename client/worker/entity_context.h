// EntityContext: one operation on an entity, for the code that runs it.
//
//   int64_t Tally(EntityContext& entity) {
//     int64_t value = entity.StateOr<int64_t>(0);
//     if (entity.IsOperation("add")) {
//       value += entity.Input<int64_t>();
//     } else if (!entity.IsOperation("get")) {
//       entity.RefuseOperation({"add", "get"});
//     }
//     entity.SetState(value);
//     return value;
//   }
//
// What the code returns goes to the caller. If it throws, the operation has
// failed: the caller is told, and what the operation did with the state and all
// that it sent and started is undone. Signals and starts take effect together
// with the new state, once that is durable.
//
// Operations of one entity run one after the other, in the order in which they
// came. One may run again if its worker or its server is lost before the state
// is durable; only one of these runs takes effect. So code that has effects of
// its own outside of the entity must cope with that.
//
// An operation `delete` takes the state away, unless the code has one itself.
//
// Thread-safety: one thread: the one that runs the operation.   Lifetime: does
// not outlive the operation.
#ifndef LEASEHOLD_CLIENT_WORKER_ENTITY_CONTEXT_H_
#define LEASEHOLD_CLIENT_WORKER_ENTITY_CONTEXT_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "client/worker/call_input.h"
#include "client/worker/entity_id.h"
#include "client/worker/payload.h"

namespace leasehold::worker {

namespace internal {
class EntityBatch;
}

// How an orchestration that an entity starts differs from the default.
struct StartOptions {
  // Empty: a new one. If an orchestration of this ID is active, nothing is
  // started.
  std::string instance_id = {};
  std::optional<std::string> version = {};
  // Not before this time.
  std::optional<absl::Time> at = {};
};

class EntityContext {
 public:
  // Made for each operation, by the worker.
  EntityContext(internal::EntityBatch& batch, std::string operation,
                Payload input)
      : batch_(batch),
        operation_(std::move(operation)),
        input_(std::move(input)) {}
  EntityContext(const EntityContext&) = delete;
  EntityContext& operator=(const EntityContext&) = delete;

  const EntityId& id() const;

  // ---- The operation --------------------------------------------------------

  // Its name, as the caller wrote it.
  const std::string& operation() const { return operation_; }
  // Names are compared without regard to case.
  bool IsOperation(std::string_view name) const;
  const Payload& input() const { return input_; }
  // PayloadError: the input is not a T.
  template <typename T>
  T Input() const {
    return FromPayload<T>(input_);
  }
  // Fails the operation because the code does not have it. The failure names
  // those that it has.
  [[noreturn]] void RefuseOperation(
      const std::vector<std::string>& known) const;

  // ---- The state ------------------------------------------------------------

  // An entity exists while it has one.
  bool has_state() const { return state().has_value(); }
  // PayloadError: it is not a T. Without a state as from null: use StateOr, or
  // a std::optional for T.
  template <typename T>
  T State() const {
    return FromPayload<T>(state());
  }
  template <typename T>
  T StateOr(T fallback) const {
    return has_state() ? State<T>() : std::move(fallback);
  }
  template <typename T>
  void SetState(const T& value) {
    PutState(ToPayload(value));
    deleted_ = false;
  }
  void DeleteState() {
    PutState(std::nullopt);
    deleted_ = true;
  }

  // ---- What it does to others -----------------------------------------------

  // Sends an operation to an entity, perhaps to this one. There is no answer.
  // std::invalid_argument: the operation's name is not UTF-8.
  void SignalEntity(const EntityId& id, std::string_view operation) {
    Signal(id, operation, std::nullopt, std::nullopt);
  }
  template <typename Input>
  void SignalEntity(const EntityId& id, std::string_view operation,
                    const Input& input) {
    Signal(id, operation, internal::InputPayload(input), std::nullopt);
  }
  // Not before `at`.
  template <typename Input>
  void SignalEntity(const EntityId& id, std::string_view operation,
                    const Input& input, absl::Time at) {
    Signal(id, operation, internal::InputPayload(input), at);
  }

  // Starts an orchestration, and returns its instance ID. Nobody waits for its
  // end. std::invalid_argument: a name or an ID is not UTF-8.
  std::string StartOrchestration(std::string_view name) {
    return Start(name, std::nullopt, {});
  }
  template <typename Input>
  std::string StartOrchestration(std::string_view name, const Input& input,
                                 const StartOptions& options = {}) {
    return Start(name, internal::InputPayload(input), options);
  }

 private:
  template <typename State>
  friend class EntityClass;

  const Payload& state() const;
  void PutState(Payload state);
  void Signal(const EntityId& id, std::string_view operation,
              const Payload& input, std::optional<absl::Time> at);
  std::string Start(std::string_view name, const Payload& input,
                    const StartOptions& options);

  internal::EntityBatch& batch_;
  const std::string operation_;
  const Payload input_;
  bool deleted_ = false;  // Since SetState, if that was called.
};

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_ENTITY_CONTEXT_H_
