// EntityWatch: the state of an entity, as it changes, until the watch is
// cancelled.
//
// First its current state; then whenever its state changes, or who has locked
// it. A slow watcher gets only the latest. An entity that is deleted, or not
// there yet, is reported as one that does not exist.
//
// Thread-safety: safe.   Lifetime: the client that started it and everything
// that its callbacks refer to outlive it.
#ifndef LEASEHOLD_CLIENT_ENTITIES_ENTITY_WATCH_H_
#define LEASEHOLD_CLIENT_ENTITIES_ENTITY_WATCH_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "client/entities/entity.h"
#include "client/wire/steady_stream.h"
#include "leasehold/v1/entities.grpc.pb.h"

namespace leasehold::client {

struct EntityWatchOptions {
  std::string instance_id;
  // Without it only whether there is one.
  bool state = true;
  // Whether a watch that was lost reconnects instead of ending, once the server
  // has answered for the first time; then the current state is reported again.
  // Lost: as of an OrchestrationWatch.
  bool reconnect = false;
  // The next one follows when this has returned. Callbacks run on the thread
  // that drives the stream: see EntityClient for what they may do.
  std::function<void(const EntityInfo&)> on_change;
  // Called when the watch was lost and will reconnect; only if `reconnect`.
  std::function<void(const absl::Status&)> on_lost;
  // Called once, when the watch has ended, with the reason. Not called if it
  // was destroyed. CANCELLED: by Cancel. UNAVAILABLE: the server is draining,
  // or was lost.
  std::function<void(const absl::Status&)> on_end;
  // If empty, gRPC's own timers.
  RunAfter run_after;
};

class EntityWatch {
 public:
  using Stream = SteadyStream<leasehold::v1::EntityInfo>;

  // Made by EntityClient::StartWatch.
  explicit EntityWatch(std::shared_ptr<Stream> stream)
      : stream_(std::move(stream)) {}
  // Waits for a running callback, unless called by it; no other one follows.
  ~EntityWatch() { stream_->Stop(); }
  EntityWatch(const EntityWatch&) = delete;
  EntityWatch& operator=(const EntityWatch&) = delete;

  // Ends the stream soon and calls on_end. Does not block.
  void Cancel() { stream_->Cancel(); }

 private:
  const std::shared_ptr<Stream> stream_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_ENTITIES_ENTITY_WATCH_H_
