// What callers did to the orchestration of one ID, and whether some order of
// these operations explains every answer: linearizability.
//
// Each operation takes effect at one moment between its beginning and its end.
// The search is that of Wing and Gong ("Testing and Verifying Concurrent
// Objects", 1993) with Lowe's memory of states already tried: take any
// operation that begins before every unexplained one ends, check whether a
// model of one singleton gives the same answer, and continue with the rest.
//
// Thread-safety: values and pure functions.
#ifndef LEASEHOLD_TESTS_SIMULATION_SINGLETON_HISTORY_H_
#define LEASEHOLD_TESTS_SIMULATION_SINGLETON_HISTORY_H_

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "service/orchestration/history.h"
#include "service/orchestration/reuse_policy.h"

namespace leasehold {

struct Operation {
  enum class Kind { kStart, kGet, kTerminate, kPurge, kTurn };
  static constexpr int kNever = std::numeric_limits<int>::max();

  Kind kind = Kind::kGet;
  int begin = 0;
  int end = kNever;
  // It failed without telling whether it took effect, then or later.
  bool unknown = false;
  bool no_effect = false;  // It said so: it needs no explanation.

  // Start: its policy. `done`: it created.
  // Terminate: `done`: there was an open one to end.
  // Purge: `done`: it erased.
  // Turn: an orchestrator reached `status`.
  ReusePolicy policy = {};
  bool done = false;
  // What it reports of the existing orchestration; empty: there is none, or it
  // reports nothing.
  std::string execution = {};
  std::optional<OrchestrationStatus> status = std::nullopt;
  // Start and terminate: it was refused because of `status`.
  bool refused = false;
};

// `start nightly: created e1` and so on.
std::string Describe(const Operation& operation);

// At most 64 operations. Nullopt: there is such an order. Otherwise the
// operations, one per line.
std::optional<std::string> FindContradiction(
    const std::vector<Operation>& operations);

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_SINGLETON_HISTORY_H_
