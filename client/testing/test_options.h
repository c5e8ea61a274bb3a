// TestOptions: what a test environment is made with.
//
// Thread-safety: a value.
#ifndef LEASEHOLD_CLIENT_TESTING_TEST_OPTIONS_H_
#define LEASEHOLD_CLIENT_TESTING_TEST_OPTIONS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "client/worker/log.h"

namespace leasehold::testkit {

struct TestOptions {
  // Decides the order in which things happen that could happen in any order,
  // and which faults there are. The same seed, the same histories.
  uint64_t seed = 1;
  // The time at which the test begins.
  absl::Time start =
      absl::FromCivil(absl::CivilSecond(2020, 1, 1), absl::UTCTimeZone());
  // At least 1.
  int workers = 2;
  // The chance that a turn or an activity meets with one of the WorkerFaults,
  // from 0 to 1 (exclusive). The server gives up work that was lost ten times
  // in a row.
  double fault_chance = 0;
  // The chance that the server is killed and started again before a step.
  double restart_chance = 0;
  // How much virtual time, and how many turns and batches of operations of
  // entities, a run may take that ends when nothing is left to do: some
  // orchestrations live for ever.
  absl::Duration time_max = absl::Hours(24) * 3660;
  int turns_max = 100'000;
  // Receives what orchestrators log. Empty: nobody.
  worker::LogSink log = nullptr;
};

// What an orchestration is started with, except for its input.
struct TestStart {
  // Empty: the orchestrator's name and a number, as in `Checkout-1`.
  std::string id = {};
  std::optional<std::string> version = {};
  // When it is to start, from now; 0: at once.
  absl::Duration after = absl::ZeroDuration();
  std::map<std::string, std::string> tags = {};
};

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_TEST_OPTIONS_H_
