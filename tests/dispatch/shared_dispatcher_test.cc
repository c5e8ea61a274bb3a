// One dispatcher, and two owners of work.

#include "service/dispatch/shared_dispatcher.h"

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/dispatch/shared_dispatcher_fixture.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr absl::Duration kLimit = absl::Microseconds(100);
constexpr size_t kTurns = static_cast<size_t>(WorkKind::kTurn);

class SharedDispatcherTest : public testing::Test {
 protected:
  SharedDispatcher::Options Options() {
    SharedDispatcher::Options options;
    options.secret = 42;
    options.clock = &clock_;
    options.check_invariants = true;
    options.rules[kTurns] = {.limit = kLimit, .waits_in_worker = true};
    return options;
  }
  WorkerId Connect(size_t slots, std::shared_ptr<TokenSink> sink,
                   std::string peer = {}) {
    WorkerOptions options;
    options.slots[kTurns] = slots;
    options.peer = std::move(peer);
    const WorkerId id =
        dispatcher_.AddWorker(std::move(options), std::move(sink));
    dispatcher_.Wake();
    return id;
  }
  WorkerId Connect(size_t slots) { return Connect(slots, sink_); }
  SharedDispatcher::Gone Disconnect(WorkerId id) {
    const auto gone = dispatcher_.CloseWorker(id);
    EXPECT_TRUE(gone.has_value());
    dispatcher_.TellOwners(id, *gone);
    dispatcher_.Wake();
    return *gone;
  }
  // The worker answers the oldest item that it was sent. The owner of that.
  WorkOwner* AnswerOne() {
    const std::string token = std::move(sink_->tokens.front());
    sink_->tokens.pop_front();
    const auto answered = dispatcher_.OnAnswer(WorkKind::kTurn, "", token);
    if (!answered.owner) return nullptr;
    auto& owner = static_cast<FakeOwner&>(*answered.owner);
    EXPECT_TRUE(owner.Answer(token));
    return &owner;
  }

  SimulatedClock clock_;
  SharedDispatcher dispatcher_{Options()};
  std::shared_ptr<TokenSink> sink_ = std::make_shared<TokenSink>();
  FakeOwner a_{dispatcher_};
  FakeOwner b_{dispatcher_};
};

using SharedDispatcherDeathTest = SharedDispatcherTest;

TEST_F(SharedDispatcherTest, WorkGoesOutInTheOrderInWhichItCameWhoseverItIs) {
  Connect(1);
  for (int i = 0; i < 3; ++i) {
    a_.Queue();
    a_.Queue();
    b_.Queue();
  }
  EXPECT_EQ(dispatcher_.queued(a_.id()), 5u);
  EXPECT_EQ(dispatcher_.queued(b_.id()), 3u);
  std::vector<WorkOwner*> order;
  while (!sink_->tokens.empty()) order.push_back(AnswerOne());
  EXPECT_THAT(order, ElementsAre(&a_, &a_, &b_, &a_, &a_, &b_, &a_, &a_, &b_));
  EXPECT_EQ(dispatcher_.queued(a_.id()), 0u);
}

TEST_F(SharedDispatcherTest, AnOwnerIsWokenOnlyIfThereIsSomethingForIt) {
  Connect(2);
  const TestWork& first = a_.Queue();
  const TestWork& second = b_.Queue();
  EXPECT_EQ(first.state, Work::State::kOut);
  EXPECT_EQ(second.state, Work::State::kOut);
  EXPECT_EQ(a_.woken + b_.woken, 0);
  const TestWork& third = b_.Queue();
  EXPECT_EQ(third.state, Work::State::kQueued);
  // The slot that A's work leaves is for B.
  EXPECT_EQ(AnswerOne(), &a_);
  EXPECT_EQ(third.state, Work::State::kOut);
  EXPECT_EQ(a_.woken, 0);
  EXPECT_EQ(b_.woken, 1);
}

TEST_F(SharedDispatcherTest, AWorkerThatConnectsGetsWorkOfAllOwners) {
  const TestWork& first = a_.Queue();
  const TestWork& second = b_.Queue();
  const TestWork& third = a_.Queue();
  Connect(3);
  for (const TestWork* work : {&first, &second, &third}) {
    EXPECT_EQ(work->state, Work::State::kOut);
  }
  EXPECT_EQ(dispatcher_.workers(), 1u);
}

TEST_F(SharedDispatcherTest, WhatAWorkerReadsMakesRoomForWhoHasWaitedLongest) {
  class Full final : public WorkSink {
   public:
    void Send(std::string) override { ++items; }
    size_t untaken() const override { return bytes; }
    size_t bytes = kUntakenBytesMax + 1;
    int items = 0;
  };
  const auto full = std::make_shared<Full>();
  dispatcher_.AddWorker({}, full);
  a_.Queue();
  b_.Queue();
  EXPECT_EQ(full->items, 0);
  full->bytes = 0;
  dispatcher_.Nudge();
  dispatcher_.Wake();
  EXPECT_EQ(full->items, 2);
}

// ---- Answers ----------------------------------------------------------------

TEST_F(SharedDispatcherTest, ATokenOfAnotherTenantsWorkIsNone) {
  Connect(5);
  const TestWork& work = a_.Queue();
  const std::string token = work.token;
  EXPECT_FALSE(dispatcher_.OnAnswer(WorkKind::kTurn, "acme", token).owner);
  EXPECT_EQ(dispatcher_.Find(a_.id(), "acme", token), nullptr);
  EXPECT_EQ(dispatcher_.Find(a_.id(), "", token), &work);
}

TEST_F(SharedDispatcherTest, AnAnswerGoesToTheOwnerWhoseWorkItIs) {
  const WorkerId worker = Connect(5);
  a_.Queue();
  const TestWork& work = b_.Queue();
  const std::string token = work.token;
  {
    const auto answered = dispatcher_.OnAnswer(WorkKind::kTurn, "", token);
    ASSERT_TRUE(answered.owner);
    EXPECT_EQ(&*answered.owner, &b_);
    EXPECT_EQ(answered.awake, nullptr);
  }
  EXPECT_EQ(dispatcher_.Find(a_.id(), "", token), nullptr);
  EXPECT_EQ(dispatcher_.Find(b_.id(), "", token), &work);
  // Also when it was put back, until it goes out again.
  Disconnect(worker);
  EXPECT_EQ(work.state, Work::State::kQueued);
  EXPECT_TRUE(dispatcher_.OnAnswer(WorkKind::kTurn, "", token).owner);
  Connect(5);
  EXPECT_FALSE(dispatcher_.OnAnswer(WorkKind::kTurn, "", token).owner);
  EXPECT_FALSE(dispatcher_.OnAnswer(WorkKind::kTurn, "", "").owner);
  EXPECT_FALSE(dispatcher_.OnAnswer(WorkKind::kTurn, "", "no token").owner);
}

// ---- Workers that go --------------------------------------------------------

TEST_F(SharedDispatcherTest, EachOwnerTakesBackWhatAWorkerHadThatGoes) {
  const WorkerId worker = Connect(3, sink_, "here");
  const TestWork& first = a_.Queue();
  const TestWork& second = b_.Queue();
  const TestWork& third = b_.Queue();
  EXPECT_THAT(dispatcher_.WorkOf(b_.id(), worker),
              ElementsAre(&second, &third));
  const SharedDispatcher::Gone gone = Disconnect(worker);
  EXPECT_EQ(gone.peer, "here");
  EXPECT_EQ(gone.items, 3u);
  EXPECT_THAT(gone.owners, ElementsAre(a_.id(), b_.id()));
  EXPECT_EQ(a_.lost, 1);
  EXPECT_EQ(b_.lost, 2);
  EXPECT_EQ(dispatcher_.workers(), 0u);
  EXPECT_FALSE(dispatcher_.CloseWorker(worker).has_value());
  Connect(3);
  for (const TestWork* work : {&first, &second, &third}) {
    EXPECT_EQ(work->state, Work::State::kOut);
  }
}

TEST_F(SharedDispatcherTest, AWorkerThatGoesGetsNothingMoreBeforeOwnersKnow) {
  const WorkerId worker = Connect(2);
  const TestWork& had = a_.Queue();
  ASSERT_TRUE(dispatcher_.CloseWorker(worker).has_value());
  EXPECT_EQ(b_.Queue().state, Work::State::kQueued);
  // An answer that comes in between counts.
  EXPECT_EQ(AnswerOne(), &a_);
  EXPECT_EQ(had.state, Work::State::kIdle);
  EXPECT_THAT(dispatcher_.WorkOf(a_.id(), worker), IsEmpty());
}

TEST_F(SharedDispatcherTest, OwnersAreToldThatNobodyTakesTheirWorkAnyMore) {
  const WorkerId worker = Connect(1);
  WorkerOptions other;
  other.filters[kTurns].emplace().push_back({"other", {}});
  dispatcher_.AddWorker(std::move(other), nullptr);
  a_.Queue("held");
  b_.Queue("wanted");
  EXPECT_THAT(b_.unwanted, IsEmpty());
  Disconnect(worker);
  EXPECT_THAT(a_.unwanted, ElementsAre("held"));
  EXPECT_THAT(b_.unwanted, ElementsAre("wanted"));
  EXPECT_EQ(b_.takers_changed, 1);
  const auto shortage = dispatcher_.ShortageFor(b_.Queue("wanted"));
  ASSERT_TRUE(shortage.has_value());
  EXPECT_FALSE(shortage->silent);
  EXPECT_EQ(shortage->reach.workers, 1u);
  EXPECT_THAT(b_.unwanted, ElementsAre("wanted"));  // Told once.
}

// ---- Late work --------------------------------------------------------------

TEST_F(SharedDispatcherTest, LateWorkIsItsOwnersAndItsWorkerSilentForAll) {
  Connect(1);
  TestWork& late = a_.Queue();
  const TestWork& waits = b_.Queue();
  a_.Do([&] { EXPECT_TRUE(dispatcher_.Watch(late, 1'000)); });
  EXPECT_EQ(dispatcher_.NextLook(a_.id()), 1'100);
  EXPECT_EQ(dispatcher_.NextLook(b_.id()), std::nullopt);
  EXPECT_FALSE(dispatcher_.TakeLate(a_.id(), 1'099).has_value());
  EXPECT_FALSE(dispatcher_.TakeLate(b_.id(), 1'100).has_value());
  const auto taken = dispatcher_.TakeLate(a_.id(), 1'100);
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(taken->work, &late);
  EXPECT_EQ(taken->limit, kLimit);
  EXPECT_TRUE(taken->silenced);
  EXPECT_EQ(late.state, Work::State::kOut);
  EXPECT_TRUE(dispatcher_.StandingOf(late).silent);
  EXPECT_FALSE(dispatcher_.TakeLate(a_.id(), 1'100).has_value());
  const auto shortage = dispatcher_.ShortageFor(waits);
  ASSERT_TRUE(shortage.has_value());
  EXPECT_TRUE(shortage->silent);
  dispatcher_.Wake();
  EXPECT_EQ(b_.takers_changed, 1);
  EXPECT_EQ(a_.takers_changed, 0);  // It has found out itself.
  // Any answer ends the silence, and the slot is free for the other.
  const auto answered = dispatcher_.OnAnswer(WorkKind::kTurn, "", late.token);
  ASSERT_NE(answered.awake, nullptr);
  EXPECT_EQ(answered.awake->id, late.worker);
  EXPECT_FALSE(dispatcher_.ShortageFor(waits).has_value());
  EXPECT_EQ(AnswerOne(), &a_);
  EXPECT_EQ(waits.state, Work::State::kOut);
}

TEST_F(SharedDispatcherTest, WorkThatWaitsInItsWorkerGetsMoreTime) {
  Connect(2);
  TestWork& first = a_.Queue();
  TestWork& behind = b_.Queue();
  a_.Do([&] { dispatcher_.Watch(first, 0); });
  b_.Do([&] { dispatcher_.Watch(behind, 0); });
  EXPECT_EQ(AnswerOne(), &a_);
  EXPECT_FALSE(dispatcher_.TakeLate(b_.id(), 100).has_value());
  const auto late = dispatcher_.TakeLate(b_.id(), 200);
  ASSERT_TRUE(late.has_value());
  EXPECT_EQ(late->work, &behind);
}

TEST_F(SharedDispatcherTest, AnAnswerWithoutATokenIsHeardByItsWork) {
  Connect(1);
  TestWork& work = a_.Queue();
  a_.Do([&] { dispatcher_.Watch(work, 0); });
  EXPECT_TRUE(dispatcher_.TakeLate(a_.id(), 100)->silenced);
  EXPECT_NE(dispatcher_.Hear(work), nullptr);
  EXPECT_EQ(dispatcher_.Hear(work), nullptr);  // It was not silent any more.
  EXPECT_TRUE(dispatcher_.StandingOf(work).has_answered);
}

// ---- Owners that leave ------------------------------------------------------

TEST_F(SharedDispatcherTest, AnOwnerThatStopsLeavesItsSlotsToTheOthers) {
  const WorkerId worker = Connect(1);
  std::optional<FakeOwner> leaves(std::in_place, dispatcher_);
  const std::string token = leaves->Queue().token;
  leaves->Queue();
  const TestWork& waits = b_.Queue();
  EXPECT_EQ(leaves->Stop(), 2u);
  EXPECT_EQ(waits.state, Work::State::kOut);
  EXPECT_EQ(waits.worker, worker);
  const OwnerId id = leaves->id();
  EXPECT_FALSE(dispatcher_.VisitOwner(id));
  EXPECT_THAT(dispatcher_.owners(), ElementsAre(a_.id(), b_.id()));
  EXPECT_EQ(dispatcher_.queued(id), 0u);
  EXPECT_EQ(dispatcher_.NextLook(id), std::nullopt);
  leaves.reset();
  EXPECT_FALSE(dispatcher_.OnAnswer(WorkKind::kTurn, "", token).owner);
  Disconnect(worker);
}

TEST_F(SharedDispatcherTest, AnOwnerLeavesWhenNoCallOfItIsInProgress) {
  std::promise<void> called;
  std::promise<void> go_on;
  bool returned = false;
  FakeOwner leaves(dispatcher_);
  leaves.on_work_to_take = [&] {
    called.set_value();
    go_on.get_future().wait();
    returned = true;
  };
  leaves.Queue();
  std::thread waker([this] { Connect(1); });
  called.get_future().wait();
  std::thread leaver([&] {
    leaves.Stop();
    EXPECT_TRUE(returned);
  });
  while (!dispatcher_.owners().empty() &&
         dispatcher_.owners().back() == leaves.id()) {
    std::this_thread::yield();
  }
  go_on.set_value();
  leaver.join();
  waker.join();
}

TEST_F(SharedDispatcherDeathTest, AnOwnerThatLeavesHasNoWork) {
  a_.Queue();
  EXPECT_DEATH(dispatcher_.RemoveOwner(a_.id()),
               "an owner leaves without work");
}

TEST_F(SharedDispatcherTest, StatsSayWhatWaitsWhatIsOutAndWhoIsThere) {
  Connect(2);
  for (int i = 0; i < 3; ++i) a_.Queue();
  b_.Queue();
  SharedDispatcher::Stats stats = dispatcher_.stats();
  EXPECT_EQ(stats.work[kTurns].queued, 2u);
  EXPECT_EQ(stats.work[kTurns].out, 2u);
  EXPECT_EQ(stats.work[kTurns].used, 2u);
  EXPECT_EQ(stats.work[kTurns].slots, 2u);
  EXPECT_EQ(stats.workers.at("").workers, 1u);
  dispatcher_.AddWorker({.tenant = "t", .last_resort = true}, sink_);
  stats = dispatcher_.stats();
  EXPECT_EQ(stats.workers.at("t").last_resorts, 1u);
  EXPECT_EQ(stats.workers.at("t").workers, 0u);
  while (!sink_->tokens.empty()) AnswerOne();
  EXPECT_EQ(dispatcher_.stats().work[kTurns].queued, 0u);
  EXPECT_EQ(dispatcher_.stats().work[kTurns].out, 0u);
}

TEST_F(SharedDispatcherTest, HowLongWorkWaitsIsFromItsQueueToItsWorker) {
  a_.Queue();
  clock_.Advance(absl::Milliseconds(30));
  Connect(1);
  HistogramReading waits = dispatcher_.stats().waits[kTurns];
  EXPECT_EQ(waits.sum, 30'000'000u);
  // What goes out at once has not waited.
  AnswerOne();
  a_.Queue();
  waits = dispatcher_.stats().waits[kTurns];
  EXPECT_EQ(waits.sum, 30'000'000u);
  EXPECT_EQ(waits.counts.front(), 1u);
}

}  // namespace
}  // namespace leasehold
