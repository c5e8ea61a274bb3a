// KnownLife: one start of an orchestration, and what callers know of it.
//
// Thread-safety: one thread.   Lifetime: a value.
#ifndef LEASEHOLD_TESTS_SIMULATION_KNOWN_LIFE_H_
#define LEASEHOLD_TESTS_SIMULATION_KNOWN_LIFE_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "service/orchestration/orchestration_info.h"

namespace leasehold {

struct KnownLife {
  std::string label;
  std::string id;
  std::string kind;
  enum class State { kUnknown, kThere, kRefused } state = State::kUnknown;
  uint64_t there_since = 0;
  bool meddled = false;  // A caller tried to end it from outside.
  bool end_sent = false;
  std::set<std::string> events;  // Acknowledged while it collected.
  std::optional<std::string> output;

  // A caller sees that it has ended, as `info` says. What is wrong with that,
  // if anything is. `over`: all have ended, and nothing fails any more.
  std::optional<std::string> SeeEnd(const OrchestrationInfo& info, bool over);

 private:
  // Those that may fail are rewound, and at the end they have not failed.
  std::optional<std::string> WrongFailure(bool over) const;
  std::optional<std::string> WrongResult() const;
  std::optional<std::string> WrongEvents() const;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_KNOWN_LIFE_H_
