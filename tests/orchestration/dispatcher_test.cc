#include "service/orchestration/dispatcher.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class NullSink final : public WorkSink {
 public:
  void Send(std::string) override {}
};

class FullSink final : public WorkSink {
 public:
  void Send(std::string) override {}
  size_t untaken() const override { return bytes; }
  size_t bytes = 0;
};

struct TestWork final : Work {
  explicit TestWork(std::string name, std::string version = "",
                    WorkKind kind = WorkKind::kTurn)
      : Work(kind, std::move(name), std::move(version)) {}
};

std::optional<std::vector<WorkFilter>> Only(std::vector<WorkFilter> filters) {
  return filters;
}

class DispatcherTest : public testing::Test {
 protected:
  WorkerId Add(WorkerOptions options = {}) {
    return dispatcher_.AddWorker(std::move(options),
                                 std::make_shared<NullSink>());
  }
  // Adds a worker that takes turns as `filters` say.
  WorkerId AddFor(std::optional<std::vector<WorkFilter>> filters) {
    WorkerOptions options;
    options.filters[0] = std::move(filters);
    return Add(std::move(options));
  }
  WorkerId AddWithSlots(size_t turns, size_t activities = 0) {
    WorkerOptions options;
    options.slots = {turns, activities};
    return Add(std::move(options));
  }
  // The worker that gets `work` next; 0: the work stays queued.
  WorkerId Give(Work& work) {
    dispatcher_.Enqueue(work);
    const auto next = dispatcher_.Next();
    if (!next.has_value()) return 0;
    EXPECT_EQ(next->work, &work);
    return work.worker;
  }
  // The worker answers something; true: it was silent.
  bool Hear(WorkerId worker) {
    return dispatcher_.Heard(worker, WorkKind::kActivity, "");
  }
  void Answer(TestWork& work) {
    dispatcher_.Heard(work.worker, work.kind, work.token);
    dispatcher_.End(work);
  }
  // All work that can go out, in order.
  std::vector<Work*> GiveAll() {
    std::vector<Work*> out;
    while (const auto next = dispatcher_.Next()) out.push_back(next->work);
    return out;
  }

  Dispatcher dispatcher_{42};
};

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
  EXPECT_FALSE(dispatcher_.IsFull(full));
  EXPECT_EQ(Give(a), full);
  sink->bytes = WorkSink::kUntakenBytesMax + 1;
  EXPECT_TRUE(dispatcher_.IsFull(full));
  EXPECT_EQ(Give(b), 0u);
  EXPECT_FALSE(dispatcher_.IsUnwanted(b));
  sink->bytes = 0;
  EXPECT_THAT(GiveAll(), ElementsAre(&b));
  EXPECT_FALSE(dispatcher_.IsFull(full + 1));  // No such worker.
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
  dispatcher_.RemoveWorker(busy);
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
  dispatcher_.RemoveWorker(worker);
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
    EXPECT_EQ(dispatcher.Next().has_value(), row.takes) << row.why;
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

TEST_F(DispatcherTest, WorkThatNobodyWantedGoesToWhoComesForIt) {
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
  dispatcher_.RemoveWorker(second);
  EXPECT_THAT(GiveAll(), IsEmpty());
  dispatcher_.RemoveWorker(first);
  Add();
  EXPECT_THAT(GiveAll(), ElementsAre(&works[0], &works[1], &works[2]));
}

// ---- Alone ------------------------------------------------------------------

TEST_F(DispatcherTest, AWorkerHasOneThatIsAloneAndOthersBesideIt) {
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
  dispatcher_.RemoveWorker(first);
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
  dispatcher_.RemoveWorker(worker);
  Add();
  EXPECT_THAT(GiveAll(),
              ElementsAre(&works[0], &works[1], &works[2], &works[3]));
}

TEST_F(DispatcherTest, RemovedWorkerGetsNothingAndItsSlotsGoWithIt) {
  const WorkerId worker = AddWithSlots(1);
  TestWork work("a");
  EXPECT_EQ(Give(work), worker);
  EXPECT_THAT(dispatcher_.WorkOf(worker), ElementsAre(&work));
  dispatcher_.RemoveWorker(worker);
  EXPECT_EQ(work.state, Work::State::kQueued);
  EXPECT_EQ(work.worker, 0u);
  EXPECT_THAT(GiveAll(), IsEmpty());
  EXPECT_EQ(dispatcher_.workers(), 0u);
  EXPECT_EQ(dispatcher_.FindSink(worker), nullptr);
  EXPECT_THAT(dispatcher_.WorkOf(worker), IsEmpty());
  dispatcher_.RemoveWorker(worker);
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

TEST_F(DispatcherTest, HeldOneGoesToWhoGaveItBackIfThereIsNoOther) {
  const WorkerId worker = Add();
  TestWork work("a");
  EXPECT_EQ(Give(work), worker);
  dispatcher_.SetAside(work);
  EXPECT_EQ(Give(work), worker);
}

// ---- Not mine ---------------------------------------------------------------

TEST_F(DispatcherTest, WhoAsksForANameComesBeforeWhoTakesAnything) {
  const WorkerId any = Add();
  const WorkerId named = AddFor(Only({{"a", {}}}));
  TestWork works[] = {TestWork("a"), TestWork("a"), TestWork("b")};
  EXPECT_EQ(Give(works[0]), named);
  EXPECT_EQ(Give(works[1]), named);
  EXPECT_EQ(Give(works[2]), any);
  dispatcher_.RemoveWorker(named);
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
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(), IsEmpty());
  EXPECT_TRUE(dispatcher_.Disown(work));
  EXPECT_THAT(GiveAll(), IsEmpty());
  EXPECT_TRUE(dispatcher_.IsUnwanted(work));
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(), ElementsAre(&work));
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(), IsEmpty());
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
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(), IsEmpty());  // No worker.
  AddFor(Only({}));
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(), ElementsAre(&early));
  TestWork works[] = {TestWork("a"), TestWork("a"), TestWork("b")};
  for (TestWork& work : works) dispatcher_.Enqueue(work);
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(),
              ElementsAre(&works[0], &works[2]));
  const WorkerId worker = Add();
  dispatcher_.RemoveWorker(worker);
  EXPECT_THAT(dispatcher_.TakeNewlyUnwanted(),
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

TEST_F(DispatcherTest, OfSilentOnesTheLastResortComesBeforeWhoTakesAnything) {
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
  dispatcher_.RemoveWorker(named);
  dispatcher_.End(works[1]);
  dispatcher_.SetSilent(last);
  EXPECT_EQ(Give(works[2]), any);
  dispatcher_.RemoveWorker(any);
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
  dispatcher_.RemoveWorker(worker);
  for (TestWork& work : works) EXPECT_FALSE(work.is_watched());
  TestWork last("b");
  for (TestWork& work : works) dispatcher_.End(work);
  Add();
  give(last);
  dispatcher_.Clear();
  EXPECT_FALSE(last.is_watched());
}

// ---- Tokens -----------------------------------------------------------------

TEST_F(DispatcherTest, TokenIsNewEachTimeAndTheOldOneGoodUntilThen) {
  const WorkerId worker = Add();
  TestWork work("a");
  EXPECT_TRUE(work.token.empty());
  Give(work);
  const std::string first = work.token;
  EXPECT_EQ(dispatcher_.Find(first), &work);
  dispatcher_.RemoveWorker(worker);
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
  other.Next();
  EXPECT_NE(one.token, two.token);
  EXPECT_EQ(dispatcher_.Find(two.token), nullptr);
}

TEST_F(DispatcherTest, ClearForgetsWorkAndKeepsWorkers) {
  AddWithSlots(1);
  std::string token;
  {
    TestWork out("a");
    TestWork queued("a");
    Give(out);
    dispatcher_.Enqueue(queued);
    token = out.token;
    dispatcher_.Clear();
  }
  EXPECT_EQ(dispatcher_.Find(token), nullptr);
  EXPECT_EQ(dispatcher_.queued(), 0u);
  EXPECT_EQ(dispatcher_.workers(), 1u);
  TestWork fresh("a");
  EXPECT_NE(Give(fresh), 0u);
}

// ---- Against a model --------------------------------------------------------

// The simplest dispatcher: it searches all work and all workers each time.
class Model {
 public:
  struct Worker {
    WorkerOptions options;
    uint64_t served = 0;
    bool silent = false;
    const Work* probes[kWorkKinds] = {};  // What it got since it became silent.
    std::set<std::tuple<WorkKind, std::string, std::string>> disowned;
  };
  struct Place {
    uint64_t ticket = 0;
    WorkerId worker = 0;
    WorkerId avoid = 0;
    enum { kIdle, kQueued, kOut } state = kIdle;
  };

  size_t Out(WorkerId id, WorkKind kind) const {
    return static_cast<size_t>(
        std::count_if(places.begin(), places.end(), [&](const auto& entry) {
          return entry.second.worker == id && entry.first->kind == kind;
        }));
  }
  // 4: a filter names it; 3: the worker takes anything; 0: it does not take it;
  // two less if it is silent.
  static int Claim(const Worker& worker, const Work& work) {
    const int less = worker.silent ? 2 : 0;
    if (worker.disowned.contains({work.kind, work.name, work.version})) {
      return 0;
    }
    const auto& filters =
        worker.options.filters[static_cast<size_t>(work.kind)];
    if (!filters.has_value()) return 3 - less;
    for (const WorkFilter& filter : *filters) {
      if (!absl::EqualsIgnoreCase(filter.name, work.name)) continue;
      if (filter.versions.empty()) return 4 - less;
      for (const std::string& version : filter.versions) {
        if (version == work.version) return 4 - less;
      }
    }
    return 0;
  }
  bool Takes(const Worker& worker, const Work& work) const {
    const int claim = Claim(worker, work);
    return claim != 0 &&
           std::none_of(workers.begin(), workers.end(), [&](const auto& other) {
             return Claim(other.second, work) > claim;
           });
  }
  // The work that goes next, and its worker.
  std::pair<const Work*, WorkerId> Next() const {
    for (const WorkKind kind : {WorkKind::kTurn, WorkKind::kActivity}) {
      const Work* next = nullptr;
      WorkerId to = 0;
      for (const auto& [work, place] : places) {
        if (work->kind != kind || place.state != Place::kQueued) continue;
        if (next != nullptr && places.at(next).ticket < place.ticket) continue;
        WorkerId best = 0;
        const WorkerId avoid = place.avoid;
        for (const auto& [id, worker] : workers) {
          if (Out(id, kind) >=
              worker.options.slots[static_cast<size_t>(kind)]) {
            continue;
          }
          if (!Takes(worker, *work)) continue;
          const Work* probe = worker.probes[static_cast<size_t>(kind)];
          // It counts only while the worker has this very item.
          if (worker.silent && probe != nullptr &&
              places.at(probe).worker == id) {
            continue;
          }
          const auto rank = [&](WorkerId of) {
            return std::tuple(of == avoid, Out(of, kind),
                              workers.at(of).served);
          };
          if (best == 0 || rank(id) < rank(best)) best = id;
        }
        if (best == 0) continue;
        next = work;
        to = best;
      }
      if (next != nullptr) return {next, to};
    }
    return {nullptr, 0};
  }

  std::map<WorkerId, Worker> workers;
  std::map<const Work*, Place> places;
  uint64_t last_ticket = 0;
  uint64_t last_served = 0;
};

WorkerOptions RandomOptions(Random& random) {
  static const std::string kNames[] = {"a", "B"};
  static const std::string kVersions[] = {"", "1"};
  WorkerOptions options;
  options.slots = {Uniform(random, 1, 3), Uniform(random, 1, 3)};
  for (auto& filters : options.filters) {
    if (OneIn(random, 2)) continue;
    filters.emplace();
    for (uint64_t i = Uniform(random, 0, 2); i > 0; --i) {
      WorkFilter filter{kNames[Uniform(random, 0, 1)], {}};
      if (OneIn(random, 2)) {
        filter.versions.push_back(kVersions[Uniform(random, 0, 1)]);
      }
      filters->push_back(std::move(filter));
    }
  }
  return options;
}

TEST(DispatcherModel, DoesAsTheNaiveOneDoes) {
  ForEachSeed(200, [](Random& random) {
    Dispatcher dispatcher(random());
    Model model;
    std::vector<std::unique_ptr<TestWork>> works;
    for (const char* name : {"a", "b"}) {
      for (const char* version : {"", "1"}) {
        for (int i = 0; i < 3; ++i) {
          works.push_back(std::make_unique<TestWork>(
              name, version, i == 0 ? WorkKind::kActivity : WorkKind::kTurn));
          model.places[works.back().get()];
        }
      }
    }
    for (int step = 0; step < 400; ++step) {
      TestWork& work = *works[Uniform(random, 0, works.size() - 1)];
      Model::Place& place = model.places.at(&work);
      switch (Uniform(random, 0, 11)) {
        case 10:
        case 11:
          if (!model.workers.empty()) {
            auto at = model.workers.begin();
            std::advance(at, Uniform(random, 0, model.workers.size() - 1));
            if (OneIn(random, 8)) {
              for (auto& [id, worker] : model.workers) {
                worker.disowned.erase({work.kind, work.name, work.version});
              }
              dispatcher.ForgetDisowned(work);
            } else if (OneIn(random, 2)) {
              ASSERT_EQ(dispatcher.SetSilent(at->first), !at->second.silent);
              if (!at->second.silent) {
                for (const Work*& probe : at->second.probes) probe = nullptr;
              }
              at->second.silent = true;
            } else {
              ASSERT_EQ(dispatcher.Heard(at->first, WorkKind::kTurn, ""),
                        at->second.silent);
              at->second.silent = false;
            }
          }
          break;
        case 0:
          if (model.workers.size() < 4) {
            const WorkerOptions options = RandomOptions(random);
            model.workers[dispatcher.AddWorker(options, nullptr)] = {
                .options = options, .disowned = {}};
          }
          break;
        case 1:
          if (!model.workers.empty() && OneIn(random, 3)) {
            auto at = model.workers.begin();
            std::advance(at, Uniform(random, 0, model.workers.size() - 1));
            const size_t had = dispatcher.WorkOf(at->first).size();
            dispatcher.RemoveWorker(at->first);
            size_t count = 0;
            for (auto& [one, of] : model.places) {
              if (of.worker != at->first) continue;
              of = {of.ticket, 0, 0, Model::Place::kQueued};
              ++count;
            }
            ASSERT_EQ(had, count);
            model.workers.erase(at);
          }
          break;
        case 2:
        case 3:
        case 4:
          if (place.state == Model::Place::kIdle) {
            dispatcher.Enqueue(work);
            place.state = Model::Place::kQueued;
            place.ticket = ++model.last_ticket;
          }
          break;
        case 5:
          dispatcher.End(work);
          place = {place.ticket, 0, place.avoid, Model::Place::kIdle};
          break;
        case 6:
          if (place.state == Model::Place::kOut) {
            if (OneIn(random, 3)) {
              dispatcher.PutBack(work);
              place = {place.ticket, 0, 0, Model::Place::kQueued};
            } else if (OneIn(random, 2)) {
              model.workers.at(place.worker)
                  .disowned.emplace(work.kind, work.name, work.version);
              ASSERT_TRUE(dispatcher.Disown(work));
              place = {place.ticket, 0, 0, Model::Place::kQueued};
            } else {
              dispatcher.SetAside(work);
              place = {place.ticket, 0, place.worker, Model::Place::kIdle};
            }
          }
          break;
        default: {
          const auto [expected, to] = model.Next();
          const auto next = dispatcher.Next();
          ASSERT_EQ(next.has_value() ? next->work : nullptr, expected);
          if (expected == nullptr) break;
          ASSERT_EQ(expected->worker, to);
          ASSERT_EQ(dispatcher.Find(expected->token), expected);
          Model::Worker& worker = model.workers.at(to);
          worker.served = ++model.last_served;
          const auto kind = static_cast<size_t>(expected->kind);
          if (worker.silent) worker.probes[kind] = expected;
          Model::Place& of = model.places.at(expected);
          of = {of.ticket, to, 0, Model::Place::kOut};
          break;
        }
      }
      size_t queued = 0;
      for (const auto& [one, of] : model.places) {
        ASSERT_EQ(static_cast<int>(one->state), static_cast<int>(of.state));
        ASSERT_EQ(one->worker, of.worker);
        queued += of.state == Model::Place::kQueued;
      }
      ASSERT_EQ(dispatcher.queued(), queued);
    }
    for (const auto& work : works) dispatcher.End(*work);
  });
}

}  // namespace
}  // namespace leasehold
