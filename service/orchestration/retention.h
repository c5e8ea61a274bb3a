// Retention: erases orchestrations that ended long ago, at a pace of its own.
//
//   rest ─▶ list some that are old enough ─▶ erase them, if they still are what
//    ▲      (a reader)                        was listed ─▶ durable
//    └────────────────────────────────────────────────────────┘
//
// It needs no notes: when a run ended stands in the store, so a restart loses
// nothing. It looks at a few runs at a time, and then rests for several times
// as long as these took, so that at most a small share of the store's time is
// its own. A round ends when nothing is old enough; the next one begins where
// it ended.
//
// Each run is judged by its own end, also a sub-orchestration, whatever its
// parent does: a parent's history has the results. What is open, set aside or
// damaged stays.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_RETENTION_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_RETENTION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/orchestration/requests.h"
#include "service/orchestration/retention_rules.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

class Retention {
 public:
  // How many runs are erased at once.
  static constexpr size_t kBatch = 64;

  // With the rules of the engine's options.
  explicit Retention(Engine& engine);
  Retention(const Retention&) = delete;
  Retention& operator=(const Retention&) = delete;

  // These rules from now on.
  void Set(RetentionRules rules);

  // Memory was read from the store.
  void BeginLocked();
  // Its timer is due.
  void FireLocked(int32_t generation);
  void ForgetAllLocked();

 private:
  using Position = FinishedQuery::Position;

  // The runs with one age limit.
  struct Limit {
    absl::Duration age;
    std::vector<int32_t> statuses;
    // Those up to here need not be listed again, while the clock has passed
    // `listed_to`.
    std::optional<Position> after = std::nullopt;
    StoredTime listed_to = 0;
  };
  // What follows once a page is erased.
  struct Step {
    std::optional<Position> after;
    bool last = false;  // Page of this limit.
  };

  static std::vector<Limit> LimitsOf(const RetentionRules& rules);
  void LookAfterLocked(absl::Duration delay);
  void Look(int32_t generation, const FinishedQuery& query);
  void OnErased(int32_t generation, const Step& step,
                const absl::StatusOr<PurgeResult>& result);
  void GoOnLocked(const Step& step);
  absl::Duration Period() const;

  Engine& engine_;
  RetentionRules rules_;
  std::vector<Limit> limits_;
  size_t at_ = 0;           // Which of them it looks at.
  StoredTime began_ = 0;    // The page, on the monotonic clock.
  int64_t erased_ = 0;      // In this round.
  int32_t generation_ = 0;  // What was begun before is of no interest.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_RETENTION_H_
