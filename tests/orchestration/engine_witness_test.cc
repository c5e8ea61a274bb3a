// Work that crashes the server again and again fails in the end; work that only
// happened to be out at the same time does not.
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class EngineWitnessTest : public EngineTest {
 protected:
  // A worker in this process.
  FakeWorker& ConnectBuiltin(size_t turns = 100) {
    WorkerOptions options;
    options.last_resort = true;
    options.slots = {turns, 100};
    return Connect(std::move(options));
  }
  // Starts a server. Work of `id` crashes it when sent to its worker; other
  // work is completed. Returns whether it crashed.
  bool Live(std::string_view id, size_t turns = 100) {
    FakeWorker& worker = ConnectBuiltin(turns);
    for (int i = 0; i < 200; ++i) {
      Settle();
      const std::deque<FakeItem> items = worker.items;
      for (const FakeItem& item : items) {
        if (item.instance_id == id) {
          Crash();
          return true;
        }
      }
      worker.items.clear();
      for (const FakeItem& item : items) {
        item.kind == WorkKind::kTurn ? Answer(item, {Complete()}) : Done(item);
      }
      Settle();
      Pass(absl::Milliseconds(300));
    }
    work().Disconnect(worker.id);
    Settle();
    return false;
  }
  std::string FailureOf(std::string_view id) {
    const AskedInfo info = Get(id);
    Settle();
    return info.value()->failure.bytes.value_or("");
  }
};

TEST_F(EngineWitnessTest, ATurnThatEndsTheServerTenTimesFails) {
  Start("bad");
  for (int i = 0; i < 5; ++i) Start(absl::StrCat("good-", i));
  Settle();
  int ends = 0;
  while (ends < 100 && Live("bad")) ++ends;
  EXPECT_EQ(ends, 10);
  Settle();
  EXPECT_EQ(StatusOf("bad"), "Failed");
  EXPECT_THAT(FailureOf("bad"),
              AllOf(HasSubstr("DeliveryLimit"), HasSubstr("10 times"),
                    HasSubstr("the server itself ended"),
                    HasSubstr("--max-deliveries")));
  EXPECT_THAT(History("bad"), ElementsAre("turn", "started()", "ended(3)"));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(StatusOf(absl::StrCat("good-", i)), "Completed");
  }
}

TEST_F(EngineWitnessTest, AnActivityThatEndsTheServerFailsForItsOrchestration) {
  options_.deliveries_max = 3;
  FakeWorker& first = Connect({.slots = {1, 0}, .filters = {{{}, {{}}}}});
  Run(first, "a", {CallTask(1, "Bad"), CallTask(2, "Good")});
  work().Disconnect(first.id);
  for (int i = 0; i < 3; ++i) {
    WorkerOptions options;
    options.last_resort = true;
    options.filters[0].emplace();
    options.filters[1].emplace().push_back({"Bad", {}});
    FakeWorker& worker = Connect(options);
    Settle();
    Pass(absl::Minutes(1));
    ASSERT_THAT(worker.items, SizeIs(1)) << i;
    Crash();
  }
  Settle();
  FakeWorker& worker = Connect();
  Settle();
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.events), Contains("task 1 failed"));
  EXPECT_EQ(worker.TakeActivity().name, "Good");
}

TEST_F(EngineWitnessTest, TheParentOfOneThatEndsTheServerIsTold) {
  options_.deliveries_max = 2;
  FakeWorker& first = Connect();
  Run(first, "parent", {CallChild(1, "child")});
  ASSERT_EQ(first.TakeTurn().instance_id, "child");
  Crash();
  Connect();
  Settle();
  Crash();
  Settle();
  EXPECT_EQ(StatusOf("child"), "Failed");
  FakeWorker& last = Connect();
  Settle();
  EXPECT_THAT(Words(last.TakeTurn().events), Contains("child 1 failed"));
}

TEST_F(EngineWitnessTest, AnAnswerForgetsAndACleanEndForgetsToo) {
  options_.deliveries_max = 3;
  Start("a");
  Settle();
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 2; ++i) {
      FakeWorker& worker = Connect();
      Settle();
      Pass(absl::Minutes(1));
      ASSERT_THAT(worker.items, SizeIs(1));
      Crash();
    }
    if (round % 2 == 0) {
      Connect();
      Settle();
      Reopen();
      continue;
    }
    FakeWorker& worker = Connect();
    Settle();
    Pass(absl::Minutes(1));
    Answer(worker.TakeTurn());
    Raise("a", "e");
    Settle();
    work().Disconnect(worker.id);
    ASSERT_EQ(StatusOf("a"), "Running");
    FakeWorker& next = Connect();
    Settle();
    Answer(next.TakeTurn());
    Settle();
    work().Disconnect(next.id);
    Raise("a", "e");
    Settle();
  }
}

TEST_F(EngineWitnessTest, AnActivityElsewhereIsNotBlamedForTheServersEnd) {
  options_.deliveries_max = 2;
  FakeWorker& first = Connect();
  Run(first, "a", {CallTask(1, "Long")});
  for (int i = 0; i < 5; ++i) {
    Crash();
    FakeWorker& worker = Connect();
    Settle();
    Pass(absl::Minutes(1));
    ASSERT_THAT(worker.items, SizeIs(1)) << i;
  }
  EXPECT_EQ(StatusOf("a"), "Running");
}

TEST_F(EngineWitnessTest, ButForItsAnswerItIs) {
  options_.deliveries_max = 1;
  FakeWorker& first = Connect();
  Run(first, "a", {CallTask(1, "Work")});
  store_.FailCommit(0, FaultStore::Effect::kNone);
  Done(first.TakeActivity());  // Queued for the store, but never committed.
  Crash();
  FakeWorker& worker = Connect();
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events), Contains("task 1 failed"));
}

TEST_F(EngineWitnessTest, NothingIsNotedOfWhatIsDone) {
  FakeWorker& worker = ConnectBuiltin();
  Run(worker, "a", {CallTask(1, "Work")});
  Done(worker.TakeActivity());
  Settle();
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  EXPECT_THAT(store_.witness()->TakeLeft(), IsEmpty());
}

}  // namespace
}  // namespace leasehold
