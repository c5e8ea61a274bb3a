// The requests of callers about orchestrations, and the answers.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_REQUESTS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_REQUESTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/instance/instance_key.h"
#include "service/instance/instance_registry.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/reuse_policy.h"
#include "service/orchestration/summary_filter.h"
#include "service/storage/store.h"

namespace leasehold {

// Called once with the answer: on any thread, under no lock. Must not block.
template <typename T>
using Done = std::function<void(absl::StatusOr<T>)>;
using DoneStatus = std::function<void(const absl::Status&)>;

// Who has sent a request, for people: as the audit log names callers.
struct Requester {
  std::string identity = {};  // Empty: anonymous.
  std::string peer = {};      // As gRPC writes it; empty: unknown.
};

struct StartRequest {
  InstanceKey key;
  std::string name;
  Payload version;
  Payload input;
  Payload execution_id;  // Absent, as nearly always: a new one.
  std::optional<Timestamp> scheduled_start;
  OpaqueMessage trace;
  StringMap tags;
  ReusePolicy policy;
  // The caller's idempotency key for this start; empty: none. `fingerprint`
  // tells whether another start with this key is the same.
  std::string request_id;
  uint64_t fingerprint = 0;
  // What the caller requests of the instance context, except for its key.
  InstanceRequest context;
  Requester by;
  // The orchestrator's clock in the run that is started again; the new run's
  // turns are later.
  Timestamp turn_time = {};
};

struct StartReceipt {
  // The instance context of a start.
  struct Context {
    uint64_t generation = 0;
    bool created = false;
    absl::Duration idle_timeout;
  };

  std::string instance_id = {};
  std::string execution_id = {};
  bool created = false;                 // False: attached to an existing one.
  std::optional<Context> context = {};  // Empty: started before.
};

enum class Until {
  kStarted,   // It is no longer pending.
  kFinished,  // It has ended.
  // Its revision is no longer `seen`. To continue, wait with the revision in
  // the answer; changes between two waits are seen as one.
  kChanged,
};

struct WaitRequest {
  InstanceKey key;
  Until until = Until::kFinished;
  bool payloads = false;
  uint64_t seen = 0;
  std::string peer = {};  // The caller's connection.
};

// A run that the store has: the present one of an ID, or a replaced one.
struct StoredRun {
  std::string execution_id;
  OrchestrationStatus status = OrchestrationStatus::kPending;
  absl::Time began;  // This execution.
  std::optional<absl::Time> ended = {};
  std::string parent_id = {};
  // It continues others as new, of which the store has nothing more.
  bool continues = false;
};

// Selects orchestrations. All conditions apply at once. The tenant has no
// default, so that callers must name it.
struct OrchestrationFilter {
  std::string tenant;
  std::vector<int32_t> statuses = {};           // Empty: any.
  std::optional<StoredTime> created_from = {};  // Inclusive, like the other.
  std::optional<StoredTime> created_to = {};
  std::string id_prefix = {};
  SummaryFilter summary = {};
  size_t count_max = 100;  // How many at a time; at least 1.
};

// Where a list continues, as its previous page said. Only Orchestrations makes
// tokens, and knows what is in them.
struct PageToken {
  std::string text = {};  // Empty: the first page.
  // What the caller calls it, for messages.
  std::string_view field = "page_token";
};

struct OrchestrationQuery {
  OrchestrationFilter filter;
  RowOrder order = RowOrder::kOldestFirst;
  bool payloads = false;
  PageToken page_token = {};
};

// A page may be short, or empty, without being the last one.
struct OrchestrationPage {
  std::vector<OrchestrationInfo> orchestrations;
  std::string next_page_token = {};  // Empty: this is the last page.
};

// How long doors let a count take. A million orchestrations take a second.
inline constexpr absl::Duration kCountTimeout = absl::Seconds(5);

// How many orchestrations match a filter.
struct CountedOrchestrations {
  std::map<OrchestrationStatus, int64_t> by_status;  // Without those at zero.
  bool complete = true;  // False: time was up before all were looked at.
};

// Selects finished orchestrations, in order of the time at which they finished.
struct FinishedIdsQuery {
  std::string tenant;
  std::vector<int32_t> statuses = {};            // Empty: any.
  std::optional<StoredTime> finished_from = {};  // Inclusive.
  std::optional<StoredTime> finished_to = {};    // Exclusive.
  PageToken page_token = {};
  size_t count_max = 100;  // At least 1.
};

// As OrchestrationPage.
struct FinishedIdsPage {
  std::vector<std::string> ids;
  std::string next_page_token = {};
};

// Selects a history, and a part of it.
struct HistoryQuery {
  Payload execution_id = {};  // Absent or empty: the present one.
  bool replaced = false;      // Or a replaced one that is kept.
  // The maximum per read, but a turn's events are never split.
  size_t bytes_max = 256 << 10;
  PageToken page_token = {};  // As given in HistoryPage::next.
};

struct HistoryPage {
  std::vector<std::string> chunks;  // Of frames.
  // Asks for the next page of the same execution; empty: this is the last one.
  std::optional<HistoryQuery> next;
};

struct PurgeResult {
  int64_t erased = 0;
  bool complete = true;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_REQUESTS_H_
