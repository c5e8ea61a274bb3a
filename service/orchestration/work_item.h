// What is sent to a worker: the message WorkItem of the Durable Task contract,
// encoded. The history is inserted as it is in memory.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_WORK_ITEM_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_WORK_ITEM_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "service/orchestration/history.h"

namespace leasehold {

struct TurnItem {
  std::string_view token;
  std::string_view instance_id;
  const std::string& execution_id;
  std::string_view past;          // In frames of kStoredFrame.
  bool past_is_streamed = false;  // The worker fetches it itself.
  const std::vector<std::string>& events;
  const OpaqueMessage& trace_context;
};
std::string EncodeTurnItem(const TurnItem& item);

struct ActivityItem {
  std::string_view token;
  std::string_view instance_id;
  const std::string& execution_id;
  int32_t id = 0;
  const TaskScheduled& task;
};
std::string EncodeActivityItem(const ActivityItem& item);

// Operations of an entity: the message EntityRequest, which all workers that
// run entities read.
struct BatchItem {
  std::string_view token;
  std::string_view instance_id;
  const std::string& execution_id;
  const Payload& state;
  const std::vector<std::string_view>& events;
};
std::string EncodeBatchItem(const BatchItem& item);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_WORK_ITEM_H_
