#include "client/testing/test_code.h"

#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace leasehold::testkit {
namespace {

using Fakes = std::map<std::string, worker::Registry>;

// `real`, and the names of the fakes, for a message.
std::string Known(const std::vector<std::string>& real, const Fakes& fakes) {
  std::set<std::string> names(real.begin(), real.end());
  for (const auto& [name, fake] : fakes) names.insert(name);
  if (names.empty()) return "it has none";
  return absl::StrCat("it has ", absl::StrJoin(names, ", "));
}

nlohmann::json ToJson(const EntityCallInput& call) {
  nlohmann::json json = {{"id", call.id}, {"operation", call.operation}};
  if (call.input.has_value()) json["input"] = *call.input;
  return json;
}

worker::Task<nlohmann::json> CallEntity(worker::OrchestrationContext& context,
                                        nlohmann::json call) {
  const worker::EntityId id =
      worker::EntityId::Parse(call["id"].get<std::string>());
  const auto operation = call["operation"].get<std::string>();
  if (!call.contains("input")) {
    co_return co_await context.CallEntity<nlohmann::json>(id, operation);
  }
  const nlohmann::json& input = call["input"];
  co_return co_await context.CallEntity<nlohmann::json>(id, operation, input);
}

}  // namespace

worker::Payload ToPayload(const EntityCallInput& call) {
  return worker::ToPayload(ToJson(call));
}

TestCode::TestCode() { own_.AddOrchestrator(kEntityCall, &CallEntity); }

void TestCode::CheckNames() const {
  if (!real_.status().ok()) {
    throw TestError(std::string(real_.status().message()));
  }
  for (const Fakes* fakes :
       {&faked_orchestrators_, &faked_activities_, &faked_entities_}) {
    for (const auto& [name, fake] : *fakes) {
      if (fake.status().ok()) continue;
      throw TestError(std::string(fake.status().message()));
    }
  }
}

const worker::Registry& TestCode::Orchestrator(const std::string& name) const {
  CheckNames();
  if (name == kEntityCall) return own_;
  const auto fake = faked_orchestrators_.find(name);
  if (fake != faked_orchestrators_.end()) return fake->second;
  if (real_.FindOrchestrator(name) != nullptr) return real_;
  throw TestError(absl::StrCat(
      "this test has no orchestrator \"", name, "\"; ",
      Known(real_.OrchestratorNames(), faked_orchestrators_),
      ". Add it with AddOrchestrator, or replace it with FakeOrchestrator"));
}

const worker::Registry& TestCode::Activity(const std::string& name,
                                           const std::string& caller) const {
  CheckNames();
  const auto fake = faked_activities_.find(name);
  if (fake != faked_activities_.end()) return fake->second;
  if (real_.FindActivity(name) != nullptr) return real_;
  throw TestError(absl::StrCat(
      "orchestration \"", caller, "\" has called the activity \"", name,
      "\", which this test does not have; ",
      Known(real_.ActivityNames(), faked_activities_),
      ". Replace it with FakeActivity, or add it with AddActivity"));
}

const worker::Registry& TestCode::Entity(const std::string& id) const {
  CheckNames();
  const std::string name = worker::EntityId::Parse(id).name();
  const auto fake = faked_entities_.find(name);
  if (fake != faked_entities_.end()) return fake->second;
  if (real_.FindEntity(name) != nullptr) return real_;
  throw TestError(
      absl::StrCat("something was sent to the entity \"", id,
                   "\", and this test has no entity \"", name, "\"; ",
                   Known(real_.EntityNames(), faked_entities_),
                   ". Add it with AddEntity, or replace it with FakeEntity"));
}

}  // namespace leasehold::testkit
