// Bind, while calls are cancelled at any moment.
//
// Goal: whatever a wait is at when its call is cancelled, the call ends once,
// and no pin and no access is lost. Method: clients call serial instances over
// and over and cancel some calls at random moments; initializers answer late or
// fail; contexts are released by force all the time. At the end everything can
// be shut down, which waits for every pin.
#include <atomic>
#include <deque>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/embedding/embedding_fixture.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

class Serial {
 public:
  static constexpr auto kConcurrency = Concurrency::kSerial;
  int64_t Add(int64_t amount) {
    EXPECT_EQ(running_.fetch_add(1), 0);
    value_ += amount;
    if (value_ % 3 == 0) std::this_thread::yield();
    running_.fetch_sub(1);
    return value_;
  }

 private:
  std::atomic<int> running_{0};
  int64_t value_ = 0;
};

// Answers initializers late, on a thread of its own, and fails now and then.
class LateAnswers {
 public:
  LateAnswers() : thread_([this] { Run(); }) {}
  ~LateAnswers() {
    {
      MutexLock lock(mu_);
      stop_ = true;
    }
    wake_.NotifyAll();
    thread_.join();
  }

  void Add(HookDone done) {
    MutexLock lock(mu_);
    pending_.push_back(std::move(done));
    wake_.NotifyOne();
  }

 private:
  void Run() {
    Random random(BaseSeed());
    for (;;) {
      std::optional<HookDone> done;
      {
        MutexLock lock(mu_);
        while (pending_.empty() && !stop_) wake_.Wait(mu_);
        if (pending_.empty()) return;
        done.emplace(std::move(pending_.front()));
        pending_.pop_front();
      }
      (*done)(OneIn(random, 5) ? absl::UnavailableError("not now")
                               : absl::OkStatus());
    }
  }

  Mutex mu_;
  CondVar wake_;
  std::deque<HookDone> pending_ ABSL_GUARDED_BY(mu_);
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

class BindStressTest : public EmbeddingTest {};

TEST_F(BindStressTest, CancellationsAtAnyMomentLoseNothing) {
  constexpr int kClients = 3;
  constexpr int kCalls = 400;  // Of each.
  LateAnswers answers;
  ScriptedInitializer initializer(
      [&](auto&, auto&, HookDone done) { answers.Add(std::move(done)); });
  ScriptedCounter service([this](auto* call, auto* request, auto* reply) {
    return instances_->Bind<Serial>(call, [=](Serial& serial) {
      reply->set_value(serial.Add(request->amount()));
      return grpc::Status::OK;
    });
  });
  Make({.initializers = {&initializer}, .user_threads = 2});
  const auto serving = Serve(service);

  std::atomic<int> ended{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < kClients; ++c) {
    clients.emplace_back([&, c] {
      Random random(BaseSeed() + c);
      const std::shared_ptr<grpc::Channel> channel = Channel();
      for (int i = 0; i < kCalls; ++i) {
        const std::string id = "room-" + std::to_string(Uniform(random, 0, 2));
        Call call(channel, id);
        call.Begin(1);
        if (OneIn(random, 2)) {
          for (uint64_t spin = Uniform(random, 0, 20); spin > 0; --spin) {
            std::this_thread::yield();
          }
          call.context().TryCancel();
        }
        call.Await();
        ++ended;
        if (OneIn(random, 10)) {
          (void)instances_->registry().Release(instances_->Key(id),
                                               /*force=*/true);
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(ended, kClients * kCalls);
  Shutdown();
}

}  // namespace
}  // namespace leasehold
