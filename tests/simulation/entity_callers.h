// EntityCallers: callers of entities in simulated worlds, outside of any
// orchestration. Some of their calls have a name (a request ID), and are made
// again: while the first still waits, after it was answered, and after a crash.
// It tells the ledger.
//
// Thread-safety: one thread.   Lifetime: the ledger, the source of chance and
// `now` outlive it; it outlives the engines that it calls.
#ifndef LEASEHOLD_TESTS_SIMULATION_ENTITY_CALLERS_H_
#define LEASEHOLD_TESTS_SIMULATION_ENTITY_CALLERS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "service/orchestration/entities.h"
#include "tests/simulation/entity_ledger.h"
#include "tests/support/seed.h"

namespace leasehold {

class EntityCallers {
 public:
  struct Counts {
    uint64_t answers = 0;
    uint64_t again = 0;     // Calls that had been made before.
    uint64_t given_up = 0;  // By their callers, before an answer came.
    uint64_t unknown = 0;   // Their callers were told nothing.
  };

  // `now`: as in the ledger; increases.
  EntityCallers(Random& random, EntityLedger& ledger, int& now)
      : random_(random), ledger_(ledger), now_(now) {}

  // Calls `entity`, or makes a call with a name again.
  void Call(Entities& entities, const std::string& entity);
  // Makes all calls with a name again.
  void CallAllAgain(Entities& entities);
  // Somebody who waits gives up.
  void GiveUp(Entities& entities);
  // The server is gone, with all who waited for it.
  void OnCrash();

  const Counts& counts() const { return counts_; }
  // What is wrong at the end, when all should have been answered.
  std::optional<std::string> FindLeft() const;

 private:
  struct Named {
    std::string label;  // Its request ID, too.
    std::string entity;
  };
  struct Caller {
    std::string label;
    Entities::WaitId id = 0;
    bool waits = true;
  };

  void Make(Entities& entities, const Named& call, bool has_name);
  void OnOutcome(Caller& caller,
                 const absl::StatusOr<OperationResult>& outcome);

  Random& random_;
  EntityLedger& ledger_;
  int& now_;
  int last_label_ = 0;
  std::vector<Named> named_;
  std::vector<std::shared_ptr<Caller>> callers_;
  Counts counts_;
  std::optional<std::string> violation_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_ENTITY_CALLERS_H_
