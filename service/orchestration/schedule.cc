#include "service/orchestration/schedule.h"

#include <algorithm>

#include "service/orchestration/history.h"
#include "service/orchestration/orchestration_info.h"

namespace leasehold {
namespace {

// A smaller step is not a jump: the two clocks were not read at the same
// moment.
constexpr absl::Duration kSetBackMin = absl::Milliseconds(100);

}  // namespace

Schedule::Moment Schedule::Now() const {
  return {ToStored(clock_.WallNow()), MonotonicNow()};
}

void Schedule::AddTimer(const Timers::Entry& entry, StoredTime early) {
  // The timer thread waits for the first timer.
  const std::optional<StoredTime> before = timers_.next_due();
  timers_.Add(entry, early);
  if (timers_.next_due() != before) changed_.NotifyAll();
}

void Schedule::CancelTimers(RunNumber number,
                            const std::map<int32_t, Timestamp>& timers) {
  for (const auto& [id, fire_at] : timers) {
    timers_.Cancel(
        {ToStored(ToTime(fire_at)), number, Timers::Kind::kTimer, id});
  }
}

void Schedule::CancelAll(const absl::flat_hash_set<RunNumber>& numbers) {
  if (numbers.empty()) return;
  timers_.CancelAll(numbers);
  retries_.CancelAll(numbers);
}

void Schedule::AddRetry(absl::Duration delay, RunNumber number,
                        Timers::Kind kind, int32_t id) {
  retries_.Add(
      {MonotonicNow() + absl::ToInt64Microseconds(delay), number, kind, id});
  changed_.NotifyAll();
}

void Schedule::Follow() {
  const std::pair<absl::Time, Instant> now = {clock_.WallNow(), clock_.Now()};
  const auto before = std::exchange(followed_, now);
  if (!before.has_value()) return;
  const absl::Duration set =
      (now.first - before->first) - (now.second - before->second);
  if (set < -kSetBackMin) timers_.MoveBack(absl::ToInt64Microseconds(-set));
}

std::optional<Timers::Entry> Schedule::TakeDue(const Moment& now) {
  std::optional<Timers::Entry> entry = timers_.TakeDue(now.wall);
  if (!entry.has_value()) entry = retries_.TakeDue(now.monotonic);
  return entry;
}

std::optional<StoredTime> Schedule::NextDue(const Moment& now) const {
  std::optional<StoredTime> due = timers_.next_due();
  if (const std::optional<StoredTime> retry = retries_.next_due()) {
    const StoredTime at = now.ToWall(*retry);
    due = due.has_value() ? std::min(*due, at) : at;
  }
  return due;
}

void Schedule::Clear() {
  timers_.Clear();
  retries_.Clear();
}

}  // namespace leasehold
