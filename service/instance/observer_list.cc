#include "service/instance/observer_list.h"

#include <string>

#include "absl/status/status.h"
#include "service/instance/hook.h"

namespace leasehold {

InstanceEvent ObserverList::EventOf(InstanceEventKind kind,
                                    const InstanceContext& context) {
  return {.kind = kind,
          .tenant = context.tenant(),
          .instance_id = context.id(),
          .generation = context.generation(),
          .create_time = context.create_time(),
          .idle_timeout = context.idle_timeout()};
}

void ObserverList::Tell(const InstanceEvent& event) const {
  for (InstanceObserver* observer : observers_) {
    try {
      observer->OnEvent(event);
    } catch (...) {
      // Exceptions thrown while reporting an exception are not reported.
      if (event.kind == InstanceEventKind::kThrew) continue;
      TellThrew(event.tenant, event.instance_id, event.generation,
                "InstanceObserver::OnEvent", WhatWasThrown());
    }
  }
}

void ObserverList::TellThrew(std::string_view tenant, std::string_view id,
                             uint64_t generation, std::string_view code,
                             std::string_view what) const {
  Tell({.kind = InstanceEventKind::kThrew,
        .tenant = tenant,
        .instance_id = id,
        .generation = generation,
        .status = absl::InternalError(std::string(what)),
        .code = code});
}

}  // namespace leasehold
