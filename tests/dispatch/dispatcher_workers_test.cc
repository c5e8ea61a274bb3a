// Workers that do not know what they are handed, and workers that are silent.

#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/dispatch/dispatcher.h"
#include "tests/dispatch/dispatcher_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// ---- What is known of them
// ---------------------------------------------------

TEST_F(DispatcherTest, WorkersAreListedByTheirNumbersWithWhatTheyHave) {
  WorkerOptions options;
  options.slots = {2, 0, 1};
  options.filters[0] = {{"Greet", {"1", "2"}}, {"Bye", {}}, {"bye", {}}};
  options.filters[1].emplace();
  options.peer = "ipv4:10.0.0.7:1";
  options.sdk = "durabletask-python/1.2.0";
  options.user_agent = "grpc-python/1.64.0";
  options.identity = "shop";
  const WorkerId named = dispatcher_.AddWorker(options, nullptr, /*now=*/5);
  const WorkerId any = Add();
  TestWork work("greet", "2");
  EXPECT_EQ(Give(work), named);
  const auto first = dispatcher_.WorkerAfter("", 0);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->id, named);
  EXPECT_EQ(first->peer, "ipv4:10.0.0.7:1");
  EXPECT_EQ(first->identity, "shop");
  EXPECT_EQ(first->sdk, "durabletask-python/1.2.0");
  EXPECT_EQ(first->user_agent, "grpc-python/1.64.0");
  EXPECT_EQ(first->connected, 5);
  EXPECT_EQ(first->last_seen, 5);
  const auto& [turns, activities, entities] = first->kinds;
  EXPECT_FALSE(turns.all);
  // As the worker writes them, though case does not count.
  ASSERT_EQ(turns.takes.size(), 3u);
  EXPECT_EQ(turns.takes[0].name, "Greet");
  EXPECT_THAT(turns.takes[0].versions, ElementsAre("1", "2"));
  EXPECT_EQ(turns.names, 2u);
  EXPECT_EQ(turns.used, 1u);
  EXPECT_EQ(turns.slots, 2u);
  EXPECT_FALSE(activities.all);
  EXPECT_EQ(activities.names, 0u);
  EXPECT_EQ(activities.slots, Dispatcher::kSlotsByDefault);
  EXPECT_TRUE(entities.all);
  dispatcher_.Heard(named, WorkKind::kTurn, work.token, /*now=*/9);
  EXPECT_EQ(dispatcher_.WorkerAfter("", 0)->last_seen, 9);
  EXPECT_EQ(dispatcher_.WorkerAfter("", named)->id, any);
  EXPECT_FALSE(dispatcher_.WorkerAfter("", any).has_value());
  EXPECT_FALSE(dispatcher_.WorkerAfter("acme", 0).has_value());
  dispatcher_.CloseWorker(named);
  // Its work is still out, but it is not connected.
  EXPECT_EQ(dispatcher_.WorkerAfter("", 0)->id, any);
  dispatcher_.End(work);
}

TEST_F(DispatcherTest, OfManyNamesAFewAreListed) {
  std::vector<WorkFilter> filters;
  for (int i = 0; i < 150; ++i) {
    filters.push_back({absl::StrCat("n", i), std::vector<std::string>(20)});
  }
  const WorkerId worker = AddFor(std::move(filters));
  const auto status = dispatcher_.WorkerAfter("", 0);
  EXPECT_EQ(status->kinds[0].names, 150u);
  EXPECT_EQ(status->kinds[0].takes.size(), 100u);
  EXPECT_EQ(status->kinds[0].takes[0].versions.size(), 10u);
  TestWork work("N149");
  EXPECT_EQ(Give(work), worker);
  EXPECT_TRUE(dispatcher_.Disown(work));
  EXPECT_EQ(dispatcher_.WorkerAfter("", 0)->disowned, 1u);
  dispatcher_.End(work);
}

// ---- Not mine ---------------------------------------------------------------

TEST_F(DispatcherTest, AWorkerThatAsksForANameComesBeforeOneThatTakesAnything) {
  const WorkerId any = Add();
  const WorkerId named = AddFor(Only({{"a", {}}}));
  TestWork works[] = {TestWork("a"), TestWork("a"), TestWork("b")};
  EXPECT_EQ(Give(works[0]), named);
  EXPECT_EQ(Give(works[1]), named);
  EXPECT_EQ(Give(works[2]), any);
  Remove(named);
  EXPECT_THAT(GiveAll(), ElementsAre(&works[0], &works[1]));
  EXPECT_EQ(works[0].worker, any);
}

TEST_F(DispatcherTest, DisownedOneGoesToEachOtherOnceAndThenWaits) {
  const WorkerId first = Add();
  const WorkerId second = Add();
  TestWork work("a");
  TestWork other("b");
  EXPECT_EQ(Give(work), first);
  EXPECT_TRUE(dispatcher_.Disown(work));
  EXPECT_THAT(GiveAll(), ElementsAre(&work));
  EXPECT_EQ(work.worker, second);
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(0), IsEmpty());
  EXPECT_TRUE(dispatcher_.Disown(work));
  EXPECT_THAT(GiveAll(), IsEmpty());
  EXPECT_TRUE(dispatcher_.IsUnwanted(work));
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(0), ElementsAre(&work));
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(0), IsEmpty());
  EXPECT_EQ(dispatcher_.ReachOf(work).workers, 2u);
  EXPECT_EQ(dispatcher_.ReachOf(work).disowns, 2u);
  EXPECT_EQ(dispatcher_.ReachOf(work).takes, 0u);
  // They take other names, and the other kind.
  TestWork activity("a", "", WorkKind::kActivity);
  EXPECT_NE(Give(other), 0u);
  EXPECT_NE(Give(activity), 0u);
  const WorkerId third = Add();
  EXPECT_THAT(GiveAll(), ElementsAre(&work));
  EXPECT_EQ(work.worker, third);
}

TEST_F(DispatcherTest, DisownedOneGoesToALastResortThatNamesIt) {
  WorkerOptions options;
  options.last_resort = true;
  options.filters[0] = Only({{"a", {}}});
  const WorkerId last = Add(std::move(options));
  const WorkerId stranger = Add();
  TestWork work("a");
  EXPECT_EQ(Give(work), stranger);
  dispatcher_.Disown(work);
  EXPECT_THAT(GiveAll(), ElementsAre(&work));
  EXPECT_EQ(work.worker, last);
}

TEST_F(DispatcherTest, AVersionIsDisownedAlone) {
  Add();
  TestWork one("a", "1");
  TestWork two("a", "2");
  Give(one);
  dispatcher_.Disown(one);
  EXPECT_NE(Give(two), 0u);
  EXPECT_TRUE(dispatcher_.IsUnwanted(one));
}

TEST_F(DispatcherTest, OneThatIsAloneIsDisownedWithTheRest) {
  Add();
  TestWork work("a");
  TestWork alone("a");
  alone.alone = true;
  Give(work);
  Give(alone);
  dispatcher_.Disown(work);
  dispatcher_.Disown(alone);
  EXPECT_THAT(GiveAll(), IsEmpty());
  Add();
  EXPECT_THAT(GiveAll(), ElementsAre(&work, &alone));
}

TEST_F(DispatcherTest, WhatAWorkerDoesNotKnowIsRememberedUpToABound) {
  Add();
  for (size_t i = 0; i < Dispatcher::kDisownedMax; ++i) {
    TestWork work(absl::StrCat("a", i));
    ASSERT_NE(Give(work), 0u);
    ASSERT_TRUE(dispatcher_.Disown(work));
    dispatcher_.End(work);
  }
  TestWork one_more("b");
  ASSERT_NE(Give(one_more), 0u);
  EXPECT_FALSE(dispatcher_.Disown(one_more));
  EXPECT_THAT(GiveAll(), ElementsAre(&one_more));
}

TEST_F(DispatcherTest, ForgottenOneIsOfferedAgain) {
  const WorkerId worker = Add();
  TestWork work("a");
  Give(work);
  dispatcher_.Disown(work);
  dispatcher_.ForgetDisowned(work);
  EXPECT_THAT(GiveAll(), ElementsAre(&work));
  EXPECT_EQ(work.worker, worker);
}

TEST_F(DispatcherTest, WhatNobodyTakesIsToldOnceForEachLane) {
  TestWork early("x");
  dispatcher_.Enqueue(early);
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(0), IsEmpty());  // No worker.
  AddFor(Only({}));
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(0), ElementsAre(&early));
  TestWork works[] = {TestWork("a"), TestWork("a"), TestWork("b")};
  for (TestWork& work : works) dispatcher_.Enqueue(work);
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(0),
              ElementsAre(&works[0], &works[2]));
  const WorkerId worker = Add();
  Remove(worker);
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(0),
              ElementsAre(&works[0], &works[2], &early));
}

// ---- Silence ----------------------------------------------------------------

TEST_F(DispatcherTest, OthersComeBeforeASilentWorkerUntilItAnswers) {
  const WorkerId silent = Add();
  const WorkerId other = AddWithSlots(2);
  EXPECT_TRUE(dispatcher_.SetSilent(silent));
  EXPECT_FALSE(dispatcher_.SetSilent(silent));
  EXPECT_TRUE(dispatcher_.IsSilent(silent));
  EXPECT_FALSE(dispatcher_.IsSilent(other));
  TestWork works[] = {TestWork("a"), TestWork("a"), TestWork("a")};
  EXPECT_EQ(Give(works[0]), other);
  EXPECT_EQ(Give(works[1]), other);
  // It waits for the worker that answers, though that one is busy.
  EXPECT_EQ(Give(works[2]), 0u);
  EXPECT_FALSE(dispatcher_.IsUnwanted(works[2]));
  EXPECT_FALSE(dispatcher_.IsLeftToSilent(works[2]));
  EXPECT_FALSE(Hear(other));
  EXPECT_TRUE(Hear(silent));
  EXPECT_FALSE(Hear(silent));
  EXPECT_FALSE(dispatcher_.IsSilent(silent));
  EXPECT_THAT(GiveAll(), ElementsAre(&works[2]));
  EXPECT_EQ(works[2].worker, silent);
}

TEST_F(DispatcherTest, ASilentWorkerThatIsAloneGetsOneOfEachKindAtATime) {
  const WorkerId silent = Add();
  dispatcher_.SetSilent(silent);
  TestWork turns[] = {TestWork("a"), TestWork("b"), TestWork("a")};
  TestWork activity("a", "", WorkKind::kActivity);
  EXPECT_EQ(Give(turns[0]), silent);
  EXPECT_EQ(Give(turns[1]), 0u);
  EXPECT_TRUE(dispatcher_.IsLeftToSilent(turns[1]));
  EXPECT_FALSE(dispatcher_.IsLeftToSilent(turns[0]));  // It is out.
  EXPECT_EQ(dispatcher_.ReachOf(turns[1]).silent, 1u);
  EXPECT_EQ(dispatcher_.ReachOf(turns[1]).takes, 0u);
  EXPECT_EQ(Give(activity), silent);
  dispatcher_.PutBack(turns[0]);
  EXPECT_THAT(GiveAll(), ElementsAre(&turns[0]));
  EXPECT_THAT(GiveAll(), IsEmpty());
  dispatcher_.End(turns[0]);
  EXPECT_THAT(GiveAll(), ElementsAre(&turns[1]));
  dispatcher_.Enqueue(turns[2]);
  EXPECT_THAT(GiveAll(), IsEmpty());
  EXPECT_TRUE(Hear(silent));
  EXPECT_FALSE(dispatcher_.IsLeftToSilent(turns[2]));
  EXPECT_THAT(GiveAll(), ElementsAre(&turns[2]));
}

TEST_F(DispatcherTest, WhatASilentWorkerHadBeforeKeepsNothingFromIt) {
  const WorkerId silent = Add();
  TestWork had("a");
  TestWork next("a");
  Give(had);
  dispatcher_.SetSilent(silent);
  EXPECT_EQ(Give(next), silent);
}

TEST_F(DispatcherTest,
       OfSilentWorkersTheLastResortComesBeforeThoseThatTakeAnything) {
  WorkerOptions options;
  options.filters[0] = Only({{"a", {}}});
  options.last_resort = true;
  const WorkerId last = Add(std::move(options));
  const WorkerId any = Add();
  dispatcher_.SetSilent(any);
  TestWork works[] = {TestWork("a"), TestWork("a"), TestWork("a"),
                      TestWork("a")};
  EXPECT_EQ(Give(works[0]), last);
  EXPECT_FALSE(dispatcher_.IsLeftToSilent(works[0]));
  // A worker that asks by name has something of its own there.
  const WorkerId named = AddFor(Only({{"a", {}}}));
  dispatcher_.SetSilent(named);
  EXPECT_EQ(Give(works[1]), named);
  Remove(named);
  dispatcher_.End(works[1]);
  dispatcher_.SetSilent(last);
  EXPECT_EQ(Give(works[2]), any);
  Remove(any);
  dispatcher_.End(works[2]);
  EXPECT_EQ(Give(works[3]), last);
}

TEST_F(DispatcherTest, ASilentWorkerThatAsksByNameKeepsNothingFromOthers) {
  const WorkerId named = AddFor(Only({{"a", {}}}));
  const WorkerId any = Add();
  dispatcher_.SetSilent(named);
  TestWork work("a");
  EXPECT_EQ(Give(work), any);
}

TEST_F(DispatcherTest, WhatWasAnsweredBeforeWorkWentOutIsNotSinceThen) {
  const WorkerId worker = Add();
  const WorkerId other = AddFor(Only({}));
  TestWork first("a");
  TestWork second("a");
  Give(first);
  EXPECT_FALSE(dispatcher_.HasAnsweredSince(first));
  Hear(worker);
  Hear(other);
  EXPECT_TRUE(dispatcher_.HasAnsweredSince(first));
  Give(second);
  EXPECT_TRUE(dispatcher_.HasAnsweredSince(first));
  EXPECT_FALSE(dispatcher_.HasAnsweredSince(second));
  Hear(worker);
  EXPECT_TRUE(dispatcher_.HasAnsweredSince(second));
}

TEST_F(DispatcherTest, WorkIsBehindWhileWhatWasGivenBeforeItIsAnswered) {
  Add();
  TestWork works[] = {TestWork("a"), TestWork("a"), TestWork("a"),
                      TestWork("a")};
  TestWork activity("a", "", WorkKind::kActivity);
  for (TestWork& work : works) Give(work);
  Give(activity);
  EXPECT_FALSE(dispatcher_.IsBehind(works[1]));
  Answer(activity);  // Does not count for turns.
  EXPECT_FALSE(dispatcher_.IsBehind(works[1]));
  Answer(works[0]);
  EXPECT_TRUE(dispatcher_.IsBehind(works[1]));
  EXPECT_TRUE(dispatcher_.IsBehind(works[3]));
  dispatcher_.GiveMoreTime(works[1]);
  EXPECT_FALSE(dispatcher_.IsBehind(works[1]));
  EXPECT_FALSE(dispatcher_.HasAnsweredSince(works[1]));
  Answer(works[2]);
  EXPECT_FALSE(dispatcher_.IsBehind(works[1]));  // It was overtaken.
  EXPECT_TRUE(dispatcher_.HasAnsweredSince(works[1]));
  EXPECT_TRUE(dispatcher_.IsBehind(works[3]));
}

TEST_F(DispatcherTest, WorkIsWatchedNoLongerThanItIsOut) {
  WorkWatch watch(100);
  const auto give = [&](TestWork& work) {
    Give(work);
    ASSERT_EQ(work.state, Work::State::kOut);
    watch.Watch(work, 0);
    EXPECT_TRUE(work.is_watched());
  };
  const WorkerId worker = Add();
  TestWork works[] = {TestWork("a"), TestWork("a"), TestWork("a"),
                      TestWork("a"), TestWork("a")};
  for (TestWork& work : works) give(work);
  dispatcher_.End(works[0]);
  dispatcher_.SetAside(works[1]);
  dispatcher_.PutBack(works[2]);
  Remove(worker);
  for (TestWork& work : works) EXPECT_FALSE(work.is_watched());
  TestWork last("b");
  for (TestWork& work : works) dispatcher_.End(work);
  Add();
  give(last);
  dispatcher_.End(last);
  EXPECT_FALSE(last.is_watched());
}

}  // namespace
}  // namespace leasehold
