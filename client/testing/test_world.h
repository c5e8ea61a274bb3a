// TestWorld: a server, its workers and their time, driven by one seed. It is
// what TestEnvironment and TestOrchestration are made of, in terms of payloads
// and the messages of the protocol.
//
// Thread-safety: one thread: the test's.   Lifetime: as the environment.
#ifndef LEASEHOLD_CLIENT_TESTING_TEST_WORLD_H_
#define LEASEHOLD_CLIENT_TESTING_TEST_WORLD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/testing/dice.h"
#include "client/testing/test_code.h"
#include "client/testing/test_options.h"
#include "client/testing/test_server.h"
#include "client/testing/test_workers.h"
#include "client/testing/virtual_clock.h"
#include "client/worker/entity_id.h"
#include "client/worker/failure.h"
#include "client/worker/payload.h"
#include "durabletask/orchestrator_service.pb.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/entities.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/requests.h"
#include "service/storage/memory_store.h"

namespace leasehold::testkit {

class TestWorld {
 public:
  using History = std::vector<::HistoryEvent>;

  explicit TestWorld(TestOptions options);
  TestWorld(const TestWorld&) = delete;
  TestWorld& operator=(const TestWorld&) = delete;

  TestCode& code() { return code_; }
  TestWorkers& workers() { return workers_; }
  const TestOptions& options() const { return options_; }
  absl::Time Now() const { return clock_.WallNow(); }

  // ---- Time -----------------------------------------------------------------

  // All throw TestError. Does everything that can be done now.
  void Settle();
  void Advance(absl::Duration duration);
  void RunUntilIdle();
  // Runs until the orchestration has ended; false: nothing is left to do, and
  // it has not.
  bool RunUntilEnded(const std::string& id);
  void RestartServer();

  // The key of an instance ID, for callers of whom nothing is known.
  static InstanceKey KeyOf(const std::string& id);

  // ---- Calls, answered at once ----------------------------------------------

  std::string Start(const std::string& name, worker::Payload input,
                    const TestStart& start);
  // nullopt: there is none.
  std::optional<OrchestrationInfo> Find(const std::string& id);
  // Throws TestError if there is none.
  OrchestrationInfo Get(const std::string& id);
  History GetHistory(const std::string& id);
  // nullopt: there is nothing of this ID.
  std::optional<EntityInfo> FindEntity(const worker::EntityId& id);
  // Sends it an operation, not before `after` from now.
  void SignalEntity(const worker::EntityId& id, const std::string& operation,
                    worker::Payload input, absl::Duration after);
  // Calls the server, and runs its tasks until it has answered.
  absl::Status Call(
      const std::function<void(Orchestrations&, DoneStatus)>& call);

  // ---- For people -----------------------------------------------------------

  // What the orchestration waits for; empty: it has ended.
  std::string WaitsFor(const std::string& id);
  // Its history, a line for each event, with the time since the test began.
  std::vector<std::string> HistoryLines(const std::string& id);
  // A TestError about the orchestration: what was `wanted`, what it did
  // instead, its history, and the seed.
  [[noreturn]] void Fail(const std::string& id, const std::string& wanted);
  // The same about no orchestration in particular.
  [[noreturn]] void Fail(const std::string& what);

 private:
  // Does one thing that can be done now. False: there is none.
  bool Step();
  // Ends a run that takes too many turns.
  void CheckTurns(uint64_t since);
  std::optional<absl::Time> NextDue() const;
  // Moves the time on to `time`, and fires what is due then.
  void MoveTo(absl::Time time);
  // The next moment at which something happens, if it is `until` at the latest:
  // moves the time there.
  bool MoveToNext(absl::Time until);
  void Pump(const std::function<bool()>& answered);
  template <typename T>
  absl::StatusOr<T> Answer(const std::function<void(Done<T>)>& ask);
  template <typename T>
  absl::StatusOr<T> Ask(
      const std::function<void(Orchestrations&, Done<T>)>& ask);
  std::string Outcome(const OrchestrationInfo& info);

  const TestOptions options_;
  VirtualClock clock_;
  Dice dice_;
  TestCode code_;
  MemoryStore store_;
  std::unique_ptr<TestServer> server_;
  TestWorkers workers_;
  std::map<std::string, int> started_;  // Of each name.
};

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_TEST_WORLD_H_
