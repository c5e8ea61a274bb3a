// The orchestrators of the simulated worlds that use entities: a pure program,
// which replays a history and answers as a worker would. Its input names it:
//
//   call @c@1 3          calls @c@1 three times, one after the other
//   lock @c@1,@c@2 1     has both to itself and calls each, and once they have
//                        answered, again; then it continues as new, once, and
//                        ends
//
// Labels of operations begin with `<execution ID>/`.
//
// Thread-safety: a value; callers synchronise.
#ifndef LEASEHOLD_TESTS_SIMULATION_ENTITY_PROGRAM_H_
#define LEASEHOLD_TESTS_SIMULATION_ENTITY_PROGRAM_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "service/orchestration/history.h"
#include "service/orchestration/turn.h"

namespace leasehold {

class EntityProgram {
 public:
  static constexpr size_t kCallsEach = 2;

  explicit EntityProgram(std::string execution_id)
      : execution_id_(std::move(execution_id)) {}

  // The events of its history, and the new ones, in their order.
  void See(const HistoryEvent& event);
  // `unlocks`: it ends its critical section itself, and does not leave that to
  // its end.
  std::vector<OrchestratorAction> Answer(bool unlocks) const;

  const std::vector<std::string>& entities() const { return entities_; }
  // Its answers, by label.
  const std::vector<std::pair<std::string, std::string>>& answers() const {
    return answers_;
  }
  // It has a critical section, and all calls in that are answered.
  bool section_is_over() const {
    return locks_ && calls_ == kCallsEach * entities_.size() &&
           answers_.size() == calls_;
  }
  // The same answer came twice.
  const std::optional<std::string>& twice() const { return twice_; }

 private:
  OrchestratorAction Call(int32_t id, const std::string& entity) const;
  std::vector<OrchestratorAction> End(bool unlocks) const;

  const std::string execution_id_;
  bool locks_ = false;
  std::vector<std::string> entities_;
  int rounds_ = 0;
  bool asked_ = false;
  bool granted_ = false;
  size_t calls_ = 0;
  std::vector<std::pair<std::string, std::string>> answers_;
  std::optional<std::string> twice_;
  bool terminated_ = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_ENTITY_PROGRAM_H_
