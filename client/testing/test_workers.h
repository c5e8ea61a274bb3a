// TestWorkers: the workers of a test environment. They take the server's work
// in the form of the protocol and answer it, as worker::Worker does, but one
// item at a time, when the environment says so, and with the faults that the
// test has asked for.
//
//   sent ─▶ at hand ─▶ begun ─ time passes ─▶ done ─▶ answered
//              │         │                     │
//              └─────────┴── its worker dies ──┘  the server sends it again
//
// Thread-safety: one thread: the test's.   Lifetime: dice, clock and code
// outlive it; the exchange outlives the connection to it.
#ifndef LEASEHOLD_CLIENT_TESTING_TEST_WORKERS_H_
#define LEASEHOLD_CLIENT_TESTING_TEST_WORKERS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/testing/activity_script.h"
#include "client/testing/dice.h"
#include "client/testing/test_code.h"
#include "client/testing/virtual_clock.h"
#include "client/worker/log.h"
#include "service/orchestration/work_exchange.h"

namespace leasehold::testkit {

class TestWorkers {
 public:
  struct Options {
    int count = 2;
    // The chance that an item meets with a fault, whatever its script says.
    double fault_chance = 0;
    worker::LogSink log;
  };

  TestWorkers(VirtualClock& clock, Dice& dice, TestCode& code, Options options);
  ~TestWorkers();
  TestWorkers(const TestWorkers&) = delete;
  TestWorkers& operator=(const TestWorkers&) = delete;

  // Connects all of them.
  void Connect(WorkExchange& work);
  // Forgets what they have: the server is gone.
  void LoseServer();
  // All of them die with what they have, and others take their place.
  void KillAll();

  // How many things can be done now: items, and late answers.
  size_t ready() const;
  // Does one of them. Throws TestError: the code that it needs is missing, or
  // the server refuses the answer. REQUIRES: index < ready().
  void Do(size_t index);
  // When there is more to do; nullopt: nothing has begun.
  std::optional<absl::Time> NextDue() const;

  // The next turn meets with this fault; the one after it with the next one.
  void DisturbNextTurn(WorkerFault fault) { turn_faults_.push_back(fault); }
  // Turns done so far, and batches of operations of entities.
  uint64_t turns() const { return turns_; }

 private:
  struct Item;
  class Sink;
  using Items = std::deque<std::unique_ptr<Item>>;

  bool IsReady(const Item& item) const;
  // False: the item takes time, and is done later.
  bool Begin(Item& item);
  std::optional<WorkerFault> FaultOf(Item& item);
  // The code's answer, encoded.
  std::string Answer(const Item& item);
  void Send(WorkKind kind, const std::string& answer);
  // The worker loses what it has, and connects as another one.
  void Kill(size_t worker);
  void ConnectOne(size_t worker);

  // Constant after construction.
  VirtualClock& clock_;
  Dice& dice_;
  TestCode& code_;
  const Options options_;

  WorkExchange* work_ = nullptr;  // While there is a server.
  std::vector<std::shared_ptr<Sink>> sinks_;
  std::vector<WorkerId> ids_;
  std::deque<std::function<void()>> late_answers_;
  std::deque<WorkerFault> turn_faults_;
  uint64_t turns_ = 0;
  // Answers that the server refused, other than as too late.
  std::shared_ptr<std::vector<absl::Status>> refusals_ =
      std::make_shared<std::vector<absl::Status>>();
};

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_TEST_WORKERS_H_
