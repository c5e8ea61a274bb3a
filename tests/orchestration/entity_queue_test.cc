#include "service/orchestration/entity_queue.h"

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string Encoded(EventBody body) {
  return EncodeEvent({HistoryEvent::kFromOutside, {1, 0}, std::move(body)});
}

EntityOperationSignaled Signal(std::optional<Timestamp> scheduled = {}) {
  return {.request_id = "s", .operation = "add", .scheduled = scheduled};
}

EntityOperationCalled Call(std::string caller) {
  EntityOperationCalled call{.request_id = "c", .operation = "get"};
  call.caller = std::move(caller);
  call.caller_execution = "e";
  return call;
}

EntityLockRequested Lock(std::string requester, std::string section) {
  return {.section_id = std::move(section),
          .lock_set = {"@a@1", "@a@2"},
          .position = 1,
          .requester = std::move(requester)};
}

class EntityQueueTest : public testing::Test {
 protected:
  // Adds a message that may go to a worker; returns its sequence.
  int64_t Add(EventBody body) {
    queue_.Add(*ReadEntityMessage(++last_, Encoded(std::move(body))));
    queue_.SetDurable(last_);
    return last_;
  }
  std::vector<int64_t> Batch() const { return queue_.NextBatch({}); }
  std::string Print() const {
    std::ostringstream out;
    out << queue_;
    return out.str();
  }

  EntityQueue queue_;
  int64_t last_ = 0;
};

TEST_F(EntityQueueTest, ReadsWhatEntitiesAreSent) {
  const auto signal = ReadEntityMessage(3, Encoded(Signal(Timestamp{5, 0})));
  EXPECT_EQ(signal->kind, EntityMessage::Kind::kSignal);
  EXPECT_EQ(signal->sequence, 3);
  EXPECT_EQ(signal->request_id, "s");
  EXPECT_EQ(signal->operation, "add");
  EXPECT_EQ(signal->due, 5'000'000);
  const auto call = ReadEntityMessage(4, Encoded(Call("p")));
  EXPECT_EQ(call->kind, EntityMessage::Kind::kCall);
  EXPECT_EQ(call->caller, "p");
  EXPECT_EQ(call->caller_execution, "e");
  EXPECT_EQ(call->due, 0);
  const auto lock = ReadEntityMessage(5, Encoded(Lock("q", "x")));
  EXPECT_EQ(lock->kind, EntityMessage::Kind::kLock);
  EXPECT_EQ(lock->request_id, "x");
  EXPECT_EQ(lock->caller, "q");
  EXPECT_EQ(lock->caller_execution, "");
  EntityLockRequested of_execution = Lock("q", "x");
  of_execution.requester_execution = "e";
  EXPECT_EQ(ReadEntityMessage(6, Encoded(of_execution))->caller_execution, "e");
}

TEST_F(EntityQueueTest, ReadsNothingElse) {
  EXPECT_EQ(ReadEntityMessage(1, "\xff"), std::nullopt);
  EXPECT_EQ(ReadEntityMessage(1, Encoded(EventRaised{"e", {}})), std::nullopt);
  EXPECT_EQ(ReadEntityMessage(1, Encoded(EntityUnlockSent{"x", {}, {}})),
            std::nullopt);
}

TEST_F(EntityQueueTest, ABatchHasWhatCameInOrder) {
  const int64_t first = Add(Signal());
  const int64_t second = Add(Call("p"));
  EXPECT_THAT(Batch(), ElementsAre(first, second));
  queue_.Remove(first);
  EXPECT_THAT(Batch(), ElementsAre(second));
  queue_.Remove(second);
  EXPECT_TRUE(queue_.idle());
  EXPECT_EQ(queue_.bytes(), 0u);
}

TEST_F(EntityQueueTest, ABatchHasLimits) {
  for (int i = 0; i < 5; ++i) Add(Signal());
  EXPECT_THAT(queue_.NextBatch({.count = 2}), ElementsAre(1, 2));
  // One always fits.
  EXPECT_THAT(queue_.NextBatch({.bytes = 1}), ElementsAre(1));
}

TEST_F(EntityQueueTest, NothingOvertakesAMessageThatIsNotDurableYet) {
  Add(Signal());
  queue_.Add(*ReadEntityMessage(++last_, Encoded(Signal())));
  Add(Signal());
  EXPECT_THAT(Batch(), ElementsAre(1));
  queue_.SetDurable(2);
  EXPECT_THAT(Batch(), ElementsAre(1, 2, 3));
}

TEST_F(EntityQueueTest, AMessageForLaterHoldsNothingUp) {
  const int64_t later = Add(Signal(Timestamp{10, 0}));
  const int64_t now = Add(Signal());
  EXPECT_THAT(Batch(), ElementsAre(now));
  EXPECT_EQ(queue_.NextDue(), 10'000'000);
  queue_.Release(9'999'999);
  EXPECT_THAT(Batch(), ElementsAre(now));
  queue_.Release(10'000'000);
  EXPECT_THAT(Batch(), ElementsAre(later, now));
  EXPECT_EQ(queue_.NextDue(), std::nullopt);
}

TEST_F(EntityQueueTest, AMessageForLaterKeepsItFromBeingIdle) {
  const int64_t later = Add(Signal(Timestamp{10, 0}));
  EXPECT_FALSE(queue_.idle());
  EXPECT_THAT(Batch(), IsEmpty());
  queue_.Remove(later);
  EXPECT_TRUE(queue_.idle());
  EXPECT_EQ(queue_.NextDue(), std::nullopt);
}

// ---- Locks ------------------------------------------------------------------

TEST_F(EntityQueueTest, ALockRequestWaitsForWhatCameBefore) {
  const int64_t signal = Add(Signal());
  const int64_t lock = Add(Lock("p", "x"));
  Add(Signal());
  EXPECT_EQ(queue_.NextLock(), nullptr);
  EXPECT_THAT(Batch(), ElementsAre(signal));
  queue_.Remove(signal);
  EXPECT_EQ(queue_.NextLock()->sequence, lock);
  EXPECT_THAT(Batch(), IsEmpty());
}

TEST_F(EntityQueueTest, OnlyCallsOfTheHolderRunWhileItIsLocked) {
  Add(Signal());
  Add(Call("q"));
  const int64_t call = Add(Call("p"));
  Add(Lock("q", "y"));
  const int64_t other = Add(Call("p"));
  queue_.Lock({"p", "x", 7});
  EXPECT_EQ(queue_.NextLock(), nullptr);
  EXPECT_THAT(Batch(), ElementsAre(call, other));
}

TEST_F(EntityQueueTest, OnlyItsCriticalSectionUnlocksIt) {
  Add(Signal());
  queue_.Lock({"p", "x", 7});
  EXPECT_FALSE(queue_.IsLockedBy("y"));
  EXPECT_TRUE(queue_.IsLockedBy("x"));
  EXPECT_EQ(queue_.lock(), (EntityLock{"p", "x", 7}));
  EXPECT_THAT(Batch(), IsEmpty());
  queue_.Unlock();
  EXPECT_FALSE(queue_.IsLockedBy("x"));
  EXPECT_THAT(Batch(), ElementsAre(1));
}

TEST_F(EntityQueueTest, OnlyCallsOfTheExecutionThatHoldsItRun) {
  const int64_t call = Add(Call("p"));  // Of execution e.
  queue_.Lock({.holder = "p", .section_id = "x", .execution_id = "f"});
  EXPECT_THAT(Batch(), IsEmpty());
  queue_.Lock({.holder = "p", .section_id = "x", .execution_id = "e"});
  EXPECT_THAT(Batch(), ElementsAre(call));
}

TEST_F(EntityQueueTest, ALockIsGivenALimit) {
  queue_.Lock({"p", "x", 7});
  EXPECT_EQ(queue_.lock()->until, 0);
  EXPECT_FALSE(queue_.lock()->granted);
  queue_.GrantLock(9);
  EXPECT_EQ(queue_.lock(), (EntityLock{"p", "x", 7, "", 9, true}));
}

TEST_F(EntityQueueTest, TheHolderMayAskAgainForTheSameSection) {
  Add(Signal());
  Add(Lock("q", "x"));
  const int64_t again = Add(Lock("p", "x"));
  queue_.Lock({"p", "x", 7});
  EXPECT_EQ(queue_.NextLock()->sequence, again);
}

TEST_F(EntityQueueTest, FindsTheLockRequestsOfAnOrchestration) {
  const int64_t lock = Add(Lock("p", "x"));
  Add(Lock("q", "y"));
  Add(Call("p"));
  EXPECT_THAT(queue_.LocksOf("p"), ElementsAre(lock));
  EXPECT_THAT(queue_.LocksOf("r"), IsEmpty());
}

TEST_F(EntityQueueTest, SaysWhatItHas) {
  EXPECT_EQ(Print(), "idle");
  Add(Call("p"));
  Add(Signal(Timestamp{10, 0}));
  Add(Lock("q", "y"));
  queue_.Lock({"p", "x", 7});
  EXPECT_EQ(Print(),
            "locked by p (x); call 1 get of p/e; later: signal 2 add; lock 3 "
            "of q");
}

}  // namespace
}  // namespace leasehold
