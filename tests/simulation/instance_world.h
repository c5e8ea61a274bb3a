// RunInstanceWorld: a registry in a world drawn from a seed.
//
// One thread acts as all threads. A step is a call that comes, ends, holds its
// instance for long, or is cancelled; a hook that answers; any task of the
// executor; time that passes; a check of the leases; a keep-alive; a release,
// perhaps by force; an inspection; a provider's callback; the shutdown. Inside
// a hook, an initializer or the provider's answer, other steps may run, as a
// second thread might meanwhile. Everything is compared with the InstanceModel.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_TESTS_SIMULATION_INSTANCE_WORLD_H_
#define LEASEHOLD_TESTS_SIMULATION_INSTANCE_WORLD_H_

#include <cstdint>
#include <optional>
#include <string>

#include "tests/simulation/instance_model.h"
#include "tests/support/seed.h"

namespace leasehold {

// How often the interesting cases occurred: a world that never reaches them
// proves nothing.
struct WorldCounts {
  uint64_t steps = 0;
  uint64_t contexts = 0;
  uint64_t expired = 0;
  uint64_t granted_after_wait = 0;
  uint64_t waits_for_closing = 0;
  uint64_t waits_cancelled = 0;
  uint64_t openings_failed = 0;
  uint64_t openers_cancelled = 0;
  uint64_t hooks_later = 0;
  uint64_t hooks_failed = 0;
  uint64_t removed = 0;
  uint64_t released = 0;
  uint64_t released_by_force = 0;  // While busy.
  uint64_t kept_alive = 0;
  uint64_t evicted = 0;
  uint64_t waits_for_hanging = 0;  // Ended by the detach timeout.
  uint64_t refused_hanging = 0;
  uint64_t refused_full = 0;
  uint64_t refused_shutdown = 0;
  uint64_t vetoes = 0;
  uint64_t callbacks_late = 0;      // The context was gone.
  uint64_t uses_while_asked = 0;    // A call came between question and close.
  uint64_t closes_while_asked = 0;  // Released or shut down in between.
  uint64_t shutdowns_midway = 0;
};

struct WorldResult {
  std::optional<Violation> violation;
  std::string trace;  // The last steps, one per line; empty if all went well.
};

// Runs one world; adds to `counts`. After a violation nothing can be unwound
// safely: the world is kept until the program ends.
WorldResult RunInstanceWorld(Random& random, WorldCounts& counts);

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_INSTANCE_WORLD_H_
