// TestCode: the orchestrators, activities and entities of a test environment,
// their fakes and what is scripted for them.
//
// Thread-safety: one thread: the test's.   Lifetime: what the callables refer
// to outlives it.
#ifndef LEASEHOLD_CLIENT_TESTING_TEST_CODE_H_
#define LEASEHOLD_CLIENT_TESTING_TEST_CODE_H_

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "client/testing/activity_script.h"
#include "client/testing/test_error.h"
#include "client/worker/activity_context.h"
#include "client/worker/entity_id.h"
#include "client/worker/orchestration_context.h"
#include "client/worker/payload.h"
#include "client/worker/registry.h"
#include "client/worker/task.h"
#include "nlohmann/json.hpp"

namespace leasehold::testkit {

// An orchestrator that is a plain function, `R()` or `R(In)`.
template <typename Callable>
class FakedOrchestrator {
 public:
  explicit FakedOrchestrator(Callable code) : code_(std::move(code)) {}

  worker::Task<nlohmann::json> operator()(
      worker::OrchestrationContext& context,
      std::optional<nlohmann::json> input) const {
    static const std::atomic<bool> kStopping = false;
    worker::ActivityContext call({.name = context.name(),
                                  .instance_id = context.instance_id(),
                                  .execution_id = context.execution_id(),
                                  .tags = {}},
                                 kStopping);
    const worker::Payload result =
        worker::internal::PlainPayload(code_, call, worker::ToPayload(input));
    co_return worker::FromPayload<nlohmann::json>(result);
  }

 private:
  const Callable code_;
};

// The orchestrator that calls an entity for a test. No code of a test can have
// this name.
inline constexpr char kEntityCall[] = "(a call by the test)";

// Its input.
struct EntityCallInput {
  std::string id;
  std::string operation;
  std::optional<nlohmann::json> input;
};
worker::Payload ToPayload(const EntityCallInput& call);

class TestCode {
 public:
  TestCode();

  // As Worker has them.
  template <typename Callable>
  void AddOrchestrator(std::string name, Callable callable) {
    real_.AddOrchestrator(std::move(name), std::move(callable));
  }
  template <typename Callable>
  void AddActivity(std::string name, Callable callable) {
    real_.AddActivity(std::move(name), std::move(callable));
  }
  template <typename Entity>
  void AddEntity(const std::string& name, Entity entity) {
    real_.AddEntity(name, std::move(entity));
  }

  // Takes the place of what was, or will be, added under this name.
  template <typename Callable>
  void FakeOrchestrator(const std::string& name, Callable callable) {
    worker::Registry fake;
    fake.AddOrchestrator(name, FakedOrchestrator(std::move(callable)));
    faked_orchestrators_[name] = std::move(fake);
  }
  template <typename Callable>
  void FakeActivity(const std::string& name, Callable callable) {
    worker::Registry fake;
    fake.AddActivity(name, std::move(callable));
    faked_activities_[name] = std::move(fake);
  }

  template <typename Entity>
  void FakeEntity(const std::string& name, Entity entity) {
    worker::Registry fake;
    fake.AddEntity(name, std::move(entity));
    faked_entities_[worker::internal::LowerCase(name)] = std::move(fake);
  }

  // The registry that has the code of this name; all throw TestError if none
  // has, or a name was added wrongly.
  const worker::Registry& Orchestrator(const std::string& name) const;
  // `caller`: the instance ID of the orchestration that calls it.
  const worker::Registry& Activity(const std::string& name,
                                   const std::string& caller) const;
  // `id`: of the entity.
  const worker::Registry& Entity(const std::string& id) const;

  ActivityScript& Script(const std::string& activity) {
    return scripts_[activity];
  }

 private:
  void CheckNames() const;

  worker::Registry own_;  // The orchestrator kEntityCall.
  worker::Registry real_;
  std::map<std::string, worker::Registry> faked_orchestrators_;
  std::map<std::string, worker::Registry> faked_activities_;
  std::map<std::string, worker::Registry> faked_entities_;  // In lower case.
  std::map<std::string, ActivityScript> scripts_;
};

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_TEST_CODE_H_
