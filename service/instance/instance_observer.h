// InstanceObserver: receives the events of contexts.
//
// The console, the log and the watchers of contexts are observers. The events
// of one context arrive in the order in which they happened, except kBusy and
// kIdle, which two threads may report slightly out of order.
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
  kCreated,         // Open for the first call.
  kIdle,            // The last pin was released: the lease runs.
  kBusy,            // A call pinned an idle context: the lease stops.
  kRenewed,         // By KeepAlive: the lease runs from now.
  kExpired,         // The lease ran out; kClosing follows.
  kClosing,         // Extensions are about to be detached.
  kDetachFailed,    // A detach hook threw or failed; closing continues.
  kClosed,          // Gone. The key is free.
  kOpenFailed,      // An initializer failed; the context never opened.
  kPinsChanged,     // It stays busy, but other pins keep it busy now.
  kHeldByProvider,  // It would end, but its provider says "not idle".
  kThrew,           // An embedder's code threw; the registry continues.
};

struct InstanceEvent {
  InstanceEventKind kind;
  std::string_view tenant;
  std::string_view instance_id;
  uint64_t generation = 0;
  absl::Time create_time = {};
  absl::Duration idle_timeout = {};
  DetachReason reason = DetachReason::kIdle;  // kClosing, kClosed.
  absl::Status status = {};         // kDetachFailed, kOpenFailed, kThrew: why.
  std::string_view extension = {};  // kDetachFailed: whose hook.
  std::string_view code = {};       // kThrew: which code; e.g. `handler Add`.
};

class InstanceObserver {
 public:
  virtual ~InstanceObserver() = default;

  // Called without a lock held; must not block and must not call the registry.
  // An exception that it throws is reported to the other observers. kIdle,
  // kBusy, kPinsChanged and kHeldByProvider are sent only while someone asks
  // for them (InstanceRegistry::WatchUse). kThrew may lack the generation.
  virtual void OnEvent(const InstanceEvent& event) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_INSTANCE_OBSERVER_H_
