#include "service/doors/durable_task_entities.h"

#include <optional>
#include <string>
#include <utility>

#include "lease/base/instance_id.h"
#include "service/doors/durable_task_messages.h"
#include "service/doors/durable_task_values.h"
#include "service/doors/orchestration_call.h"
#include "service/orchestration/bounds.h"

namespace leasehold {
namespace {

using leasehold::ToMessage;  // Of times, beside those below.

void ToMessage(const EntityInfo& info, EntityMetadata& message) {
  message.set_instanceid(info.id);
  ToMessage(ToTimestamp(info.modified), *message.mutable_lastmodifiedtime());
  message.set_backlogqueuesize(static_cast<int32_t>(info.waiting));
  if (info.lock.has_value()) {
    message.mutable_lockedby()->set_value(info.lock->holder);
  }
  if (info.state.has_value()) {
    message.mutable_serializedstate()->set_value(*info.state);
  }
}

void SignalEntity(Entities& entities, const Caller& caller,
                  SignalEntityRequest& request, SignalEntityResponse&,
                  DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      NewDurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  EntitySignal signal{.key = *key,
                      .operation = std::move(*request.mutable_name()),
                      .input = ToPayload(request.has_input(), request.input()),
                      .request_id = std::move(*request.mutable_requestid())};
  // Some clients always send a time, and mean none by zero.
  const Timestamp at = ToValue(request.scheduledtime());
  if (at != Timestamp()) signal.scheduled = at;
  entities.Signal(std::move(signal), std::move(done));
}

void GetEntity(Entities& entities, const Caller& caller,
               GetEntityRequest& request, GetEntityResponse& response,
               DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  entities.GetEntity(
      *key, request.includestate(),
      [&response, done = std::move(done)](
          const absl::StatusOr<std::optional<EntityInfo>>& info) {
        // One without a state does not exist for those who use it.
        if (info.ok() && info->has_value() && (*info)->has_state) {
          response.set_exists(true);
          ToMessage(**info, *response.mutable_entity());
        }
        done(info.status());
      });
}

void QueryEntities(Entities& entities, const Caller& caller,
                   QueryEntitiesRequest& request,
                   QueryEntitiesResponse& response, DoneStatus done) {
  const ::EntityQuery& asked = request.query();
  const auto from =
      BoundFrom(asked.has_lastmodifiedfrom(), asked.lastmodifiedfrom(),
                "query.lastModifiedFrom");
  if (!from.ok()) return done(from.status());
  const auto to = BoundFrom(asked.has_lastmodifiedto(), asked.lastmodifiedto(),
                            "query.lastModifiedTo");
  if (!to.ok()) return done(to.status());
  EntityListQuery query{
      .tenant = caller.tenant,
      .id_prefix = NormalIdPrefix(asked.instanceidstartswith().value()),
      .modified_from = *from,
      .modified_to = *to,
      .with_state = asked.includestate(),
      .with_stateless = asked.includetransient(),
      .page_token = {asked.continuationtoken().value(), "continuationToken"}};
  if (asked.pagesize().value() > 0) {
    query.count_max = static_cast<size_t>(asked.pagesize().value());
  }
  entities.QueryEntities(std::move(query),
                         [&response, done = std::move(done)](
                             const absl::StatusOr<EntityList>& list) {
                           if (list.ok()) {
                             for (const EntityInfo& info : list->entities) {
                               ToMessage(info, *response.add_entities());
                             }
                             // Some clients go on while a token is set, even an
                             // empty one.
                             if (!list->next_page_token.empty()) {
                               response.mutable_continuationtoken()->set_value(
                                   list->next_page_token);
                             }
                           }
                           done(list.status());
                         });
}

void CleanEntityStorage(Entities& entities, const Caller& caller,
                        CleanEntityStorageRequest& request,
                        CleanEntityStorageResponse& response, DoneStatus done) {
  // There are no empty entities that nothing waits for: they have gone.
  if (!request.releaseorphanedlocks()) return done(absl::OkStatus());
  entities.ReleaseOrphanedLocks(
      caller.tenant, [&response, done = std::move(done)](
                         const absl::StatusOr<int64_t>& released) {
        if (released.ok()) {
          response.set_orphanedlocksreleased(static_cast<int32_t>(*released));
        }
        done(released.status());
      });
}

}  // namespace

std::vector<HostedService::Method> EntityMethods(DurableTaskService& service,
                                                 Entities& entities) {
  using enum MethodKind;
  using enum Role;
  using enum CallClass;
  using Service = DurableTaskService;
  const auto unary = [&](auto accept, auto handle) {
    return AnsweredBy(entities, service, accept, handle);
  };
  return {
      {"SignalEntity", kUnary, kUser, kEvent,
       unary(&Service::RequestSignalEntity, &SignalEntity)},
      {"GetEntity", kUnary, kViewer, kRead,
       unary(&Service::RequestGetEntity, &GetEntity)},
      {"QueryEntities", kUnary, kViewer, kRead,
       unary(&Service::RequestQueryEntities, &QueryEntities)},
      {"CleanEntityStorage", kUnary, kOperator, kEvent,
       unary(&Service::RequestCleanEntityStorage, &CleanEntityStorage)},
  };
}

}  // namespace leasehold
