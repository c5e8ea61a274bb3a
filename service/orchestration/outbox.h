// Outbox: what leaves a partition, as rows of the commit that causes it.
//
//   commit of the source:  its own changes, and the row
//        │ durable
//        ▼ pushed
//   commit of the target:  takes the row, and makes what the message causes
//
// A row is pushed once its commit is durable, and again when it is found in the
// store after memory was rebuilt: at least once. It acts once, as it is taken
// in the commit that acts. Only the target knows whether an orchestration is
// open, or how it has ended, so the source always sends.
//
// Thread-safety: callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_OUTBOX_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_OUTBOX_H_

#include <cstdint>
#include <optional>
#include <string>

#include "service/instance/instance_key.h"
#include "service/orchestration/history.h"
#include "service/storage/records.h"

namespace leasehold {

// What a row says to an orchestration.
struct OutboxMessage {
  // The numbers are stored.
  enum class Kind : int32_t {
    // An event for it, if it is open. A start creates it.
    kEvent = 0,
    // Its parent was rewound and waits for it: it is rewound too, if it has
    // failed; or its end is told again; or it starts, if there is none. The
    // event is that start.
    kRewind = 1,
    // It ends now, without a worker, and so do its sub-orchestrations. The
    // event is an ExecutionTerminated.
    kTerminate = 2,
    // It is erased, if it has ended, and so are its sub-orchestrations. No
    // event.
    kPurge = 3,
  };

  InstanceKey to;
  std::string execution_id;  // Of kEvent: for this one only; empty: for any.
  HistoryEvent event;
  Kind kind = Kind::kEvent;
};

class Outbox {
 public:
  // The partition was opened: its ordinals are of this epoch from now on, so
  // that none is ever used twice.
  void Begin(const Fence& fence);

  const Fence& fence() const { return fence_; }

  // A new row of this partition.
  OutboxRow MakeRow(PartitionId target, const OutboxMessage& message);

  // nullopt: the row is damaged, or is not one of ours.
  static std::optional<OutboxMessage> Read(const OutboxRow& row);

 private:
  Fence fence_;
  int64_t last_ = 0;  // Of this epoch.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_OUTBOX_H_
