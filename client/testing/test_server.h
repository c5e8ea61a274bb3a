// TestServer: the server of a test environment, from its start to its end: the
// real engine over a store that outlives it. It has no thread; the environment
// runs its tasks and its timers.
//
// Thread-safety: one thread: the test's.   Lifetime: clock and store outlive
// it.
#ifndef LEASEHOLD_CLIENT_TESTING_TEST_SERVER_H_
#define LEASEHOLD_CLIENT_TESTING_TEST_SERVER_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "client/testing/dice.h"
#include "client/testing/task_queue.h"
#include "lease/clock.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/entities.h"
#include "service/orchestration/node_work_exchange.h"
#include "service/orchestration/orchestrations.h"
#include "service/orchestration/work_exchange.h"
#include "service/storage/memory_store.h"

namespace leasehold::testkit {

class TestServer final : private EngineObserver {
 public:
  // Continues what is in the store.
  TestServer(Clock& clock, MemoryStore& store, Dice& dice);
  // Ends it as a process that is killed: what is not in the store is lost.
  ~TestServer() override;
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  // The ports.
  Orchestrations& orchestrations() { return engine_; }
  Entities& entities() { return engine_.entities(); }
  WorkExchange& work() { return work_; }

  // Whether a task can run now.
  bool busy() const {
    return writer_.size() + readers_.size() + executor_.size() > 0;
  }
  // Runs one of them. REQUIRES: busy().
  void RunTask();

  // When FireDue next has something to do; nullopt: nothing is scheduled.
  std::optional<absl::Time> NextDue() const;
  // Fires the timers that are due, and ends the leases that are over.
  void FireDue();

 private:
  void OnStoreFailed(const absl::Status&) override {}
  void OnStoreRecovered(size_t) override {}
  void OnWork(const WorkEvent&) override {}
  void OnStopped(const EngineCounts&) override {}
  void RunAll() {
    while (busy()) RunTask();
  }

  MemoryStore& store_;
  Dice& dice_;
  TaskQueue writer_;
  TaskQueue readers_;
  TaskQueue executor_;
  SharedProvider provider_;
  InstanceRegistry registry_;
  NodeWorkExchange work_;
  Engine engine_;
};

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_TEST_SERVER_H_
