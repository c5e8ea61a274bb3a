// OrchestrationInfo: what callers can see of an orchestration; Summary: the
// part of it that the store keeps beside the history.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ORCHESTRATION_INFO_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ORCHESTRATION_INFO_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/history.h"
#include "service/storage/records.h"

namespace leasehold {

// Written with each turn, so nothing that grows with the history belongs here.
struct Summary {
  std::string name;
  Payload version;
  std::string execution_id;
  Payload parent_id;
  std::optional<Timestamp> scheduled_start;
  Timestamp updated;
  StringMap tags;
  Payload custom_status;
  // The orchestrator's clock. It continues from one execution to the next.
  Timestamp turn_time;
  OpaqueMessage trace_context;  // Set by a worker, for its next turn.
  // Executions of the same run before it was rewound: sub-orchestrations that
  // began then still report their ends to these.
  std::vector<std::string> former_executions;
  // The minimum number of stored chunks of this execution's history. If there
  // are fewer, some were lost.
  int64_t chunks = 0;
  // An entity began it, so it has no parent.
  bool begun_by_entity = false;
  // As TurnAnswer; of the last turn.
  std::vector<std::string> awaited_events;

  // Whether other work began it, and no caller.
  bool begun_by_work() const {
    return begun_by_entity || parent_id.has_value();
  }

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.name);
    field(2, self.version);
    field(3, self.execution_id);
    field(4, self.parent_id);
    field(5, self.scheduled_start);
    field(6, self.updated);
    field(7, self.tags);
    field(8, self.custom_status);
    field(9, self.turn_time);
    field(10, self.trace_context);
    field(11, self.former_executions);
    field(12, self.chunks);
    field(13, self.begun_by_entity);
    field(14, self.awaited_events);
  }
};

struct OrchestrationInfo {
  std::string id;
  OrchestrationStatus status = OrchestrationStatus::kPending;
  absl::Time created;
  std::optional<absl::Time> finished;
  Summary summary;
  // Grows with each visible change, within one run of the server; 0: the
  // orchestration is not open.
  uint64_t revision = 0;

  // Why its work is not being done, for people. Set only by Get.
  std::string waiting_for = {};

  // Set only on request.
  bool has_payloads = false;
  Payload input = {};
  Payload output = {};
  OpaqueMessage failure = {};
};

StoredTime ToStored(absl::Time time);
absl::Time FromStored(StoredTime time);

// Without payloads.
//   DataLoss: the row cannot be read.
absl::StatusOr<OrchestrationInfo> InfoOf(const RunRow& row);

// What can be read of a damaged orchestration's row, with `why` as its failure.
OrchestrationInfo DamagedInfoOf(const RunRow& row, const std::string& why);

// DataLoss, for an orchestration that is set aside.
absl::Status IsDamaged(std::string_view id, const std::string& why);

// Stored for a start that had a request ID.
struct StoredReceipt {
  std::string execution_id;
  int64_t created = 0;  // Whether it was.
  int64_t fingerprint = 0;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.execution_id);
    field(2, self.created);
    field(3, self.fingerprint);
  }
};

// NotFound, for this key.
absl::Status NoSuchOrchestration(const InstanceKey& key);

// Adds the payloads from the first and the last event of a history.
//   DataLoss: these are not events.
absl::Status AddPayloads(const HistoryEnds& ends, OrchestrationInfo& info);

// Its approximate size in a message.
size_t SizeOf(const OrchestrationInfo& info);

// Shrinks `info` to fit into a page of `bytes_max`. A payload that is too large
// is replaced by a sentence that says so, as a JSON string.
void FitIntoPage(OrchestrationInfo& info, size_t bytes_max);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ORCHESTRATION_INFO_H_
