// EntityClass: an entity as a class, with its operations as member functions.
//
//   struct Account {
//     int64_t balance = 0;
//     int64_t Deposit(int64_t amount) { return balance += amount; }
//     int64_t Balance() const { return balance; }
//     NLOHMANN_DEFINE_TYPE_INTRUSIVE(Account, balance)
//   };
//
//   worker.AddEntity("Account", EntityClass<Account>()
//                                   .Operation("deposit", &Account::Deposit)
//                                   .Operation("balance", &Account::Balance));
//
// An object of the class is made for each operation: from the entity's state,
// or as `State()` if it has none. After the operation the object is the new
// state, unless the member function is const: that changes nothing, and so
// brings no entity into being.
//
// Thread-safety: Operation by one thread, before it is shared; then safe.
// Lifetime: refers to nothing.
#ifndef LEASEHOLD_CLIENT_WORKER_ENTITY_CLASS_H_
#define LEASEHOLD_CLIENT_WORKER_ENTITY_CLASS_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "client/worker/callable.h"
#include "client/worker/entity_context.h"
#include "client/worker/entity_id.h"
#include "client/worker/payload.h"

namespace leasehold::worker {
namespace internal {

// A member function and its object, to be called like a function.
template <typename Function>
struct BoundMember;
template <typename Class, typename R, typename... Parameters>
struct BoundMember<R (Class::*)(Parameters...)> {
  static constexpr bool kIsConst = false;
  BoundMember(Class& object, R (Class::*function)(Parameters...))
      : object(object), function(function) {}
  R operator()(Parameters... parameters) const {
    return (object.*function)(std::forward<Parameters>(parameters)...);
  }
  Class& object;
  R (Class::*function)(Parameters...);
};
template <typename Class, typename R, typename... Parameters>
struct BoundMember<R (Class::*)(Parameters...) const> {
  static constexpr bool kIsConst = true;
  BoundMember(const Class& object, R (Class::*function)(Parameters...) const)
      : object(object), function(function) {}
  R operator()(Parameters... parameters) const {
    return (object.*function)(std::forward<Parameters>(parameters)...);
  }
  const Class& object;
  R (Class::*function)(Parameters...) const;
};
template <typename Class, typename R, typename... Parameters>
struct BoundMember<R (Class::*)(Parameters...) noexcept>
    : BoundMember<R (Class::*)(Parameters...)> {
  using BoundMember<R (Class::*)(Parameters...)>::BoundMember;
};
template <typename Class, typename R, typename... Parameters>
struct BoundMember<R (Class::*)(Parameters...) const noexcept>
    : BoundMember<R (Class::*)(Parameters...) const> {
  using BoundMember<R (Class::*)(Parameters...) const>::BoundMember;
};

}  // namespace internal

template <typename State>
class EntityClass {
 public:
  static_assert(std::is_default_constructible_v<State>,
                "an entity begins as State()");

  // `function`: a member function of State, as registry.h says of activities,
  // with EntityContext& for the context. Operations are found without regard to
  // case. An operation that calls EntityContext::DeleteState leaves no state.
  template <typename Function>
  EntityClass& Operation(std::string_view name, Function function) {
    static_assert(std::is_member_function_pointer_v<Function>,
                  "an operation is a member function: &State::Name");
    using Member = internal::BoundMember<Function>;
    Call call = [function](State& state, EntityContext& context) {
      const Member member(state, function);
      return internal::PlainPayload(member, context, context.input());
    };
    const auto [place, added] = operations_.emplace(
        internal::LowerCase(name), Known{std::move(call), Member::kIsConst});
    if (added) {
      names_.emplace_back(name);
    } else if (status_.ok()) {
      status_ = absl::AlreadyExistsError("operation \"" + std::string(name) +
                                         "\" was added twice");
    }
    return *this;
  }

  Payload operator()(EntityContext& context) const {
    const auto found =
        operations_.find(internal::LowerCase(context.operation()));
    if (found == operations_.end()) context.RefuseOperation(names_);
    State state =
        context.has_state() ? context.template State<State>() : State();
    Payload result = found->second.call(state, context);
    if (!found->second.is_const && !context.deleted_) context.SetState(state);
    return result;
  }

  // OK, or the first error of Operation. ALREADY_EXISTS: a name was added
  // twice.
  const absl::Status& status() const { return status_; }

 private:
  using Call = std::function<Payload(State&, EntityContext&)>;
  struct Known {
    Call call;
    bool is_const;
  };

  std::map<std::string, Known> operations_;  // By names in lower case.
  std::vector<std::string> names_;
  absl::Status status_;
};

namespace internal {

template <typename Callable>
inline constexpr bool kIsEntityClass = false;
template <typename State>
inline constexpr bool kIsEntityClass<EntityClass<State>> = true;

}  // namespace internal
}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_ENTITY_CLASS_H_
