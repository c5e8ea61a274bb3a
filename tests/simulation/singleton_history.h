// What callers did to the orchestration of one ID, and whether there is one
// order of it all that explains every answer: linearizability.
//
// Each operation takes effect at one moment between its beginning and its end.
// The search is that of Wing and Gong ("Testing and Verifying Concurrent
// Objects", 1993) with Lowe's memory of what was tried already: take any
// operation that nothing unexplained ended before, see whether a model of one
// singleton answers it alike, go on with the rest.
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
  // It failed in a way that does not tell: it took effect at some time, or not.
  bool unknown = false;
  bool no_effect = false;  // It said so: it need not be explained.

  // Of a start: its policy. `done`: it created.
  // Of a terminate: `done`: it was told to one that is open.
  // Of a purge: `done`: it erased.
  // Of a turn: that an orchestrator came to `status`.
  ReusePolicy policy = {};
  bool done = false;
  // What it says of the orchestration that is there; empty: there is none, or
  // nothing is said.
  std::string execution = {};
  std::optional<OrchestrationStatus> status = std::nullopt;
  // Of a start and a terminate: that was refused because of `status`.
  bool refused = false;
};

// `start nightly: created e1` and so on.
std::string Describe(const Operation& operation);

// At most 64 operations. Nullopt: there is such an order. Else what was done,
// a line each.
std::optional<std::string> FindContradiction(
    const std::vector<Operation>& operations);

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_SINGLETON_HISTORY_H_
