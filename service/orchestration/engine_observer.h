// EngineObserver: receives reports on the store, on workers, and on work that
// does not simply go out and come back.
//
// A WorkEvent is one line in a log: who, what, by whom, why. Work that is
// handed out, done and answered is not reported, so a busy server stays quiet;
// starts and ends of orchestrations are only for observers that want them.
//
// Thread-safety: called from any thread, without a lock; must not block.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_OBSERVER_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_OBSERVER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "service/base/tenant_tally.h"
#include "service/dispatch/worker.h"
#include "service/orchestration/commit_queue.h"
#include "service/orchestration/history.h"

namespace leasehold {

enum class WorkEventKind {
  kWorkerConnected,
  kWorkerGone,     // `count`: items that it left unanswered.
  kWorkerSilent,   // It had work for too long, and does not answer.
  kWorkerAnswers,  // A silent worker answers again.
  kLost,           // It was out and did not come back. `count`: how
                   // often in a row.
  kGivenBack,      // Its worker returned it. `count`: as above.
  kNotMine,        // Same: its worker does not know the name.
  kUnwanted,       // It waits: no connected worker takes it.
  kTimedOut,       // It was out for too long and was taken back.
  kFailedByLimit,  // `reason` names the limit and how to change it.
  kAnswerRefused,  // An answer to it was refused.
  kEndedByServer,  // The orchestration was ended without a worker.
  kSetAside,       // The orchestration is unreadable, and not run.
  kLockExpired,    // Somebody has had the lock of an entity for too long.
  // About orchestrations as a whole; told once that is durable.
  kOrchestrationStarted,
  kOrchestrationEnded,   // `status`: as what. If it failed, the next one.
  kOrchestrationFailed,  // `reason`: the first line of the failure, cut.
};
inline constexpr size_t kWorkEventKinds = 17;
// The name in a log, such as `work_lost`.
std::string_view WorkEventName(WorkEventKind kind);

struct WorkEvent {
  WorkEventKind kind = WorkEventKind::kLost;
  std::string tenant = {};  // Empty: unknown.
  // Empty: not about a single orchestration, or unknown.
  std::string instance_id = {};
  // Of the orchestrator or activity.
  std::string name = {};
  // For an activity: the number of the action that created it.
  std::optional<int32_t> task_id = std::nullopt;
  // 0: none, or unknown.
  WorkerId worker = 0;
  // The worker's address, as gRPC writes it: `ipv4:127.0.0.1:40112`.
  std::string peer = {};
  uint64_t count = 0;  // 0: not applicable.
  // `Completed`, ...: of the orchestration. Empty: not applicable.
  std::string_view status = {};
  std::string reason = {};
};

struct EngineCounts {
  size_t open = 0;    // Orchestrations.
  size_t queued = 0;  // Work waiting for a worker.
  size_t workers = 0;
  uint64_t turns = 0;  // Committed since the start.
  // Open orchestrations by status, those of them that are parked, and those
  // that callers began, by tenant.
  std::map<OrchestrationStatus, size_t> by_status = {};
  size_t parked = 0;
  std::map<std::string, size_t> begun_by_callers = {};
  // What limits have refused since the start, by tenant: too many open, and too
  // much stored.
  TenantTally::Counts open_refused = {};
  TenantTally::Counts stored_refused = {};
  // Since the start, durably.
  uint64_t started = 0;
  std::map<OrchestrationStatus, uint64_t> ended = {};
  // What its calls cost: how often the engine's lock was taken, and a context
  // acquired.
  uint64_t holds = 0;
  uint64_t acquires = 0;
  CommitQueue::Counts commits;
};

// Receives the reports on workers and work.
class WorkObserver {
 public:
  virtual ~WorkObserver() = default;
  virtual void OnWork(const WorkEvent& event) = 0;
  // Whether it is told of the starts and ends of orchestrations. Of failures it
  // always is.
  virtual bool WantsLives() const { return false; }
};

class EngineObserver : public WorkObserver {
 public:
  virtual void OnStoreFailed(const absl::Status& status) = 0;
  virtual void OnStoreRecovered(size_t open_orchestrations) = 0;
  // So many orchestrations had ended long ago, and were erased.
  virtual void OnRetention(int64_t erased) { (void)erased; }
  // The engine has stopped. This is the last call.
  virtual void OnStopped(const EngineCounts& counts) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_OBSERVER_H_
