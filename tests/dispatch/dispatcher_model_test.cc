// The dispatcher against a naive model, over random steps.

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "service/dispatch/dispatcher.h"
#include "tests/dispatch/dispatcher_fixture.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

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

// One step after another, the same for the dispatcher and for the model.
class Walk {
 public:
  explicit Walk(Random& random) : random_(random), dispatcher_(random()) {
    for (const char* name : {"a", "b"}) {
      for (const char* version : {"", "1"}) {
        for (int i = 0; i < 3; ++i) {
          works_.push_back(std::make_unique<TestWork>(
              name, version, i == 0 ? WorkKind::kActivity : WorkKind::kTurn));
          model_.places[works_.back().get()];
        }
      }
    }
  }
  ~Walk() {
    for (const auto& work : works_) dispatcher_.End(*work);
  }

  void Step() {
    TestWork& work = *works_[Uniform(random_, 0, works_.size() - 1)];
    Model::Place& place = model_.places.at(&work);
    switch (Uniform(random_, 0, 11)) {
      case 10:
      case 11:
        if (!model_.workers.empty()) AWorkerIsHeardOrSilent(work);
        break;
      case 0:
        if (model_.workers.size() < 4) AWorkerComes();
        break;
      case 1:
        if (!model_.workers.empty() && OneIn(random_, 3)) AWorkerGoes();
        break;
      case 2:
      case 3:
      case 4:
        if (place.state == Model::Place::kIdle) {
          dispatcher_.Enqueue(work);
          place.state = Model::Place::kQueued;
          place.ticket = ++model_.last_ticket;
        }
        break;
      case 5:
        dispatcher_.End(work);
        place = {place.ticket, 0, place.avoid, Model::Place::kIdle};
        break;
      case 6:
        if (place.state == Model::Place::kOut) GiveBack(work, place);
        break;
      default:
        GoesOut();
        break;
    }
  }

  void ExpectTheSame() const {
    size_t queued = 0;
    for (const auto& [one, of] : model_.places) {
      ASSERT_EQ(static_cast<int>(one->state), static_cast<int>(of.state));
      ASSERT_EQ(one->worker, of.worker);
      queued += of.state == Model::Place::kQueued;
    }
    ASSERT_EQ(dispatcher_.queued(), queued);
    ASSERT_STREQ(dispatcher_.BrokenRule(), nullptr);
  }

 private:
  using Workers = std::map<WorkerId, Model::Worker>;

  // REQUIRES: there is one.
  Workers::iterator AnyWorker() {
    auto at = model_.workers.begin();
    std::advance(at, Uniform(random_, 0, model_.workers.size() - 1));
    return at;
  }

  void AWorkerIsHeardOrSilent(const TestWork& work) {
    const auto at = AnyWorker();
    if (OneIn(random_, 8)) {
      for (auto& [id, worker] : model_.workers) {
        worker.disowned.erase({work.kind, work.name, work.version});
      }
      dispatcher_.ForgetDisowned(work);
    } else if (OneIn(random_, 2)) {
      ASSERT_EQ(dispatcher_.SetSilent(at->first), !at->second.silent);
      if (!at->second.silent) {
        for (const Work*& probe : at->second.probes) probe = nullptr;
      }
      at->second.silent = true;
    } else {
      ASSERT_EQ(dispatcher_.Heard(at->first, WorkKind::kTurn, ""),
                at->second.silent);
      at->second.silent = false;
    }
  }

  void AWorkerComes() {
    const WorkerOptions options = RandomOptions(random_);
    model_.workers[dispatcher_.AddWorker(options, nullptr)] = {
        .options = options, .disowned = {}};
  }

  void AWorkerGoes() {
    const auto at = AnyWorker();
    const size_t had = dispatcher_.WorkOf(at->first).size();
    ASSERT_TRUE(dispatcher_.CloseWorker(at->first));
    ASSERT_FALSE(dispatcher_.CloseWorker(at->first));
    for (Work* work : dispatcher_.WorkOf(at->first)) dispatcher_.PutBack(*work);
    ASSERT_EQ(dispatcher_.FindWorker(at->first), nullptr);
    size_t count = 0;
    for (auto& [one, of] : model_.places) {
      if (of.worker != at->first) continue;
      of = {of.ticket, 0, 0, Model::Place::kQueued};
      ++count;
    }
    ASSERT_EQ(had, count);
    model_.workers.erase(at);
  }

  // REQUIRES: `work` is out.
  void GiveBack(TestWork& work, Model::Place& place) {
    if (OneIn(random_, 3)) {
      dispatcher_.PutBack(work);
      place = {place.ticket, 0, 0, Model::Place::kQueued};
    } else if (OneIn(random_, 2)) {
      model_.workers.at(place.worker)
          .disowned.emplace(work.kind, work.name, work.version);
      ASSERT_TRUE(dispatcher_.Disown(work));
      place = {place.ticket, 0, 0, Model::Place::kQueued};
    } else {
      dispatcher_.SetAside(work);
      place = {place.ticket, 0, place.worker, Model::Place::kIdle};
    }
  }

  void GoesOut() {
    const auto [expected, to] = model_.Next();
    ASSERT_EQ(dispatcher_.Next(0), expected);
    if (expected == nullptr) return;
    ASSERT_EQ(expected->worker, to);
    ASSERT_EQ(dispatcher_.Find(expected->token), expected);
    Model::Worker& worker = model_.workers.at(to);
    worker.served = ++model_.last_served;
    const auto kind = static_cast<size_t>(expected->kind);
    if (worker.silent) worker.probes[kind] = expected;
    Model::Place& of = model_.places.at(expected);
    of = {of.ticket, to, 0, Model::Place::kOut};
  }

  Random& random_;
  Dispatcher dispatcher_;
  Model model_;
  std::vector<std::unique_ptr<TestWork>> works_;
};

TEST(DispatcherModel, DoesAsTheNaiveOneDoes) {
  ForEachSeed(200, [](Random& random) {
    Walk walk(random);
    for (int step = 0; step < 400; ++step) {
      walk.Step();
      if (testing::Test::HasFatalFailure()) return;
      walk.ExpectTheSame();
      if (testing::Test::HasFatalFailure()) return;
    }
  });
}

}  // namespace
}  // namespace leasehold
