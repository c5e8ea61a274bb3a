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
  // One that takes turns as `filters` say.
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
  // Who gets `work` next; 0: it stays where it is.
  WorkerId Give(Work& work) {
    dispatcher_.Enqueue(work);
    const auto next = dispatcher_.Next();
    if (!next.has_value()) return 0;
    EXPECT_EQ(next->work, &work);
    return work.worker;
  }
  // All that can go out, in order.
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
  // It waits: that one would take it, were it free.
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
  dispatcher_.Take(works[0]);
  EXPECT_EQ(Give(works[2]), first);
}

TEST_F(DispatcherTest, OfThoseWithEquallyMuchTheOneServedLongestAgo) {
  const WorkerId workers[] = {Add(), Add(), Add()};
  std::vector<std::unique_ptr<TestWork>> works;
  for (int i = 0; i < 9; ++i) {
    works.push_back(std::make_unique<TestWork>("a"));
    EXPECT_EQ(Give(*works.back()), workers[i % 3]);
    dispatcher_.Take(*works.back());
  }
}

// ---- Slots ------------------------------------------------------------------

TEST_F(DispatcherTest, WorkerHasNoMoreThanItsSlots) {
  AddWithSlots(2);
  TestWork works[] = {TestWork("a"), TestWork("a"), TestWork("a")};
  for (TestWork& work : works) dispatcher_.Enqueue(work);
  EXPECT_THAT(GiveAll(), ElementsAre(&works[0], &works[1]));
  dispatcher_.Take(works[0]);
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
  dispatcher_.Take(work);
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
  dispatcher_.Take(works[0]);
  EXPECT_THAT(GiveAll(), ElementsAre(&works[2]));
  dispatcher_.RemoveWorker(first);
  dispatcher_.Take(works[1]);
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
  dispatcher_.Hold(first);
  EXPECT_EQ(first.state, Work::State::kIdle);
  EXPECT_THAT(GiveAll(), ElementsAre(&second));
  dispatcher_.Enqueue(first);
  dispatcher_.Take(second);
  EXPECT_THAT(GiveAll(), ElementsAre(&first));
}

TEST_F(DispatcherTest, HeldOneGoesRatherToAnotherWorker) {
  const WorkerId gave_back = Add();
  TestWork work("a");
  EXPECT_EQ(Give(work), gave_back);
  const WorkerId busy = Add();
  TestWork others[] = {TestWork("a"), TestWork("a"), TestWork("a")};
  EXPECT_EQ(Give(others[0]), busy);
  dispatcher_.Hold(work);
  EXPECT_EQ(Give(work), busy);
  // Once only: now it avoids the other one.
  dispatcher_.Hold(work);
  EXPECT_EQ(Give(work), gave_back);
}

TEST_F(DispatcherTest, HeldOneGoesToWhoGaveItBackIfThereIsNoOther) {
  const WorkerId worker = Add();
  TestWork work("a");
  EXPECT_EQ(Give(work), worker);
  dispatcher_.Hold(work);
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
  dispatcher_.RemoveWorker(worker);
  EXPECT_EQ(dispatcher_.Find(first), &work);
  Add();
  GiveAll();
  EXPECT_NE(work.token, first);
  EXPECT_EQ(dispatcher_.Find(first), nullptr);
  const std::string second = work.token;
  dispatcher_.Hold(work);
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
  dispatcher_.Hold(held);
  dispatcher_.PutBack(queued);
  for (TestWork* work : {&out, &held, &queued}) {
    const std::string token = work->token;
    dispatcher_.Take(*work);
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
    EXPECT_EQ(work.token.size(), 32u);
    EXPECT_TRUE(tokens.insert(work.token).second);
    dispatcher_.Take(work);
  }
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

// The most naive dispatcher: it looks at all work and all workers each time.
class Model {
 public:
  struct Worker {
    WorkerOptions options;
    uint64_t served = 0;
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
  static bool Wants(const Worker& worker, const Work& work) {
    const auto& filters =
        worker.options.filters[static_cast<size_t>(work.kind)];
    if (!filters.has_value()) return true;
    for (const WorkFilter& filter : *filters) {
      if (!absl::EqualsIgnoreCase(filter.name, work.name)) continue;
      if (filter.versions.empty()) return true;
      for (const std::string& version : filter.versions) {
        if (version == work.version) return true;
      }
    }
    return false;
  }
  // Which work goes next, and to whom.
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
          if (!Wants(worker, *work)) continue;
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
      switch (Uniform(random, 0, 9)) {
        case 0:
          if (model.workers.size() < 4) {
            const WorkerOptions options = RandomOptions(random);
            model.workers[dispatcher.AddWorker(options, nullptr)] = {options};
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
          dispatcher.Take(work);
          place = {place.ticket, 0, place.avoid, Model::Place::kIdle};
          break;
        case 6:
          if (place.state == Model::Place::kOut) {
            if (OneIn(random, 2)) {
              dispatcher.PutBack(work);
              place = {place.ticket, 0, 0, Model::Place::kQueued};
            } else {
              dispatcher.Hold(work);
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
          model.workers.at(to).served = ++model.last_served;
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
    for (const auto& work : works) dispatcher.Take(*work);
  });
}

}  // namespace
}  // namespace leasehold
