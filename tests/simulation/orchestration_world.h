// A seeded world of orchestrations: an engine over SQLite on a disk that loses
// power, workers and callers, all driven by one random source, and a record of
// what was acknowledged to hold it against.
//
// The promises:
//   - What was acknowledged, or shown, is there after every failure: starts,
//     events, turns, activities, purges.
//   - Of a turn all is there or nothing: so at the end, when nothing fails any
//     more, every orchestration ends, with the right result.
//   - A history only grows; what a worker has seen of it is how it begins.
//   - An activity whose end was acknowledged never goes out again.
//   - The clock of an orchestrator goes forward.
//   - What failed and is rewound goes on, and in the end has not failed.
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
struct OrchestrationCounts {
  uint64_t steps = 0;
  uint64_t starts = 0;  // Acknowledged, as are the next ones.
  uint64_t refused = 0;
  uint64_t events = 0;
  uint64_t turns = 0;
  uint64_t activities = 0;
  uint64_t purges = 0;
  uint64_t rewinds = 0;
  uint64_t ended = 0;
  uint64_t power_losses = 0;
  uint64_t unknown = 0;  // Calls that the power took the answer from.
  uint64_t store_failures = 0;
  uint64_t recoveries = 0;
  uint64_t late = 0;  // Answers of workers that came too late.
};

// What promise was broken, with the last steps; nullopt: none.
std::optional<std::string> RunOrchestrationWorld(Random& random,
                                                 Durability durability,
                                                 OrchestrationCounts& counts);

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_ORCHESTRATION_WORLD_H_
