// Effects: what a locked section of the engine leaves to be done once the lock
// is released.
//
// Thread-safety: none; belongs to the section.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_EFFECTS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_EFFECTS_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "service/orchestration/context_hold.h"
#include "service/orchestration/durable.h"
#include "service/orchestration/work_exchange.h"
#include "service/tracing/span.h"

namespace leasehold {

struct Effects {
  std::vector<std::function<void()>> calls;
  std::vector<std::pair<std::shared_ptr<WorkSink>, std::string>> items;
  std::vector<DurablePtr> to_pin;
  std::vector<std::shared_ptr<ContextHold>> to_list;
  std::vector<std::shared_ptr<ContextHold>> unpinned;
  std::vector<Span> spans;  // That have ended.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_EFFECTS_H_
