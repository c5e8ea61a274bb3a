// How a call over gRPC finds its instance: InstanceDoor and PinAwaiter.
//
//   absl::StatusOr<InstanceRequest> request = door.Read(call.context());
//   PinAwaiter pinned(door.registry(), *std::move(request), call);
//   absl::StatusOr<PinGrant> grant = co_await pinned;
//   door.Write(*grant, pinned.request(), call.context());
//
// The pin goes into the coroutine's frame and is given back with it, when the
// call is gone.
//
// Thread-safety: InstanceDoor is safe; a PinAwaiter belongs to its call's
// queue. Lifetime: the registry outlives both.
#ifndef LEASEHOLD_SERVICE_SERVER_INSTANCE_CALL_H_
#define LEASEHOLD_SERVICE_SERVER_INSTANCE_CALL_H_

#include <grpcpp/server_context.h>

#include <atomic>
#include <coroutine>
#include <optional>

#include "absl/status/statusor.h"
#include "service/instance/instance_headers.h"
#include "service/instance/instance_registry.h"
#include "service/server/rpc_runtime.h"

namespace leasehold {

// Translates between gRPC metadata and the instance room.
class InstanceDoor {
 public:
  InstanceDoor(InstanceRegistry& registry, InstanceHeaderNames names)
      : registry_(registry), names_(std::move(names)) {}

  InstanceRegistry& registry() const { return registry_; }

  // From now on Read refuses: the server drains. From any thread.
  void Refuse() { refusing_.store(true, std::memory_order_release); }

  // Which instance the call wants.
  //   InvalidArgument: a header breaks a rule; the message says which.
  //   Unavailable: after Refuse.
  absl::StatusOr<InstanceRequest> Read(const grpc::ServerContext& call) const;

  // Says in the response's initial metadata which instance it met: always the
  // generation; the rest only if this call created it, as each header costs
  // thousands of instructions.
  void Write(const PinGrant& grant, grpc::ServerContext& call) const;

 private:
  InstanceRegistry& registry_;
  const InstanceHeaderNames names_;
  std::atomic<bool> refusing_{false};
};

// Awaits the pin of a call. Resumes at once if the context is open, else later
// on the call's queue. A cancelled call waits no longer: it gets Cancelled.
class PinAwaiter final : private PinWaiter, private CancelHandler {
 public:
  PinAwaiter(InstanceRegistry& registry, InstanceRequest request,
             ServerCall& call)
      : PinWaiter(std::move(request)), registry_(registry), call_(call) {}

  using PinWaiter::request;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> coroutine);
  absl::StatusOr<PinGrant> await_resume() { return *std::move(answer_); }

 private:
  void OnGrant(absl::StatusOr<PinGrant> grant) override;
  void OnCancelled() override;

  InstanceRegistry& registry_;
  ServerCall& call_;
  std::coroutine_handle<> waiting_;
  std::optional<absl::StatusOr<PinGrant>> answer_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_INSTANCE_CALL_H_
