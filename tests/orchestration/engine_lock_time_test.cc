// Locks of entities that end by themselves.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/entity_fixture.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Code = absl::StatusCode;

class LockTimeTest : public EntityTest {
 protected:
  static constexpr absl::Duration kTime = absl::Seconds(30);

  LockTimeTest() { options_.entity_lock_timeout = kTime; }

  // Starts `id`, which locks these.
  void Lock(FakeWorker& worker, const std::string& id,
            std::vector<std::string> entities = {"@c@1", "@c@2"}) {
    Run(worker, id, {LockAll(1, "section of " + id, std::move(entities))});
  }
  // Until when, as a span from now; 0: for ever.
  absl::Duration Left(const std::string& id) {
    const std::optional<EntityInfo> info = Entity(id);
    if (!info.has_value() || !info->lock.has_value()) return -kTime;
    if (info->lock->until == 0) return absl::ZeroDuration();
    return FromStored(info->lock->until) - Now();
  }
  Asked<bool> Limit(std::string id, absl::Duration timeout,
                    std::string section = "") {
    Asked<bool> asked;
    engine().entities().LimitLock({Key(id), std::move(section), timeout},
                                  asked.done());
    Settle();
    return asked;
  }
};

TEST_F(LockTimeTest, AReadTellsWhoHoldsItSinceWhenAndUntilWhen) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  const FakeItem turn = worker.TakeTurn();
  for (const char* id : {"@c@1", "@c@2"}) {
    const EntityLock lock = *Entity(id)->lock;
    EXPECT_EQ(lock.holder, "p");
    EXPECT_EQ(lock.section_id, "section of p");
    EXPECT_EQ(lock.execution_id, turn.execution_id);
    EXPECT_EQ(FromStored(lock.since), Now());
    EXPECT_EQ(FromStored(lock.until), Now() + kTime);
  }
}

TEST_F(LockTimeTest, WithoutALimitItIsHeldForEver) {
  options_.entity_lock_timeout = absl::ZeroDuration();
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  EXPECT_EQ(Left("@c@1"), absl::ZeroDuration());
  Pass(absl::Hours(1000));
  EXPECT_EQ(HolderOf("@c@1"), "p");
}

TEST_F(LockTimeTest, WhenTheTimeIsOverTheNextInLineGetsIt) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  const FakeItem late = worker.TakeTurn();
  Lock(worker, "q");
  Pass(kTime - absl::Microseconds(1));
  EXPECT_EQ(HolderOf("@c@1"), "p");
  EXPECT_THAT(worker.items, IsEmpty());
  Pass(absl::Microseconds(1));
  EXPECT_EQ(HolderOf("@c@1"), "q");
  EXPECT_EQ(HolderOf("@c@2"), "q");
  const FakeItem next = worker.TakeTurn();
  EXPECT_EQ(next.instance_id, "q");
  EXPECT_THAT(Words(next.events), ElementsAre("turn", "locked"));
  EXPECT_EQ(Left("@c@1"), kTime);
  EXPECT_EQ(CountTold(WorkEventKind::kLockExpired), 2u);
  // What the old holder still says about it changes nothing.
  Answer(late, {Unlock(2, "section of p", "@c@1"),
                Unlock(3, "section of p", "@c@2")});
  Settle();
  EXPECT_EQ(HolderOf("@c@1"), "q");
  EXPECT_EQ(HolderOf("@c@2"), "q");
}

TEST_F(LockTimeTest, TheLogSaysWhoHadItSinceWhen) {
  FakeWorker& worker = Connect();
  Lock(worker, "p", {"@c@1"});
  Pass(kTime);
  EXPECT_EQ(HolderOf("@c@1"), "nobody");
  const WorkEvent told = Told(WorkEventKind::kLockExpired);
  EXPECT_EQ(told.instance_id, "@c@1");
  EXPECT_EQ(told.name, "c");
  EXPECT_THAT(told.reason, AllOf(HasSubstr("\"p\""), HasSubstr("since ")));
}

TEST_F(LockTimeTest, CallsOfTheOldHolderWaitLikeThoseOfOthers) {
  FakeWorker& worker = Connect();
  Lock(worker, "p", {"@c@1"});
  const FakeItem late = worker.TakeTurn();
  Lock(worker, "q", {"@c@1"});
  Pass(kTime);
  const FakeItem locked = worker.TakeTurn();
  Answer(late, {CallEntity(2, "@c@1", "late")});
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  Answer(locked, {CallEntity(2, "@c@1", "mine")});
  Settle();
  const FakeItem mine = worker.TakeBatch();
  EXPECT_THAT(Operations(mine), ElementsAre("mine?"));
  Complete(mine, "1");
  Answer(worker.TakeTurn(), {leasehold::Complete()});
  Settle();
  EXPECT_THAT(Operations(worker.TakeBatch()), ElementsAre("late?"));
}

TEST_F(LockTimeTest, ABatchOfTheHolderThatIsOutIsWaitedFor) {
  FakeWorker& worker = Connect();
  Lock(worker, "p", {"@c@1"});
  Answer(worker.TakeTurn(), {CallEntity(2, "@c@1", "mine")});
  Settle();
  const FakeItem batch = worker.TakeBatch();
  Lock(worker, "q", {"@c@1"});
  Pass(kTime);
  EXPECT_EQ(HolderOf("@c@1"), "nobody");
  EXPECT_THAT(worker.items, IsEmpty());
  Complete(batch, "1");
  EXPECT_EQ(HolderOf("@c@1"), "q");
}

TEST_F(LockTimeTest, TheTimeBeginsWhenTheSectionHasAllItsEntities) {
  FakeWorker& worker = Connect();
  Signal("@c@2", "signal");
  Settle();
  const FakeItem batch = worker.TakeBatch();
  Lock(worker, "p");
  EXPECT_EQ(HolderOf("@c@1"), "p");
  EXPECT_EQ(HolderOf("@c@2"), "nobody");
  Pass(10 * kTime);
  EXPECT_EQ(HolderOf("@c@1"), "p");
  EXPECT_EQ(Left("@c@1"), absl::ZeroDuration());
  Complete(batch, "1");
  EXPECT_EQ(HolderOf("@c@2"), "p");
  EXPECT_EQ(Left("@c@1"), kTime);
  EXPECT_EQ(Left("@c@2"), kTime);
}

TEST_F(LockTimeTest, OneThatIsReleasedInTimeDoesNotExpire) {
  FakeWorker& worker = Connect();
  Lock(worker, "p", {"@c@1"});
  Pass(kTime / 2);
  Answer(worker.TakeTurn(), {Unlock(2, "section of p", "@c@1")});
  Settle();
  Lock(worker, "q", {"@c@1"});
  Pass(kTime / 2);
  EXPECT_EQ(HolderOf("@c@1"), "q");
  EXPECT_EQ(Left("@c@1"), kTime / 2);
  EXPECT_EQ(CountTold(WorkEventKind::kLockExpired), 0u);
}

TEST_F(LockTimeTest, TheTimeGoesOnOverARestart) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  worker.TakeTurn();
  Lock(worker, "q");
  Pass(kTime / 2);
  options_.entity_lock_timeout = absl::ZeroDuration();  // Of later ones.
  Crash();
  Connect();
  Settle();
  EXPECT_EQ(HolderOf("@c@1"), "p");
  EXPECT_EQ(Left("@c@1"), kTime / 2);
  Pass(kTime / 2);
  EXPECT_EQ(HolderOf("@c@1"), "q");
  EXPECT_EQ(Left("@c@1"), absl::ZeroDuration());
}

TEST_F(LockTimeTest, TheTimeCanBeOverWhenTheServerIsBack) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  worker.TakeTurn();
  Lock(worker, "q");
  Close();
  clock_.Advance(kTime);
  Connect();
  Pass(absl::ZeroDuration());
  EXPECT_EQ(HolderOf("@c@1"), "q");
  EXPECT_EQ(HolderOf("@c@2"), "q");
}

TEST_F(LockTimeTest, AnEndThatIsNotStoredIsMadeAgain) {
  FakeWorker& worker = Connect();
  Lock(worker, "p", {"@c@1"});
  store_.FailCommit(0, FaultStore::Effect::kNone);
  Pass(kTime);
  Pass(absl::Seconds(1));  // The store is read again.
  Pass(absl::ZeroDuration());
  EXPECT_EQ(HolderOf("@c@1"), "nobody");
}

TEST_F(LockTimeTest, AClockThatIsSetBackDoesNotMakeItLonger) {
  FakeWorker& worker = Connect();
  Lock(worker, "p", {"@c@1"});
  Pass(kTime / 2);
  clock_.SetWall(-absl::Hours(1));
  Pass(kTime / 2 - absl::Seconds(1));
  EXPECT_EQ(HolderOf("@c@1"), "p");
  Pass(absl::Seconds(1));
  EXPECT_EQ(HolderOf("@c@1"), "nobody");
}

// ---- Limits of callers ------------------------------------------------------

TEST_F(LockTimeTest, ACallerLimitsALockFromNowOn) {
  options_.entity_lock_timeout = absl::ZeroDuration();
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  worker.TakeTurn();
  Lock(worker, "q");
  EXPECT_TRUE(Limit("@c@1", absl::Seconds(5)).value());
  // All of the section: with a part it could wait for its own successor.
  EXPECT_EQ(Left("@c@1"), absl::Seconds(5));
  EXPECT_EQ(Left("@c@2"), absl::Seconds(5));
  Crash();
  Connect();
  Pass(absl::Seconds(5));
  EXPECT_EQ(HolderOf("@c@1"), "q");
  EXPECT_EQ(HolderOf("@c@2"), "q");
}

TEST_F(LockTimeTest, ACallerEndsALockAtOnce) {
  FakeWorker& worker = Connect();
  Lock(worker, "p", {"@c@1"});
  worker.TakeTurn();
  Lock(worker, "q", {"@c@1"});
  EXPECT_TRUE(Limit("@c@1", absl::ZeroDuration()).value());
  Pass(absl::ZeroDuration());
  EXPECT_EQ(HolderOf("@c@1"), "q");
}

TEST_F(LockTimeTest, ALimitThatIsLaterIsARenewal) {
  FakeWorker& worker = Connect();
  Lock(worker, "p", {"@c@1"});
  EXPECT_TRUE(Limit("@c@1", 2 * kTime).value());
  Pass(kTime);
  EXPECT_EQ(HolderOf("@c@1"), "p");
  EXPECT_TRUE(Limit("@c@1", absl::InfiniteDuration()).value());
  Pass(100 * kTime);
  EXPECT_EQ(HolderOf("@c@1"), "p");
}

TEST_F(LockTimeTest, ALimitIsForTheSectionThatItNames) {
  FakeWorker& worker = Connect();
  Lock(worker, "p", {"@c@1"});
  EXPECT_FALSE(Limit("@c@1", absl::Seconds(1), "section of q").value());
  EXPECT_FALSE(Limit("@c@2", absl::Seconds(1)).value());
  EXPECT_EQ(Left("@c@1"), kTime);
  EXPECT_TRUE(Limit("@c@1", absl::Seconds(1), "section of p").value());
  EXPECT_EQ(Left("@c@1"), absl::Seconds(1));
}

TEST_F(LockTimeTest, ALimitThatIsNegativeIsRefused) {
  const Asked<bool> refused = Limit("@c@1", -absl::Seconds(1));
  EXPECT_EQ(refused.code(), Code::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("-1s"));
}

TEST_F(LockTimeTest, ASectionThatStillWaitsHasNoLimit) {
  FakeWorker& worker = Connect();
  Signal("@c@2", "signal");
  Settle();
  const FakeItem batch = worker.TakeBatch();
  Lock(worker, "p");
  const Asked<bool> refused = Limit("@c@1", absl::Seconds(5));
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("\"p\""));
  Complete(batch, "1");
  EXPECT_EQ(Left("@c@1"), kTime);
  EXPECT_TRUE(Limit("@c@1", absl::Seconds(5)).value());
}

}  // namespace
}  // namespace leasehold
