#include "service/orchestration/retention.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <utility>

#include "service/orchestration/engine_section.h"
#include "service/storage/row_match.h"

namespace leasehold {
namespace {

// A server that has just started has better things to do.
constexpr absl::Duration kFirstDelay = absl::Seconds(1);
// After something could not be read or erased.
constexpr absl::Duration kStoreRetryDelay = absl::Seconds(5);

// As good as for good, and no time of day is too early for it.
constexpr absl::Duration kAgeMax = absl::Hours(1000 * 365 * 24);

// From one round to the next.
constexpr absl::Duration kPeriodMin = absl::Seconds(1);
constexpr absl::Duration kPeriodMax = absl::Minutes(10);
constexpr int kRoundsAnAge = 10;

// A rest is this many times as long as what came before it.
constexpr int kRestFactor = 4;
constexpr absl::Duration kRestMin = absl::Milliseconds(10);

// An end is listed when its commit is durable, which may be some time after the
// moment that it names.
constexpr absl::Duration kCommitMax = absl::Minutes(1);

}  // namespace

Retention::Retention(Engine& engine)
    : engine_(engine),
      rules_(engine.options_.retention),
      limits_(LimitsOf(rules_)) {}

std::vector<Retention::Limit> Retention::LimitsOf(const RetentionRules& rules) {
  std::map<absl::Duration, std::vector<int32_t>> by_age;
  for (const auto& [status, age] : rules.ages) {
    by_age[std::min(age, kAgeMax)].push_back(static_cast<int32_t>(status));
  }
  std::vector<Limit> limits;
  for (auto& [age, statuses] : by_age) {
    limits.push_back({.age = age, .statuses = std::move(statuses)});
  }
  return limits;
}

void Retention::Set(RetentionRules rules) {
  Engine::Section section(engine_);
  if (rules == rules_) return;
  rules_ = std::move(rules);
  BeginLocked();
}

void Retention::BeginLocked() {
  engine_.mu_.AssertHeld();
  ForgetAllLocked();
  LookAfterLocked(kFirstDelay);
}

void Retention::ForgetAllLocked() {
  engine_.mu_.AssertHeld();
  ++generation_;
  limits_ = LimitsOf(rules_);
  at_ = 0;
}

void Retention::LookAfterLocked(absl::Duration delay) {
  engine_.mu_.AssertHeld();
  // What is not open yet begins when it is.
  if (limits_.empty() || !engine_.admission_.serving().ok()) return;
  engine_.schedule_.AddRetry(delay, /*number=*/0, Timers::Kind::kRetention,
                             generation_);
}

void Retention::FireLocked(int32_t generation) {
  engine_.mu_.AssertHeld();
  // While the server drains, others need the time.
  if (generation != generation_ || !engine_.admission_.accepting().ok()) return;
  Limit& limit = limits_[at_];
  const Schedule::Moment now = engine_.schedule_.Now();
  // Whoever has the full age is old enough.
  const StoredTime to = now.wall - absl::ToInt64Microseconds(limit.age) + 1;
  // The clock was set back: since then, runs may have ended before others.
  if (to < limit.listed_to) limit.after.reset();
  limit.listed_to = to;
  began_ = now.monotonic;
  const std::string every(kEveryTenant);
  engine_.readers_.Post([this, generation,
                         query = FinishedQuery{.tenant = every,
                                               .statuses = limit.statuses,
                                               .finished_to = to,
                                               .after = limit.after,
                                               .count_max = kBatch}] {
    Look(generation, query);
  });
}

void Retention::Look(int32_t generation, const FinishedQuery& query) {
  absl::StatusOr<FinishedPage> page = engine_.store_.ListFinished(query);
  Engine::Section section(engine_);
  if (generation != generation_) return;
  if (!page.ok()) return LookAfterLocked(kStoreRetryDelay);
  Step step{.after = page->next, .last = !page->next.has_value()};
  if (step.last) {
    const StoredTime certain =
        *query.finished_to - 1 - absl::ToInt64Microseconds(kCommitMax);
    step.after = Position{certain, std::numeric_limits<RunNumber>::max()};
    if (query.after.has_value() && query.after->finished > certain) {
      step.after = query.after;
    }
  }
  std::vector<EndedRun> runs;
  for (RunRow& row : page->rows) {
    if (row.damaged) continue;
    runs.push_back({{std::move(row.tenant), std::move(row.id)}, row.number});
  }
  if (runs.empty()) return GoOnLocked(step);
  engine_.purges_.EraseEndedLocked(
      std::move(runs),
      [this, generation, step](const absl::StatusOr<PurgeResult>& result) {
        OnErased(generation, step, result);
      });
}

void Retention::OnErased(int32_t generation, const Step& step,
                         const absl::StatusOr<PurgeResult>& result) {
  Engine::Section section(engine_);
  if (generation != generation_) return;
  if (!result.ok()) return LookAfterLocked(kStoreRetryDelay);
  erased_ += result->erased;
  GoOnLocked(step);
}

void Retention::GoOnLocked(const Step& step) {
  engine_.mu_.AssertHeld();
  limits_[at_].after = step.after;
  if (step.last) ++at_;
  if (at_ < limits_.size()) {
    const absl::Duration took =
        absl::Microseconds(engine_.schedule_.MonotonicNow() - began_);
    return LookAfterLocked(std::max(kRestMin, kRestFactor * took));
  }
  at_ = 0;
  if (const int64_t erased = std::exchange(erased_, 0); erased > 0) {
    engine_.effects_.calls.push_back(
        [this, erased] { engine_.observer_.OnRetention(erased); });
  }
  LookAfterLocked(Period());
}

absl::Duration Retention::Period() const {
  return std::clamp(limits_.front().age / kRoundsAnAge, kPeriodMin, kPeriodMax);
}

}  // namespace leasehold
