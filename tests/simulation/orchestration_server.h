// OrchestrationServer: an engine over SQLite on a disk that loses power, with
// everything that it depends on, run by hand.
//
// Thread-safety: one thread.   Lifetime: clock, disk and observer outlive it.
#ifndef LEASEHOLD_TESTS_SIMULATION_ORCHESTRATION_SERVER_H_
#define LEASEHOLD_TESTS_SIMULATION_ORCHESTRATION_SERVER_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/instance/context_lease.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/node_work_exchange.h"
#include "service/storage/sqlite_store.h"
#include "tests/support/manual_executor.h"
#include "tests/support/outbox_shortcut.h"
#include "tests/support/power_vfs.h"
#include "tests/support/seed.h"

namespace leasehold {

struct OrchestrationServer {
  OrchestrationServer(Clock& clock, PowerVfs& disk, Durability durability,
                      EngineObserver& observer)
      : store({.directory = "data",
               .durability = durability,
               .readers = 1,
               .vfs = disk.name()},
              clock),
        registry(clock, executor, provider, {&lease_initializer}, {},
                 {.idle_timeout = absl::Milliseconds(100)}),
        work(clock, observer, {.check_invariants = true}),
        engine(clock, store, registry, writer, readers, work.dispatcher(),
               observer,
               {.check_invariants = true,
                .outbox_shortcut = HasOutboxShortcut()}) {}

  // Runs a random task. False: there is none.
  bool RunOne(Random& random) {
    ManualExecutor* executors[] = {&executor, &writer, &readers};
    const uint64_t first = Uniform(random, 0, 2);
    for (uint64_t i = 0; i < 3; ++i) {
      ManualExecutor& one = *executors[(first + i) % 3];
      // The writer runs its tasks one after the other, in order.
      const bool ran = &one == &writer ? one.RunOne() : one.RunAny(random);
      if (ran) return true;
    }
    return false;
  }

  SqliteStore store;
  ManualExecutor executor;
  ManualExecutor writer;
  ManualExecutor readers;
  SharedProvider provider;
  LeaseInitializer lease_initializer;
  InstanceRegistry registry;
  NodeWorkExchange work;
  Engine engine;
  std::vector<WorkerId> workers;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_ORCHESTRATION_SERVER_H_
