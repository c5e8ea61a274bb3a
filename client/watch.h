// Watch: what happens to a server's instance contexts, as it happens.
//
// First a snapshot: one event for each context that is there, then
// kSnapshotDone; then events as they come. A watcher that falls behind is told
// kLagged, and a new snapshot follows.
//
// Thread-safety: safe.   Lifetime: what it was started from outlives it; what
// the callbacks refer to outlives it as well.
#ifndef LEASEHOLD_CLIENT_WATCH_H_
#define LEASEHOLD_CLIENT_WATCH_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "client/instance.h"
#include "client/server_stream.h"
#include "leasehold/v1/instances.grpc.pb.h"

namespace leasehold::client {

struct WatchEvent {
  enum class Kind {
    // One that this library does not know yet.
    kUnknown,
    // The context was there when the snapshot was taken.
    kSnapshot,
    // All that was there has been told; no instance is set.
    kSnapshotDone,
    kCreated,
    // Its last pin went: its lease runs.
    kIdle,
    // It was idle and has a pin: its lease is stopped.
    kBusy,
    // By KeepAlive or Create.
    kRenewed,
    kClosing,
    kClosed,
    // Events were lost, and a new snapshot follows: forget what was told.
    kLagged,
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
  // Only IDs that begin so.
  std::string id_prefix;
  // The next event comes when this has returned. Callbacks come on the thread
  // that drives the stream: see InstancesClient for what they may do.
  std::function<void(const WatchEvent&)> on_event;
  // Called once, when no more events come, and why; not if the Watch was
  // destroyed. CANCELLED: by Cancel. UNAVAILABLE: the server drains, or is
  // lost.
  std::function<void(const absl::Status&)> on_end;
};

class Watch {
 public:
  // Made by InstancesClient::StartWatch.
  explicit Watch(
      std::shared_ptr<ServerStream<leasehold::v1::WatchInstancesResponse>>
          stream)
      : stream_(std::move(stream)) {}
  // No callback comes afterwards; blocks while one runs, unless called by it.
  ~Watch() { stream_->Stop(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Ends it soon, and tells on_end. Does not block.
  void Cancel() { stream_->Cancel(); }

 private:
  const std::shared_ptr<ServerStream<leasehold::v1::WatchInstancesResponse>>
      stream_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WATCH_H_
