// Watch: what happens to a server's instance contexts, as it happens.
//
// First a snapshot: one event for each existing context, then kSnapshotDone;
// then events as they happen. A watcher that falls behind gets kLagged, and
// then a new snapshot.
//
// Thread-safety: safe.   Lifetime: the client that started it and everything
// that its callbacks refer to outlive it.
#ifndef LEASEHOLD_CLIENT_INSTANCES_WATCH_H_
#define LEASEHOLD_CLIENT_INSTANCES_WATCH_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "client/instances/instance.h"
#include "client/wire/steady_stream.h"
#include "leasehold/v1/instances.grpc.pb.h"

namespace leasehold::client {

struct WatchEvent {
  enum class Kind {
    // An event that this library does not know.
    kUnknown,
    // The context existed when the snapshot was taken.
    kSnapshot,
    // The snapshot is complete; no instance is set.
    kSnapshotDone,
    kCreated,
    // Its last pin is gone: its lease starts.
    kIdle,
    // It was idle and now has a pin: its lease stops.
    kBusy,
    // By KeepAlive or Create.
    kRenewed,
    kClosing,
    kClosed,
    // Events were lost and a new snapshot follows: forget earlier events.
    kLagged,
    // It stays busy, but what keeps it busy has changed.
    kPinsChanged,
    // Its lease has ended, but its provider says that it is not idle.
    kHeldByProvider,
  };

  Kind kind = Kind::kUnknown;
  Instance instance;
  // kClosing and kClosed: `idle`, `released`, `evicted`, `shutdown`, …
  std::string reason;
};

// As the contract writes it: `SNAPSHOT`, `SNAPSHOT_DONE`, `CREATED`, …
const char* WatchEventName(WatchEvent::Kind kind);

WatchEvent FromProto(const leasehold::v1::WatchInstancesResponse& proto);

struct WatchOptions {
  // Only IDs with this prefix.
  std::string id_prefix;
  // Whether a watch that was lost reconnects instead of ending, once the server
  // has answered for the first time; then kLagged and a new snapshot follow.
  // Lost means any end but ABORTED, NOT_FOUND, INVALID_ARGUMENT,
  // FAILED_PRECONDITION, PERMISSION_DENIED and UNAUTHENTICATED; but a stream
  // that the server had answered makes one more attempt if its token is no
  // longer taken (token.h).
  bool reconnect = false;
  // The next event follows when this has returned. Callbacks run on the thread
  // that drives the stream: see InstancesClient for what they may do.
  std::function<void(const WatchEvent&)> on_event;
  // Called when the watch was lost and will reconnect; only if `reconnect`.
  std::function<void(const absl::Status&)> on_lost;
  // Called once, when the watch has ended, with the reason. Not called if the
  // Watch was destroyed. CANCELLED: by Cancel. UNAVAILABLE: the server is
  // draining, or was lost.
  std::function<void(const absl::Status&)> on_end;
  // If empty, gRPC's own timers.
  RunAfter run_after;
};

class Watch {
 public:
  // Made by InstancesClient::StartWatch.
  explicit Watch(
      std::shared_ptr<SteadyStream<leasehold::v1::WatchInstancesResponse>>
          stream)
      : stream_(std::move(stream)) {}
  // Waits for a running callback, unless called by it; no other one follows.
  ~Watch() { stream_->Stop(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Ends the stream soon and calls on_end. Does not block.
  void Cancel() { stream_->Cancel(); }

 private:
  const std::shared_ptr<SteadyStream<leasehold::v1::WatchInstancesResponse>>
      stream_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_INSTANCES_WATCH_H_
