// Hold: keeps an instance context busy for as long as this object lives.
//
// While somebody holds a context, its lease does not run. When the last holder
// lets go, the lease begins.
//
// Thread-safety: safe.   Lifetime: the client that started it and everything
// that its callbacks refer to outlive it.
#ifndef LEASEHOLD_CLIENT_INSTANCES_HOLD_H_
#define LEASEHOLD_CLIENT_INSTANCES_HOLD_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/instances/instance.h"
#include "client/wire/instance_metadata.h"
#include "client/wire/steady_stream.h"
#include "leasehold/v1/instances.grpc.pb.h"

namespace leasehold::client {

struct HoldOptions {
  // If empty, the server makes an ID; on_held reports it.
  std::string instance_id;
  // Used if this call creates the context. If empty, the server's default.
  std::optional<absl::Duration> idle_timeout;
  Expect expect = Expect::kAny;
  // Whether a hold that was lost is taken again instead of ending, once the
  // server has answered for the first time. Lost means that it ended with
  // anything but ABORTED, NOT_FOUND, INVALID_ARGUMENT, FAILED_PRECONDITION,
  // PERMISSION_DENIED and UNAUTHENTICATED; but a stream that the server had
  // answered makes one more attempt if its token is no longer taken (token.h).
  bool reconnect = false;
  // Called when the context is held, and again after each reconnect. Callbacks
  // run on the thread that drives the stream: see InstancesClient for what they
  // may do.
  std::function<void(const OpenedInstance&)> on_held;
  // Called when the hold was lost and will be taken again; only if `reconnect`.
  std::function<void(const absl::Status&)> on_lost;
  // Called once, when the hold has ended or could not be taken, and why. Not
  // called if the Hold was destroyed. ABORTED: somebody released the context by
  // force. UNAVAILABLE: the server is draining, or was lost. ALREADY_EXISTS,
  // NOT_FOUND: the context is not as `expect` said.
  std::function<void(const absl::Status&)> on_end;
  // If empty, gRPC's own timers.
  RunAfter run_after;
};

class Hold {
 public:
  // Made by InstancesClient::StartHold.
  explicit Hold(
      std::shared_ptr<SteadyStream<leasehold::v1::HoldResponse>> stream)
      : stream_(std::move(stream)) {}
  // Lets go. Blocks while a callback is running, unless that callback calls it;
  // no callback is called afterwards.
  ~Hold() { stream_->Stop(); }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  const std::shared_ptr<SteadyStream<leasehold::v1::HoldResponse>> stream_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_INSTANCES_HOLD_H_
