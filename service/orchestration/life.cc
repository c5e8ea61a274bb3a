#include "service/orchestration/life.h"

#include <algorithm>

namespace leasehold {
namespace {

bool IsIdle(const Work& work) { return work.state == Work::State::kIdle; }

// The number of work items that say that they pin the context.
int CountPins(const Orchestration& one) {
  int pins = one.turn.pins ? 1 : 0;
  for (const auto& [id, activity] : one.activities) {
    if (activity->pins) ++pins;
  }
  return pins;
}

// Whether all of its work is so: its turn, and each of its activities.
template <typename IsSo>
bool AllWork(const Orchestration& one, IsSo is_so) {
  return is_so(one.turn) &&
         std::all_of(one.activities.begin(), one.activities.end(),
                     [&is_so](const auto& activity) {
                       return is_so(*activity.second);
                     });
}

bool HasWorkLinedUp(const Orchestration& one) { return !AllWork(one, &IsIdle); }

struct Rule {
  const char* name;
  bool (*holds)(const Orchestration& one);
};

constexpr Rule kRules[] = {
    // ---- By state ----
    {"one that is not durable yet has no work",
     [](const Orchestration& one) {
       return LifeOf(one) != Life::kCreating || !HasWorkLinedUp(one);
     }},
    {"a turn that is lined up or out has something to look at",
     [](const Orchestration& one) {
       return IsIdle(one.turn) || !one.inbox.empty();
     }},
    {"while an answer is on its way to the store, no turn is lined up or out",
     [](const Orchestration& one) {
       return LifeOf(one) != Life::kCommitting || IsIdle(one.turn);
     }},
    {"while an end is on its way to the store, no turn is lined up or out",
     [](const Orchestration& one) {
       return LifeOf(one) != Life::kEnding || IsIdle(one.turn);
     }},
    {"of one that is set aside nothing is done",
     [](const Orchestration& one) {
       return LifeOf(one) != Life::kSetAside ||
              (!HasWorkLinedUp(one) && one.inbox.empty() && one.pins == 0);
     }},
    {"one that has gone has no work and no context",
     [](const Orchestration& one) {
       return LifeOf(one) != Life::kGone ||
              (one.ending && !HasWorkLinedUp(one) && one.pin == nullptr &&
               one.hot == nullptr);
     }},

    // ---- In every state ----
    {"only of one that is ending it is undecided whether it ends",
     [](const Orchestration& one) { return !one.undecided || one.ending; }},
    {"a turn that waits a while after it was given back is idle",
     [](const Orchestration& one) { return !one.held || IsIdle(one.turn); }},
    {"pins are counted as the work says that has them",
     [](const Orchestration& one) {
       return one.gone || one.pins == CountPins(one);
     }},
    {"work that is out pins its context",
     [](const Orchestration& one) {
       return AllWork(one, [](const OwnedWork& work) {
         return work.state != Work::State::kOut || work.pins;
       });
     }},
    {"work pins its context only while it is out, or its end is on the way",
     [](const Orchestration& one) {
       return (!one.turn.pins || one.turn.state == Work::State::kOut ||
               one.committing || one.ending) &&
              std::all_of(one.activities.begin(), one.activities.end(),
                          [](const auto& activity) {
                            return !activity.second->pins ||
                                   activity.second->ended ||
                                   activity.second->state == Work::State::kOut;
                          });
     }},
    {"the context is held, or being acquired, while work pins it, and not else",
     [](const Orchestration& one) {
       return one.pins > 0 ? one.pin != nullptr || one.pinning
                           : one.pin == nullptr;
     }},
    {"what is fresh is not hot yet",
     [](const Orchestration& one) {
       return one.fresh == nullptr || one.hot == nullptr ||
              !one.hot->has_state();
     }},
};

}  // namespace

Life LifeOf(const Orchestration& one) {
  if (one.gone) return Life::kGone;
  if (one.damage != nullptr) return Life::kSetAside;
  if (one.ending) return Life::kEnding;
  if (!one.durable) return Life::kCreating;
  return one.committing ? Life::kCommitting : Life::kOpen;
}

const char* LifeName(Life life) {
  switch (life) {
    case Life::kCreating:
      return "creating";
    case Life::kOpen:
      return "open";
    case Life::kCommitting:
      return "committing";
    case Life::kEnding:
      return "ending";
    case Life::kSetAside:
      return "set aside";
    case Life::kGone:
      return "gone";
  }
  return "unknown";
}

const char* BrokenRule(const Orchestration& orchestration) {
  for (const Rule& rule : kRules) {
    if (!rule.holds(orchestration)) return rule.name;
  }
  return nullptr;
}

}  // namespace leasehold
