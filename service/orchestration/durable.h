// Durable: what the engine keeps in memory under an instance ID: an
// orchestration or an entity; and the work for workers that belongs to it.
//
// Work that is out pins the instance context of its ID. What else is common to
// both kinds is here; what differs is in Orchestration and in Entity.
//
// Thread-safety: guarded by the engine's lock.   Lifetime: shared by the
// directory and by the operations in progress for it.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_DURABLE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_DURABLE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "service/dispatch/dispatcher.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/context_hold.h"
#include "service/storage/records.h"
#include "service/storage/witness.h"

namespace leasehold {

// Work lost this many times in a row is suspect.
inline constexpr int kSuspectAfter = 2;

struct OwnedWork;

class Durable : public std::enable_shared_from_this<Durable> {
 public:
  Durable(RunNumber number, InstanceKey key)
      : number(number), key(std::move(key)) {}
  virtual ~Durable() = default;
  Durable(const Durable&) = delete;
  Durable& operator=(const Durable&) = delete;

  // Calls `each` with all its work.
  virtual void ForEachWork(absl::FunctionRef<void(OwnedWork&)> each) = 0;
  // Its context has closed: what was kept there has gone.
  virtual void OnParked() = 0;

  const RunNumber number;
  const InstanceKey key;

  bool durable = false;  // Whether it exists in the store.
  // It is not in memory any more: operations still in progress for it change
  // nothing.
  bool gone = false;
  bool held = false;  // Its turn or batch was given back, and is delayed.

  int pins = 0;  // Work that pins the context.
  std::shared_ptr<ContextHold> pin;
  bool pinning = false;  // Acquiring the pin.
  // Of the start that created it, while that is unanswered.
  const ContextOffer* offer = nullptr;
  std::vector<Work*> unsent;  // Out, but not sent yet.
  // Why its context did not open the last time; null: it did.
  std::unique_ptr<const std::string> refused;

  HotOrchestration* hot = nullptr;
};

// Work for an orchestration or an entity.
struct OwnedWork : Work {
  OwnedWork(Durable& owner, WorkKind kind, std::string name,
            std::string version)
      : Work(kind, owner.key.tenant, std::move(name), std::move(version)),
        owner(owner) {}
  Durable& owner;
  int given_back = 0;  // Times in a row.
  // Times in a row that it went out and was lost or given back.
  int lost = 0;
  bool sent = false;  // It was sent to its worker.
  // It is delayed because the context of its owner did not open.
  bool refused = false;
  // On the monotonic clock: when it was sent; while it is delayed because it
  // was given back or lost, when it goes out again.
  StoredTime moves_at = 0;
  // Where the store's witness notes it, while it is out or after a loss.
  Witness::Place place;
  // It has come back with an answer.
  void ResetLosses() {
    given_back = 0;
    lost = 0;
    alone = false;
  }

  // It holds the context: it is out, or its end is being committed.
  bool pins = false;
};

// All work is of this type.
inline OwnedWork& Owned(Work& work) { return static_cast<OwnedWork&>(work); }

using DurablePtr = std::shared_ptr<Durable>;

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_DURABLE_H_
