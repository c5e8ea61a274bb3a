// Turns: the commit of a turn: from a worker's answer to the new state. What
// it changes is a CommittedTurn; here it is queued, and applied to memory.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_TURNS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_TURNS_H_

#include "service/orchestration/committed_turn.h"
#include "service/orchestration/orchestration.h"
#include "service/orchestration/requests.h"
#include "service/orchestration/turn.h"

namespace leasehold {

class Engine;

class Turns {
 public:
  explicit Turns(Engine& engine) : engine_(engine) {}
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  void CommitTurnLocked(Orchestration& orchestration, TurnAnswer answer,
                        DoneStatus done);

 private:
  void ObserveTurnLocked(Orchestration& orchestration,
                         const TurnOutcome& outcome);
  void ApplyTurnLocked(Orchestration& orchestration, CommittedTurn& turn);
  void BeginWorkLocked(Orchestration& orchestration, CommittedTurn& turn);
  // The next execution, which continues this one as new.
  void BeginNextLocked(Orchestration& orchestration, CommittedTurn& turn);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_TURNS_H_
