#include "service/orchestration/schedule.h"

#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration_info.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ScheduleTest : public testing::Test {
 protected:
  StoredTime In(absl::Duration d) const {
    return ToStored(clock_.WallNow() + d);
  }
  void AddTimerIn(absl::Duration d, int32_t id) {
    schedule_.AddTimer({In(d), 7, Timers::Kind::kTimer, id});
  }
  // The IDs of what is due, in order.
  std::vector<int32_t> TakeAllDue() {
    std::vector<int32_t> ids;
    while (const auto entry = schedule_.TakeDue(schedule_.Now())) {
      ids.push_back(entry->id);
    }
    return ids;
  }

  SimulatedClock clock_;
  CondVar changed_;
  Schedule schedule_{clock_, changed_};
};

TEST_F(ScheduleTest, TakesWhatIsDueAndNothingElse) {
  AddTimerIn(absl::Seconds(2), 2);
  AddTimerIn(absl::Seconds(1), 1);
  AddTimerIn(absl::Seconds(3), 3);
  EXPECT_EQ(schedule_.NextDue(schedule_.Now()), In(absl::Seconds(1)));
  EXPECT_THAT(TakeAllDue(), IsEmpty());
  clock_.Advance(absl::Seconds(2));
  EXPECT_THAT(TakeAllDue(), ElementsAre(1, 2));
  EXPECT_EQ(schedule_.NextDue(schedule_.Now()), In(absl::Seconds(1)));
}

TEST_F(ScheduleTest, RetriesAreDueAfterASpanWhateverTheTimeOfDay) {
  schedule_.AddRetry(absl::Seconds(5), 7, Timers::Kind::kRetryActivity, 4);
  EXPECT_EQ(schedule_.NextDue(schedule_.Now()), In(absl::Seconds(5)));
  clock_.SetWall(absl::Hours(1));
  EXPECT_EQ(schedule_.NextDue(schedule_.Now()), In(absl::Seconds(5)));
  EXPECT_THAT(TakeAllDue(), IsEmpty());
  clock_.Advance(absl::Seconds(5));
  EXPECT_THAT(TakeAllDue(), ElementsAre(4));
}

TEST_F(ScheduleTest, TimersMoveWithAClockThatIsSetBack) {
  schedule_.Follow();
  AddTimerIn(absl::Seconds(10), 1);
  clock_.SetWall(-absl::Hours(1));
  schedule_.Follow();
  EXPECT_EQ(schedule_.NextDue(schedule_.Now()), In(absl::Seconds(10)));
  clock_.Advance(absl::Seconds(10));
  EXPECT_THAT(TakeAllDue(), ElementsAre(1));
}

TEST_F(ScheduleTest, TimeThatPassesIsNotAClockThatIsSetBack) {
  schedule_.Follow();
  AddTimerIn(absl::Seconds(10), 1);
  clock_.Advance(absl::Seconds(3));
  schedule_.Follow();
  EXPECT_EQ(schedule_.NextDue(schedule_.Now()), In(absl::Seconds(7)));
}

TEST_F(ScheduleTest, CancelsTheTimersOfAnExecution) {
  const absl::Time at = clock_.WallNow() + absl::Seconds(1);
  schedule_.AddTimer({ToStored(at), 7, Timers::Kind::kTimer, 1});
  schedule_.AddTimer({ToStored(at), 8, Timers::Kind::kTimer, 2});
  schedule_.CancelTimers(7, {{1, ToTimestamp(at)}});
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(TakeAllDue(), ElementsAre(2));
}

TEST_F(ScheduleTest, ClearedNothingIsDue) {
  AddTimerIn(absl::ZeroDuration(), 1);
  schedule_.AddRetry(absl::ZeroDuration(), 7, Timers::Kind::kRetryTurn, 0);
  schedule_.Clear();
  EXPECT_EQ(schedule_.NextDue(schedule_.Now()), std::nullopt);
  EXPECT_THAT(TakeAllDue(), IsEmpty());
}

}  // namespace
}  // namespace leasehold
