// OrchestrationInfo: what callers are told of an orchestration; Summary: the
// part of it that the store keeps beside the history.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ORCHESTRATION_INFO_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ORCHESTRATION_INFO_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/history.h"
#include "service/storage/records.h"

namespace leasehold {

// Written with each turn: nothing that grows with the history belongs here.
struct Summary {
  std::string name;
  Payload version;
  std::string execution_id;
  Payload parent_id;
  std::optional<Timestamp> scheduled_start;
  Timestamp updated;
  StringMap tags;
  Payload custom_status;
  // The clock of the orchestrator, which also runs on from one execution to the
  // next.
  Timestamp turn_time;
  OpaqueMessage trace_context;  // A worker's own, for its next turn.
  // Of the same run before it was rewound: sub-orchestrations that began then
  // still answer to these.
  std::vector<std::string> former_executions;

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
  }
};

struct OrchestrationInfo {
  std::string id;
  OrchestrationStatus status = OrchestrationStatus::kPending;
  absl::Time created;
  std::optional<absl::Time> finished;
  Summary summary;
  // Grows with each change that others see, within one run of the server; 0:
  // it is not open.
  uint64_t revision = 0;

  // Only if they were asked for.
  bool has_payloads = false;
  Payload input;
  Payload output;
  OpaqueMessage failure;
};

StoredTime ToStored(absl::Time time);
absl::Time FromStored(StoredTime time);

// Without payloads.
//   DataLoss: the row's summary is none.
absl::StatusOr<OrchestrationInfo> InfoOf(const InstanceRow& row);

// What is kept of a start that had a request ID.
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

// NotFound, of this key.
absl::Status NoSuchOrchestration(const InstanceKey& key);

// Adds the payloads that a history begins and ends with.
//   DataLoss: those are no events.
absl::Status AddPayloads(const HistoryEnds& ends, OrchestrationInfo& info);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ORCHESTRATION_INFO_H_
