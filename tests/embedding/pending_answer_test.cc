// Unary calls that are answered later.
#include "service/embed/pending_answer.h"

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/embedding/embedding_fixture.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Plain {
 public:
  int64_t Add(int64_t amount) { return value_ += amount; }

 private:
  std::atomic<int64_t> value_{0};
};

class Serial {
 public:
  static constexpr auto kConcurrency = Concurrency::kSerial;
  int64_t Add(int64_t amount) { return value_ += amount; }

 private:
  int64_t value_ = 0;
};

// Keeps the answers of calls until the test gives them.
class Desk {
 public:
  struct Case {
    PendingAnswer answer;
    std::function<int64_t()> work;
    counter::v1::AddReply* reply;

    void Answer() {
      reply->set_value(work());
      answer(grpc::Status::OK);
    }
  };
  void Add(Case one) {
    MutexLock lock(mu_);
    cases_.push_back(std::move(one));
    changed_.NotifyAll();
  }
  Case Take() {
    MutexLock lock(mu_);
    while (cases_.empty()) changed_.Wait(mu_);
    Case taken = std::move(cases_.front());
    cases_.pop_front();
    return taken;
  }
  bool empty() {
    MutexLock lock(mu_);
    return cases_.empty();
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::deque<Case> cases_ ABSL_GUARDED_BY(mu_);
};

class PendingAnswerTest : public EmbeddingTest {
 protected:
  // Serves Add by what the test takes from the desk.
  template <typename State>
  Serving ServeLater() {
    return ServeBy<State>([this](State& state, PendingAnswer answer,
                                 const counter::v1::AddRequest* request,
                                 counter::v1::AddReply* reply) {
      desk_.Add({std::move(answer),
                 [&state, request] { return state.Add(request->amount()); },
                 reply});
    });
  }
  template <typename State, typename Body>
  Serving ServeBy(Body body) {
    service_ = std::make_unique<ScriptedCounter>(
        [this, body](auto* call, auto* request, auto* reply) {
          return instances_->Bind<State>(
              call,
              [=](State& state, PendingAnswer answer) {
                body(state, std::move(answer), request, reply);
              },
              "Add");
        });
    return Serve(*service_);
  }
  bool Busy(const std::string& id) {
    const auto info = instances_->registry().Describe(instances_->Key(id));
    return info.has_value() && info->state == InstanceState::kBusy;
  }

  Desk desk_;
  std::unique_ptr<ScriptedCounter> service_;
};

TEST_F(PendingAnswerTest, AnotherThreadAnswersAndThePinStaysUntilThen) {
  Make();
  const auto serving = ServeLater<Plain>();
  const auto call = NewCall("room");
  call->Begin(5);
  Desk::Case one = desk_.Take();
  clock_.Advance(absl::Hours(1));
  EXPECT_FALSE(call->done());
  EXPECT_TRUE(Busy("room"));
  one.Answer();
  EXPECT_TRUE(call->Await().ok());
  EXPECT_EQ(call->value(), 5);
  EXPECT_FALSE(Busy("room"));
}

TEST_F(PendingAnswerTest, TheAccessOfASerialStateStaysToo) {
  Make();
  const auto serving = ServeLater<Serial>();
  const auto first = NewCall("room");
  first->Begin(1);
  Desk::Case one = desk_.Take();
  const auto second = NewCall("room");
  second->Begin(2);
  // It waits for access: the timeout says so, and is not the first one's.
  AdvanceUntilDone(*second, absl::Seconds(1));
  EXPECT_EQ(second->Await().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(desk_.empty());
  one.Answer();
  EXPECT_TRUE(first->Await().ok());
  const auto third = NewCall("room");
  third->Begin(3);
  desk_.Take().Answer();
  EXPECT_TRUE(third->Await().ok());
  EXPECT_EQ(third->value(), 4);
}

TEST_F(PendingAnswerTest, TheHandlerItselfMayAnswer) {
  Make();
  const auto serving = ServeBy<Plain>(
      [](Plain& state, PendingAnswer answer, auto* request, auto* reply) {
        reply->set_value(state.Add(request->amount()));
        answer(grpc::Status::OK);
      });
  EXPECT_EQ(Add("room", 7), 7);
  EXPECT_EQ(Add("room", 1), 8);
}

TEST_F(PendingAnswerTest, TheFirstAnswerCountsWhoeverGivesIt) {
  Make();
  const auto serving = ServeLater<Plain>();
  const auto call = NewCall("room");
  call->Begin(5);
  Desk::Case one = desk_.Take();
  std::atomic<bool> go{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&go, answer = one.answer] {
      while (!go) std::this_thread::yield();
      answer({grpc::StatusCode::NOT_FOUND, "none"});
    });
  }
  go = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(call->Await().error_code(), grpc::StatusCode::NOT_FOUND);
  // The call is gone; its answer knows that.
  one.answer(grpc::Status::OK);
  one.answer.OnCancelled([] { FAIL(); });
  EXPECT_FALSE(one.answer.cancelled());
  EXPECT_TRUE(one.answer.chain().empty());
}

TEST_F(PendingAnswerTest, ACallWhoseAnswerIsDroppedEndsAndObserversAreTold) {
  Make();
  const auto serving =
      ServeBy<Plain>([](Plain&, const PendingAnswer& answer, auto*, auto*) {
        const PendingAnswer copy = answer;
      });
  const auto call = NewCall("room");
  const grpc::Status& status = call->Run(1);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(status.error_message(), "Add gave no answer");
  EXPECT_THAT(events_.threw(),
              ElementsAre(HasSubstr("room, handler Add: it dropped")));
  EXPECT_FALSE(Busy("room"));
}

TEST_F(PendingAnswerTest, ACancelledCallKeepsItsInstanceUntilItIsAnswered) {
  Make();
  const auto serving = ServeLater<Plain>();
  const auto call = NewCall("room");
  call->Begin(5);
  Desk::Case one = desk_.Take();
  EXPECT_FALSE(one.answer.cancelled());
  Latch told;
  one.answer.OnCancelled([] { FAIL() << "it was replaced"; });
  one.answer.OnCancelled([&told] { told.Open(); });
  call->context().TryCancel();
  EXPECT_EQ(call->Await().error_code(), grpc::StatusCode::CANCELLED);
  told.Await();
  EXPECT_TRUE(one.answer.cancelled());
  EXPECT_TRUE(Busy("room"));
  bool at_once = false;
  one.answer.OnCancelled([&at_once] { at_once = true; });
  EXPECT_TRUE(at_once);
  one.Answer();
  events_.Await(InstanceEventKind::kIdle, "room");
}

TEST_F(PendingAnswerTest, ACancellationMayBeTheAnswer) {
  Make();
  Latch begun;
  const auto serving =
      ServeBy<Plain>([&](Plain&, const PendingAnswer& answer, auto*, auto*) {
        answer.OnCancelled([answer] { answer(grpc::Status::CANCELLED); });
        begun.Open();
      });
  const auto call = NewCall("room");
  call->Begin(5);
  begun.Await();
  call->context().TryCancel();
  EXPECT_EQ(call->Await().error_code(), grpc::StatusCode::CANCELLED);
  events_.Await(InstanceEventKind::kIdle, "room");
}

TEST_F(PendingAnswerTest, AnExceptionEndsTheCallOnceNobodyUsesTheState) {
  Make();
  const auto serving = ServeBy<Plain>(
      [&](Plain& state, PendingAnswer answer, auto* request, auto* reply) {
        if (request->amount() == 1) {
          desk_.Add({std::move(answer),
                     [&state, request] { return state.Add(request->amount()); },
                     reply});
        }
        throw std::runtime_error("oops");
      });
  const auto unasked = NewCall("room");
  EXPECT_EQ(unasked->Run(2).error_code(), grpc::StatusCode::UNKNOWN);
  EXPECT_THAT(events_.threw(), ElementsAre("room, handler Add: oops"));

  const auto call = NewCall("room");
  call->Begin(1);
  Desk::Case one = desk_.Take();
  EXPECT_TRUE(Busy("room"));
  one.Answer();
  EXPECT_EQ(call->Await().error_code(), grpc::StatusCode::UNKNOWN);
}

TEST_F(PendingAnswerTest, ASignatureWithTheContextIsTakenToo) {
  Make();
  service_ =
      std::make_unique<ScriptedCounter>([this](auto* call, auto*, auto* reply) {
        return instances_->Bind<Plain>(
            call, [=](Plain&, InstanceContext& context, PendingAnswer answer) {
              reply->set_value(static_cast<int64_t>(context.id().size()));
              answer(grpc::Status::OK);
            });
      });
  const auto serving = Serve(*service_);
  EXPECT_EQ(Add("four", 1), 4);
}

// Goal: whatever comes first, an answer, a drop, a cancellation or the
// handler's return, each call ends once and gives everything back. Method:
// clients cancel at random moments; a thread answers, drops, or answers twice;
// at the end all can be shut down, which waits for every pin.
TEST_F(PendingAnswerTest, AnswersAtAnyMomentEndEachCallOnce) {
  constexpr int kClients = 3;
  constexpr int kCalls = 300;  // Of each.
  Make({.user_threads = 2, .log_failures = false});
  std::atomic<bool> stop{false};
  const auto serving = ServeLater<Serial>();
  std::thread clerk([&] {
    Random random(BaseSeed());
    while (!stop) {
      if (desk_.empty()) {
        std::this_thread::yield();
        continue;
      }
      Desk::Case one = desk_.Take();
      one.answer.OnCancelled([] {});
      if (OneIn(random, 4)) continue;  // Dropped.
      if (OneIn(random, 4)) {
        std::thread other([answer = one.answer] {
          answer({grpc::StatusCode::ABORTED, ""});
        });
        other.join();
        one.answer(grpc::Status::OK);
      } else {
        one.Answer();
      }
    }
  });
  std::vector<std::thread> clients;
  for (int c = 0; c < kClients; ++c) {
    clients.emplace_back([&, c] {
      Random random(BaseSeed() + c + 1);
      const std::shared_ptr<grpc::Channel> channel = Channel();
      for (int i = 0; i < kCalls; ++i) {
        Call call(channel, absl::StrCat("room-", Uniform(random, 0, 1)));
        call.Begin(1);
        if (OneIn(random, 2)) {
          for (uint64_t spin = Uniform(random, 0, 20); spin > 0; --spin) {
            std::this_thread::yield();
          }
          call.context().TryCancel();
        }
        call.Await();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  // A call that was cancelled may arrive, and wait for its answer, after its
  // client has gone: the clerk stays until the server has ended.
  Shutdown();
  stop = true;
  clerk.join();
  EXPECT_TRUE(desk_.empty());
}

}  // namespace
}  // namespace leasehold
