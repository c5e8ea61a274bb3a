#include "client/testing/test_entity.h"

#include "absl/strings/str_cat.h"
#include "client/testing/code_run.h"
#include "client/testing/test_code.h"
#include "client/testing/test_orchestration.h"
#include "client/testing/test_world.h"

namespace leasehold::testkit {

worker::Payload TestEntity::StatePayload() const {
  std::optional<EntityInfo> info = world_->FindEntity(id_);
  return info.has_value() ? std::move(info->state) : std::nullopt;
}

std::string TestEntity::LockedBy() const {
  const std::optional<EntityInfo> info = world_->FindEntity(id_);
  if (!info.has_value() || !info->lock.has_value()) return "";
  return info->lock->holder;
}

size_t TestEntity::Waiting() const {
  const std::optional<EntityInfo> info = world_->FindEntity(id_);
  return info.has_value() ? info->waiting : 0;
}

worker::Payload TestEntity::CallForOutput(
    std::string_view operation, std::optional<nlohmann::json> input) const {
  const EntityCallInput call{id_.text(), std::string(operation),
                             std::move(input)};
  const TestOrchestration caller(
      *world_, world_->Start(kEntityCall, ToPayload(call), {}));
  return worker::ToPayload(caller.Output<nlohmann::json>());
}

worker::TaskFailure TestEntity::CallForFailure(
    std::string_view operation, std::optional<nlohmann::json> input) const {
  const EntityCallInput call{id_.text(), std::string(operation),
                             std::move(input)};
  const TestOrchestration caller(
      *world_, world_->Start(kEntityCall, ToPayload(call), {}));
  // The entity's own, within that of its caller.
  const worker::TaskFailure failure = caller.Failure();
  return failure.inner == nullptr ? failure : *failure.inner;
}

void TestEntity::SendSignal(std::string_view operation, worker::Payload input,
                            absl::Duration after) const {
  world_->SignalEntity(id_, std::string(operation), std::move(input), after);
}

void TestEntity::Fail(const std::string& what) const {
  world_->Fail(absl::StrCat("entity \"", id_.text(), "\" ", what));
}

}  // namespace leasehold::testkit
