// WaitList: callers that wait for orchestrations, and what they are told.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_WAIT_LIST_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_WAIT_LIST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "service/orchestration/directory.h"
#include "service/orchestration/orchestrations.h"
#include "service/orchestration/requests.h"
#include "service/orchestration/waits.h"

namespace leasehold {

class Engine;

class WaitList {
 public:
  using WaitId = Orchestrations::WaitId;
  using SharedInfo = Orchestrations::SharedInfo;
  struct Waiter : WaitRequest {
    WaitId id;
    Done<SharedInfo> done;
  };

  // `peer_max`: waits of one connection.
  WaitList(Engine& engine, size_t peer_max)
      : engine_(engine), waits_(peer_max) {}
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;

  WaitId Wait(WaitRequest request, Done<SharedInfo> done);
  bool CancelWait(const InstanceKey& key, WaitId id);

  // The orchestration has changed: notifies waiters. `input`: the execution's.
  void TellLocked(Orchestration& orchestration, const HotState& hot,
                  const Payload& input);
  void EndWaitsLocked(const absl::Status& status);
  // Takes those that wait for orchestrations of a tenant.
  std::vector<Waiter> TakeForTenantLocked(const std::string& tenant);
  // Answers waiters whose condition already holds, after memory was rebuilt or
  // a key got another orchestration.
  void ReviewWaitersLocked();
  void ReviewWaitersLocked(const InstanceKey& key);

 private:
  // The orchestration has changed: notifies its waiters.
  void WakeLocked(const Orchestration& orchestration, OrchestrationInfo info);
  // Answers what is stored of an orchestration that nobody need wait for.
  void TellStoredLocked(const WaitRequest& request, Done<SharedInfo> done);
  bool IsAwaitedLocked(const InstanceKey& key) const {
    return !waits_.empty() && waits_.Contains(Directory::NameOf(key));
  }
  void ReviewLocked(const std::string& name);
  // Whether the awaited condition is still to come.
  bool IsAheadLocked(const std::string& name, Until until, uint64_t seen);

  Engine& engine_;
  Waits<Waiter> waits_;
  WaitId last_wait_ = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_WAIT_LIST_H_
