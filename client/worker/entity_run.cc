#include "client/worker/entity_run.h"

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/worker/entity_context.h"
#include "client/worker/entity_id.h"
#include "client/worker/failure.h"
#include "client/worker/failure_messages.h"
#include "client/worker/name_uuid.h"
#include "client/worker/proto_time.h"
#include "lease/base/quote.h"

namespace leasehold::worker {
namespace internal {
namespace {

constexpr char kDelete[] = "delete";

// The namespace of the IDs of orchestrations that are made here.
constexpr Uuid kStarts = {0x6b, 0x0e, 0x41, 0xd8, 0x27, 0x9c, 0x4a, 0x53,
                          0x8f, 0x12, 0x5d, 0xe0, 0xb7, 0x64, 0x3a, 0x91};

// What the two kinds of operations have in common.
struct Operation {
  std::string request_id;
  std::string name;
  Payload input;
};

template <typename Event>
Operation FromEvent(const Event& event) {
  Operation operation{event.requestid(), event.operation(), std::nullopt};
  if (event.has_input()) operation.input = event.input().value();
  return operation;
}

Operation FromProto(const HistoryEvent& event) {
  return event.has_entityoperationcalled()
             ? FromEvent(event.entityoperationcalled())
             : FromEvent(event.entityoperationsignaled());
}

// Whom servers other than Leasehold tell the result.
void Describe(const HistoryEvent& event, OperationInfo& info) {
  info.set_requestid(FromProto(event).request_id);
  if (!event.has_entityoperationcalled()) return;
  const EntityOperationCalledEvent& call = event.entityoperationcalled();
  OrchestrationInstance& caller = *info.mutable_responsedestination();
  caller.set_instanceid(call.parentinstanceid().value());
  if (call.has_parentexecutionid()) {
    *caller.mutable_executionid() = call.parentexecutionid();
  }
}

}  // namespace

// The state of an entity and what its operations do, in one batch.
class EntityBatch {
 public:
  explicit EntityBatch(const EntityRequest& request)
      : id_(EntityId::Parse(request.instanceid())) {
    if (request.has_entitystate()) state_ = request.entitystate().value();
  }

  OperationResult Run(const Registry::Entity& entity,
                      const HistoryEvent& event) {
    Operation operation = FromProto(event);
    request_id_ = operation.request_id;
    const Payload state_before = state_;
    const size_t actions_before = actions_.size();
    OperationResult result;
    EntityContext context(*this, std::move(operation.name),
                          std::move(operation.input));
    try {
      const Payload output = RunOrDelete(entity, context);
      OperationResultSuccess& success = *result.mutable_success();
      if (output.has_value()) success.mutable_result()->set_value(*output);
    } catch (...) {
      state_ = state_before;
      actions_.resize(actions_before);
      *result.mutable_failure()->mutable_failuredetails() =
          ToProto(DescribeException(std::current_exception()));
    }
    return result;
  }
  void Finish(EntityBatchResult& result) {
    if (state_.has_value()) result.mutable_entitystate()->set_value(*state_);
    for (OperationAction& action : actions_) {
      *result.add_actions() = std::move(action);
    }
  }

  // For the context.
  const EntityId& id() const { return id_; }
  const Payload& state() const { return state_; }
  void PutState(Payload state) { state_ = std::move(state); }
  OperationAction& NewAction() {
    OperationAction& action = actions_.emplace_back();
    action.set_id(static_cast<int32_t>(actions_.size()));
    return action;
  }
  // A new one for each start of the operation, the same if it runs again.
  std::string NewInstanceId() const {
    return NameUuid(kStarts, absl::StrCat(id_.text(), "_", request_id_, "_",
                                          actions_.size()));
  }

 private:
  Payload RunOrDelete(const Registry::Entity& entity, EntityContext& context) {
    const Payload before = state_;
    const size_t actions_before = actions_.size();
    try {
      return entity(context);
    } catch (const UnknownOperationError&) {
      if (!context.IsOperation(kDelete)) throw;
    }
    actions_.resize(actions_before);
    state_ = std::nullopt;
    return std::nullopt;
  }

  const EntityId id_;
  std::string request_id_;  // Of the operation that runs.
  Payload state_;
  std::vector<OperationAction> actions_;
};

const Registry::Entity* FindEntityOf(const Registry& registry,
                                     const std::string& id) {
  try {
    return registry.FindEntity(EntityId::Parse(id).name());
  } catch (const std::invalid_argument&) {
    return nullptr;
  }
}

EntityBatchResult RunBatch(const Registry::Entity& entity,
                           const EntityRequest& request) {
  EntityBatchResult result;
  EntityBatch batch(request);
  for (const HistoryEvent& event : request.operationrequests()) {
    *result.add_results() = batch.Run(entity, event);
    Describe(event, *result.add_operationinfos());
  }
  batch.Finish(result);
  return result;
}

EntityBatchResult FailBatch(const EntityRequest& request,
                            const TaskFailureDetails& failure) {
  EntityBatchResult result;
  if (request.has_entitystate()) {
    *result.mutable_entitystate() = request.entitystate();
  }
  for (const HistoryEvent& event : request.operationrequests()) {
    *result.add_results()->mutable_failure()->mutable_failuredetails() =
        failure;
    Describe(event, *result.add_operationinfos());
  }
  return result;
}

}  // namespace internal

// ---- EntityContext ----------------------------------------------------------

using internal::RequireUtf8;

const EntityId& EntityContext::id() const { return batch_.id(); }

const Payload& EntityContext::state() const { return batch_.state(); }

void EntityContext::PutState(Payload state) {
  batch_.PutState(std::move(state));
}

bool EntityContext::IsOperation(std::string_view name) const {
  return internal::LowerCase(operation_) == internal::LowerCase(name);
}

void EntityContext::RefuseOperation(
    const std::vector<std::string>& known) const {
  std::vector<std::string> all = known;
  const bool has_delete =
      std::any_of(known.begin(), known.end(), [](const std::string& name) {
        return internal::LowerCase(name) == internal::kDelete;
      });
  if (!has_delete) all.emplace_back(internal::kDelete);
  throw UnknownOperationError(
      absl::StrCat("entity \"", id().text(), "\" has no operation ",
                   QuoteForMessage(operation_), ", but \"",
                   absl::StrJoin(all, "\", \""), "\""));
}

void EntityContext::Signal(const EntityId& id, std::string_view operation,
                           const Payload& input, std::optional<absl::Time> at) {
  RequireUtf8("the name of the operation", operation);
  SendSignalAction& signal = *batch_.NewAction().mutable_sendsignal();
  signal.set_instanceid(id.text());
  signal.set_name(std::string(operation));
  if (input.has_value()) signal.mutable_input()->set_value(*input);
  if (at.has_value()) {
    *signal.mutable_scheduledtime() = internal::ToProto(*at);
  }
}

std::string EntityContext::Start(std::string_view name, const Payload& input,
                                 const StartOptions& options) {
  RequireUtf8("the name of the orchestrator", name);
  RequireUtf8("the instance ID", options.instance_id);
  RequireUtf8("the version", options.version.value_or(""));
  const std::string id = options.instance_id.empty() ? batch_.NewInstanceId()
                                                     : options.instance_id;
  StartNewOrchestrationAction& start =
      *batch_.NewAction().mutable_startneworchestration();
  start.set_instanceid(id);
  start.set_name(std::string(name));
  if (options.version.has_value()) {
    start.mutable_version()->set_value(*options.version);
  }
  if (input.has_value()) start.mutable_input()->set_value(*input);
  if (options.at.has_value()) {
    *start.mutable_scheduledtime() = internal::ToProto(*options.at);
  }
  return id;
}

}  // namespace leasehold::worker
