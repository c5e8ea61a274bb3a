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

}  // namespace

void TestCode::CheckNames() const {
  if (!real_.status().ok()) {
    throw TestError(std::string(real_.status().message()));
  }
  for (const Fakes* fakes : {&faked_orchestrators_, &faked_activities_}) {
    for (const auto& [name, fake] : *fakes) {
      if (fake.status().ok()) continue;
      throw TestError(std::string(fake.status().message()));
    }
  }
}

const worker::Registry& TestCode::Orchestrator(const std::string& name) const {
  CheckNames();
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

}  // namespace leasehold::testkit
