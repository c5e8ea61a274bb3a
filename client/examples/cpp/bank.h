// The code of bank.cc: accounts as entities, and a transfer that locks two of
// them.
#ifndef BANK_H_
#define BANK_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "leasehold/client/worker/entity_class.h"
#include "leasehold/client/worker/entity_context.h"
#include "leasehold/client/worker/orchestration_context.h"
#include "leasehold/client/worker/task.h"
#include "nlohmann/json.hpp"

using leasehold::worker::EntityClass;
using leasehold::worker::EntityContext;
using leasehold::worker::EntityId;
using leasehold::worker::EntityLock;
using leasehold::worker::OrchestrationContext;
using leasehold::worker::Task;

struct Account {
  int64_t balance = 0;

  int64_t Deposit(int64_t amount) { return balance += amount; }
  absl::StatusOr<int64_t> Withdraw(int64_t amount) {
    if (amount > balance) return absl::FailedPreconditionError("too little");
    return balance -= amount;
  }
  int64_t Balance() const { return balance; }
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(Account, balance)
};

inline EntityClass<Account> AccountEntity() {
  return EntityClass<Account>()
      .Operation("deposit", &Account::Deposit)
      .Operation("withdraw", &Account::Withdraw)
      .Operation("balance", &Account::Balance);
}

inline int64_t Ledger(EntityContext& entity) {
  int64_t count = entity.StateOr<int64_t>(0);
  if (entity.IsOperation("add")) {
    entity.SetState(count += entity.Input<int64_t>());
  } else if (!entity.IsOperation("get")) {
    entity.RefuseOperation({"add", "get"});
  }
  return count;
}

struct Payment {
  std::string from;
  std::string to;
  int64_t amount = 0;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(Payment, from, to, amount)
};

inline Task<int64_t> Transfer(OrchestrationContext& context, Payment payment) {
  const EntityId from("Account", payment.from);
  const EntityId to("Account", payment.to);
  const EntityLock lock = co_await context.LockEntities(from, to);
  const auto left =
      co_await context.CallEntity<int64_t>(from, "withdraw", payment.amount);
  co_await context.CallEntity(to, "deposit", payment.amount);
  context.SignalEntity(EntityId("Ledger", "transfers"), "add", 1);
  co_return left;
}

// Gives Ann 100, of which she gives 30 to Bob.
inline Task<std::string> Payday(OrchestrationContext& context) {
  const EntityId bob("Account", "bob");
  co_await context.CallEntity(EntityId("Account", "ann"), "deposit", 100);
  const Payment payment{"ann", "bob", 30};
  const auto left =
      co_await context.CallSubOrchestrator<int64_t>("Transfer", payment);
  const auto got = co_await context.CallEntity<int64_t>(bob, "balance");
  co_return "Ann has " + std::to_string(left) + ", Bob has " +
      std::to_string(got);
}

#endif  // BANK_H_
