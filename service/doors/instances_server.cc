#include "service/doors/instances_server.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "service/doors/instance_messages.h"
#include "service/instance/held_pin.h"
#include "service/rpc/server_call.h"
#include "service/rpc/stream_call.h"

namespace leasehold {
namespace {

// How many contexts of a snapshot are kept while a client reads slowly, or not
// at all.
constexpr int kSnapshotPage = 100;

InstanceQuery SnapshotOf(const v1::WatchInstancesRequest& request) {
  InstanceQuery query;
  query.page_size = kSnapshotPage;
  query.id_prefix = request.id_prefix();
  return query;
}

// A message of a watch that is not about an instance.
v1::WatchInstancesResponse Mark(v1::WatchInstancesResponse::Event event) {
  v1::WatchInstancesResponse message;
  message.set_event(event);
  return message;
}

// The context that a Create or Hold wants.
template <typename Message>
absl::StatusOr<InstanceRequest> ReadRequest(const InstanceDoor& door,
                                            const ServerCall& call,
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

// The pins of busy contexts as the watcher last saw them: a change is sent only
// if it shows something else.
class ToldPins {
 public:
  // `message` is about to be sent. False: it says nothing new.
  bool IsNews(const v1::WatchInstancesResponse& message) {
    const v1::Instance& instance = message.instance();
    if (instance.state() != v1::Instance::BUSY) {
      told_.erase(instance.generation());
      return true;
    }
    std::string pins;
    for (const v1::Instance::Pins& pin : instance.pins()) {
      absl::StrAppend(&pins, pin.kind(), " ", pin.count(), ",");
    }
    std::string& told = told_[instance.generation()];
    const bool repeats =
        message.event() == v1::WatchInstancesResponse::PINS_CHANGED &&
        told == pins;
    told = std::move(pins);
    return !repeats;
  }
  void Clear() { told_.clear(); }

 private:
  absl::flat_hash_map<uint64_t, std::string> told_;  // By generation.
};

v1::WatchInstancesResponse Snapshot(const InstanceInfo& info,
                                    ToldPins& told_pins) {
  v1::WatchInstancesResponse message;
  message.set_event(v1::WatchInstancesResponse::SNAPSHOT);
  ToMessage(info, *message.mutable_instance());
  told_pins.IsNews(message);
  return message;
}

// What the watcher should be told next of `batch`, from its event `next` on,
// which moves on. nullopt: nothing any more.
std::optional<v1::WatchInstancesResponse> NextNews(const WatchHub::Batch& batch,
                                                   size_t& next,
                                                   InstanceRegistry& registry,
                                                   ToldPins& told_pins) {
  while (next < batch.events.size()) {
    const WatchHub::Event& event = *batch.events[next++];
    v1::WatchInstancesResponse message;
    if (ToMessage(event, registry.Describe(event.key), message) &&
        told_pins.IsNews(message)) {
      return message;
    }
  }
  return std::nullopt;
}

// Releases a context, and waits until it is gone.
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

std::vector<HostedService::Method> InstancesServer::Methods() {
  using enum MethodKind;
  using enum Role;
  using enum CallClass;
  return {
      {"Create", kUnary, kUser, kCall,
       [this](MethodQueue& calls) { ServeCreate(calls); }},
      {"Get", kUnary, kViewer, kRead,
       [this](MethodQueue& calls) { ServeGet(calls); }},
      {"List", kUnary, kViewer, kRead,
       [this](MethodQueue& calls) { ServeList(calls); }},
      {"Watch", kServerStream, kViewer, kRead,
       [this](MethodQueue& calls) { ServeWatch(calls); }, Lasting::kWatch},
      {"KeepAlive", kBidiStream, kUser, kEssential,
       [this](MethodQueue& calls) { ServeKeepAlive(calls); }},
      {"Hold", kServerStream, kUser, kCall,
       [this](MethodQueue& calls) { ServeHold(calls); },
       /*lasting=*/std::nullopt, /*keeps_lease=*/true},
      {"SetIdleTimeout", kUnary, kUser, kCall,
       [this](MethodQueue& calls) { ServeSetIdleTimeout(calls); }},
      // By force it needs an operator.
      {"Release", kUnary, kUser, kCall,
       [this](MethodQueue& calls) { ServeRelease(calls); }},
  };
}

CallTask InstancesServer::ServeCreate(MethodQueue& calls) {
  UnaryCall<v1::CreateInstanceContextRequest, v1::CreateInstanceContextResponse>
      call(calls);
  if (!co_await call.Accept(service_, &Service::RequestCreate)) co_return;
  ServeCreate(calls);
  if (!co_await call.Parse()) co_return;

  PinAwaiter pinned(door_, ReadRequest(door_, call, call.request()), call);
  absl::StatusOr<PinGrant> grant = co_await pinned;
  if (!grant.ok()) {
    co_await call.Finish(grant.status());
    co_return;
  }
  call.response().set_created(grant->created);
  const InstanceKey& key = pinned.request().key;
  std::optional<InstanceInfo> info = registry_.Describe(key);
  grant->pin.Reset();
  // Without this call's own pin, as later calls will see it, unless the context
  // lived only for this call.
  std::optional<InstanceInfo> later = registry_.Describe(key);
  if (later.has_value() && later->generation == info->generation) {
    info = std::move(later);
  }
  ToMessage(*info, *call.response().mutable_instance());
  co_await call.Finish(absl::OkStatus());
}

CallTask InstancesServer::ServeGet(MethodQueue& calls) {
  UnaryCall<v1::GetInstanceContextRequest, v1::Instance> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestGet)) co_return;
  ServeGet(calls);
  if (!co_await call.Parse()) co_return;

  const absl::StatusOr<InstanceKey> key =
      door_.ReadKey(call, call.request().instance_id());
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

CallTask InstancesServer::ServeList(MethodQueue& calls) {
  UnaryCall<v1::ListInstancesRequest, v1::ListInstancesResponse> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestList)) co_return;
  ServeList(calls);
  if (!co_await call.Parse()) co_return;

  const absl::StatusOr<InstanceQuery> query = FromMessage(call.request());
  absl::Status status = query.status();
  if (query.ok()) {
    absl::StatusOr<InstancePage> page = absl::UnknownError("");
    const std::function<void()> list = [&] {
      page = registry_.List(call.caller().tenant, *query);
    };
    ElsewhereAwaiter listed(executor_, call.queue(), list);
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

CallTask InstancesServer::ServeWatch(MethodQueue& calls) {
  using Call =
      ServerStreamCall<v1::WatchInstancesRequest, v1::WatchInstancesResponse>;
  Call call(calls);
  if (!co_await call.Accept(service_, &Service::RequestWatch)) co_return;
  ServeWatch(calls);
  if (!co_await call.Parse()) co_return;

  const absl::Status asked = call.ReadHeartbeatInterval();
  if (!asked.ok()) {
    co_await call.Finish(asked);
    co_return;
  }
  const std::shared_ptr<StreamControl> control = call.control();
  const std::function<void()> wake = [control] { control->Notify(); };
  const auto watcher = std::make_shared<WatchHub::Watcher>(
      call.caller().tenant, call.request().id_prefix(), wake);
  // Before the snapshot, so that no event is lost between them.
  hub_.Add(watcher);
  registry_.WatchUse();
  call.BeginHeartbeats();
  bool open = true;
  bool snapshot = true;  // The watcher needs one.
  ToldPins told_pins;
  while (open) {
    v1::WatchInstancesResponse message;
    if (snapshot) {
      InstanceQuery query = SnapshotOf(call.request());
      told_pins.Clear();
      do {
        absl::StatusOr<InstancePage> page = absl::UnknownError("");
        const std::function<void()> list = [&] {
          page = registry_.List(call.caller().tenant, query);
        };
        ElsewhereAwaiter listed(executor_, call.queue(), list);
        co_await listed;
        for (size_t i = 0; open && i < page->instances.size(); ++i) {
          message = Snapshot(page->instances[i], told_pins);
          // A packet each would cost more than all the rest.
          open = co_await call.Write(
              message, Call::MoreIf(i + 1 < page->instances.size()));
        }
        query.page_token = page->next_page_token;
      } while (open && !query.page_token.empty());
      message = Mark(v1::WatchInstancesResponse::SNAPSHOT_DONE);
      open = open && co_await call.Write(message);
      snapshot = false;
    }
    const WatchHub::Batch batch = watcher->Take();
    if (batch.lagged) {
      message = Mark(v1::WatchInstancesResponse::LAGGED);
      open = open && co_await call.Write(message);
      snapshot = true;
      continue;
    }
    size_t next = 0;
    auto news = NextNews(batch, next, registry_, told_pins);
    while (open && news.has_value()) {
      auto following = NextNews(batch, next, registry_, told_pins);
      open = co_await call.Write(*news, Call::MoreIf(following.has_value()));
      news = std::move(following);
    }
    if (open && batch.events.empty()) open = co_await call.News();
  }
  registry_.UnwatchUse();
  hub_.Remove(watcher);
  const absl::Status status = call.EndStatus(absl::OkStatus());
  co_await call.Finish(status);
}

CallTask InstancesServer::ServeKeepAlive(MethodQueue& calls) {
  BidiStreamCall<v1::KeepAliveRequest, v1::KeepAliveResponse> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestKeepAlive)) co_return;
  ServeKeepAlive(calls);
  if (!co_await call.Pass()) co_return;

  absl::Status status = call.ReadHeartbeatInterval();
  if (!status.ok()) {
    co_await call.Finish(status);
    co_return;
  }
  bool open = co_await call.SendInitialMetadata();
  call.BeginHeartbeats();
  while (open) {
    if (!co_await call.Read()) break;  // Not in the condition: g++.
    if (call.request().heartbeat()) continue;
    const absl::StatusOr<InstanceKey> key =
        door_.ReadKey(call, call.request().instance_id());
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

CallTask InstancesServer::ServeHold(MethodQueue& calls) {
  ServerStreamCall<v1::HoldRequest, v1::HoldResponse> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestHold)) co_return;
  ServeHold(calls);
  if (!co_await call.Parse()) co_return;

  PinAwaiter pinned(
      door_, call.WithHeartbeat(ReadRequest(door_, call, call.request())),
      call);
  absl::StatusOr<PinGrant> grant = co_await pinned;
  if (!grant.ok()) {
    co_await call.Finish(grant.status());
    co_return;
  }
  {
    v1::HoldResponse response;
    response.set_created(grant->created);
    const HeldPin pin(std::move(grant->pin), PinKind::kHold,
                      EndWhenReleased(call), HolderOf(call));
    if (const std::optional<InstanceInfo> info =
            registry_.Describe(pinned.request().key)) {
      ToMessage(*info, *response.mutable_instance());
    }
    bool open = co_await call.Write(response);
    call.BeginHeartbeats();
    while (open) open = co_await call.News();
  }
  const absl::Status status = call.EndStatus(absl::OkStatus());
  co_await call.Finish(status);
}

CallTask InstancesServer::ServeSetIdleTimeout(MethodQueue& calls) {
  UnaryCall<v1::SetIdleTimeoutRequest, v1::Instance> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestSetIdleTimeout)) {
    co_return;
  }
  ServeSetIdleTimeout(calls);
  if (!co_await call.Parse()) co_return;

  const absl::StatusOr<InstanceKey> key =
      door_.ReadKey(call, call.request().instance_id());
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

CallTask InstancesServer::ServeRelease(MethodQueue& calls) {
  UnaryCall<v1::ReleaseRequest, v1::ReleaseResponse> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestRelease)) co_return;
  ServeRelease(calls);
  if (!co_await call.Parse()) co_return;

  const absl::StatusOr<InstanceKey> key =
      door_.ReadKey(call, call.request().instance_id());
  absl::Status status = key.status();
  if (status.ok() && call.request().force() &&
      !call.caller().roles.Allow(Role::kOperator)) {
    status = absl::PermissionDeniedError(
        "force: a release by force cuts the calls of others and needs the role "
        "operator; without force it waits for them");
  }
  if (status.ok()) {
    if (const std::optional<InstanceInfo> info = registry_.Describe(*key)) {
      ToMessage(*info, *call.response().mutable_instance());
    }
    ReleaseAwaiter released(registry_, *key, call.request().force(),
                            call.queue());
    status = co_await released;
  }
  co_await call.Finish(status);
}

}  // namespace leasehold
