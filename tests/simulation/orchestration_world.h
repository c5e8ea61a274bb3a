// A seeded world of orchestrations: an engine over SQLite on a disk that loses
// power, workers and callers, all driven by one random source, and a record of
// what was acknowledged, for comparison.
//
// The promises:
//   - Whatever was acknowledged, or shown, is there after every failure:
//     starts, events, turns, activities, purges.
//   - A turn is there as a whole or not at all: so at the end, when nothing
//     fails any more, every orchestration ends, with the right result.
//   - A history only grows; it begins with what a worker has seen of it.
//   - An activity whose end was acknowledged never goes out again.
//   - The clock of an orchestrator goes forward.
//   - What one orchestration causes in another happens once: at the end,
//     nothing is left in the outbox.
//   - Each operation of an entity takes effect once, in an order that explains
//     all answers, and nobody comes into a critical section (entity_ledger.h).
//   - A wipe of another tenant takes nothing of this one, and of its own what
//     wiped_tenant.h says.
//   - A failed orchestration that is rewound continues, and at the end has not
//     failed.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_TESTS_SIMULATION_ORCHESTRATION_WORLD_H_
#define LEASEHOLD_TESTS_SIMULATION_ORCHESTRATION_WORLD_H_

#include <cstdint>
#include <optional>
#include <string>

#include "service/storage/sqlite_store.h"
#include "tests/support/seed.h"

namespace leasehold {

// What happened in all worlds.
struct WorldCounts {
  uint64_t steps = 0;
  uint64_t starts = 0;  // Acknowledged, as are the next ones.
  uint64_t refused = 0;
  uint64_t events = 0;
  uint64_t turns = 0;
  uint64_t activities = 0;
  uint64_t purges = 0;
  uint64_t rewinds = 0;
  uint64_t wipes = 0;    // Of another tenant.
  uint64_t signals = 0;  // To entities.
  uint64_t entity_answers = 0;
  uint64_t sections = 0;  // Of entities, that nobody came into.
  uint64_t ended = 0;
  uint64_t power_losses = 0;
  uint64_t unknown = 0;  // Calls whose answer was lost with the power.
  uint64_t store_failures = 0;
  uint64_t recoveries = 0;
  uint64_t late = 0;  // Answers of workers that came too late.
};

// The broken promise, with the last steps; nullopt: none.
std::optional<std::string> RunOrchestrationWorld(Random& random,
                                                 Durability durability,
                                                 WorldCounts& counts);

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_ORCHESTRATION_WORLD_H_
