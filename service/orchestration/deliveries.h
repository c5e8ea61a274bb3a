// Deliveries: work on its way to workers: lined up, pinned, thawed, sent; and
// the hot state that turns need.
//
//   LineUp ─▶ dispatcher ─▶ SendOut ─ pinned ─▶ Send ─ hot ─▶ the sink
//                              └─▶ pin ─────────▶┘ └─▶ thaw ──▶┘
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_DELIVERIES_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_DELIVERIES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "service/instance/instance_registry.h"
#include "service/orchestration/context_hold.h"
#include "service/orchestration/directory.h"
#include "service/orchestration/orchestration.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

class Deliveries {
 public:
  explicit Deliveries(Engine& engine) : engine_(engine) {}
  Deliveries(const Deliveries&) = delete;
  Deliveries& operator=(const Deliveries&) = delete;

  void LineUpLocked(Orchestration& orchestration);
  void LineUpAgainLocked(Orchestration& orchestration, int32_t id);
  // Acquires the context of an owner whose work is out; then sends that.
  void Pin(const DurablePtr& owner);
  // The work needs its context no more. If none of the orchestration's does,
  // the context is released when the section ends; until then, other work of it
  // may still go out with it.
  void UnpinLocked(Work& work);
  void ReleaseUnpinnedLocked();
  // Work has gone out: its orchestration is pinned, thawed, then it is sent.
  void SendOutLocked(Work& work);
  // Creates an activity without queueing it; nullptr: one with this ID exists.
  // `away`: everything but its name is only in the store.
  ActivityWork* MakeActivityLocked(Orchestration& orchestration, int32_t id,
                                   TaskScheduled task, bool away);
  void AddActivityLocked(Orchestration& orchestration, int32_t id,
                         TaskScheduled task);
  // True: the worker has too much unread already, and the work is queued again.
  bool PutBackIfFullLocked(Work& work);
  void SendItemLocked(Work& work, std::string item);
  // The context of that hot state closes.
  void Park(HotOrchestration& hot);

 private:
  class AcquireForWork;
  class ForcedRelease;
  // `read`: the events of messages that were away.
  using ReadEvents = std::map<int64_t, std::string>;

  void OnPinned(const DurablePtr& owner, absl::StatusOr<PinGrant> grant);
  std::shared_ptr<ContextHold> HoldOf(Durable& owner, leasehold::Pin pin);
  // From now on `pin` holds its context, and `hot` is the place of its state.
  void AdoptLocked(Durable& owner, std::shared_ptr<ContextHold> pin,
                   HotOrchestration& hot);
  void SendLocked(Work& work);
  void SendTurnLocked(Orchestration& orchestration,
                      const ReadEvents& read = {});
  // Reads the events of a turn's messages that are away, then sends the turn.
  void ReadInboxLocked(Orchestration& orchestration);
  void ReadInbox(const OrchestrationPtr& orchestration, uint64_t load,
                 const MessageRange& range);
  void SendActivityLocked(ActivityWork& work);
  void SendActivityLocked(ActivityWork& work, const TaskScheduled& task);
  // Reads an activity that is away, then sends it if it is still out with that
  // token.
  void ReadTask(const OrchestrationPtr& orchestration, int32_t id,
                const std::string& token);
  void ThawLocked(Orchestration& orchestration);
  void ReadForThaw(const OrchestrationPtr& orchestration, uint64_t load);
  void OnForcedRelease(const DurablePtr& owner);

  void ReleaseLocked(Durable& owner);

  Engine& engine_;
  uint64_t last_load_ = 0;
  // Those that hold their contexts and may have no work that needs it.
  std::vector<DurablePtr> unpinned_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_DELIVERIES_H_
