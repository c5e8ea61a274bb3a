// Explainer: says why an orchestration or an entity does not go on, and why an
// instance context is not idle.
//
// What is read from the store comes first, then what memory knows, in one look
// under the lock; if something has changed in between, it is done again. Its
// cost is that of reading a history, on a reader.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_EXPLAINER_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_EXPLAINER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/orchestration/entity.h"
#include "service/orchestration/explanations.h"
#include "service/orchestration/orchestration.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/pending_actions.h"

namespace leasehold {

class Engine;

class Explainer final : public Explanations {
 public:
  explicit Explainer(Engine& engine) : engine_(engine) {}
  Explainer(const Explainer&) = delete;
  Explainer& operator=(const Explainer&) = delete;

  void Explain(const InstanceKey& key, Done<Explanation> done) override;

 private:
  using Causes = std::vector<Cause>;

  // An explanation in the making.
  struct Job {
    InstanceKey key;
    Done<Explanation> done;
    int attempt = 0;
    bool changed = false;  // While it was made: it is made again.
    // The history that was read, and what memory had then; 0: none.
    RunNumber number = 0;
    uint64_t revision = 0;
    PendingActions pending;
  };
  using JobPtr = std::shared_ptr<Job>;

  // Reads the history, part by part, and then finishes. Each on a reader.
  void Begin(const JobPtr& job);
  void ReadPart(const JobPtr& job, int64_t chunk, size_t bytes);
  void Finish(const JobPtr& job);

  absl::StatusOr<Explanation> ExplainNow(Job& job);
  // Each adds what it finds. Reads the store.
  absl::Status AddOrchestration(Job& job, Explanation& explanation);
  absl::Status AddOpen(const RunRow& row, const OrchestrationInfo& info,
                       Job& job, Explanation& explanation);
  absl::Status AddEnded(const OrchestrationInfo& info,
                        Explanation& explanation);
  absl::Status AddEntity(Explanation& explanation);
  // What no row knows: an orchestration whose start is being stored, or that
  // could not be started.
  void AddUnstored(Explanation& explanation);

  // The status of a sub-orchestration.
  std::string StatusOfChild(const InstanceKey& key);

  void AddStoreLocked(Causes& causes);
  // If nothing new is accepted, because the tenant has as much as it may.
  void AddStoredLimit(const std::string& tenant, Causes& causes);
  void AddMemoryLocked(const Orchestration& orchestration, Causes& causes);
  // These two return how many timers they leave out.
  size_t AddPendingLocked(const Orchestration& orchestration,
                          const PendingActions& pending, Causes& causes);
  void AddActivitiesLocked(const Orchestration& orchestration,
                           const PendingActions& pending, Causes& causes);
  size_t AddTimersLocked(const Orchestration& orchestration,
                         const PendingActions& pending, Causes& causes);
  void AddEntitiesLocked(const Orchestration& orchestration,
                         const PendingActions& pending, Causes& causes);
  void AddEntityLocked(const Entity& entity, Causes& causes);
  // By name and version, of activities: there may be many of one name.
  using Outlooks =
      std::map<std::pair<std::string, std::string>, Dispatcher::Outlook>;
  // nullopt: nothing is to be said of this work. `delayed`: if it is idle, it
  // goes out again later. `known`: null, or what it fills for the next ones.
  std::optional<Cause> WorkCauseLocked(const OwnedWork& work, bool delayed,
                                       Outlooks* known = nullptr);
  void SetLocked(const EntityLock& lock, Cause& cause);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_EXPLAINER_H_
