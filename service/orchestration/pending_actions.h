// PendingActions: what an execution waits for, with what is known of earlier
// attempts: a fold of its history, for people.
//
// An orchestrator that retries has no word for it in the history: it schedules
// the same activity again, after a timer. So an activity (or a
// sub-orchestration) of the same name and input as one that has failed is the
// next attempt, and a timer that was set in the turn that saw the failure is
// the wait before it:
//
//   turn: task 1 "Charge" ─▶ turn: task 1 failed, timer 2 ─▶ turn: timer 2
//   fired, task 3 "Charge"      (attempt 2, at the time of timer 2)
//
// That is how all SDKs retry. An orchestrator that does the same by hand looks
// the same, and it is the same.
//
// Thread-safety: a value; callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_PENDING_ACTIONS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_PENDING_ACTIONS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "service/orchestration/history.h"

namespace leasehold {

class PendingActions {
 public:
  // The attempts that an action follows.
  struct Attempts {
    int failed = 0;
    std::string last_failure = {};  // `type: message`, cut.
  };
  // An activity, or a sub-orchestration.
  struct Action {
    std::string name;
    std::string instance_id = {};  // Of a sub-orchestration.
    uint64_t print = 0;            // Of what it is, and its input.
    Attempts before = {};
  };
  struct Timer {
    Timestamp fire_at;
    // It is the wait before the next attempt of this.
    std::optional<Action> retries = {};
  };
  struct EntityCall {
    std::string instance_id;
    std::string operation;
  };
  struct Suspension {
    Timestamp since;
    std::string reason;
  };

  void Apply(const HistoryEvent& event);
  // Applies events in frames. False: these are not events.
  bool ApplyFrames(std::string_view frames);
  // There are no more events.
  void End() { EndTurn(); }

  // By action ID.
  const std::map<int32_t, Action>& activities() const { return activities_; }
  const std::map<int32_t, Action>& children() const { return children_; }
  const std::map<int32_t, Timer>& timers() const { return timers_; }
  // By request ID.
  const std::map<std::string, EntityCall>& calls() const { return calls_; }
  // The entities of critical sections that it waits for, by section ID, in the
  // order in which they are locked.
  const std::map<std::string, std::vector<std::string>>& locks() const {
    return locks_;
  }
  const std::optional<Suspension>& suspension() const { return suspension_; }

 private:
  struct Fold;

  void Begin(std::map<int32_t, Action>& actions, int32_t id, Action action);
  void Fail(std::map<int32_t, Action>& actions, int32_t id,
            const OpaqueMessage& failure);
  void EndTurn();

  std::map<int32_t, Action> activities_;
  std::map<int32_t, Action> children_;
  std::map<int32_t, Timer> timers_;
  std::map<std::string, EntityCall> calls_;
  std::map<std::string, std::vector<std::string>> locks_;
  std::optional<Suspension> suspension_;
  // Failed, and not begun again yet; by print, the oldest first.
  std::multimap<uint64_t, Attempts> failed_;
  // Of the present turn.
  std::vector<Action> turn_failures_;
  std::vector<int32_t> turn_timers_;
};

// `type: message` of a failure, as a worker has sent it, cut to a line of a
// few hundred bytes. Empty: there is none, or it cannot be read.
std::string BriefFailure(const OpaqueMessage& failure);
// The first line of `text`, cut to a few hundred bytes.
std::string BriefText(std::string_view text);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_PENDING_ACTIONS_H_
