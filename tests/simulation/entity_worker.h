// EntityWorker: what the workers of simulated worlds do for entities, and for
// the orchestrations that use them (entity_program.h). It tells the ledger.
//
// Thread-safety: one thread.   Lifetime: the ledger and the source of chance
// outlive it.
#ifndef LEASEHOLD_TESTS_SIMULATION_ENTITY_WORKER_H_
#define LEASEHOLD_TESTS_SIMULATION_ENTITY_WORKER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "service/orchestration/entity_batch.h"
#include "service/orchestration/history.h"
#include "service/orchestration/turn.h"
#include "tests/simulation/entity_ledger.h"
#include "tests/simulation/entity_program.h"
#include "tests/support/seed.h"

namespace leasehold {

class EntityWorker {
 public:
  static constexpr size_t kEntities = 3;

  EntityWorker(Random& random, EntityLedger& ledger)
      : random_(random), ledger_(ledger) {}

  std::string AnyEntity();
  // The input of an orchestration.
  std::string AnyProgram();

  // `program`: has seen the history and the new events. `now`: as in the
  // ledger; increases. `section_counts`: no lock has ended by itself.
  TurnAnswer AnswerTurn(const EntityProgram& program,
                        const std::string& execution_id, bool section_counts,
                        int& now);
  // `calm`: nothing goes wrong, and no entity signals another.
  BatchAnswer AnswerBatch(const Payload& state,
                          const std::vector<HistoryEvent>& operations,
                          bool calm);

  size_t answers() const { return answers_; }
  // What was wrong with what workers were sent.
  const std::optional<std::string>& violation() const { return violation_; }

 private:
  std::string Append(std::string log, const HistoryEvent& operation, bool calm,
                     BatchAnswer& answer);

  Random& random_;
  EntityLedger& ledger_;
  size_t answers_ = 0;  // To calls, each time that they are seen.
  std::optional<std::string> violation_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_ENTITY_WORKER_H_
