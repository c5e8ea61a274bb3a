// WipedTenant: a second tenant in a world of orchestrations, under the same
// IDs, that is wiped again and again, whatever is under way in it.
//
// The promises:
//   - What was acknowledged before a wipe was asked for is not there once the
//     wipe is acknowledged, and never again.
//   - An ID with an acknowledged start that was asked for after the last wipe
//     is there, unless it was purged.
// That nothing of the first tenant goes is what the world checks anyhow.
//
// Thread-safety: one thread.   Lifetime: outlives the engines of its world; the
// source of chance outlives it.
#ifndef LEASEHOLD_TESTS_SIMULATION_WIPED_TENANT_H_
#define LEASEHOLD_TESTS_SIMULATION_WIPED_TENANT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "service/orchestration/engine.h"
#include "service/orchestration/node_work_exchange.h"
#include "tests/simulation/orchestration_program.h"
#include "tests/support/seed.h"

namespace leasehold {

class WipedTenant {
 public:
  // As WorldEntities::Heard.
  using Heard = std::function<bool()>;

  explicit WipedTenant(Random& random) : random_(random) {}

  // A new server: its worker connects.
  void Connect(NodeWorkExchange& work);
  // Some caller does something, or its worker does.
  void Step(Engine& engine, NodeWorkExchange& work, const Heard& heard);
  void Wipe(Engine& engine, const Heard& heard);
  void RewindAll(Engine& engine);
  // Looks at all that it has; the answer comes as the engine runs.
  void Look(Engine& engine, const Heard& heard);
  // What was wrong; nullopt: nothing.
  const std::optional<std::string>& violation() const { return violation_; }

  uint64_t wipes() const { return wipes_; }  // Acknowledged.

 private:
  class Sink;
  // By the label in its input.
  struct Begun {
    std::string id;
    uint64_t asked = 0;
    uint64_t acknowledged = 0;  // 0: not yet.
  };

  InstanceKey AnyKey();
  void Start(Engine& engine, const Heard& heard);
  void Meddle(Engine& engine);
  void Work(NodeWorkExchange& work);
  std::vector<OrchestratorAction> AnyActions(const Item& item);
  void Compare(const OrchestrationPage& page, uint64_t asked, uint64_t wiped);

  Random& random_;
  std::shared_ptr<std::vector<Item>> items_;
  std::map<std::string, Begun> begun_;
  // When the last wipe was asked for, and the last one that is acknowledged.
  uint64_t wipe_asked_ = 0;
  uint64_t wiped_ = 0;
  // By ID: purges that are under way, and when the last one was asked for or
  // answered.
  std::map<std::string, int> purging_;
  std::map<std::string, uint64_t> purged_;
  uint64_t boots_ = 0;
  uint64_t sequence_ = 0;
  uint64_t wipes_ = 0;
  std::optional<std::string> violation_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_WIPED_TENANT_H_
