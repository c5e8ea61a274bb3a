#include "service/doors/entities_server.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/doors/entity_messages.h"
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

void Call(Entities&, const InstanceKey&, v1::CallEntityRequest&,
          v1::CallEntityResponse&, DoneStatus done) {
  done(absl::UnimplementedError("this server does not serve Call yet"));
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
  // For methods on one entity, which `instance_id` or the header names.
  const auto one = [this]<typename Request, typename Response>(
                       auto accept,
                       void (*handle)(Entities&, const InstanceKey&, Request&,
                                      Response&, DoneStatus)) {
    return [this, accept, handle](RpcQueue& queue) {
      const auto answer = [this, handle](auto& call, const DoneStatus& done) {
        const auto key = ReadKey(call, call.request().instance_id());
        if (!key.ok()) return done(key.status());
        handle(entities_, *key, call.request(), call.response(), done);
      };
      ServeUnary<Request, Response>(service_, queue, accept, answer);
    };
  };
  return {
      {"Signal", kUnary, kUser, one(&Service::RequestSignal, &Signal)},
      {"Call", kUnary, kUser, one(&Service::RequestCall, &Call)},
      {"Get", kUnary, kViewer, one(&Service::RequestGet, &Get)},
      {"List", kUnary, kViewer,
       AnsweredBy(entities_, service_, &Service::RequestList, &List)},
      {"Delete", kUnary, kOperator, one(&Service::RequestDelete, &Delete)},
      {"Watch", kServerStream, kViewer,
       [this](RpcQueue& queue) { ServeWatch(queue); }},
  };
}

CallTask EntitiesServer::ServeWatch(RpcQueue& queue) {
  ServerStreamCall<v1::GetEntityRequest, v1::EntityInfo> call(queue);
  if (!co_await call.Accept(service_, &Service::RequestWatch)) co_return;
  ServeWatch(queue);
  if (!co_await call.Parse()) co_return;
  co_await call.Finish(
      absl::UnimplementedError("this server does not serve Watch yet"));
}

}  // namespace leasehold
