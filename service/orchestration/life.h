// The life of an orchestration in the engine's memory: which of its flags may
// be set together, as one table.
//
//   creating ──durable──▶ open ◀──────────────┐ answered
//                         │ ▲ │               │
//                 ending  │ │ └─turn answered─▶ committing
//                         ▼ │ given up        │ it ends
//                       ending ◀──────────────┘
//                         │ durable
//                         ▼
//                       gone          open ──cannot be read──▶ set aside
//
//   state        turn                 what else is so
//   creating     idle                 no work, nothing has come yet
//   open         idle, queued, out    queued or out: durable, and something
//                                     has come
//   committing   idle                 its answer is being committed
//   ending       idle                 an end is being committed; or undecided:
//                                     its rows are read before that
//   set aside    idle                 no work, nothing that has come is kept
//   gone         idle                 no work, no pin, not in the directory
//
// In every state: the context is pinned, or being pinned, exactly while work
// that pins it is out or being committed; a turn that was given back and is
// delayed is idle; `fresh` is set only before the first turn.
//
// Debug and sanitizer builds and the simulation check these rules each time the
// engine's lock is released. A broken rule ends the process: memory then no
// longer matches the decisions made, and nothing stored from it can be trusted.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_LIFE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_LIFE_H_

#include "service/orchestration/orchestration.h"

namespace leasehold {

enum class Life {
  kCreating,
  kOpen,
  kCommitting,
  kEnding,
  kSetAside,
  kGone,
};

Life LifeOf(const Orchestration& orchestration);
const char* LifeName(Life life);

// The rule that the orchestration breaks; nullptr: none.
const char* BrokenRule(const Orchestration& orchestration);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_LIFE_H_
