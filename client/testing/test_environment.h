// TestEnvironment: orchestrations in a unit test, without a server process and
// without waiting.
//
//   TestEnvironment env;
//   env.AddOrchestrator("Checkout", &Checkout);
//   env.FakeActivity("Charge", [](Order) { return Receipt("r-1"); })
//       .FailNext(2);
//   const TestOrchestration checkout = env.Start("Checkout", order);
//   EXPECT_EQ(checkout.Output<std::string>(), "r-1");
//   EXPECT_GE(env.Elapsed(), absl::Minutes(3));  // The waits of its retries.
//
// It is the server's own engine, with a store in memory and workers that run
// your code, all on the test's thread. Time is virtual: it stands still while
// there is something to do, and then moves to the next moment at which
// something happens, so a timer of a day takes no time. Wherever several things
// could happen next, the seed decides: run a test with many seeds to see it in
// many orders, with the same seed to see the same again.
//
// Turns of an orchestration are at least a millisecond apart, as on a server:
// after several of them at one moment its timers are due that much later.
//
//   for (const uint64_t seed : Seeds(100)) {
//     TestEnvironment env({.seed = seed, .fault_chance = 0.1});
//     …
//   }
//
// Thread-safety: one thread: the test's. Code under test runs on it, too.
// Lifetime: everything that the callables refer to outlives it.
#ifndef LEASEHOLD_CLIENT_TESTING_TEST_ENVIRONMENT_H_
#define LEASEHOLD_CLIENT_TESTING_TEST_ENVIRONMENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/testing/activity_script.h"
#include "client/testing/test_code.h"
#include "client/testing/test_entity.h"
#include "client/testing/test_error.h"
#include "client/testing/test_options.h"
#include "client/testing/test_orchestration.h"
#include "client/worker/entity_id.h"
#include "client/worker/payload.h"

namespace leasehold::testkit {

class TestWorld;

class TestEnvironment {
 public:
  TestEnvironment() : TestEnvironment(TestOptions()) {}
  explicit TestEnvironment(TestOptions options);
  ~TestEnvironment();
  TestEnvironment(const TestEnvironment&) = delete;
  TestEnvironment& operator=(const TestEnvironment&) = delete;

  // ---- Code -----------------------------------------------------------------

  // As those of worker::Worker (client/worker/registry.h). Names that were
  // added wrongly, and code that is missing when it is needed, are a TestError.
  template <typename Callable>
  void AddOrchestrator(std::string name, Callable callable) {
    code().AddOrchestrator(std::move(name), std::move(callable));
  }
  template <typename Callable>
  ActivityScript& AddActivity(std::string name, Callable callable) {
    ActivityScript& script = Activity(name);
    code().AddActivity(std::move(name), std::move(callable));
    return script;
  }

  // `entity`: a function, or a worker::EntityClass.
  template <typename Entity>
  void AddEntity(const std::string& name, Entity entity) {
    code().AddEntity(name, std::move(entity));
  }

  // A fake takes the place of what was, or will be, added under its name.
  template <typename Callable>
  ActivityScript& FakeActivity(const std::string& name, Callable callable) {
    code().FakeActivity(name, std::move(callable));
    return Activity(name);
  }
  // `callable`: `R()` or `R(In)`; it is no coroutine. What it throws fails the
  // orchestration.
  template <typename Callable>
  void FakeOrchestrator(const std::string& name, Callable callable) {
    code().FakeOrchestrator(name, std::move(callable));
  }

  // `entity`: as of AddEntity.
  template <typename Entity>
  void FakeEntity(const std::string& name, Entity entity) {
    code().FakeEntity(name, std::move(entity));
  }

  // What happens to the calls of an activity, and what has happened.
  ActivityScript& Activity(const std::string& name);

  // ---- Orchestrations -------------------------------------------------------

  // Starts one. Nothing runs yet. TestError: there is no orchestrator of this
  // name, or the ID is taken.
  TestOrchestration Start(std::string_view name) {
    return StartWith(name, {}, {});
  }
  template <typename Input>
  TestOrchestration Start(std::string_view name, const Input& input,
                          const TestStart& start = {}) {
    return StartWith(name, worker::ToPayload(input), start);
  }
  // One that exists, such as a sub-orchestration. TestError: there is none.
  TestOrchestration Find(std::string_view id);

  // ---- Entities -------------------------------------------------------------

  // One that exists or not.
  TestEntity Entity(const worker::EntityId& id) { return {*world_, id}; }
  TestEntity Entity(std::string_view name, std::string_view key) {
    return Entity(worker::EntityId(name, key));
  }

  // ---- Time -----------------------------------------------------------------

  // Does everything that can be done without time passing.
  void Settle();
  // Lets time pass, and does everything that is due meanwhile, when it is due.
  void Advance(absl::Duration duration);
  // Lets as much time pass as it takes, until nothing is due any more: every
  // orchestration has ended, or waits for something that no time will bring,
  // such as an event. TestError: that takes too long (TestOptions).
  void RunUntilIdle();

  absl::Time Now() const;
  // Since the beginning.
  absl::Duration Elapsed() const;

  // ---- Faults ---------------------------------------------------------------

  // All workers die with the work that they have, and others take their place.
  void KillWorkers();
  // The server is killed, and started again on what it has stored. Its workers
  // connect again.
  void RestartServer();
  // The next turn that a worker runs is disturbed; called again, the one after
  // it. For activities see ActivityScript.
  void DisturbNextTurn(WorkerFault fault);

  // ---- Replay ---------------------------------------------------------------

  // Whether the orchestrator still does what it did in a history that was
  // exported with `leasehold orchestration history ID --export=FILE`.
  //   FailedPrecondition: it does not; the message names the event, what the
  //     history has there, and what the code does instead.
  //   NotFound: there is no such file, or this test does not have the
  //     orchestrator.
  //   InvalidArgument: the file is not an exported history; the message names
  //     the line.
  absl::Status ReplayFile(const std::string& path) const;
  // The same with the content of such a file.
  absl::Status Replay(std::string_view exported) const;

 private:
  TestCode& code();
  TestOrchestration StartWith(std::string_view name, worker::Payload input,
                              const TestStart& start);

  const std::unique_ptr<TestWorld> world_;
};

// The seeds 1 to `count`. If the environment variable LEASEHOLD_SEED is set,
// only that one: to repeat a failure.
std::vector<uint64_t> Seeds(int count);

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_TEST_ENVIRONMENT_H_
