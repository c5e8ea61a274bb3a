#include "service/server/instances_server.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/instance/held_pin.h"
#include "service/server/instance_messages.h"

namespace leasehold {
namespace {

// The context that a Create or Hold wants.
template <typename Message>
absl::StatusOr<InstanceRequest> ReadRequest(const InstanceDoor& door,
                                            const grpc::ServerContext& call,
                                            const Message& message) {
  absl::StatusOr<InstanceRequest> request =
      door.Read(call, message.instance_id());
  if (!request.ok() || !message.has_idle_timeout()) return request;
  const absl::StatusOr<absl::Duration> timeout =
      FromMessage(message.idle_timeout(), "idle_timeout");
  if (!timeout.ok()) return timeout.status();
  request->idle_timeout = *timeout;
  return request;
}

absl::Status NoSuch(const InstanceKey& key) {
  return absl::NotFoundError(
      absl::StrCat("there is no instance ", QuoteForMessage(key.id)));
}

// Releases a context, and awaits that it is gone.
class ReleaseAwaiter {
 public:
  ReleaseAwaiter(InstanceRegistry& registry, InstanceKey key, bool force,
                 RpcQueue& queue)
      : registry_(registry),
        key_(std::move(key)),
        force_(force),
        queue_(queue) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> coroutine) {
    // Called on the executor, so it resumes after this function has returned.
    status_ = registry_.Release(
        key_, force_, [this, coroutine] { queue_.Resume(coroutine); });
    return status_.ok();
  }
  absl::Status await_resume() { return status_; }

 private:
  InstanceRegistry& registry_;
  const InstanceKey key_;
  const bool force_;
  RpcQueue& queue_;
  absl::Status status_;
};

}  // namespace

void InstancesServer::Serve(RpcQueue& queue) {
  ServeCreate(queue);
  ServeGet(queue);
  ServeList(queue);
  ServeWatch(queue);
  ServeKeepAlive(queue);
  ServeHold(queue);
  ServeSetIdleTimeout(queue);
  ServeRelease(queue);
}

CallTask InstancesServer::ServeCreate(RpcQueue& queue) {
  UnaryCall<v1::CreateInstanceContextRequest, v1::CreateInstanceContextResponse>
      call(queue);
  if (!co_await call.Accept(service_, &Service::RequestCreate)) co_return;
  ServeCreate(queue);

  PinAwaiter pinned(door_, ReadRequest(door_, call.context(), call.request()),
                    call);
  absl::StatusOr<PinGrant> grant = co_await pinned;
  if (!grant.ok()) {
    co_await call.Finish(grant.status());
    co_return;
  }
  call.response().set_created(grant->created);
  const InstanceKey& key = pinned.request().key;
  std::optional<InstanceInfo> info = registry_.Describe(key);
  grant->pin.Reset();
  // Without this call's own pin, as whoever looks next will see it; unless that
  // was all that it lived for.
  std::optional<InstanceInfo> later = registry_.Describe(key);
  if (later.has_value() && later->generation == info->generation) {
    info = std::move(later);
  }
  ToMessage(*info, *call.response().mutable_instance());
  co_await call.Finish(absl::OkStatus());
}

CallTask InstancesServer::ServeGet(RpcQueue& queue) {
  UnaryCall<v1::GetInstanceContextRequest, v1::Instance> call(queue);
  if (!co_await call.Accept(service_, &Service::RequestGet)) co_return;
  ServeGet(queue);

  const absl::StatusOr<InstanceKey> key =
      door_.ReadKey(call.context(), call.request().instance_id());
  absl::Status status = key.status();
  if (key.ok()) {
    const std::optional<InstanceInfo> info = registry_.Describe(*key);
    if (info.has_value()) {
      ToMessage(*info, call.response());
    } else {
      status = NoSuch(*key);
    }
  }
  co_await call.Finish(status);
}

CallTask InstancesServer::ServeList(RpcQueue& queue) {
  UnaryCall<v1::ListInstancesRequest, v1::ListInstancesResponse> call(queue);
  if (!co_await call.Accept(service_, &Service::RequestList)) co_return;
  ServeList(queue);

  const absl::StatusOr<InstanceQuery> query = FromMessage(call.request());
  absl::Status status = query.status();
  if (query.ok()) {
    absl::StatusOr<InstancePage> page = absl::UnknownError("");
    const std::function<void()> list = [&] {
      page = registry_.List(kDefaultTenant, *query);
    };
    ElsewhereAwaiter listed(executor_, queue, list);
    co_await listed;
    status = page.status();
    if (page.ok()) {
      for (const InstanceInfo& info : page->instances) {
        ToMessage(info, *call.response().add_instances());
      }
      call.response().set_next_page_token(page->next_page_token);
    }
  }
  co_await call.Finish(status);
}

CallTask InstancesServer::ServeWatch(RpcQueue& queue) {
  ServerStreamCall<v1::WatchInstancesRequest, v1::WatchInstancesResponse> call(
      queue);
  if (!co_await call.Accept(service_, &Service::RequestWatch)) co_return;
  ServeWatch(queue);

  const std::shared_ptr<StreamControl> control = call.control();
  const std::function<void()> wake = [control] { control->Notify(); };
  const auto watcher = std::make_shared<WatchHub::Watcher>(
      std::string(kDefaultTenant), call.request().id_prefix(), wake);
  // Before the snapshot, so that nothing falls between.
  hub_.Add(watcher);
  registry_.WatchUse();
  bool open = true;
  bool snapshot = true;  // The watcher needs one.
  while (open) {
    v1::WatchInstancesResponse message;
    if (snapshot) {
      InstanceQuery query;
      query.page_size = 1000;
      query.id_prefix = call.request().id_prefix();
      do {
        absl::StatusOr<InstancePage> page = absl::UnknownError("");
        const std::function<void()> list = [&] {
          page = registry_.List(kDefaultTenant, query);
        };
        ElsewhereAwaiter listed(executor_, queue, list);
        co_await listed;
        for (const InstanceInfo& info : page->instances) {
          message.set_event(v1::WatchInstancesResponse::SNAPSHOT);
          message.clear_instance();
          ToMessage(info, *message.mutable_instance());
          open = open && co_await call.Write(message);
        }
        query.page_token = page->next_page_token;
      } while (open && !query.page_token.empty());
      message.Clear();
      message.set_event(v1::WatchInstancesResponse::SNAPSHOT_DONE);
      open = open && co_await call.Write(message);
      snapshot = false;
    }
    const WatchHub::Batch batch = watcher->Take();
    if (batch.lagged) {
      message.Clear();
      message.set_event(v1::WatchInstancesResponse::LAGGED);
      open = open && co_await call.Write(message);
      snapshot = true;
      continue;
    }
    for (const WatchHub::Event& event : batch.events) {
      message.Clear();
      if (open && ToMessage(event, registry_.Describe(event.key), message)) {
        open = co_await call.Write(message);
      }
    }
    if (open && batch.events.empty()) open = co_await call.News();
  }
  registry_.UnwatchUse();
  hub_.Remove(watcher);
  const absl::Status status = call.EndStatus(absl::OkStatus());
  co_await call.Finish(status);
}

CallTask InstancesServer::ServeKeepAlive(RpcQueue& queue) {
  BidiStreamCall<v1::KeepAliveRequest, v1::KeepAliveResponse> call(queue);
  if (!co_await call.Accept(service_, &Service::RequestKeepAlive)) co_return;
  ServeKeepAlive(queue);

  absl::Status status;
  bool open = co_await call.SendInitialMetadata();
  while (open && co_await call.Read()) {
    const absl::StatusOr<InstanceKey> key =
        door_.ReadKey(call.context(), call.request().instance_id());
    if (!key.ok()) {
      status = key.status();
      break;
    }
    v1::KeepAliveResponse response;
    response.set_instance_id(key->id);
    const absl::StatusOr<InstanceInfo> info = registry_.KeepAlive(*key);
    response.set_found(info.ok());
    if (info.ok()) {
      response.set_generation(info->generation);
      ToMessage(info->lease_remaining.value_or(info->idle_timeout),
                *response.mutable_lease_remaining());
    }
    open = co_await call.Write(response);
  }
  status = call.EndStatus(status);
  co_await call.Finish(status);
}

CallTask InstancesServer::ServeHold(RpcQueue& queue) {
  ServerStreamCall<v1::HoldRequest, v1::HoldResponse> call(queue);
  if (!co_await call.Accept(service_, &Service::RequestHold)) co_return;
  ServeHold(queue);

  PinAwaiter pinned(door_, ReadRequest(door_, call.context(), call.request()),
                    call);
  absl::StatusOr<PinGrant> grant = co_await pinned;
  if (!grant.ok()) {
    co_await call.Finish(grant.status());
    co_return;
  }
  {
    v1::HoldResponse response;
    response.set_created(grant->created);
    const HeldPin pin(std::move(grant->pin), PinKind::kHold, call.control());
    if (const std::optional<InstanceInfo> info =
            registry_.Describe(pinned.request().key)) {
      ToMessage(*info, *response.mutable_instance());
    }
    bool open = co_await call.Write(response);
    while (open) open = co_await call.News();
  }
  const absl::Status status = call.EndStatus(absl::OkStatus());
  co_await call.Finish(status);
}

CallTask InstancesServer::ServeSetIdleTimeout(RpcQueue& queue) {
  UnaryCall<v1::SetIdleTimeoutRequest, v1::Instance> call(queue);
  if (!co_await call.Accept(service_, &Service::RequestSetIdleTimeout)) {
    co_return;
  }
  ServeSetIdleTimeout(queue);

  const absl::StatusOr<InstanceKey> key =
      door_.ReadKey(call.context(), call.request().instance_id());
  absl::Status status = key.status();
  if (key.ok() && !call.request().has_idle_timeout()) {
    status = absl::InvalidArgumentError("idle_timeout: is required");
  } else if (key.ok()) {
    const absl::StatusOr<absl::Duration> timeout =
        FromMessage(call.request().idle_timeout(), "idle_timeout");
    status = timeout.status();
    if (timeout.ok()) {
      const absl::StatusOr<InstanceInfo> info =
          registry_.SetIdleTimeout(*key, *timeout);
      status = info.status();
      if (info.ok()) ToMessage(*info, call.response());
    }
  }
  co_await call.Finish(status);
}

CallTask InstancesServer::ServeRelease(RpcQueue& queue) {
  UnaryCall<v1::ReleaseRequest, v1::ReleaseResponse> call(queue);
  if (!co_await call.Accept(service_, &Service::RequestRelease)) co_return;
  ServeRelease(queue);

  const absl::StatusOr<InstanceKey> key =
      door_.ReadKey(call.context(), call.request().instance_id());
  absl::Status status = key.status();
  if (key.ok()) {
    if (const std::optional<InstanceInfo> info = registry_.Describe(*key)) {
      ToMessage(*info, *call.response().mutable_instance());
    }
    ReleaseAwaiter released(registry_, *key, call.request().force(), queue);
    status = co_await released;
  }
  co_await call.Finish(status);
}

}  // namespace leasehold
