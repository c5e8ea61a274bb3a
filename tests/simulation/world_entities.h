// WorldEntities: the entities of a world of orchestrations: who asks something
// of them, what workers answer, and what of it must be there after a failure.
//
// Their orchestrations have IDs of their own, `e0` and so on.
//
// Thread-safety: one thread.   Lifetime: outlives the engines of its world; the
// source of chance outlives it.
#ifndef LEASEHOLD_TESTS_SIMULATION_WORLD_ENTITIES_H_
#define LEASEHOLD_TESTS_SIMULATION_WORLD_ENTITIES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "service/orchestration/engine.h"
#include "service/orchestration/node_work_exchange.h"
#include "service/storage/store.h"
#include "tests/simulation/entity_ledger.h"
#include "tests/simulation/entity_worker.h"
#include "tests/simulation/orchestration_program.h"
#include "tests/support/seed.h"

namespace leasehold {

class WorldEntities {
 public:
  // Whether an answer has reached the caller: the machine has power, and had it
  // since the call.
  using Heard = std::function<bool()>;

  explicit WorldEntities(Random& random) : random_(random) {}

  // Some caller does something.
  void Step(Engine& engine, const Heard& heard);
  // Whether the item is for an entity, or one of these orchestrations.
  static bool Has(const Item& item);
  void Answer(NodeWorkExchange& work, const Item& item, bool calm);
  // Asks for the logs; the answers come as the engine runs.
  void BeginCheck(Engine& engine);
  // After that, and after everything has ended: what is wrong; nullopt:
  // nothing.
  std::optional<std::string> Check(Store& store) const;

  uint64_t signals() const { return signals_; }  // Promised.
  uint64_t answers() const { return worker_.answers(); }
  uint64_t sections() const { return ledger_.sections(); }

 private:
  void SendSignal(Engine& engine, const Heard& heard);
  void Look(Engine& engine, const Heard& heard);

  Random& random_;
  EntityLedger ledger_;
  EntityWorker worker_{random_, ledger_};
  int now_ = 0;
  int last_label_ = 0;
  uint64_t signals_ = 0;
  std::map<std::string, std::string> logs_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_WORLD_ENTITIES_H_
