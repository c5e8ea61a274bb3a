// InstanceObserver: told what happens to contexts.
//
// The console, the log and the watchers of contexts are observers. The order of
// events of one context is the order in which they happened, but for kBusy and
// kIdle, which two threads may report a moment out of order.
//
// Thread-safety: OnEvent is called from many threads at once.   Lifetime: an
// observer outlives the registry.
#ifndef LEASEHOLD_SERVICE_INSTANCE_INSTANCE_OBSERVER_H_
#define LEASEHOLD_SERVICE_INSTANCE_INSTANCE_OBSERVER_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/instance/extension.h"

namespace leasehold {

enum class InstanceEventKind {
  kCreated,       // Open for the first call.
  kIdle,          // The last pin went: the lease runs.
  kBusy,          // A call took up an idle context: the lease is stopped.
  kRenewed,       // By KeepAlive: the lease runs from now.
  kExpired,       // The lease ran out; kClosing follows.
  kClosing,       // Extensions are about to be detached.
  kDetachFailed,  // A detach hook threw or failed; the closing goes on.
  kClosed,        // Gone. The key is free.
  kOpenFailed,    // An initializer failed; nothing was opened.
};

struct InstanceEvent {
  InstanceEventKind kind;
  std::string_view tenant;
  std::string_view instance_id;
  uint64_t generation = 0;
  absl::Time create_time = {};
  absl::Duration idle_timeout = {};
  DetachReason reason = DetachReason::kIdle;  // kClosing, kClosed.
  absl::Status status = {};         // kDetachFailed, kOpenFailed: why.
  std::string_view extension = {};  // kDetachFailed: whose hook.
};

class InstanceObserver {
 public:
  virtual ~InstanceObserver() = default;

  // Called without a lock held; must not block and must not call the registry.
  // kIdle and kBusy come only while somebody asks for them
  // (InstanceRegistry::WatchUse).
  virtual void OnEvent(const InstanceEvent& event) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_INSTANCE_OBSERVER_H_
