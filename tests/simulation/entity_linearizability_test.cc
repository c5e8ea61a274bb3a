// Races for entities: callers signal, call and look, also with the same request
// again, orchestrations call and lock them, holders of locks end in every way,
// commits fail, workers and the server go away. Some order of all operations
// must explain every answer, each operation takes effect once, nobody comes
// into a critical section, and at the end nothing waits and nothing is locked.
//
// A failure prints its seed and the logs of the entities.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lease/base/quote.h"
#include "tests/orchestration/entity_fixture.h"
#include "tests/simulation/entity_callers.h"
#include "tests/simulation/entity_ledger.h"
#include "tests/simulation/entity_program.h"
#include "tests/simulation/entity_worker.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using testing::HasSubstr;

struct EntityCounts {
  uint64_t signals = 0;  // Promised.
  uint64_t answers = 0;
  uint64_t looks = 0;
  uint64_t sections = 0;  // That nobody came into.
  uint64_t expired = 0;
  uint64_t ended = 0;    // Holders and others, by callers.
  uint64_t unknown = 0;  // Signals whose sender was told nothing.
  uint64_t failures = 0;
  EntityCallers::Counts calls;  // From outside.
};

class EntityWorld final : public EntityTest {
 public:
  EntityWorld(Random& random, EntityCounts& counts)
      : random_(random), counts_(counts) {
    if (OneIn(random_, 2)) options_.entity_lock_timeout = absl::Seconds(5);
    if (OneIn(random_, 2)) options_.outbox_shortcut = false;
  }

  std::optional<std::string> Run() {
    worker_ = &Connect();
    for (int i = 0; i < 300; ++i) Step();
    return End();
  }

  // Fifty orchestrations want the same ten entities at once.
  std::optional<std::string> RunCrowd() {
    worker_ = &Connect();
    calm_ = true;
    std::vector<std::string> all;
    for (int i = 0; i < 10; ++i) all.push_back(absl::StrCat("@c@", i));
    for (int i = 0; i < 50; ++i) {
      StartOne(absl::StrCat("crowd-", i),
               absl::StrCat("lock ", absl::StrJoin(all, ","), " 0"));
    }
    return End();
  }

 private:
  static constexpr size_t kIds = 4;

  void TestBody() override {}

  std::string AnyEntity() { return entity_worker_.AnyEntity(); }
  std::string AnyId() {
    return absl::StrCat("o-", Uniform(random_, 0, kIds - 1));
  }

  void Step() {
    ++now_;
    switch (Uniform(random_, 0, 16)) {
      case 0:
      case 1:
        return SendSignal();
      case 2:
        return Look(AnyEntity());
      case 3:
      case 4:
        return StartOne(AnyId(), entity_worker_.AnyProgram());
      case 5:
      case 6:
      case 7:
        writer_.RunOne();
        return;
      case 8:
        readers_.RunAny(random_);
        return;
      case 9:
        tasks_.RunAny(random_);
        return;
      case 10:
      case 11:
      case 12:
      case 13:
        return Work();
      case 14:
        return Meddle();
      case 15:
        return OneIn(random_, 8)
                   ? callers_.GiveUp(engine().entities())
                   : callers_.Call(engine().entities(), AnyEntity());
      default:
        return Harm();
    }
  }

  // ---- Callers --------------------------------------------------------------

  void SendSignal() {
    const std::string label = absl::StrCat("s", ++last_label_);
    const std::string entity = AnyEntity();
    ledger_.Begin(label, entity, /*is_call=*/false, now_);
    engine().entities().Signal(
        {.key = Key(entity), .operation = "append", .request_id = label},
        [this, label](const absl::Status& status) {
          ++now_;
          if (absl::IsUnavailable(status)) {
            ++counts_.unknown;
          } else {
            counts_.signals += status.ok() ? 1 : 0;
            ledger_.Promise(label, status.ok(), now_);
          }
        });
  }

  void Look(const std::string& entity) {
    engine().entities().GetEntity(
        Key(entity), true,
        [this, entity,
         begin = now_](const absl::StatusOr<std::optional<EntityInfo>>& info) {
          if (!info.ok()) return;
          ++counts_.looks;
          const Payload state = info->has_value() ? (*info)->state : Payload();
          ledger_.Read(entity, state.value_or(""), begin, ++now_);
        });
  }

  void StartOne(const std::string& id, const std::string& program) {
    StartRequest request = Request(id, program);
    request.policy =
        PolicyOf(OneIn(random_, 4) ? IfActive::kTerminate : IfActive::kAttach,
                 IfFinished::kReplace);
    engine().Start(std::move(request),
                   [](const absl::StatusOr<StartReceipt>&) {});
  }

  void Meddle() {
    ++counts_.ended;
    const std::string id = AnyId();
    const auto done = [](const absl::Status&) {};
    switch (Uniform(random_, 0, 3)) {
      case 0:
        return engine().TerminateByForce(Key(id), "gone", false, done);
      case 1:
        return engine().Terminate(Key(id), "gone", false, done);
      case 2:
        return engine().Purge({Key(id)}, false,
                              [](const absl::StatusOr<PurgeResult>&) {});
      default:
        return engine().entities().LimitLock(
            {Key(AnyEntity()), "", absl::Seconds(Uniform(random_, 0, 3))},
            [](const absl::StatusOr<bool>&) {});
    }
  }

  void Harm() {
    switch (Uniform(random_, 0, 5)) {
      case 0:
        ++counts_.failures;
        return store_.FailCommit(0, OneIn(random_, 2)
                                        ? FaultStore::Effect::kNone
                                        : FaultStore::Effect::kWhole);
      case 1:
        if (!OneIn(random_, 3)) return;
        RunEverything();
        Crash();
        callers_.OnCrash();
        worker_ = &Connect();
        return;
      case 2:
        work().Disconnect(worker_->id);
        worker_ = &Connect();
        return;
      default:
        clock_.Advance(absl::Seconds(Uniform(random_, 0, 4)));
        registry_->RunDueLeases();
        engine().FireTimers();
    }
  }

  // ---- The worker -----------------------------------------------------------

  void Work() {
    if (worker_->items.empty()) return;
    const size_t i = Uniform(random_, 0, worker_->items.size() - 1);
    const FakeItem item = std::move(worker_->items[i]);
    worker_->items.erase(worker_->items.begin() +
                         static_cast<std::ptrdiff_t>(i));
    if (!calm_ && OneIn(random_, 12)) return Abandon(item);
    item.kind == WorkKind::kTurn ? AnswerTurn(item) : AnswerBatch(item);
    // Its worker did not hear that it was taken.
    if (OneIn(random_, 12)) {
      item.kind == WorkKind::kTurn ? AnswerTurn(item) : AnswerBatch(item);
    }
  }

  void AnswerTurn(const FakeItem& item) {
    EntityProgram program(item.execution_id);
    for (const HistoryEvent& event : item.past) program.See(event);
    for (const HistoryEvent& event : item.events) program.See(event);
    TurnAnswer answer = entity_worker_.AnswerTurn(
        program, item.execution_id,
        !Expired(item.instance_id, program.entities()), now_);
    work().CompleteTurn(item.work_name(), std::move(answer),
                        [](const absl::Status&) {});
  }

  void AnswerBatch(const FakeItem& item) {
    BatchAnswer answer =
        entity_worker_.AnswerBatch(item.state, item.events, calm_);
    work().CompleteEntity(item.work_name(), std::move(answer),
                          [](const absl::Status&) {});
  }

  // Whether a lock of these has ended by itself while `holder` had it.
  bool Expired(const std::string& holder,
               const std::vector<std::string>& entities) const {
    for (const WorkEvent& event : told_) {
      if (event.kind != WorkEventKind::kLockExpired) continue;
      if (!absl::StrContains(event.reason, QuoteForMessage(holder))) continue;
      for (const std::string& entity : entities) {
        if (event.instance_id == entity) return true;
      }
    }
    return false;
  }

  // Unlike Settle, in turns: a command for one that is about to end is read
  // again until that is stored.
  void RunEverything() {
    bool ran = true;
    while (ran) {
      ran = writer_.RunOne();
      ran |= readers_.RunOne();
      ran |= tasks_.RunOne();
    }
  }

  // ---- The end --------------------------------------------------------------

  // Nothing fails any more.
  std::optional<std::string> End() {
    calm_ = true;
    // Those that have been answered are answered as before.
    callers_.CallAllAgain(engine().entities());
    for (int i = 0; i < 40; ++i) {
      for (RunEverything(); !worker_->items.empty(); RunEverything()) Work();
      Pass(absl::Seconds(1));
      if (i > 10 && engine().counts().open == 0) break;
    }
    counts_.sections += ledger_.sections();
    counts_.expired += CountTold(WorkEventKind::kLockExpired);
    counts_.answers += entity_worker_.answers();
    counts_.calls.answers += callers_.counts().answers;
    counts_.calls.again += callers_.counts().again;
    counts_.calls.given_up += callers_.counts().given_up;
    counts_.calls.unknown += callers_.counts().unknown;
    std::optional<std::string> found = entity_worker_.violation();
    if (!found) found = FindLeft();
    if (!found) found = callers_.FindLeft();
    std::map<std::string, std::string> logs;
    for (size_t i = 0; i < 10; ++i) {
      const std::string entity = absl::StrCat("@c@", i);
      const auto info = Entity(entity);
      logs[entity] =
          info.has_value() ? info->state.value_or("") : std::string();
    }
    if (!found) found = ledger_.FindContradiction(logs);
    TearDown();
    return found;
  }

  std::optional<std::string> FindLeft() {
    const size_t open = engine().counts().open;
    if (open > 0) {
      std::string all = absl::StrCat(open, " orchestrations never end");
      for (const AwakeEntity& one : Awake()) {
        const auto info = Entity(one.row.id);
        absl::StrAppend(&all, "\n  ", one.row.id, ": ", info->waiting, " wait");
        if (info->lock.has_value()) {
          absl::StrAppend(&all, "; held by ", info->lock->holder, " (",
                          info->lock->section_id, ")");
        }
      }
      return all;
    }
    for (const AwakeEntity& one : Awake()) {
      return absl::StrCat(one.row.id, " never rests");
    }
    return std::nullopt;
  }

  Random& random_;
  EntityCounts& counts_;
  FakeWorker* worker_ = nullptr;
  EntityLedger ledger_;
  EntityWorker entity_worker_{random_, ledger_};
  int now_ = 0;
  EntityCallers callers_{random_, ledger_, now_};
  int last_label_ = 0;
  bool calm_ = false;
};

TEST(EntityLinearizability, SomeOrderExplainsEveryAnswer) {
  EntityCounts counts;
  ForEachSeed(300, [&counts](Random& random) {
    const auto contradiction = EntityWorld(random, counts).Run();
    if (contradiction.has_value()) ADD_FAILURE() << *contradiction;
  });
}

TEST(EntityLinearizability, FiftyThatWantTenAtOnceEndInEveryOrder) {
  EntityCounts counts;
  ForEachSeed(20, [&counts](Random& random) {
    const auto contradiction = EntityWorld(random, counts).RunCrowd();
    if (contradiction.has_value()) ADD_FAILURE() << *contradiction;
  });
  EXPECT_GE(counts.sections, 50u);
}

// Goal: the worlds reach the difficult cases. Method: count them over a few
// hundred.
TEST(EntityLinearizability, WorldsGoWhereItHurts) {
  EntityCounts counts;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    EntityWorld(random, counts).Run();
  }
  EXPECT_GT(counts.signals, 2'000u);
  EXPECT_GT(counts.answers, 1'000u);
  EXPECT_GT(counts.looks, 1'000u);
  EXPECT_GT(counts.sections, 200u);
  EXPECT_GT(counts.expired, 20u);
  EXPECT_GT(counts.ended, 1'000u);
  EXPECT_GT(counts.unknown, 20u);
  EXPECT_GT(counts.failures, 100u);
  EXPECT_GT(counts.calls.answers, 500u);
  EXPECT_GT(counts.calls.again, 500u);
  EXPECT_GT(counts.calls.given_up, 100u);
  EXPECT_GT(counts.calls.unknown, 100u);
}

// ---- The check itself -------------------------------------------------------

class EntityLedgerTest : public testing::Test {
 protected:
  void Signal(const std::string& label, int begin, int end,
              const std::string& entity = "@c@1") {
    ledger_.Begin(label, entity, false, begin);
    ledger_.Promise(label, true, end);
  }
  void Call(const std::string& label, int begin, int end,
            const std::string& log, const std::string& entity = "@c@1") {
    ledger_.Begin(label, entity, true, begin);
    ledger_.Answer(label, log, end);
  }
  std::string Found(std::string log, std::string other = "") {
    return ledger_.FindContradiction({{"@c@1", log}, {"@c@2", other}})
        .value_or("");
  }
  EntityLedger ledger_;
};

TEST_F(EntityLedgerTest, AnOperationTakesEffectOnce) {
  Signal("1", 1, 2);
  EXPECT_EQ(Found("1"), "");
  EXPECT_THAT(Found("1 1"), HasSubstr("twice"));
  EXPECT_THAT(Found(""), HasSubstr("promised, and never"));
  EXPECT_THAT(Found("", "1"), HasSubstr("nobody sent"));
}

TEST_F(EntityLedgerTest, SignalsTakeEffectInTheirOrderUnlessTheyOverlap) {
  Signal("1", 1, 2);
  Signal("2", 3, 5);
  Signal("3", 4, 6);
  EXPECT_EQ(Found("1 2 3"), "");
  EXPECT_EQ(Found("1 3 2"), "");
  EXPECT_THAT(Found("2 1 3"), HasSubstr("came before"));
}

TEST_F(EntityLedgerTest, ACallIsAnsweredWithWhatWasThere) {
  Signal("1", 1, 2);
  Call("2", 1, 4, "1 2");
  EXPECT_EQ(Found("1 2"), "");
  EXPECT_THAT(Found("2 1"), HasSubstr("was answered with 1 2"));
}

TEST_F(EntityLedgerTest, ACallThatIsMadeAgainIsAnsweredAsBefore) {
  Call("1", 1, 2, "1");
  Signal("2", 3, 4);
  Call("1", 5, 6, "1");
  EXPECT_EQ(Found("1 2"), "");
  Call("1", 7, 8, "1 2");
  EXPECT_THAT(Found("1 2"), HasSubstr("was answered again, with 1 2"));
}

TEST_F(EntityLedgerTest, ALookSeesWhatHasEndedAndNothingThatBeginsLater) {
  Call("1", 1, 2, "1");
  Signal("2", 7, 8);
  ledger_.Read("@c@1", "1", 3, 4);
  EXPECT_EQ(Found("1 2"), "");
  ledger_.Read("@c@1", "1 2", 5, 6);
  EXPECT_THAT(Found("1 2"), HasSubstr("before operation 2"));
}

TEST_F(EntityLedgerTest, WhatAnEntityHasSentTakesEffectOnce) {
  Signal("1", 1, 2);
  EXPECT_EQ(Found("1>@c@2", "1>"), "");
  EXPECT_THAT(Found("1>@c@2"), HasSubstr("never took effect"));
  EXPECT_THAT(Found("1", "1>"), HasSubstr("nobody sent"));
}

TEST_F(EntityLedgerTest, NobodyComesIntoACriticalSection) {
  for (const char* entity : {"@c@1", "@c@2"}) {
    for (const char* label : {"a/1", "a/2", "b/1", "b/2"}) {
      ledger_.Begin(label + std::string(entity), entity, true, 1);
    }
    ledger_.EndSection("a/", {"@c@1", "@c@2"}, 2);
    ledger_.EndSection("b/", {"@c@1", "@c@2"}, 2);
  }
  const auto log = [](const char* entity, std::vector<std::string> labels) {
    for (std::string& label : labels) label += entity;
    return absl::StrJoin(labels, " ");
  };
  const std::string a = log("@c@1", {"a/1", "a/2", "b/1", "b/2"});
  EXPECT_EQ(Found(a, log("@c@2", {"a/1", "a/2", "b/1", "b/2"})), "");
  EXPECT_THAT(Found(a, log("@c@2", {"a/1", "b/1", "a/2", "b/2"})),
              HasSubstr("came into"));
  EXPECT_THAT(Found(a, log("@c@2", {"b/1", "b/2", "a/1", "a/2"})),
              HasSubstr("after it at another"));
}

}  // namespace
}  // namespace leasehold
