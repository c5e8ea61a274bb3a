// Orchestration: what a server says about an orchestration, as values.
//
// The same as the messages of the contract `leasehold.v1.Orchestration`, with
// times as values of absl. Payloads (input, output, custom status) are text,
// JSON by convention; this library does not look into them.
//
// Thread-safety: safe.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_ORCHESTRATIONS_ORCHESTRATION_H_
#define LEASEHOLD_CLIENT_ORCHESTRATIONS_ORCHESTRATION_H_

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "leasehold/v1/orchestration.pb.h"

namespace leasehold::client {

enum class OrchestrationStatus {
  // The server did not say, or this library does not know the status.
  kUnknown,
  // Started, but no worker has taken it yet.
  kPending,
  // A worker has started it; it may be waiting for something.
  kRunning,
  // Paused: it gets no turns.
  kSuspended,
  // It returned.
  kCompleted,
  kFailed,
  kTerminated,
  // The server cannot read what it has stored of it; the failure says what. It
  // can only be looked at and purged.
  kDamaged,
};

// `PENDING`, `RUNNING`, `SUSPENDED`, `COMPLETED`, `FAILED`, `TERMINATED`,
// `DAMAGED` or `UNKNOWN`.
const char* OrchestrationStatusName(OrchestrationStatus status);

// Whether this status is an end; a damaged orchestration does not continue.
bool HasEnded(OrchestrationStatus status);

// Why something failed.
struct OrchestrationFailure {
  std::string type;
  std::string message;
  std::string stack_trace;
  // The cause; null if nothing further is known.
  std::shared_ptr<const OrchestrationFailure> cause;
  bool non_retriable = false;
};

// What is known about an orchestration.
struct OrchestrationState {
  std::string instance_id;
  // Of its current run. Continue-as-new makes another one.
  std::string execution_id;
  // The name of the orchestrator, as workers know it.
  std::string name;
  std::string version;
  OrchestrationStatus status = OrchestrationStatus::kUnknown;
  absl::Time create_time;
  // The time of its last turn.
  absl::Time update_time;
  // Set if it has ended.
  std::optional<absl::Time> end_time;
  // Set if the start was scheduled for later.
  std::optional<absl::Time> scheduled_start_time;
  std::optional<std::string> custom_status;
  std::map<std::string, std::string> tags;
  // Its parent, if it is a sub-orchestration; otherwise empty.
  std::string parent_instance_id;
  // Why it is not making progress, for people to read; empty if no reason is
  // known. Only in the answer to Get.
  std::string waiting_for;

  // Only if the call asked for payloads.
  std::optional<std::string> input;
  std::optional<std::string> output;
  std::optional<OrchestrationFailure> failure;
};

// The URLs of an orchestration in a server's HTTP management API.
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

// The outcome of a start.
struct OrchestrationReceipt {
  std::string instance_id;
  std::string execution_id;
  // Whether this call started it; if not, it attached to the existing one.
  bool created = false;
  // Empty unless the server has an HTTP listener.
  std::optional<ManagementUrls> urls;
};

// Convert between the contract's messages and these values.
OrchestrationStatus FromProto(leasehold::v1::OrchestrationState::Status status);
OrchestrationFailure FromProto(
    const leasehold::v1::OrchestrationFailure& proto);
OrchestrationState FromProto(const leasehold::v1::OrchestrationState& proto);
OrchestrationReceipt FromProto(
    const leasehold::v1::StartOrchestrationResponse& proto);
// kUnknown becomes STATUS_UNSPECIFIED.
leasehold::v1::OrchestrationState::Status ToProto(OrchestrationStatus status);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_ORCHESTRATIONS_ORCHESTRATION_H_
