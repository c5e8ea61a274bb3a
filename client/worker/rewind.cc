#include "client/worker/rewind.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/worker/name_uuid.h"

namespace leasehold::worker::internal {
namespace {

// The namespace of the execution IDs that are made here.
constexpr Uuid kExecutions = {0x3d, 0x1c, 0xb7, 0x0a, 0x52, 0xf8, 0x4e, 0x66,
                              0xa4, 0x0d, 0x91, 0x27, 0xc5, 0xe3, 0x6b, 0x18};

using Events = google::protobuf::RepeatedPtrField<HistoryEvent>;

// The rewind that is asked for, or nullptr.
const HistoryEvent* FindRewind(const Events& events) {
  const auto it = std::find_if(
      events.begin(), events.end(),
      [](const HistoryEvent& event) { return event.has_executionrewound(); });
  return it == events.end() ? nullptr : &*it;
}

bool HasEnd(const Events& events) {
  return std::any_of(
      events.begin(), events.end(),
      [](const HistoryEvent& event) { return event.has_executioncompleted(); });
}

// The same each time this rewind is asked for.
std::string NewExecutionId(const OrchestratorRequest& request,
                           const HistoryEvent& rewind) {
  std::string id =
      NameUuid(kExecutions, absl::StrCat(request.instanceid(), "_",
                                         request.executionid().value(), "_",
                                         rewind.timestamp().seconds(), "_",
                                         rewind.timestamp().nanos()));
  std::erase(id, '-');
  return id;
}

// Copies a history, event by event, without what failed.
class GoodHistory {
 public:
  GoodHistory(const OrchestratorRequest& request, const HistoryEvent& rewind)
      : execution_id_(NewExecutionId(request, rewind)),
        parent_(rewind.executionrewound().parentexecutionid().value()) {
    for (const HistoryEvent& event : request.pastevents()) {
      if (event.has_taskfailed()) {
        failed_.insert(event.taskfailed().taskscheduledid());
      }
    }
  }

  void Add(const Events& events, RewindOrchestrationAction& to) const {
    for (const HistoryEvent& event : events) {
      if (!IsGood(event)) continue;
      HistoryEvent& copy = *to.add_newhistory();
      copy = event;
      if (event.has_executionstarted()) GiveNewIds(copy);
    }
  }

 private:
  bool IsGood(const HistoryEvent& event) const {
    switch (event.eventType_case()) {
      case HistoryEvent::kTaskFailed:
      case HistoryEvent::kSubOrchestrationInstanceFailed:
      case HistoryEvent::kExecutionCompleted:
        return false;
      case HistoryEvent::kTaskScheduled:
        return !failed_.contains(event.eventid());
      default:
        return true;
    }
  }

  void GiveNewIds(HistoryEvent& event) const {
    ExecutionStartedEvent& started = *event.mutable_executionstarted();
    started.mutable_orchestrationinstance()->mutable_executionid()->set_value(
        execution_id_);
    if (parent_.empty() || !started.has_parentinstance()) return;
    started.mutable_parentinstance()
        ->mutable_orchestrationinstance()
        ->mutable_executionid()
        ->set_value(parent_);
  }

  const std::string execution_id_;
  const std::string parent_;  // The parent's new execution; empty if unchanged.
  std::set<int32_t> failed_;  // Activities.
};

}  // namespace

bool AsksForRewind(const OrchestratorRequest& request) {
  return FindRewind(request.newevents()) != nullptr &&
         HasEnd(request.pastevents());
}

bool WasRewound(const OrchestratorRequest& request) {
  return FindRewind(request.pastevents()) != nullptr;
}

OrchestratorResponse RunRewind(const OrchestratorRequest& request) {
  constexpr int kNoActionOfTheCode = -1;
  OrchestratorResponse response;
  response.set_instanceid(request.instanceid());
  OrchestratorAction& action = *response.add_actions();
  action.set_id(kNoActionOfTheCode);
  RewindOrchestrationAction& history = *action.mutable_rewindorchestration();
  const GoodHistory good(request, *FindRewind(request.newevents()));
  good.Add(request.pastevents(), history);
  good.Add(request.newevents(), history);
  return response;
}

}  // namespace leasehold::worker::internal
