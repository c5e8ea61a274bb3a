#include "client/worker/registry.h"

namespace leasehold::worker {
namespace {

template <typename Erased>
const Erased* Find(const std::map<std::string, Erased>& in,
                   const std::string& name) {
  const auto found = in.find(name);
  return found == in.end() ? nullptr : &found->second;
}

template <typename Erased>
std::vector<std::string> Names(const std::map<std::string, Erased>& of) {
  std::vector<std::string> names;
  names.reserve(of.size());
  for (const auto& [name, erased] : of) names.push_back(name);
  return names;
}

}  // namespace

const Registry::Orchestrator* Registry::FindOrchestrator(
    const std::string& name) const {
  return Find(orchestrators_, name);
}

const Registry::Activity* Registry::FindActivity(
    const std::string& name) const {
  return Find(activities_, name);
}

const Registry::Entity* Registry::FindEntity(const std::string& name) const {
  return Find(entities_, name);
}

std::vector<std::string> Registry::OrchestratorNames() const {
  return Names(orchestrators_);
}

std::vector<std::string> Registry::ActivityNames() const {
  return Names(activities_);
}

std::vector<std::string> Registry::EntityNames() const {
  return Names(entities_);
}

}  // namespace leasehold::worker
