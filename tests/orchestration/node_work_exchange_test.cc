// One exchange for the workers of several engines.

#include "service/orchestration/node_work_exchange.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/engine_fixture.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// ---- Where an answer goes ---------------------------------------------------

struct FakeWork final : Work {
  FakeWork() : Work(WorkKind::kTurn, kTestTenant, "Main", "") {}
};

// Owns the instances whose ID begins with its letter, and notes what it is
// asked.
class FakeEngine final : public OwnerAnswers, public WorkOwner {
 public:
  FakeEngine(SharedDispatcher& dispatcher, char letter)
      : dispatcher_(dispatcher),
        letter_(letter),
        id(dispatcher.AddOwner(*this)) {}
  ~FakeEngine() override { Leave(); }
  void Leave() {
    dispatcher_.End(work);
    if (std::exchange(left_, true)) return;
    dispatcher_.RemoveOwner(id);
  }

  bool Owns(const InstanceKey& key) const override {
    return !key.id.empty() && key.id[0] == letter_;
  }
  void CompleteTurn(const WorkName&, TurnAnswer, DoneStatus done) override {
    asked.push_back("turn");
    done(absl::OkStatus());
  }
  void CompleteActivity(const WorkName&, EventBody, DoneStatus done) override {
    asked.push_back("activity");
    done(absl::OkStatus());
  }
  void CompleteEntity(const WorkName&, BatchAnswer, DoneStatus done) override {
    asked.push_back("entity");
    done(absl::OkStatus());
  }
  void RefuseAnswer(WorkKind, const WorkName&, std::string_view why) override {
    asked.push_back(std::string(why));
  }
  void Abandon(WorkKind, const WorkName&) override {
    asked.push_back("abandon");
  }
  void OnWorkToTake() override { dispatcher_.Next(id); }
  void OnTakersChanged() override {}
  void OnWorkerGone(WorkerId) override { dispatcher_.PutBack(work); }
  OwnerAnswers& answers() override { return *this; }

 private:
  SharedDispatcher& dispatcher_;
  const char letter_;
  bool left_ = false;

 public:
  const OwnerId id;
  FakeWork work;
  std::vector<std::string> asked;
};

class NodeWorkExchangeTest : public testing::Test, public WorkObserver {
 protected:
  void OnWork(const WorkEvent& event) override { told_.push_back(event.kind); }
  static WorkName Named(std::string token, std::string_view id) {
    return {.token = std::move(token), .key = TestKey(id)};
  }
  absl::Status Complete(const WorkName& name) {
    absl::Status status = absl::UnknownError("there is no answer");
    work_.CompleteTurn(name, {},
                       [&](const absl::Status& told) { status = told; });
    return status;
  }

  std::vector<WorkEventKind> told_;
  SimulatedClock clock_;
  NodeWorkExchange work_{clock_, *this, {.check_invariants = true}};
  FakeEngine a_{work_.dispatcher(), 'a'};
  FakeEngine b_{work_.dispatcher(), 'b'};
};

TEST_F(NodeWorkExchangeTest, WorkersAreListedWithTimesOfDay) {
  const absl::Time begin = clock_.WallNow();
  work_.Connect({.tenant = std::string(kTestTenant)}, nullptr);
  clock_.Advance(absl::Seconds(5));
  work_.dispatcher().Enqueue(a_.id, a_.work);
  ASSERT_EQ(work_.dispatcher().Next(a_.id), &a_.work);
  EXPECT_TRUE(Complete(Named(a_.work.token, "a")).ok());
  clock_.Advance(absl::Seconds(5));
  const auto page = work_.ListWorkers({.tenant = std::string(kTestTenant)});
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->workers.size(), 1u);
  EXPECT_EQ(page->workers[0].connected, begin);
  EXPECT_EQ(page->workers[0].last_seen, begin + absl::Seconds(5));
  EXPECT_EQ(page->next_page_token, "");
}

TEST_F(NodeWorkExchangeTest, WorkersOfATenantComePageByPage) {
  for (const char* tenant : {"acme", "globex", "acme", "acme"}) {
    work_.Connect({.tenant = tenant}, nullptr);
  }
  WorkersQuery query{.tenant = "acme", .count_max = 2};
  const auto first = work_.ListWorkers(query);
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(first->workers.size(), 2u);
  EXPECT_EQ(first->workers[1].status.id, 3u);
  query.page_token.text = first->next_page_token;
  const auto second = work_.ListWorkers(query);
  ASSERT_TRUE(second.ok());
  ASSERT_EQ(second->workers.size(), 1u);
  EXPECT_EQ(second->workers[0].status.id, 4u);
  EXPECT_EQ(second->next_page_token, "");
  // It is nobody else's token.
  query.tenant = "globex";
  EXPECT_EQ(work_.ListWorkers(query).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(NodeWorkExchangeTest, APageOfWorkersHasABoundInBytes) {
  WorkerOptions options{.tenant = "acme"};
  for (auto& filters : options.filters) {
    filters.emplace(100, WorkFilter{std::string(1024, 'n'), {}});
  }
  for (int i = 0; i < 12; ++i) work_.Connect(options, nullptr);
  const auto page = work_.ListWorkers({.tenant = "acme"});
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->workers.size(), 10u);
  EXPECT_NE(page->next_page_token, "");
}

TEST_F(NodeWorkExchangeTest, AnAnswerGoesWhereItsWorkIs) {
  work_.Connect({.tenant = std::string(kTestTenant)}, nullptr);
  work_.dispatcher().Enqueue(b_.id, b_.work);
  work_.OnWorkTaken();
  ASSERT_EQ(b_.work.state, Work::State::kOut);
  // Whatever it says of the instance.
  EXPECT_TRUE(Complete(Named(b_.work.token, "a-1")).ok());
  work_.CompleteActivity(Named(b_.work.token, ""), TaskCompleted{},
                         [](auto) {});
  work_.CompleteEntity(Named(b_.work.token, ""), {}, [](auto) {});
  work_.RefuseAnswer(WorkKind::kTurn, Named(b_.work.token, ""), "why");
  work_.Abandon(WorkKind::kTurn, Named(b_.work.token, ""));
  EXPECT_THAT(b_.asked,
              ElementsAre("turn", "activity", "entity", "why", "abandon"));
  EXPECT_THAT(a_.asked, IsEmpty());
}

TEST_F(NodeWorkExchangeTest, WithoutATokenItGoesToTheOwnerOfTheInstance) {
  EXPECT_TRUE(Complete(Named("", "b-1")).ok());
  EXPECT_TRUE(Complete(Named("of work that is gone", "b-1")).ok());
  EXPECT_THAT(a_.asked, IsEmpty());
  EXPECT_THAT(b_.asked, ElementsAre("turn", "turn"));
  // Nobody's: any engine refuses it.
  EXPECT_TRUE(Complete(Named("", "c-1")).ok());
  EXPECT_THAT(a_.asked, ElementsAre("turn"));
}

TEST_F(NodeWorkExchangeTest, WithoutEnginesAnswersAreRefusedAndNothingIsTold) {
  const WorkerId worker =
      work_.Connect({.tenant = std::string(kTestTenant)}, nullptr);
  EXPECT_THAT(told_, ElementsAre(WorkEventKind::kWorkerConnected));
  a_.Leave();
  EXPECT_TRUE(Complete(Named("", "a-1")).ok());
  EXPECT_THAT(b_.asked, ElementsAre("turn"));
  b_.Leave();
  EXPECT_EQ(Complete(Named("", "b-1")).code(), absl::StatusCode::kUnavailable);
  work_.RefuseAnswer(WorkKind::kTurn, Named("", "b-1"), "why");
  work_.Abandon(WorkKind::kTurn, Named("", "b-1"));
  work_.Disconnect(worker);
  EXPECT_THAT(told_, ElementsAre(WorkEventKind::kWorkerConnected));
}

TEST_F(NodeWorkExchangeTest, AWorkerComesAndGoesOnceForAllEngines) {
  const WorkerId worker =
      work_.Connect({.tenant = std::string(kTestTenant)}, nullptr);
  for (FakeEngine* engine : {&a_, &b_}) {
    work_.dispatcher().Enqueue(engine->id, engine->work);
  }
  work_.OnWorkTaken();
  EXPECT_EQ(a_.work.state, Work::State::kOut);
  EXPECT_EQ(b_.work.state, Work::State::kQueued);  // It is offered.
  work_.dispatcher().Next(b_.id);
  work_.Disconnect(worker);
  EXPECT_EQ(a_.work.state, Work::State::kQueued);
  EXPECT_EQ(b_.work.state, Work::State::kQueued);
  EXPECT_THAT(told_, ElementsAre(WorkEventKind::kWorkerConnected,
                                 WorkEventKind::kWorkerGone));
  work_.Disconnect(worker);  // It has gone.
  EXPECT_EQ(told_.size(), 2u);
}

// ---- Two engines ------------------------------------------------------------

// A second engine beside the fixture's, with a store of its own.
class TwoEnginesTest : public EngineTest {
 protected:
  Engine& second() {
    if (second_ == nullptr) {
      engine();
      kept_ = work_;
      second_ = std::make_unique<Engine>(clock_, second_store_, *registry_,
                                         writer_, readers_, work().dispatcher(),
                                         *this, options_);
      EXPECT_TRUE(second_->Open().ok());
    }
    return *second_;
  }
  Asked<StartReceipt> StartSecond(std::string_view id) {
    Asked<StartReceipt> asked;
    second().Start(Request(id), asked.done());
    return asked;
  }
  std::string StatusOfSecond(std::string_view id) {
    AskedInfo asked;
    second().Get(Key(id), true, asked.done());
    Settle();
    return std::string(StatusName(asked.value()->status));
  }
  void TearDown() override {
    if (second_ != nullptr) second_->Stop();
    EngineTest::TearDown();
  }

 private:
  MemoryStore second_store_;
  // The second engine is destroyed last.
  std::shared_ptr<NodeWorkExchange> kept_;
  std::unique_ptr<Engine> second_;
};

TEST_F(TwoEnginesTest, OneWorkerDoesTheWorkOfBoth) {
  second();
  FakeWorker& worker = Connect({.slots = {1, 1}});
  const auto a = Start("a");
  const auto b = StartSecond("b");
  Settle();
  ASSERT_TRUE(a.ok());
  ASSERT_TRUE(b.ok());
  // One slot: the second waits for the first, and goes out with its answer.
  ASSERT_EQ(worker.items.size(), 1u);
  EXPECT_TRUE(second().counts().queued == 1 && engine().counts().queued == 0);
  FakeItem turn = worker.TakeTurn();
  EXPECT_EQ(turn.instance_id, "a");
  auto answer = Answer(turn, {CallTask(1, "Work")});
  Settle();
  EXPECT_TRUE(answer.ok()) << answer.status();
  turn = worker.TakeTurn();
  EXPECT_EQ(turn.instance_id, "b");
  const FakeItem activity = worker.TakeActivity();
  EXPECT_EQ(activity.instance_id, "a");
  answer = Answer(turn, {Complete("done")});
  const auto done = Done(activity);
  Settle();
  EXPECT_TRUE(answer.ok() && done.ok());
  EXPECT_EQ(StatusOfSecond("b"), "Completed");
  answer = Answer(worker.TakeTurn(), {Complete("done")});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Completed");
}

TEST_F(TwoEnginesTest, AWorkerThatGoesIsALossForBoth) {
  second();
  FakeWorker& first = Connect();
  Start("a");
  StartSecond("b");
  Settle();
  ASSERT_EQ(first.items.size(), 2u);
  work().Disconnect(first.id);
  EXPECT_EQ(CountTold(WorkEventKind::kWorkerGone), 1u);
  EXPECT_EQ(Told(WorkEventKind::kWorkerGone).count, 2u);
  EXPECT_EQ(CountTold(WorkEventKind::kLost), 2u);
  FakeWorker& next = Connect();
  Settle();
  EXPECT_EQ(next.items.size(), 2u);
}

TEST_F(TwoEnginesTest, TheOtherGoesOnWhenOneStops) {
  second();
  FakeWorker& worker = Connect({.slots = {1, 1}});
  StartSecond("b");
  Settle();
  const FakeItem late = worker.TakeTurn();
  EXPECT_EQ(late.instance_id, "b");
  Start("a");
  Settle();
  EXPECT_TRUE(worker.items.empty());
  second().Stop();
  Settle();
  // The slot is the other's now.
  const FakeItem turn = worker.TakeTurn();
  EXPECT_EQ(turn.instance_id, "a");
  EXPECT_EQ(Answer(late, {Complete()}).code(), absl::StatusCode::kNotFound);
  const auto answer = Answer(turn, {Complete()});
  Settle();
  EXPECT_TRUE(answer.ok());
  EXPECT_EQ(StatusOf("a"), "Completed");
}

}  // namespace
}  // namespace leasehold
