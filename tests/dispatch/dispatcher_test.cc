#include "service/dispatch/dispatcher.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/dispatch/dispatcher_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using DispatcherDeathTest = DispatcherTest;

TEST_F(DispatcherDeathTest, WorkIsQueuedOnceAndTakenBackOnlyFromAWorker) {
  TestWork work("a");
  EXPECT_DEATH(dispatcher_.PutBack(work), "taken back is with a worker");
  dispatcher_.Enqueue(work);
  EXPECT_DEATH(dispatcher_.Enqueue(work), "only idle work is queued");
  EXPECT_DEATH(dispatcher_.SetAside(work), "taken back is with a worker");
  dispatcher_.End(work);
}

// ---- Going out --------------------------------------------------------------

TEST_F(DispatcherTest, NothingGoesOutWithoutAWorkerOrWithoutWork) {
  TestWork work("a");
  EXPECT_EQ(Give(work), 0u);
  EXPECT_EQ(work.state, Work::State::kQueued);
  EXPECT_EQ(dispatcher_.queued(), 1u);
  Add();
  EXPECT_THAT(GiveAll(), ElementsAre(&work));
  EXPECT_EQ(work.state, Work::State::kOut);
  EXPECT_EQ(dispatcher_.queued(), 0u);
  EXPECT_THAT(GiveAll(), IsEmpty());
}

TEST_F(DispatcherTest, WorkerThatHasTooMuchToTakeGetsNothing) {
  const auto sink = std::make_shared<FullSink>();
  const WorkerId full = dispatcher_.AddWorker({}, sink);
  TestWork a("a"), b("b");
  sink->bytes = WorkSink::kUntakenBytesMax;
  EXPECT_EQ(Give(a), full);
  EXPECT_FALSE(a.taker->IsFull());
  sink->bytes = WorkSink::kUntakenBytesMax + 1;
  EXPECT_TRUE(a.taker->IsFull());
  EXPECT_EQ(Give(b), 0u);
  EXPECT_FALSE(dispatcher_.IsUnwanted(b));
  sink->bytes = 0;
  EXPECT_THAT(GiveAll(), ElementsAre(&b));
}

TEST_F(DispatcherTest, WorkThatHasWaitedLongestGoesFirstWhateverItsName) {
  TestWork works[] = {TestWork("b"), TestWork("a"), TestWork("b", "2"),
                      TestWork("a")};
  for (TestWork& work : works) dispatcher_.Enqueue(work);
  Add();
  EXPECT_THAT(GiveAll(),
              ElementsAre(&works[0], &works[1], &works[2], &works[3]));
}

TEST_F(DispatcherTest, NameThatNobodyWantsHoldsUpNothing) {
  TestWork unwanted("x");
  TestWork wanted("a");
  dispatcher_.Enqueue(unwanted);
  dispatcher_.Enqueue(wanted);
  AddFor(Only({{"a", {}}}));
  EXPECT_THAT(GiveAll(), ElementsAre(&wanted));
  AddFor(Only({{"x", {}}}));
  EXPECT_THAT(GiveAll(), ElementsAre(&unwanted));
}

TEST_F(DispatcherTest, NamesThatWaitForTheSameWorkersAreLookedAtAsOne) {
  const WorkerId busy = AddWithSlots(1);
  AddFor(Only({{"other", {}}}));
  std::vector<std::unique_ptr<TestWork>> works;
  for (int i = 0; i < 16'000; ++i) {
    works.push_back(std::make_unique<TestWork>(absl::StrCat("name-", i)));
    dispatcher_.Enqueue(*works.back());
  }
  EXPECT_THAT(GiveAll(), ElementsAre(works[0].get()));
  EXPECT_EQ(dispatcher_.queues(), 1u);
  TestWork other("other");
  dispatcher_.Enqueue(other);
  EXPECT_EQ(dispatcher_.queues(), 2u);
  EXPECT_THAT(GiveAll(), ElementsAre(&other));
  EXPECT_EQ(dispatcher_.queues(), 1u);
  // Still in the order of arrival.
  dispatcher_.PutBack(*works[0]);
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(GiveAll(), ElementsAre(works[i].get()));
    EXPECT_EQ(works[i]->worker, busy);
    dispatcher_.End(*works[i]);
  }
  // Work without takers costs no search.
  Remove(busy);
  EXPECT_EQ(dispatcher_.queues(), 0u);
  Add();
  EXPECT_EQ(dispatcher_.queues(), 1u);
  EXPECT_EQ(GiveAll().size(), 100u);
}

TEST_F(DispatcherTest, ANameMayStandInSeveralFilters) {
  AddFor(Only({{"A", {"1"}}, {"a", {"2"}}, {"b", {"1"}}, {"B", {}}}));
  TestWork works[] = {TestWork("a", "1"), TestWork("A", "2"),
                      TestWork("a", "3"), TestWork("b", "7"), TestWork("a")};
  for (TestWork& work : works) dispatcher_.Enqueue(work);
  EXPECT_THAT(GiveAll(), ElementsAre(&works[0], &works[1], &works[3]));
}

TEST_F(DispatcherTest, LastResortGetsOnlyWhatNoOtherWouldTake) {
  WorkerOptions options;
  options.last_resort = true;
  options.filters[0] = Only({{"a", {}}, {"b", {}}});
  const WorkerId last = Add(std::move(options));
  TestWork alone("a");
  EXPECT_EQ(Give(alone), last);

  WorkerOptions other;
  other.slots = {1, 0};
  other.filters[0] = Only({{"a", {}}});
  const WorkerId worker = Add(std::move(other));
  TestWork first("a");
  TestWork second("a");
  TestWork unwanted("b");
  EXPECT_EQ(Give(first), worker);
  // It waits, because that worker would take it if it were free.
  EXPECT_EQ(Give(second), 0u);
  dispatcher_.Enqueue(unwanted);
  EXPECT_THAT(GiveAll(), ElementsAre(&unwanted));
  EXPECT_EQ(unwanted.worker, last);
  Remove(worker);
  EXPECT_THAT(GiveAll(), ElementsAre(&first, &second));
  EXPECT_EQ(second.worker, last);
}

TEST_F(DispatcherTest, GoesToTheWorkerWithTheLeastToDo) {
  const WorkerId first = Add();
  TestWork works[] = {TestWork("a"), TestWork("a"), TestWork("a")};
  EXPECT_EQ(Give(works[0]), first);
  const WorkerId second = Add();
  EXPECT_EQ(Give(works[1]), second);
  dispatcher_.End(works[0]);
  EXPECT_EQ(Give(works[2]), first);
}

TEST_F(DispatcherTest, OfThoseWithEquallyMuchTheOneServedLongestAgo) {
  const WorkerId workers[] = {Add(), Add(), Add()};
  std::vector<std::unique_ptr<TestWork>> works;
  for (int i = 0; i < 9; ++i) {
    works.push_back(std::make_unique<TestWork>("a"));
    EXPECT_EQ(Give(*works.back()), workers[i % 3]);
    dispatcher_.End(*works.back());
  }
}

// ---- Slots ------------------------------------------------------------------

TEST_F(DispatcherTest, WorkerHasNoMoreThanItsSlots) {
  AddWithSlots(2);
  TestWork works[] = {TestWork("a"), TestWork("a"), TestWork("a")};
  for (TestWork& work : works) dispatcher_.Enqueue(work);
  EXPECT_THAT(GiveAll(), ElementsAre(&works[0], &works[1]));
  dispatcher_.End(works[0]);
  EXPECT_THAT(GiveAll(), ElementsAre(&works[2]));
}

TEST_F(DispatcherTest, KindsHaveSlotsOfTheirOwn) {
  AddWithSlots(1, 1);
  TestWork turn("a");
  TestWork second("a");
  TestWork activity("a", "", WorkKind::kActivity);
  dispatcher_.Enqueue(turn);
  dispatcher_.Enqueue(second);
  dispatcher_.Enqueue(activity);
  EXPECT_THAT(GiveAll(), ElementsAre(&turn, &activity));
}

TEST_F(DispatcherTest, ZeroSlotsMeanAsManyAsIsUsual) {
  AddWithSlots(0);
  std::vector<std::unique_ptr<TestWork>> works;
  for (size_t i = 0; i <= Dispatcher::kSlotsByDefault; ++i) {
    works.push_back(std::make_unique<TestWork>("a"));
    dispatcher_.Enqueue(*works.back());
  }
  EXPECT_EQ(GiveAll().size(), Dispatcher::kSlotsByDefault);
}

// ---- Filters ----------------------------------------------------------------

TEST_F(DispatcherTest, FilterTruthTable) {
  using Filters = std::optional<std::vector<WorkFilter>>;
  const struct {
    const char* why;
    Filters filters;
    const char* name;
    const char* version;
    bool takes;
  } table[] = {
      {"no filters", std::nullopt, "a", "1", true},
      {"an empty list", Only({}), "a", "", false},
      {"the name", Only({{"a", {}}}), "a", "1", true},
      {"the name in other letters", Only({{"GREET", {}}}), "Greet", "", true},
      {"another name", Only({{"a", {}}}), "ab", "", false},
      {"the version", Only({{"a", {"1", "2"}}}), "a", "2", true},
      {"another version", Only({{"a", {"1", "2"}}}), "a", "3", false},
      {"versions are letter by letter", Only({{"a", {"V"}}}), "a", "v", false},
      {"one without a version", Only({{"a", {""}}}), "a", "", true},
      {"one with, not without", Only({{"a", {""}}}), "a", "1", false},
      {"one without, not with", Only({{"a", {"1"}}}), "a", "", false},
      {"the second of two", Only({{"x", {}}, {"a", {"1"}}}), "a", "1", true},
  };
  for (const auto& row : table) {
    Dispatcher dispatcher(1);
    WorkerOptions options;
    options.filters[0] = row.filters;
    dispatcher.AddWorker(std::move(options), nullptr);
    TestWork work(row.name, row.version);
    dispatcher.Enqueue(work);
    EXPECT_EQ(dispatcher.Next(0) != nullptr, row.takes) << row.why;
  }
}

TEST_F(DispatcherTest, FiltersOfOneKindSayNothingOfTheOther) {
  AddFor(Only({}));
  TestWork turn("a");
  TestWork activity("a", "", WorkKind::kActivity);
  dispatcher_.Enqueue(turn);
  dispatcher_.Enqueue(activity);
  EXPECT_THAT(GiveAll(), ElementsAre(&activity));
}

TEST_F(DispatcherTest, VersionThatChangedWhileItWasIdleCounts) {
  AddFor(Only({{"a", {"2"}}}));
  TestWork work("a", "1");
  EXPECT_EQ(Give(work), 0u);
  dispatcher_.End(work);
  work.version.assign(1, '2');
  EXPECT_NE(Give(work), 0u);
}

TEST_F(DispatcherTest, WorkThatNobodyTookGoesToAWorkerThatComesForIt) {
  WorkerOptions a;
  a.filters[0].emplace().push_back({"a", {}});
  const WorkerId first = dispatcher_.AddWorker(a, nullptr);
  TestWork works[] = {TestWork("b"), TestWork("a"), TestWork("b")};
  for (TestWork& work : works) dispatcher_.Enqueue(work);
  EXPECT_THAT(GiveAll(), ElementsAre(&works[1]));
  WorkerOptions b;
  b.filters[0].emplace().push_back({"B", {}});
  const WorkerId second = dispatcher_.AddWorker(b, nullptr);
  EXPECT_THAT(GiveAll(), ElementsAre(&works[0], &works[2]));
  Remove(second);
  EXPECT_THAT(GiveAll(), IsEmpty());
  Remove(first);
  Add();
  EXPECT_THAT(GiveAll(), ElementsAre(&works[0], &works[1], &works[2]));
}

// ---- Alone ------------------------------------------------------------------

TEST_F(DispatcherTest, AWorkerMayHaveExclusiveWorkAndOtherWorkBesideIt) {
  const WorkerId first = AddWithSlots(9);
  TestWork works[] = {TestWork("a"), TestWork("a"), TestWork("a"),
                      TestWork("a")};
  works[0].alone = works[1].alone = works[2].alone = true;
  for (TestWork& work : works) dispatcher_.Enqueue(work);
  EXPECT_THAT(GiveAll(), ElementsAre(&works[0], &works[3]));
  AddWithSlots(9);
  EXPECT_THAT(GiveAll(), ElementsAre(&works[1]));
  dispatcher_.End(works[0]);
  EXPECT_THAT(GiveAll(), ElementsAre(&works[2]));
  Remove(first);
  dispatcher_.End(works[1]);
  EXPECT_THAT(GiveAll(), ElementsAre(&works[2], &works[3]));
}

TEST_F(DispatcherTest, ALastResortTakesNamesExactlyAsTheyAre) {
  WorkerOptions options;
  options.filters[0].emplace().push_back({"Ping", {}});
  options.last_resort = true;
  dispatcher_.AddWorker(options, nullptr);
  TestWork lower("ping");
  TestWork same("Ping");
  dispatcher_.Enqueue(lower);
  dispatcher_.Enqueue(same);
  EXPECT_THAT(GiveAll(), ElementsAre(&same));
}

// ---- Put back ---------------------------------------------------------------

TEST_F(DispatcherTest, PutBackStandsWhereItStood) {
  const WorkerId worker = AddWithSlots(2);
  TestWork works[] = {TestWork("a"), TestWork("b"), TestWork("a"),
                      TestWork("b")};
  for (TestWork& work : works) dispatcher_.Enqueue(work);
  ASSERT_THAT(GiveAll(), ElementsAre(&works[0], &works[1]));
  dispatcher_.PutBack(works[1]);
  EXPECT_THAT(GiveAll(), ElementsAre(&works[1]));
  EXPECT_THAT(dispatcher_.WorkOf(worker), ElementsAre(&works[0], &works[1]));
  Remove(worker);
  Add();
  EXPECT_THAT(GiveAll(),
              ElementsAre(&works[0], &works[1], &works[2], &works[3]));
}

TEST_F(DispatcherTest, RemovedWorkerGetsNothingAndItsSlotsGoWithIt) {
  const WorkerId worker = AddWithSlots(1);
  TestWork work("a");
  EXPECT_EQ(Give(work), worker);
  EXPECT_THAT(dispatcher_.WorkOf(worker), ElementsAre(&work));
  Remove(worker);
  EXPECT_EQ(work.state, Work::State::kQueued);
  EXPECT_EQ(work.worker, 0u);
  EXPECT_THAT(GiveAll(), IsEmpty());
  EXPECT_EQ(dispatcher_.workers(), 0u);
  EXPECT_EQ(work.taker, nullptr);
  EXPECT_EQ(dispatcher_.FindWorker(worker), nullptr);
  EXPECT_THAT(dispatcher_.WorkOf(worker), IsEmpty());
  Remove(worker);
  EXPECT_NE(Add(), worker);
}

TEST_F(DispatcherTest, HeldOneIsIdleUntilItIsLinedUpAgainAtTheEnd) {
  AddWithSlots(1);
  TestWork first("a");
  TestWork second("a");
  EXPECT_NE(Give(first), 0u);
  dispatcher_.Enqueue(second);
  dispatcher_.SetAside(first);
  EXPECT_EQ(first.state, Work::State::kIdle);
  EXPECT_THAT(GiveAll(), ElementsAre(&second));
  dispatcher_.Enqueue(first);
  dispatcher_.End(second);
  EXPECT_THAT(GiveAll(), ElementsAre(&first));
}

TEST_F(DispatcherTest, HeldOneGoesRatherToAnotherWorker) {
  const WorkerId gave_back = Add();
  TestWork work("a");
  EXPECT_EQ(Give(work), gave_back);
  const WorkerId busy = Add();
  TestWork others[] = {TestWork("a"), TestWork("a"), TestWork("a")};
  EXPECT_EQ(Give(others[0]), busy);
  dispatcher_.SetAside(work);
  EXPECT_EQ(Give(work), busy);
  // Only once: now it avoids the other worker.
  dispatcher_.SetAside(work);
  EXPECT_EQ(Give(work), gave_back);
}

TEST_F(DispatcherTest,
       SetAsideWorkGoesToTheWorkerThatGaveItBackIfThereIsNoOther) {
  const WorkerId worker = Add();
  TestWork work("a");
  EXPECT_EQ(Give(work), worker);
  dispatcher_.SetAside(work);
  EXPECT_EQ(Give(work), worker);
}

// ---- Tokens -----------------------------------------------------------------

TEST_F(DispatcherTest, TokenIsNewEachTimeAndTheOldOneGoodUntilThen) {
  const WorkerId worker = Add();
  TestWork work("a");
  EXPECT_TRUE(work.token.empty());
  Give(work);
  const std::string first = work.token;
  EXPECT_EQ(dispatcher_.Find(first), &work);
  Remove(worker);
  EXPECT_EQ(dispatcher_.Find(first), &work);
  Add();
  GiveAll();
  EXPECT_NE(work.token, first);
  EXPECT_EQ(dispatcher_.Find(first), nullptr);
  const std::string second = work.token;
  dispatcher_.SetAside(work);
  EXPECT_EQ(dispatcher_.Find(second), &work);
  dispatcher_.Enqueue(work);
  EXPECT_EQ(dispatcher_.Find(second), &work);
  GiveAll();
  EXPECT_EQ(dispatcher_.Find(second), nullptr);
}

TEST_F(DispatcherTest, TakenOneHasNoTokenWhateverItsStateWas) {
  Add();
  TestWork out("a");
  TestWork held("a");
  TestWork queued("a");
  Give(out);
  Give(held);
  Give(queued);
  dispatcher_.SetAside(held);
  dispatcher_.PutBack(queued);
  for (TestWork* work : {&out, &held, &queued}) {
    const std::string token = work->token;
    dispatcher_.End(*work);
    EXPECT_EQ(work->state, Work::State::kIdle);
    EXPECT_TRUE(work->token.empty());
    EXPECT_EQ(dispatcher_.Find(token), nullptr);
  }
  EXPECT_EQ(dispatcher_.queued(), 0u);
}

TEST_F(DispatcherTest, TokensAreLongAndNoTwoAreEqual) {
  AddWithSlots(1);
  TestWork work("a");
  std::set<std::string> tokens;
  for (int i = 0; i < 1'000; ++i) {
    Give(work);
    EXPECT_GT(work.token.size(), 32u);
    EXPECT_EQ(dispatcher_.WorkerOf(work.token), work.worker);
    EXPECT_TRUE(tokens.insert(work.token).second);
    dispatcher_.End(work);
  }
}

TEST_F(DispatcherTest, ATokenSaysWhoseItWasAlsoWhenItIsDead) {
  const WorkerId worker = Add();
  TestWork work("a");
  Give(work);
  const std::string token = work.token;
  dispatcher_.End(work);
  EXPECT_EQ(dispatcher_.WorkerOf(token), worker);
  for (size_t i = 0; i < token.size(); ++i) {
    std::string other = token;
    other[i] = other[i] == '7' ? '8' : '7';
    EXPECT_EQ(dispatcher_.WorkerOf(other), 0u) << other;
  }
  for (const char* other : {"", "7", "0000000000000000", "no token of ours"}) {
    EXPECT_EQ(dispatcher_.WorkerOf(other), 0u) << other;
  }
  EXPECT_EQ(dispatcher_.WorkerOf(std::string(49, '1')), 0u);
  EXPECT_EQ(Dispatcher(43).WorkerOf(token), 0u);
}

TEST_F(DispatcherTest, TokensOfAnotherSecretAreOthers) {
  Dispatcher other(43);
  other.AddWorker({}, nullptr);
  Add();
  TestWork one("a");
  TestWork two("a");
  Give(one);
  other.Enqueue(two);
  other.Next(0);
  EXPECT_NE(one.token, two.token);
  EXPECT_EQ(dispatcher_.Find(two.token), nullptr);
}

// ---- A worker that has gone -------------------------------------------------

TEST_F(DispatcherTest, AWorkerThatHasGoneKeepsWhatWasOutUntilItIsTakenBack) {
  const WorkerId gone = AddWithSlots(2);
  TestWork out("a");
  TestWork other("b");
  TestWork queued("a");
  EXPECT_EQ(Give(out), gone);
  EXPECT_EQ(Give(other), gone);
  EXPECT_TRUE(dispatcher_.CloseWorker(gone));
  EXPECT_FALSE(dispatcher_.CloseWorker(gone));
  EXPECT_EQ(dispatcher_.workers(), 0u);
  EXPECT_EQ(out.state, Work::State::kOut);
  EXPECT_THAT(dispatcher_.WorkOf(gone), ElementsAre(&out, &other));
  EXPECT_STREQ(dispatcher_.BrokenRule(), nullptr);
  // Its slots are no one's.
  dispatcher_.End(other);
  EXPECT_EQ(Give(queued), 0u);
  EXPECT_TRUE(dispatcher_.IsUnwanted(queued));
  EXPECT_STREQ(dispatcher_.BrokenRule(), nullptr);
  dispatcher_.PutBack(out);
  EXPECT_EQ(dispatcher_.FindWorker(gone), nullptr);
  EXPECT_STREQ(dispatcher_.BrokenRule(), nullptr);
  Add();
  EXPECT_THAT(GiveAll(), ElementsAre(&out, &queued));
}

// ---- Several owners ---------------------------------------------------------

TEST_F(DispatcherTest, WorkOfAnotherOwnerThatHasWaitedLongerIsOfferedToIt) {
  const WorkerId worker = AddWithSlots(2);
  TestWork first("a");
  TestWork second("a");
  TestWork third("a");
  first.owner = third.owner = 1;
  second.owner = 2;
  for (TestWork* work : {&first, &second, &third}) dispatcher_.Enqueue(*work);
  EXPECT_EQ(dispatcher_.OwnerOfNext(), 1u);
  // Both slots are for what came before.
  EXPECT_EQ(dispatcher_.Next(2), &second);
  EXPECT_EQ(dispatcher_.Next(2), nullptr);
  EXPECT_THAT(dispatcher_.TakeOffered(), ElementsAre(1u));
  EXPECT_THAT(dispatcher_.TakeOffered(), IsEmpty());
  // It knows nothing of that until it asks.
  EXPECT_EQ(first.state, Work::State::kQueued);
  EXPECT_TRUE(first.token.empty());
  EXPECT_FALSE(dispatcher_.IsUnwanted(first));
  EXPECT_EQ(dispatcher_.queued(), 2u);
  EXPECT_EQ(dispatcher_.out(), 1u);
  EXPECT_THAT(dispatcher_.WorkOf(worker), ElementsAre(&second));
  EXPECT_STREQ(dispatcher_.BrokenRule(), nullptr);
  EXPECT_EQ(dispatcher_.Next(1), &first);
  EXPECT_EQ(first.worker, worker);
  EXPECT_EQ(dispatcher_.Next(1), nullptr);
  EXPECT_EQ(dispatcher_.OwnerOfNext(), 0u);
  dispatcher_.End(first);
  EXPECT_EQ(dispatcher_.OwnerOfNext(), 1u);
  EXPECT_EQ(dispatcher_.Next(1), &third);
}

TEST_F(DispatcherTest, WhatEndsWhileItIsOfferedGivesItsSlotBack) {
  AddWithSlots(1);
  TestWork offered("a");
  TestWork waiting("a");
  offered.owner = 1;
  waiting.owner = 2;
  dispatcher_.Enqueue(offered);
  dispatcher_.Enqueue(waiting);
  EXPECT_EQ(dispatcher_.Next(2), nullptr);
  dispatcher_.End(offered);
  EXPECT_EQ(offered.state, Work::State::kIdle);
  EXPECT_EQ(dispatcher_.Next(1), nullptr);
  EXPECT_THAT(dispatcher_.TakeOffered(), ElementsAre(1u, 2u));
  EXPECT_EQ(dispatcher_.Next(2), &waiting);
  EXPECT_STREQ(dispatcher_.BrokenRule(), nullptr);
}

TEST_F(DispatcherTest, WhatIsOfferedByAWorkerThatGoesWaitsAtItsPlace) {
  const WorkerId gone = AddWithSlots(1);
  TestWork offered("a");
  TestWork waiting("a");
  offered.owner = 1;
  waiting.owner = 2;
  dispatcher_.Enqueue(offered);
  dispatcher_.Enqueue(waiting);
  EXPECT_EQ(dispatcher_.Next(2), nullptr);
  EXPECT_TRUE(dispatcher_.CloseWorker(gone));
  EXPECT_EQ(dispatcher_.FindWorker(gone), nullptr);
  EXPECT_EQ(dispatcher_.Next(1), nullptr);
  EXPECT_STREQ(dispatcher_.BrokenRule(), nullptr);
  const WorkerId next = AddWithSlots(1);
  EXPECT_EQ(dispatcher_.OwnerOfNext(), 1u);
  EXPECT_EQ(dispatcher_.Next(2), nullptr);
  EXPECT_EQ(dispatcher_.Next(1), &offered);
  EXPECT_EQ(offered.worker, next);
}

TEST_F(DispatcherTest, WhatNobodyTakesIsToldToTheOwnerOfTheFirst) {
  AddFor(Only({{"other", {}}}));
  TestWork mine("a");
  TestWork theirs("b");
  mine.owner = 1;
  theirs.owner = 2;
  dispatcher_.Enqueue(mine);
  dispatcher_.Enqueue(theirs);
  EXPECT_EQ(dispatcher_.unwanted_notes(), 2u);
  EXPECT_THAT(dispatcher_.OwnersOfNewlyUnwanted(), ElementsAre(1u, 2u));
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(2), ElementsAre(&theirs));
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(2), IsEmpty());
  EXPECT_THAT(dispatcher_.OwnersOfNewlyUnwanted(), ElementsAre(1u));
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(1), ElementsAre(&mine));
}

}  // namespace
}  // namespace leasehold
