// EntityTest: an engine with entities, for tests.
//
// Thread-safety: one thread.   Lifetime: a test's.
#ifndef LEASEHOLD_TESTS_ORCHESTRATION_ENTITY_FIXTURE_H_
#define LEASEHOLD_TESTS_ORCHESTRATION_ENTITY_FIXTURE_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/orchestration/engine_fixture.h"

namespace leasehold {

inline OrchestratorAction CallEntity(int32_t id, std::string entity,
                                     std::string operation) {
  EntityOperationCalled call{.request_id = "call-" + std::to_string(id),
                             .operation = std::move(operation)};
  call.target = std::move(entity);
  return {id, std::move(call)};
}
inline OrchestratorAction SignalTo(int32_t id, std::string entity,
                                   std::string operation) {
  EntityOperationSignaled signal{.request_id = "signal-" + std::to_string(id),
                                 .operation = std::move(operation)};
  signal.target = std::move(entity);
  return {id, std::move(signal)};
}
inline OrchestratorAction LockAll(int32_t id, std::string section,
                                  std::vector<std::string> entities) {
  return {id, EntityLockRequested{std::move(section), std::move(entities), 0}};
}
inline OrchestratorAction Unlock(int32_t id, std::string section,
                                 std::string entity) {
  return {id, EntityUnlockSent{std::move(section), {}, std::move(entity)}};
}

class EntityTest : public EngineTest {
 protected:
  static constexpr char kCounter[] = "@counter@a";

  AskedStatus Signal(std::string id, std::string operation,
                     std::optional<Timestamp> scheduled = {}) {
    AskedStatus asked;
    engine().entities().Signal({.key = Key(id),
                                .operation = std::move(operation),
                                .input = "in",
                                .scheduled = scheduled},
                               asked.done());
    return asked;
  }
  // The operations of a batch, such as `add`.
  static std::vector<std::string> Operations(const FakeItem& batch) {
    std::vector<std::string> operations;
    for (const HistoryEvent& event : batch.events) {
      if (const auto* signal = event.As<EntityOperationSignaled>()) {
        operations.push_back(signal->operation);
      } else if (const auto* call = event.As<EntityOperationCalled>()) {
        operations.push_back(call->operation + "?");
      }
    }
    return operations;
  }
  AskedStatus Complete(const FakeItem& batch, BatchAnswer answer) {
    AskedStatus asked;
    work().CompleteEntity(batch.work_name(), std::move(answer), asked.done());
    Settle();
    return asked;
  }
  // Every operation succeeds, with the new state as its result.
  AskedStatus Complete(const FakeItem& batch, Payload state) {
    BatchAnswer answer;
    answer.results.resize(batch.events.size());
    for (OperationResult& result : answer.results) result.output = state;
    answer.state = std::move(state);
    return Complete(batch, std::move(answer));
  }
  // Gives the entity a state.
  void Put(FakeWorker& worker, std::string id, Payload state) {
    Signal(std::move(id), "put");
    Settle();
    EXPECT_TRUE(Complete(worker.TakeBatch(), std::move(state)).ok());
  }
  std::optional<EntityInfo> Entity(std::string id) {
    Asked<std::optional<EntityInfo>> asked;
    engine().entities().GetEntity(Key(id), true, asked.done());
    Settle();
    EXPECT_TRUE(asked.ok()) << asked.status();
    return asked.ok() ? asked.value() : std::nullopt;
  }
  // `none`, or the state.
  std::string StateOf(std::string id) {
    const std::optional<EntityInfo> info = Entity(std::move(id));
    return info.has_value() ? info->state.value_or("none") : "none";
  }
  std::string HolderOf(std::string id) {
    const std::optional<EntityInfo> info = Entity(std::move(id));
    return info.has_value() && info->lock.has_value() ? info->lock->holder
                                                      : "nobody";
  }
  std::vector<AwakeEntity> Awake() {
    std::vector<AwakeEntity> awake;
    EXPECT_TRUE(memory_
                    .ReadAwake(kOnlyPartition,
                               [&](AwakeEntity one) {
                                 awake.push_back(std::move(one));
                               })
                    .ok());
    return awake;
  }
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_ORCHESTRATION_ENTITY_FIXTURE_H_
