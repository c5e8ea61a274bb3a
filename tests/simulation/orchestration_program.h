// The orchestrators of the simulated worlds: pure programs, one per kind, which
// replay a history and answer as a worker would.
//
// The input contains the kind and a label, `chain:7`; the output begins with
// the label. The kinds `flaky` and `hopeful` fail while their activity, or
// their child, does, and succeed when they are rewound often enough.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_TESTS_SIMULATION_ORCHESTRATION_PROGRAM_H_
#define LEASEHOLD_TESTS_SIMULATION_ORCHESTRATION_PROGRAM_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "service/orchestration/history.h"
#include "service/orchestration/turn.h"

namespace leasehold {

// The activity that fails now and then.
inline constexpr char kFlakyActivity[] = "flaky";

// A work item.
struct Item {
  size_t worker = 0;
  std::string token;
  std::string id;
  std::string execution_id;
  std::vector<std::string> past;    // Of a turn.
  std::vector<std::string> events;  // New ones.
  bool turn = false;
  bool batch = false;                // Its events are operations.
  std::optional<std::string> state;  // Of an entity.
  int32_t task_id = 0;               // Of an activity, like the next.
  std::string name;
};

Item ReadItem(const std::string& bytes);

// What an orchestrator knows after replaying its history.
struct Replay {
  std::string kind;
  std::string label;
  int round = 0;
  std::vector<std::string> raised;
  int scheduled = 0;
  int completed = 0;
  bool timer = false;
  bool fired = false;
  bool child = false;
  std::optional<std::string> child_result;
  std::optional<Payload> terminated;
  bool suspended = false;
  bool task_failed = false;
  bool rewinds = false;  // Asked for the history to continue with.
  Timestamp now;

  explicit Replay(const Item& item);

  TurnAnswer Answer(const Item& item) const;

 private:
  void See(const HistoryEvent& event);
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_ORCHESTRATION_PROGRAM_H_
