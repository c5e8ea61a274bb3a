// How a call over gRPC finds its instance: InstanceDoor and PinAwaiter.
//
//   PinAwaiter pinned(door, door.Read(call), call);
//   absl::StatusOr<PinGrant> grant = co_await pinned;
//
// The pin lies in the coroutine's frame and is given back with it, when the
// call is over.
//
// Thread-safety: InstanceDoor is safe; a PinAwaiter belongs to its call's
// queue. Lifetime: the registry outlives both, the door its awaiters.
#ifndef LEASEHOLD_SERVICE_DOORS_INSTANCE_CALL_H_
#define LEASEHOLD_SERVICE_DOORS_INSTANCE_CALL_H_

#include <grpcpp/server_context.h>

#include <atomic>
#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/instance/executor.h"
#include "service/instance/instance_context.h"
#include "service/instance/instance_headers.h"
#include "service/instance/instance_registry.h"
#include "service/rpc/caller.h"
#include "service/rpc/gatekeeper.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/server_call.h"
#include "service/rpc/stream_call.h"

namespace leasehold {

// Translates between gRPC metadata and the instance room.
class InstanceDoor {
 public:
  // `gatekeeper`: as that of the runtime.
  InstanceDoor(InstanceRegistry& registry, InstanceHeaderNames names,
               Gatekeeper* gatekeeper = nullptr)
      : registry_(registry),
        names_(std::move(names)),
        gatekeeper_(gatekeeper) {}

  InstanceRegistry& registry() const { return registry_; }

  // From now on calls of our runtime are refused, because the server drains.
  // Safe on any thread.
  void Refuse() { refusing_.store(true, std::memory_order_release); }

  // The instance that the call wants.
  //   InvalidArgument: a header breaks a rule; the message says which.
  //   Unavailable: after Refuse.
  absl::StatusOr<InstanceRequest> Read(const ServerCall& call) const;
  // The same for a call of an embedder's method: the gatekeeper is asked here.
  //   As Gatekeeper::Admit; never Unavailable.
  absl::StatusOr<InstanceRequest> Read(const grpc::ServerContextBase& call,
                                       const MethodInfo& method) const;

  // The same for a call that may also name the instance in a field.
  //   InvalidArgument: as above, or header and field disagree.
  absl::StatusOr<InstanceRequest> Read(const ServerCall& call,
                                       const std::string& field) const;

  // The key that a call names, if the call never creates a context.
  //   InvalidArgument: as above, or the call names no instance.
  absl::StatusOr<InstanceKey> ReadKey(const ServerCall& call,
                                      const std::string& field) const;

  // The instance that a call used.
  struct Met {
    std::string_view id;
    uint64_t generation = 0;
    bool created = false;  // By this call.
    absl::Duration idle_timeout;
  };
  // Adds to the response's initial metadata which instance the call used:
  // always the generation, and the rest only if this call created the instance,
  // because each header costs thousands of instructions.
  void Write(const Met& met, grpc::ServerContextBase& call) const;
  void Write(const PinGrant& grant, grpc::ServerContextBase& call) const {
    const InstanceContext& context = *grant.pin;
    Write({.id = context.id(),
           .generation = context.generation(),
           .created = grant.created,
           .idle_timeout = context.idle_timeout()},
          call);
  }

 private:
  absl::StatusOr<InstanceRequest> ReadFor(
      const Caller& caller, const grpc::ServerContextBase& call) const;

  InstanceRegistry& registry_;
  const InstanceHeaderNames names_;
  Gatekeeper* const gatekeeper_;
  std::atomic<bool> refusing_{false};
};

// Ends a stream when its instance is released by force.
class EndOnRelease final : public ReleaseListener {
 public:
  explicit EndOnRelease(std::shared_ptr<StreamControl> stream)
      : stream_(std::move(stream)) {}
  void OnForcedRelease() override {
    stream_->End(absl::AbortedError("the instance was released by force"));
  }

 private:
  const std::shared_ptr<StreamControl> stream_;
};

// For the pin that `call` holds for as long as it is open.
inline std::shared_ptr<ReleaseListener> EndWhenReleased(
    const StreamCall& call) {
  return std::make_shared<EndOnRelease>(call.control());
}

// Who holds the pin of `call` for as long as it is open. REQUIRES: as of
// caller.
std::unique_ptr<const PinHolder> HolderOf(const ServerCall& call);

// What initializers are told of a call.
class CallMetadata : public RequestMetadata {
 public:
  // `service` may be empty. They and `method` outlive this.
  CallMetadata(const grpc::ServerContextBase& call, std::string_view service,
               std::string_view method)
      : call_(call), service_(service), method_(method) {}
  std::vector<std::pair<std::string, std::string>> Copy() const override;
  std::string Method() const override;
  std::string Peer() const override { return call_.peer(); }

 private:
  const grpc::ServerContextBase& call_;
  const std::string_view service_;
  const std::string_view method_;
};

// Awaits the pin of a call, and adds to the response's metadata which instance
// the call used. Resumes at once if the context is open, otherwise later on the
// call's queue. A call that is cancelled stops waiting and gets Cancelled.
class PinAwaiter final : private CallMetadata,
                         private PinWaiter,
                         private CancelHandler {
 public:
  // `request`: the instance that the call wants, or the status that it gets.
  PinAwaiter(const InstanceDoor& door,
             absl::StatusOr<InstanceRequest>&& request, ServerCall& call)
      : CallMetadata(call.context(), call.method().service, call.method().name),
        PinWaiter(With(request, *this)),
        door_(door),
        call_(call),
        answer_(Refused(request)) {}

  using PinWaiter::request;

  bool await_ready() const noexcept { return answer_.has_value(); }
  bool await_suspend(std::coroutine_handle<> coroutine);
  absl::StatusOr<PinGrant> await_resume() {
    // A cancellation from now on concerns what the call awaits next.
    call_.set_cancel_handler(nullptr);
    if (answer_->ok()) door_.Write(**answer_, call_.context());
    return *std::move(answer_);
  }

 private:
  static InstanceRequest With(absl::StatusOr<InstanceRequest>& request,
                              const RequestMetadata& metadata) {
    if (!request.ok()) return {};
    request->metadata = &metadata;
    return *std::move(request);
  }

  // The answer to a request that is none.
  static std::optional<absl::StatusOr<PinGrant>> Refused(
      const absl::StatusOr<InstanceRequest>& request) {
    if (request.ok()) return std::nullopt;
    return request.status();
  }

  void OnGrant(absl::StatusOr<PinGrant> grant) override;
  void OnCancelled() override;

  const InstanceDoor& door_;
  ServerCall& call_;
  std::coroutine_handle<> waiting_;
  std::optional<absl::StatusOr<PinGrant>> answer_;
};

// Awaits work that takes too long for a queue's thread: runs it on an executor
// and resumes on the queue. Give it a name before you await it (g++ 12).
class ElsewhereAwaiter {
 public:
  ElsewhereAwaiter(Executor& executor, RpcQueue& queue,
                   std::function<void()> work)
      : executor_(executor), queue_(queue), work_(std::move(work)) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) {
    executor_.Post([this, coroutine] {
      work_();
      queue_.Resume(coroutine);
    });
  }
  void await_resume() const noexcept {}

 private:
  Executor& executor_;
  RpcQueue& queue_;
  const std::function<void()> work_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_INSTANCE_CALL_H_
