#include "service/doors/entities_server.h"

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/doors/entity_messages.h"
#include "service/doors/instance_messages.h"
#include "service/doors/message_values.h"
#include "service/doors/orchestration_call.h"
#include "service/orchestration/bounds.h"
#include "service/rpc/server_call.h"
#include "service/rpc/stream_call.h"

namespace leasehold {
namespace {

absl::Status NoSuchEntity(const InstanceKey& key, std::string_view is) {
  return absl::NotFoundError(
      absl::StrCat("entity ", QuoteForMessage(key.id), std::string(is)));
}

// ---- The methods whose answer comes from Entities ---------------------------
//
// Each fills the response, then calls `done`; both may happen on any thread.

void Signal(Entities& entities, const InstanceKey& key,
            v1::SignalEntityRequest& request, v1::SignalEntityResponse&,
            DoneStatus done) {
  absl::StatusOr<EntitySignal> signal = FromMessage(request, key);
  if (!signal.ok()) return done(signal.status());
  entities.Signal(*std::move(signal), std::move(done));
}

void Get(Entities& entities, const InstanceKey& key,
         v1::GetEntityRequest& request, v1::EntityInfo& response,
         DoneStatus done) {
  entities.GetEntity(
      key, !request.omit_state(),
      [key, &response, done = std::move(done)](
          const absl::StatusOr<std::optional<EntityInfo>>& info) {
        if (!info.ok()) return done(info.status());
        if (!info->has_value()) {
          return done(NoSuchEntity(
              key,
              " does not exist: it has no state, and nothing waits for it"));
        }
        ToMessage(**info, response);
        done(absl::OkStatus());
      });
}

void Delete(Entities& entities, const InstanceKey& key,
            v1::DeleteEntityRequest&, v1::DeleteEntityResponse&,
            DoneStatus done) {
  entities.EraseEntity(
      key, [key, done = std::move(done)](const absl::StatusOr<bool>& had) {
        if (had.ok() && !*had) return done(NoSuchEntity(key, " has no state"));
        done(had.status());
      });
}

void LimitLock(Entities& entities, const InstanceKey& key,
               v1::LimitEntityLockRequest& request,
               v1::LimitEntityLockResponse&, DoneStatus done) {
  EntityLockLimit limit{.key = key,
                        .section_id = request.section_id(),
                        .timeout = absl::InfiniteDuration()};
  if (request.has_timeout()) {
    const absl::StatusOr<absl::Duration> timeout =
        FromMessage(request.timeout(), "timeout");
    if (!timeout.ok()) return done(timeout.status());
    limit.timeout = *timeout;
  }
  entities.LimitLock(std::move(limit), [key, done = std::move(done)](
                                           const absl::StatusOr<bool>& locked) {
    if (locked.ok() && !*locked) {
      return done(
          NoSuchEntity(key, " is not locked, or not by that critical section"));
    }
    done(locked.status());
  });
}

void List(Entities& entities, const Caller& caller,
          v1::ListEntitiesRequest& request, v1::ListEntitiesResponse& response,
          DoneStatus done) {
  absl::StatusOr<EntityListQuery> query = FromMessage(request, caller);
  if (!query.ok()) return done(query.status());
  entities.QueryEntities(*std::move(query), Into(response, std::move(done)));
}

}  // namespace

absl::StatusOr<InstanceKey> EntitiesServer::ReadKey(
    const ServerCall& call, const std::string& field) const {
  absl::StatusOr<InstanceKey> key = door_.ReadKey(call, field);
  if (!key.ok()) return key;
  absl::Status status = CheckEntityId("instance_id", key->id);
  if (!status.ok()) return status;
  return key;
}

std::vector<HostedService::Method> EntitiesServer::Methods() {
  using enum MethodKind;
  using enum Role;
  using enum CallClass;
  // For methods on one entity, which `instance_id` or the header names.
  const auto one = [this]<typename Request, typename Response>(
                       auto accept,
                       void (*handle)(Entities&, const InstanceKey&, Request&,
                                      Response&, DoneStatus)) {
    return [this, accept, handle](MethodQueue& calls) {
      const auto answer = [this, handle](auto& call, const DoneStatus& done) {
        const auto key = ReadKey(call, call.request().instance_id());
        if (!key.ok()) return done(key.status());
        handle(entities_, *key, call.request(), call.response(), done);
      };
      ServeUnary<Request, Response>(service_, calls, accept, answer);
    };
  };
  return {
      {"Signal", kUnary, kUser, kEvent, one(&Service::RequestSignal, &Signal)},
      {"Call", kUnary, kUser, kCall,
       [this](MethodQueue& calls) { ServeCall(calls); }, Lasting::kWait},
      {"Get", kUnary, kViewer, kRead, one(&Service::RequestGet, &Get)},
      {"List", kUnary, kViewer, kRead,
       AnsweredBy(entities_, service_, &Service::RequestList, &List)},
      {"Delete", kUnary, kOperator, kEvent,
       one(&Service::RequestDelete, &Delete)},
      {"LimitLock", kUnary, kOperator, kEvent,
       one(&Service::RequestLimitLock, &LimitLock)},
      {"Watch", kServerStream, kViewer, kRead,
       [this](MethodQueue& calls) { ServeWatch(calls); }, Lasting::kWatch},
  };
}

// ---- Calls that wait --------------------------------------------------------

CallTask EntitiesServer::ServeCall(MethodQueue& calls) {
  UnaryCall<v1::CallEntityRequest, v1::CallEntityResponse> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestCall)) co_return;
  ServeCall(calls);
  if (!co_await call.Parse()) co_return;

  const absl::StatusOr<InstanceKey> key =
      ReadKey(call, call.request().instance_id());
  absl::Status status = key.ok() ? call.Admit() : key.status();
  if (status.ok()) {
    absl::StatusOr<EntityCall> asked = FromMessage(call.request(), *key);
    status = asked.status();
    if (status.ok()) {
      asked->peer = call.context().peer();
      const std::function<uint64_t(Done<OperationResult>)> begin =
          [&](Done<OperationResult> done) {
            return entities_.Call(*asked, std::move(done));
          };
      const std::function<bool(uint64_t)> cancel = [&](uint64_t id) {
        return entities_.CancelCall(id);
      };
      CancellableWait<OperationResult> waited(call, begin, cancel);
      absl::StatusOr<OperationResult> result = co_await waited;
      status = result.status();
      if (status.ok() && result->failure.has_value()) {
        status = OperationFailed(*asked, result->failure);
      } else if (status.ok() && result->output.has_value()) {
        call.response().set_output(*std::move(result->output));
      }
    }
  }
  co_await call.Finish(status);
}

CallTask EntitiesServer::ServeWatch(MethodQueue& calls) {
  ServerStreamCall<v1::GetEntityRequest, v1::EntityInfo> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestWatch)) co_return;
  ServeWatch(calls);
  if (!co_await call.Parse()) co_return;

  const absl::StatusOr<InstanceKey> key =
      call.WithHeartbeat(ReadKey(call, call.request().instance_id()));
  absl::Status status = key.status();
  EntityWait wait{.key = {},
                  .state = !call.request().omit_state(),
                  .peer = call.context().peer()};
  bool looks = true;
  bool open = status.ok();
  if (open) wait.key = *key;
  const std::function<uint64_t(Done<SharedEntity>)> begin =
      [&](Done<SharedEntity> done) {
        return entities_.AwaitChange(wait, std::move(done));
      };
  const std::function<bool(uint64_t)> cancel = [&](uint64_t id) {
    return entities_.CancelWait(wait.key, id);
  };
  while (open) {
    // Watchers that learn of a change share it; later readers get their own.
    if (looks) co_await reads_.Enter(call.queue());
    CancellableWait<SharedEntity> waited(call, begin, cancel);
    absl::StatusOr<SharedEntity> info = co_await waited;
    status = info.status();
    v1::EntityInfo message;
    size_t room = 0;
    bool fits = false;
    if (status.ok()) {
      room = kRoomBeside + (*info)->state.value_or("").size();
      fits = call.TryRoom(room);
      if (fits) {
        wait.seen = (*info)->print;
        ToMessage(**info, message);
      }
    }
    info = SharedEntity();
    if (looks) reads_.Leave();
    if (!status.ok()) break;
    looks = !fits;
    if (!fits) {
      // It is looked at again once there is room: nothing waits in memory.
      open = co_await call.Room(room);
      continue;
    }
    open = co_await call.Write(std::move(message));
    call.BeginHeartbeats();
    call.LeaveRoom();
  }
  const absl::Status end = call.EndStatus(status);
  co_await call.Finish(end);
}

}  // namespace leasehold
