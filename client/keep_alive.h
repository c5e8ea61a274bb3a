// KeepAlive: renews the leases of instances, time and again, for as long as
// this object lives.
//
// Unlike a Hold it does not keep a context busy: it can still be released or
// evicted, and one that is gone is not made anew.
//
// Thread-safety: safe.   Lifetime: what it was started from outlives it; what
// the callbacks refer to outlives it as well.
#ifndef LEASEHOLD_CLIENT_KEEP_ALIVE_H_
#define LEASEHOLD_CLIENT_KEEP_ALIVE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/event_loop.h"
#include "leasehold/v1/instances.grpc.pb.h"

namespace leasehold::client {

// What a renewal was answered with.
struct RenewedLease {
  std::string instance_id;
  // Whether there is such a context. Nothing below is set if there is none.
  bool found = false;
  uint64_t generation = 0;
  absl::Duration lease_remaining;
};

struct KeepAliveOptions {
  std::vector<std::string> instance_ids;
  // How long after all have been renewed they are renewed again. Empty: a third
  // of the shortest lease that was answered, at least 10 ms; 5 s if none was.
  std::optional<absl::Duration> interval;
  // Called for each renewal. Callbacks come on the thread that drives the
  // stream: see InstancesClient for what they may do.
  std::function<void(const RenewedLease&)> on_renewed;
  // Called once, when nothing is renewed any more, and why; not if the
  // KeepAlive was destroyed. UNAVAILABLE: the server drains, or is lost.
  std::function<void(const absl::Status&)> on_end;
  // Empty: gRPC's own timers.
  RunAfter run_after;
};

class KeepAlive {
 public:
  // Begins at once, over `stub`, which errors call `name`. Blocks not. See
  // InstancesClient::StartKeepAlive, which is the door for users.
  KeepAlive(EventLoop& loop, leasehold::v1::Instances::Stub& stub,
            std::string name, KeepAliveOptions options);
  // No callback comes afterwards; blocks while one runs, unless called by it.
  ~KeepAlive();
  KeepAlive(const KeepAlive&) = delete;
  KeepAlive& operator=(const KeepAlive&) = delete;

  // Ends it soon, and tells on_end. Does not block.
  void Cancel();

 private:
  class Stream;
  const std::shared_ptr<Stream> stream_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_KEEP_ALIVE_H_
