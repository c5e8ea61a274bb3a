// ActivityContext: what an activity knows about the call that it serves.
//
// Thread-safety: safe.   Lifetime: as long as the activity runs; it refers to
// nothing else.
#ifndef LEASEHOLD_CLIENT_WORKER_ACTIVITY_CONTEXT_H_
#define LEASEHOLD_CLIENT_WORKER_ACTIVITY_CONTEXT_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace leasehold::worker {

// An activity runs at least once: if its worker or its server is lost before
// the result is durable, it runs again. Instance ID, execution ID and task ID
// together identify the call and are the same each time it runs.
struct ActivityCall {
  std::string name;
  std::string instance_id;
  std::string execution_id;  // Empty if the server does not send it.
  int32_t task_id = 0;
  std::map<std::string, std::string> tags;
};

class ActivityContext {
 public:
  ActivityContext(ActivityCall call, const std::atomic<bool>& stopping)
      : call_(std::move(call)), stopping_(stopping) {}

  const std::string& name() const { return call_.name; }
  const std::string& instance_id() const { return call_.instance_id; }
  const std::string& execution_id() const { return call_.execution_id; }
  int32_t task_id() const { return call_.task_id; }
  const std::map<std::string, std::string>& tags() const { return call_.tags; }

  // Whether the worker has given up this call. Its result will be ignored, so a
  // long activity should end.
  bool stopping() const { return stopping_; }

 private:
  const ActivityCall call_;
  const std::atomic<bool>& stopping_;
};

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_ACTIVITY_CONTEXT_H_
