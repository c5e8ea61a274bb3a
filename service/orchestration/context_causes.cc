#include "service/orchestration/context_causes.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace leasehold {

using Kind = Cause::Kind;

void AddContext(const InstanceInfo& info, Explanation& explanation) {
  explanation.generation = info.generation;
  const bool alone = explanation.subject == Explanation::Subject::kContext;
  std::vector<Cause>& causes = explanation.causes;
  switch (info.state) {
    case InstanceState::kOpening:
      causes.push_back({.kind = Kind::kOpening});
      if (alone) explanation.status = "is opening";
      return;
    case InstanceState::kClosing:
      causes.push_back({.kind = Kind::kClosing});
      if (alone) explanation.status = "is closing";
      return;
    case InstanceState::kIdle:
      if (!alone) return;
      explanation.status = "is idle";
      causes.push_back(
          {.kind = info.held_by_provider ? Kind::kProvider : Kind::kLease,
           .age = info.lease_remaining});
      return;
    case InstanceState::kBusy:
      break;
  }
  if (alone) explanation.status = "is busy";
  const bool work_is_named =
      std::any_of(causes.begin(), causes.end(), [](const Cause& cause) {
        return cause.kind == Kind::kWithWorker ||
               cause.kind == Kind::kLoading || cause.kind == Kind::kStoring;
      });
  for (const InstanceInfo::Held& held : info.held) {
    if (held.kind == PinKind::kWorkItem) continue;
    causes.push_back({.kind = Kind::kHeld,
                      .pin = held.kind,
                      .who = held.holder,
                      .age = held.age});
  }
  for (const InstanceInfo::Pins& pins : info.pins) {
    const auto described = static_cast<uint64_t>(
        std::count_if(info.held.begin(), info.held.end(),
                      [&](const InstanceInfo::Held& held) {
                        return held.kind == pins.kind;
                      }));
    if (pins.kind == PinKind::kWorkItem) {
      if (!work_is_named) {
        causes.push_back({.kind = Kind::kWorkHeld, .count = pins.count});
      }
    } else if (pins.kind == PinKind::kCall) {
      if (pins.count > described) {
        causes.push_back(
            {.kind = Kind::kCalls, .count = pins.count - described});
      }
    } else {
      explanation.more += pins.count - described;
    }
  }
}

}  // namespace leasehold
