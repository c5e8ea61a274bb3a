// Reads: the state of orchestrations and their histories, from the store and,
// where memory knows more, from memory.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_READS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_READS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/orchestrations.h"
#include "service/orchestration/requests.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

class Reads {
 public:
  using SharedInfo = Orchestrations::SharedInfo;

  explicit Reads(Engine& engine) : engine_(engine) {}
  Reads(const Reads&) = delete;
  Reads& operator=(const Reads&) = delete;

  void Get(const InstanceKey& key, bool payloads,
           Done<std::optional<OrchestrationInfo>> done);
  void Query(OrchestrationQuery query, Done<OrchestrationPage> done);
  void Count(OrchestrationFilter filter, absl::Duration timeout,
             Done<CountedOrchestrations> done);
  void ListFinished(FinishedIdsQuery query, Done<FinishedIdsPage> done);
  void ReadRuns(const InstanceKey& key, Done<std::vector<StoredRun>> done);
  void ReadHistory(const InstanceKey& key, HistoryQuery query,
                   Done<HistoryPage> done);

  // The orchestration's state at one moment. Reads the store.
  absl::StatusOr<std::optional<OrchestrationInfo>> ReadInfo(
      const InstanceKey& key, bool payloads);
  // Posts a task to a reader that answers `done` with ReadInfo.
  void PostReadLocked(const InstanceKey& key, bool payloads,
                      Done<std::optional<OrchestrationInfo>> done);
  // Posts a task to a reader that answers a waiter.
  void PostReadLocked(const InstanceKey& key, bool payloads,
                      Done<SharedInfo> done);

 private:
  // The execution that a history belongs to. Reads the store.
  struct Execution {
    RunNumber number = 0;
    std::string id;  // Empty: damaged and unknown.
  };

  // Adds the input of an orchestration that has not started. Reads the store.
  absl::Status AddPendingInput(RunNumber number, OrchestrationInfo& info);
  // Why its work is not making progress, for people; empty: nothing blocks it.
  std::string WaitingFor(const InstanceKey& key);
  absl::StatusOr<Execution> FindExecution(const InstanceKey& key,
                                          const Payload& execution_id,
                                          bool replaced);
  absl::StatusOr<std::vector<StoredRun>> ReadRunsOf(const InstanceKey& key);
  absl::StatusOr<HistoryPage> ReadHistoryPage(const InstanceKey& key,
                                              HistoryQuery query);

  // Goes on with the next part, until there is none or time is up.
  void CountPart(RowQuery query, Instant deadline, CountedOrchestrations counts,
                 Done<CountedOrchestrations> done);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_READS_H_
