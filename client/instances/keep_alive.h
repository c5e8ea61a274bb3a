// KeepAlive: renews the leases of instances at intervals, for as long as this
// object lives.
//
// Unlike a Hold it does not keep a context busy: the context can still be
// released or evicted, and is not re-created when it is gone.
//
// Thread-safety: safe.   Lifetime: the client that started it and everything
// that its callbacks refer to outlive it.
#ifndef LEASEHOLD_CLIENT_INSTANCES_KEEP_ALIVE_H_
#define LEASEHOLD_CLIENT_INSTANCES_KEEP_ALIVE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/wire/event_loop.h"
#include "leasehold/v1/instances.grpc.pb.h"

namespace leasehold::client {

// The answer to a renewal.
struct RenewedLease {
  std::string instance_id;
  // Whether there is a context of this ID. If not, nothing below is set.
  bool found = false;
  uint64_t generation = 0;
  absl::Duration lease_remaining;
};

struct KeepAliveOptions {
  std::vector<std::string> instance_ids;
  // The time from the end of one round of renewals to the next round. If empty,
  // a third of the shortest lease, at least 10 ms; 5 s if no context was found.
  std::optional<absl::Duration> interval;
  // Whether a stream that was lost reconnects instead of ending, once the
  // server has answered for the first time. Lost means that it ended with
  // anything but ABORTED, NOT_FOUND, INVALID_ARGUMENT, FAILED_PRECONDITION,
  // PERMISSION_DENIED and UNAUTHENTICATED; but a stream that the server had
  // answered makes one more attempt if its token is no longer taken (token.h).
  bool reconnect = false;
  // Called for each renewal. Callbacks run on the thread that drives the
  // stream: see InstancesClient for what they may do.
  std::function<void(const RenewedLease&)> on_renewed;
  // Called when the stream was lost and will reconnect; only if `reconnect`.
  std::function<void(const absl::Status&)> on_lost;
  // Called once, when renewing has ended, with the reason. Not called if the
  // KeepAlive was destroyed. UNAVAILABLE: the server is draining, or was lost.
  std::function<void(const absl::Status&)> on_end;
  // If empty, gRPC's own timers.
  RunAfter run_after;
};

class KeepAlive {
 public:
  // Starts over `stub`, which errors call `name`, and which outlives this if
  // `reconnect` is set. Does not block. Users call
  // InstancesClient::StartKeepAlive instead.
  KeepAlive(EventLoop& loop, leasehold::v1::Instances::Stub& stub,
            std::string name, KeepAliveOptions options);
  // Waits for a running callback, unless called by it; no other one follows.
  ~KeepAlive();
  KeepAlive(const KeepAlive&) = delete;
  KeepAlive& operator=(const KeepAlive&) = delete;

  // Ends the stream soon and calls on_end. Does not block.
  void Cancel();

 private:
  class Stream;
  const std::shared_ptr<Stream> stream_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_INSTANCES_KEEP_ALIVE_H_
