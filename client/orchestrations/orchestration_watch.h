// OrchestrationWatch: the state of an orchestration, as it changes, until it
// has ended.
//
// First its current state; then its state whenever the status or custom status
// changes, or another orchestration takes its place. A slow watcher gets only
// the latest state.
//
// Thread-safety: safe.   Lifetime: the client that started it and everything
// that its callbacks refer to outlive it.
#ifndef LEASEHOLD_CLIENT_ORCHESTRATIONS_ORCHESTRATION_WATCH_H_
#define LEASEHOLD_CLIENT_ORCHESTRATIONS_ORCHESTRATION_WATCH_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/orchestrations/orchestration.h"
#include "client/wire/steady_stream.h"
#include "leasehold/v1/orchestration.grpc.pb.h"

namespace leasehold::client {

struct OrchestrationWatchOptions {
  std::string instance_id;
  // With input, output and failure.
  bool payloads = true;
  // How long to watch at most. If empty, for as long as it takes.
  std::optional<absl::Duration> timeout;
  // Whether a watch that was lost reconnects instead of ending, once the server
  // has answered for the first time; then the current state is reported again.
  // Lost means any end but ABORTED, NOT_FOUND, INVALID_ARGUMENT,
  // FAILED_PRECONDITION, PERMISSION_DENIED and UNAUTHENTICATED; but a stream
  // that the server had answered makes one more attempt if its token is no
  // longer taken (token.h).
  bool reconnect = false;
  // The next state follows when this has returned. Callbacks run on the thread
  // that drives the stream: see OrchestrationClient for what they may do.
  std::function<void(const OrchestrationState&)> on_state;
  // Called when the watch was lost and will reconnect; only if `reconnect`.
  std::function<void(const absl::Status&)> on_lost;
  // Called once, when the watch has ended, with the reason. Not called if it
  // was destroyed. OK: the orchestration has ended. NOT_FOUND: there is none
  // with this ID, or it was purged meanwhile. DEADLINE_EXCEEDED: after
  // `timeout`. CANCELLED: by Cancel. UNAVAILABLE: the server is draining, or
  // was lost.
  std::function<void(const absl::Status&)> on_end;
  // If empty, gRPC's own timers.
  RunAfter run_after;
};

class OrchestrationWatch {
 public:
  using Stream = SteadyStream<leasehold::v1::OrchestrationState>;

  // Made by OrchestrationClient::StartWatch.
  explicit OrchestrationWatch(std::shared_ptr<Stream> stream)
      : stream_(std::move(stream)) {}
  // Waits for a running callback, unless called by it; no other one follows.
  ~OrchestrationWatch() { stream_->Stop(); }
  OrchestrationWatch(const OrchestrationWatch&) = delete;
  OrchestrationWatch& operator=(const OrchestrationWatch&) = delete;

  // Ends the stream soon and calls on_end. Does not block.
  void Cancel() { stream_->Cancel(); }

 private:
  const std::shared_ptr<Stream> stream_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_ORCHESTRATIONS_ORCHESTRATION_WATCH_H_
