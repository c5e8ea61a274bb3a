// Strips: what has become of each ID over time: its contexts, the runs of its
// orchestration, and how starts of it were answered.
//
//   contexts   |----- 17 -----|     |------ 18 ------
//   runs         |- a1 -|           |-- a2 --|-- a3 -
//   starts       s  a  r            s                    started, attached,
//                                                        refused
//
// It shows that an ID has one context and one run at a time. So nothing is put
// right here: what is told is kept as it was told, and two that overlap would
// be seen. All times are those of the monotonic clock, so that a wall clock
// that is set back makes nothing overlap.
//
// Kept in memory, of this server only, and bounded: the newest kOfIdMax of each
// kind for an ID (those before are counted), kBytesMax in all; beyond that, the
// IDs of which nothing was heard for longest are forgotten. IDs that only had
// contexts, and those that had runs or starts, may each take half: a flood of
// either leaves the others.
//
// It hears of openings, closings, starts and ends, and of nothing that happens
// in between: a call on an open context costs nothing.
//
// Thread-safety: safe; never calls anybody while it holds its lock.
// Lifetime: the clock outlives it; it outlives registry and engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_STRIPS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_STRIPS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/instance/extension.h"
#include "service/instance/instance_key.h"
#include "service/instance/instance_observer.h"
#include "service/orchestration/history.h"
#include "service/orchestration/requests.h"

namespace leasehold {

// The strip of an ID, each list from the oldest to the newest.
struct Strip {
  struct Context {
    uint64_t generation = 0;
    absl::Time opened;
    std::optional<absl::Time> closed = {};  // Empty: it is open.
    DetachReason reason = DetachReason::kIdle;
  };
  // An execution. Continue-as-new ends one and begins the next.
  struct Run {
    std::string execution_id;
    std::optional<absl::Time> began;  // Empty: before this server knew of it.
    std::optional<absl::Time> ended = {};
    std::optional<OrchestrationStatus> status = {};  // Empty: not known.
    std::string parent_id = {};  // The orchestration that began it.
    bool continues = false;      // Others as new, which are not known.
  };
  enum class Result {
    kStarted,   // It began the run.
    kAttached,  // There was one already.
    kRepeated,  // The same request again: it was answered as before.
    kRefused,   // `code` says why.
    kFailed,    // It may have begun one; `code` says why that is not known.
  };
  struct Start {
    Result result = Result::kStarted;
    absl::Time time;  // When it was answered.
    Requester by;
    std::string execution_id = {};  // Of the run; empty: refused or failed.
    absl::StatusCode code = absl::StatusCode::kOk;
  };

  std::vector<Context> contexts = {};
  std::vector<Run> runs = {};
  std::vector<Start> starts = {};
  // How many there were before these.
  uint64_t contexts_before = 0;
  uint64_t runs_before = 0;
  uint64_t starts_before = 0;
  // What was before is not known here.
  absl::Time since = {};
  // When the server began to record.
  absl::Time recording_since = {};
  absl::Time now = {};  // When it was read.
};

class Strips final : public InstanceObserver {
 public:
  static constexpr size_t kOfIdMax = 100;
  static constexpr size_t kBytesMax = size_t{16} << 20;
  // Longer texts of callers are cut.
  static constexpr size_t kTextMax = 256;

  explicit Strips(const Clock& clock, size_t bytes_max = kBytesMax);

  // Peers are named as this says. Before anything is recorded.
  void UseAddresses(std::function<std::string(const std::string&)> address_of) {
    address_of_ = std::move(address_of);
  }

  // Contexts that open and close.
  void OnEvent(const InstanceEvent& event) override ABSL_LOCKS_EXCLUDED(mu_);

  // Runs, once that is durable; `at`: when.
  void Begin(const InstanceKey& key, std::string execution_id,
             std::string parent_id, Instant at) ABSL_LOCKS_EXCLUDED(mu_);
  void End(const InstanceKey& key, std::string_view execution_id,
           OrchestrationStatus status, Instant at) ABSL_LOCKS_EXCLUDED(mu_);
  // A rewind goes on with the run under another ID.
  void Rename(const InstanceKey& key, std::string execution_id)
      ABSL_LOCKS_EXCLUDED(mu_);

  // A start was answered.
  void Answer(const InstanceKey& key, const Requester& by,
              const absl::StatusOr<StartReceipt>& receipt)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Forgets an ID, or all IDs of a tenant; but a context that is open is shown
  // until it closes.
  void Forget(const InstanceKey& key) ABSL_LOCKS_EXCLUDED(mu_);
  void ForgetTenant(std::string_view tenant) ABSL_LOCKS_EXCLUDED(mu_);

  Strip Read(const InstanceKey& key) const ABSL_LOCKS_EXCLUDED(mu_);
  // Changes whenever the strip does.
  uint64_t VersionOf(const InstanceKey& key) const ABSL_LOCKS_EXCLUDED(mu_);

  // By its own count.
  size_t bytes() const ABSL_LOCKS_EXCLUDED(mu_);
  size_t ids() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct ContextEntry {
    uint64_t generation = 0;
    Instant opened;
    std::optional<Instant> closed = {};
    DetachReason reason = DetachReason::kIdle;
    bool forgotten = false;
  };
  struct RunEntry {
    std::string execution_id;
    std::optional<Instant> began;
    std::optional<Instant> ended = {};
    std::optional<OrchestrationStatus> status = {};
    std::string parent_id = {};
  };
  struct StartEntry {
    Strip::Result result = Strip::Result::kStarted;
    Instant at;
    Requester by;
    std::string execution_id = {};
    absl::StatusCode code = absl::StatusCode::kOk;
  };
  struct Record;
  using Records = std::list<Record>;
  using Name = std::pair<std::string_view, std::string_view>;
  struct Record {
    InstanceKey key;
    Records::iterator self = {};
    bool had_runs = false;  // Or starts.
    Instant since;
    uint64_t version = 0;
    size_t bytes = 0;
    std::vector<ContextEntry> contexts = {};
    std::vector<RunEntry> runs = {};
    std::vector<StartEntry> starts = {};
    uint64_t contexts_before = 0;
    uint64_t runs_before = 0;
    uint64_t starts_before = 0;
  };
  // Of records that have, or have not, had runs: those of which was heard last
  // come first.
  struct Half {
    Records records;
    size_t bytes = 0;
  };

  static size_t BytesOf(const ContextEntry& entry);
  static size_t BytesOf(const RunEntry& entry);
  static size_t BytesOf(const StartEntry& entry);

  Half& HalfOfLocked(const Record& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return record.had_runs ? with_runs_ : without_runs_;
  }
  // The record of an ID, as the one of which was heard last; a new one if there
  // is none. `run`: what was heard is about a run or a start.
  Record& TouchLocked(std::string_view tenant, std::string_view id, bool run)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TouchLocked(Record& record, bool run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // nullptr: there is none.
  Record* FindLocked(std::string_view tenant, std::string_view id) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  template <typename Entry>
  void AddLocked(Record& record, std::vector<Entry>& list, uint64_t& before,
                 Entry entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CloseLocked(const InstanceEvent& event)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CountLocked(Record& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropLocked(Record& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetLocked(Record& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetTenantLocked(Half& half, std::string_view tenant)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Drops the oldest ones that there is no room for, but not `touched`.
  void MakeRoomLocked(const Record& touched) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const Clock& clock_;
  const size_t bytes_max_;
  const Instant recording_since_;
  std::function<std::string(const std::string&)> address_of_;

  mutable Mutex mu_;
  Half with_runs_ ABSL_GUARDED_BY(mu_);
  Half without_runs_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<Name, Record*> by_name_ ABSL_GUARDED_BY(mu_);
  uint64_t versions_ ABSL_GUARDED_BY(mu_) = 0;
  // What was before is not known of IDs without a record.
  Instant since_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_STRIPS_H_
