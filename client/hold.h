// Hold: an instance context kept busy for as long as this object lives.
//
// The counterpart of an open channel of the model: while somebody holds a
// context, its lease does not run; when the last one lets go, it begins.
//
// Thread-safety: safe.   Lifetime: what it was started from outlives it; what
// the callbacks refer to outlives it as well.
#ifndef LEASEHOLD_CLIENT_HOLD_H_
#define LEASEHOLD_CLIENT_HOLD_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/instance.h"
#include "client/instance_metadata.h"
#include "client/server_stream.h"
#include "leasehold/v1/instances.grpc.pb.h"

namespace leasehold::client {

struct HoldOptions {
  // Empty: the server makes one; on_held tells it.
  std::string instance_id;
  // If this call creates the context. Empty: the server's own.
  std::optional<absl::Duration> idle_timeout;
  Expect expect = Expect::kAny;
  // Called once the context is held. Callbacks come on the thread that drives
  // the stream: see InstancesClient for what they may do.
  std::function<void(const OpenedInstance&)> on_held;
  // Called once, when it is held no more or never was, and why. Not called if
  // the Hold was destroyed. ABORTED: somebody released the context by force.
  // UNAVAILABLE: the server drains, or is lost. ALREADY_EXISTS, NOT_FOUND: it
  // is not as `expect` said.
  std::function<void(const absl::Status&)> on_end;
};

class Hold {
 public:
  // Made by InstancesClient::StartHold.
  explicit Hold(
      std::shared_ptr<ServerStream<leasehold::v1::HoldResponse>> stream)
      : stream_(std::move(stream)) {}
  // Lets go. No callback comes afterwards; blocks while one runs, unless called
  // by it.
  ~Hold() { stream_->Stop(); }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  const std::shared_ptr<ServerStream<leasehold::v1::HoldResponse>> stream_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_HOLD_H_
