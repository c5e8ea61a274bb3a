// OrchestrationWatch: how an orchestration stands, as it changes, until it has
// ended.
//
// First what is known of it now; then its state whenever its status or custom
// status changes, or another takes its place. Who is slow is told the latest
// only.
//
// Thread-safety: safe.   Lifetime: what it was started from outlives it; what
// the callbacks refer to outlives it as well.
#ifndef LEASEHOLD_CLIENT_ORCHESTRATION_WATCH_H_
#define LEASEHOLD_CLIENT_ORCHESTRATION_WATCH_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/orchestration.h"
#include "client/server_stream.h"
#include "leasehold/v1/orchestration.grpc.pb.h"

namespace leasehold::client {

struct OrchestrationWatchOptions {
  std::string instance_id;
  // With input, output and failure.
  bool payloads = true;
  // Watch no longer than this. Empty: for as long as it takes.
  std::optional<absl::Duration> timeout;
  // The next state comes when this has returned. Callbacks come on the thread
  // that drives the stream: see OrchestrationClient for what they may do.
  std::function<void(const OrchestrationState&)> on_state;
  // Called once, when no more states come, and why; not if the watch was
  // destroyed. OK: the last state is the end. NOT_FOUND: there is none of this
  // ID, or it was purged meanwhile. DEADLINE_EXCEEDED: after `timeout`.
  // CANCELLED: by Cancel. UNAVAILABLE: the server drains, or is lost.
  std::function<void(const absl::Status&)> on_end;
};

class OrchestrationWatch {
 public:
  using Stream = ServerStream<leasehold::v1::OrchestrationState>;

  // Made by OrchestrationClient::StartWatch.
  explicit OrchestrationWatch(std::shared_ptr<Stream> stream)
      : stream_(std::move(stream)) {}
  // No callback comes afterwards; blocks while one runs, unless called by it.
  ~OrchestrationWatch() { stream_->Stop(); }
  OrchestrationWatch(const OrchestrationWatch&) = delete;
  OrchestrationWatch& operator=(const OrchestrationWatch&) = delete;

  // Ends it soon, and tells on_end. Does not block.
  void Cancel() { stream_->Cancel(); }

 private:
  const std::shared_ptr<Stream> stream_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_ORCHESTRATION_WATCH_H_
