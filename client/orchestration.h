// Orchestration: what a server tells of an orchestration, as values.
//
// The same as the messages of the contract `leasehold.v1.Orchestration`, with
// times as values of absl. Payloads (input, output, custom status) are text,
// JSON by convention; nobody here looks into them.
//
// Thread-safety: safe.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_ORCHESTRATION_H_
#define LEASEHOLD_CLIENT_ORCHESTRATION_H_

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "leasehold/v1/orchestration.pb.h"

namespace leasehold::client {

enum class OrchestrationStatus {
  // Not told; or a status that this library does not know yet.
  kUnknown,
  // Started, and in no worker's hands yet.
  kPending,
  // A worker has begun it; it may be waiting for something.
  kRunning,
  // Its turns are held.
  kSuspended,
  // It returned.
  kCompleted,
  kFailed,
  kTerminated,
};

// `PENDING`, `RUNNING`, `SUSPENDED`, `COMPLETED`, `FAILED`, `TERMINATED` or
// `UNKNOWN`.
const char* OrchestrationStatusName(OrchestrationStatus status);

// Whether one of this status has ended.
bool HasEnded(OrchestrationStatus status);

// Why something failed.
struct OrchestrationFailure {
  std::string type;
  std::string message;
  std::string stack_trace;
  // What made it fail; null: nothing further is known.
  std::shared_ptr<const OrchestrationFailure> cause;
  bool non_retriable = false;
};

// What is known of an orchestration.
struct OrchestrationState {
  std::string instance_id;
  // Of its present run. Continue-as-new makes another one.
  std::string execution_id;
  // Of the orchestrator, as workers know it.
  std::string name;
  std::string version;
  OrchestrationStatus status = OrchestrationStatus::kUnknown;
  absl::Time create_time;
  // Of its last turn.
  absl::Time update_time;
  // Set if it has ended.
  std::optional<absl::Time> end_time;
  // Set if it was to start later than at once.
  std::optional<absl::Time> scheduled_start_time;
  std::optional<std::string> custom_status;
  std::map<std::string, std::string> tags;
  // Of the orchestration that it is a sub-orchestration of; or empty.
  std::string parent_instance_id;

  // Only if payloads were asked for.
  std::optional<std::string> input;
  std::optional<std::string> output;
  std::optional<OrchestrationFailure> failure;
};

// Where a server's HTTP management API has an orchestration.
struct ManagementUrls {
  std::string id;
  std::string status_query_get_uri;
  std::string send_event_post_uri;
  std::string terminate_post_uri;
  std::string rewind_post_uri;
  std::string purge_history_delete_uri;
  std::string restart_post_uri;
  std::string suspend_post_uri;
  std::string resume_post_uri;
};

// What a start came to.
struct OrchestrationReceipt {
  std::string instance_id;
  std::string execution_id;
  // Whether this call started it; false: attached to the one that is there.
  bool created = false;
  // Empty unless an HTTP listener serves them.
  std::optional<ManagementUrls> urls;
};

// Between the contract's messages and values.
OrchestrationStatus FromProto(leasehold::v1::OrchestrationState::Status status);
OrchestrationFailure FromProto(
    const leasehold::v1::OrchestrationFailure& proto);
OrchestrationState FromProto(const leasehold::v1::OrchestrationState& proto);
OrchestrationReceipt FromProto(
    const leasehold::v1::StartOrchestrationResponse& proto);
// kUnknown becomes STATUS_UNSPECIFIED.
leasehold::v1::OrchestrationState::Status ToProto(OrchestrationStatus status);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_ORCHESTRATION_H_
