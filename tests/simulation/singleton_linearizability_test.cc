// Races for singletons: several callers start, inspect, terminate and purge
// orchestrations of few IDs, a worker runs them, commits fail now and then.
// Some order of all operations must explain every answer.
//
// A failure prints its seed and the operations on the ID.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/engine_fixture.h"
#include "tests/simulation/singleton_history.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using testing::HasSubstr;

using Kind = Operation::Kind;
using Status = OrchestrationStatus;

struct LinearizabilityCounts {
  uint64_t operations = 0;
  uint64_t created = 0;
  uint64_t attached = 0;
  uint64_t refused = 0;
  uint64_t purged = 0;
  uint64_t unknown = 0;
  uint64_t overlaps = 0;  // Operations that began while another was in flight.
};

class SingletonWorld final : public EngineTest {
 public:
  SingletonWorld(Random& random, LinearizabilityCounts& counts)
      : random_(random), counts_(counts) {}

  std::optional<std::string> Run() {
    worker_ = &Connect();
    for (int i = 0; i < 200; ++i) Step();
    // Everything is answered in the end.
    for (int i = 0; i < 20; ++i) {
      Settle();
      Pass(absl::Seconds(1));
    }
    std::optional<std::string> contradiction;
    for (size_t i = 0; i < kIds && !contradiction; ++i) {
      Look(i);
      Settle();
      for (const auto& operation : done_[i]) {
        if (operation->end == Operation::kNever) {
          contradiction = "was never answered: " + Describe(*operation);
        }
      }
      if (contradiction) break;
      std::vector<Operation> operations;
      for (const auto& operation : done_[i]) {
        if (!operation->no_effect) operations.push_back(*operation);
      }
      contradiction = FindContradiction(operations);
    }
    TearDown();
    return contradiction;
  }

 private:
  static constexpr size_t kIds = 2;
  static constexpr size_t kOperationsMax = 60;  // Of one ID.
  static constexpr int kCallers = 5;            // At a time.

  void TestBody() override {}

  std::string Id(size_t i) const { return absl::StrCat("singleton-", i); }

  void Step() {
    ++now_;
    switch (Uniform(random_, 0, 13)) {
      case 0:
      case 1:
      case 2:
        return Call(Uniform(random_, 0, kIds - 1));
      case 3:
      case 4:
      case 5:
        return writer_.RunOne() ? void() : Call(0);
      case 6:
      case 7:
      case 8:
        readers_.RunAny(random_);
        return;
      case 9:
      case 10:
        tasks_.RunAny(random_);
        return;
      case 11:
      case 12:
        return Work();
      default:
        if (OneIn(random_, 4)) {
          store_.FailCommit(0, OneIn(random_, 2) ? FaultStore::Effect::kNone
                                                 : FaultStore::Effect::kWhole);
        } else {
          clock_.Advance(absl::Seconds(Uniform(random_, 0, 10)));
          registry_->RunDueLeases();
          engine().FireTimers();
        }
    }
  }

  // ---- Callers --------------------------------------------------------------

  std::shared_ptr<Operation> Begin(size_t i, Kind kind) {
    auto operation = std::make_shared<Operation>();
    operation->kind = kind;
    operation->begin = now_;
    done_[i].push_back(operation);
    ++counts_.operations;
    if (under_way_++ > 0) ++counts_.overlaps;
    return operation;
  }
  // Whether the result is known.
  bool End(Operation& operation, const absl::Status& status) {
    operation.end = ++now_;
    operation.unknown = absl::IsUnavailable(status);
    if (operation.unknown) ++counts_.unknown;
    --under_way_;
    return !operation.unknown;
  }

  void Call(size_t i) {
    if (under_way_ >= kCallers || done_[i].size() >= kOperationsMax) return;
    switch (Uniform(random_, 0, 9)) {
      case 0:
        return Purge(i);
      case 1:
        return Terminate(i);
      case 2:
      case 3:
      case 4:
        return Look(i);
      default:
        return Start(i);
    }
  }

  void Start(size_t i) {
    StartRequest request = Request(Id(i));
    if (!OneIn(random_, 4)) {  // Otherwise like most clients of the other door.
      // One after the other: the same seed is the same world everywhere.
      const auto if_active = static_cast<IfActive>(Uniform(random_, 0, 2));
      const auto if_finished = static_cast<IfFinished>(Uniform(random_, 0, 2));
      request.policy = PolicyOf(if_active, if_finished);
    }
    const auto operation = Begin(i, Kind::kStart);
    operation->policy = request.policy;
    engine().Start(std::move(request),
                   [this, operation](const absl::StatusOr<StartReceipt>& it) {
                     if (!End(*operation, it.status())) return;
                     operation->refused = absl::IsAlreadyExists(it.status());
                     if (operation->refused) ++counts_.refused;
                     if (!it.ok()) return;
                     operation->done = it->created;
                     operation->execution = it->execution_id;
                     ++(it->created ? counts_.created : counts_.attached);
                   });
  }

  void Look(size_t i) {
    const auto operation = Begin(i, Kind::kGet);
    engine().Get(
        Key(Id(i)), OneIn(random_, 2),
        [this, operation](
            const absl::StatusOr<std::optional<OrchestrationInfo>>& info) {
          if (!End(*operation, info.status())) return;
          if (!info.ok() || !info->has_value()) return;
          operation->execution = (*info)->summary.execution_id;
          operation->status = (*info)->status;
        });
  }

  void Terminate(size_t i) {
    const auto operation = Begin(i, Kind::kTerminate);
    engine().Terminate(Key(Id(i)), std::nullopt, false,
                       [this, operation](const absl::Status& status) {
                         if (!End(*operation, status)) return;
                         operation->done = status.ok();
                         operation->refused =
                             absl::IsFailedPrecondition(status);
                       });
  }

  void Purge(size_t i) {
    const auto operation = Begin(i, Kind::kPurge);
    engine().Purge({Key(Id(i))}, false,
                   [this, operation](const absl::StatusOr<PurgeResult>& it) {
                     if (!End(*operation, it.status())) return;
                     operation->done = it.ok() && it->erased > 0;
                     if (operation->done) ++counts_.purged;
                   });
  }

  // ---- The worker -----------------------------------------------------------

  void Work() {
    if (worker_->items.empty()) return;
    const FakeItem turn = worker_->TakeTurn();
    const size_t i = turn.instance_id == Id(0) ? 0 : 1;
    if (done_[i].size() >= kOperationsMax) return;
    const bool terminated =
        std::any_of(turn.events.begin(), turn.events.end(), [](const auto& e) {
          return e.template As<ExecutionTerminated>() != nullptr;
        });
    Status comes_to = Status::kRunning;
    if (terminated) {
      comes_to = Status::kTerminated;
    } else if (OneIn(random_, 2)) {
      comes_to = Status::kCompleted;
    }
    TurnAnswer answer;
    if (comes_to != Status::kRunning) {
      answer.actions.push_back(Complete("out", 100, comes_to));
    }
    const auto operation = Begin(i, Kind::kTurn);
    operation->status = comes_to;
    operation->execution = turn.execution_id;
    work().CompleteTurn(turn.work_name(), std::move(answer),
                        [this, operation](const absl::Status& status) {
                          if (!End(*operation, status)) return;
                          // It belonged to another worker by then.
                          operation->no_effect = !status.ok();
                        });
  }

  Random& random_;
  LinearizabilityCounts& counts_;
  FakeWorker* worker_ = nullptr;
  int now_ = 0;
  int under_way_ = 0;
  std::vector<std::shared_ptr<Operation>> done_[kIds];
};

TEST(SingletonLinearizability, SomeOrderExplainsEveryAnswer) {
  LinearizabilityCounts counts;
  ForEachSeed(300, [&counts](Random& random) {
    const auto contradiction = SingletonWorld(random, counts).Run();
    if (contradiction.has_value()) ADD_FAILURE() << *contradiction;
  });
}

// Goal: the worlds reach the difficult cases. Method: count them over a few
// hundred.
TEST(SingletonLinearizability, WorldsGoWhereItHurts) {
  LinearizabilityCounts counts;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    SingletonWorld(random, counts).Run();
  }
  EXPECT_GT(counts.operations, 5'000u);
  EXPECT_GT(counts.created, 500u);
  EXPECT_GT(counts.attached, 200u);
  EXPECT_GT(counts.refused, 200u);
  EXPECT_GT(counts.purged, 20u);
  EXPECT_GT(counts.unknown, 100u);
  EXPECT_GT(counts.overlaps, 2'000u);
}

// ---- The check itself -------------------------------------------------------

Operation Started(int begin, int end, std::string execution, bool created,
                  ReusePolicy policy = {}) {
  Operation operation{.kind = Kind::kStart, .begin = begin, .end = end};
  operation.policy = std::move(policy);
  operation.done = created;
  operation.execution = std::move(execution);
  return operation;
}

Operation Seen(int begin, int end, std::string execution, Status status) {
  Operation operation{.kind = Kind::kGet, .begin = begin, .end = end};
  operation.execution = std::move(execution);
  operation.status = status;
  return operation;
}

ReusePolicy Ensure() {
  return PolicyOf(IfActive::kAttach, IfFinished::kAttach);
}

TEST(SingletonHistory, TwoThatCreatedAreAContradictionThoughTheyOverlap) {
  const auto found = FindContradiction({Started(1, 4, "e1", true, Ensure()),
                                        Started(2, 3, "e2", true, Ensure())});
  ASSERT_TRUE(found.has_value());
  EXPECT_THAT(*found, HasSubstr("execution e2"));
}

TEST(SingletonHistory, AttachedBeforeItWasCreatedIsNoErrorWhileTheyOverlap) {
  EXPECT_FALSE(FindContradiction({Started(1, 4, "e1", true, Ensure()),
                                  Started(2, 3, "e1", false, Ensure())}));
  EXPECT_TRUE(FindContradiction({Started(3, 4, "e1", true, Ensure()),
                                 Started(1, 2, "e1", false, Ensure())}));
}

TEST(SingletonHistory, LookThatIsOlderThanTheStartBeforeItIsAContradiction) {
  Operation nothing{.kind = Kind::kGet, .begin = 3, .end = 4};
  EXPECT_TRUE(FindContradiction({Started(1, 2, "e1", true), nothing}));
  nothing.begin = 1;
  EXPECT_FALSE(FindContradiction({Started(1, 2, "e1", true), nothing}));
}

TEST(SingletonHistory, StartOfUnknownEndMayBeSeenOrNot) {
  Operation lost = Started(1, 2, "", false);
  lost.unknown = true;
  Operation nothing{.kind = Kind::kGet, .begin = 3, .end = 4};
  EXPECT_FALSE(FindContradiction({lost, nothing}));
  EXPECT_FALSE(FindContradiction({lost, Seen(3, 4, "e1", Status::kPending)}));
  // But it is one execution, not two.
  EXPECT_TRUE(FindContradiction({lost, Seen(3, 4, "e1", Status::kPending),
                                 Seen(5, 6, "e2", Status::kPending)}));
}

}  // namespace
}  // namespace leasehold
