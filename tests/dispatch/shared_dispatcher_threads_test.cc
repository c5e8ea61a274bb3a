// Owners and workers in threads of their own, all at once: nothing is lost, and
// nothing is done twice. For ThreadSanitizer, too.

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "lease/base/mutex.h"
#include "service/dispatch/shared_dispatcher.h"
#include "tests/dispatch/shared_dispatcher_fixture.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

constexpr int kOwners = 3;
constexpr int kWorkers = 2;
constexpr int kWorks = 200;  // Of each owner.

// Tokens that were sent to workers. Closed once all work is done.
class Inbox {
 public:
  void Push(std::string token) {
    const MutexLock lock(mu_);
    tokens_.push_back(std::move(token));
    changed_.NotifyOne();
  }
  // Blocks until there is one; nullopt: it is closed.
  std::optional<std::string> Pop() {
    const MutexLock lock(mu_);
    while (tokens_.empty() && !closed_) changed_.Wait(mu_);
    if (closed_) return std::nullopt;
    std::string token = std::move(tokens_.front());
    tokens_.pop_front();
    return token;
  }
  void Close() {
    const MutexLock lock(mu_);
    closed_ = true;
    changed_.NotifyAll();
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::deque<std::string> tokens_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

TEST(SharedDispatcherThreads, AllWorkIsDoneOnceWhoeverComesAndGoes) {
  ForEachSeed(10, [](Random& random) {
    SharedDispatcher dispatcher({.secret = random(), .check_invariants = true});
    Inbox inbox;
    std::atomic<int> left = kOwners * kWorks;
    const auto done = [&](int count) {
      if (left.fetch_sub(count) == count) inbox.Close();
    };
    const auto connect = [&] {
      WorkerOptions options;
      options.slots[0] = 3;
      const WorkerId id = dispatcher.AddWorker(
          std::move(options),
          std::make_shared<TokenSink>(
              [&](std::string token) { inbox.Push(std::move(token)); }));
      dispatcher.Wake();
      return id;
    };
    std::vector<std::unique_ptr<FakeOwner>> owners;
    for (int i = 0; i < kOwners; ++i) {
      owners.push_back(std::make_unique<FakeOwner>(dispatcher));
    }

    std::vector<std::thread> threads;
    for (int i = 0; i < kOwners; ++i) {
      // The last one stops in the middle of it.
      const bool stops = i == kOwners - 1;
      threads.emplace_back([&, stops, owner = owners[i].get()] {
        for (int work = 0; work < kWorks / (stops ? 2 : 1); ++work) {
          owner->Queue();
        }
        if (!stops) return;
        done(static_cast<int>(owner->Stop()) + kWorks - kWorks / 2);
      });
    }
    for (int i = 0; i < kWorkers; ++i) {
      threads.emplace_back([&, seed = random()] {
        Random luck(seed);
        WorkerId self = connect();
        while (std::optional<std::string> token = inbox.Pop()) {
          if (OneIn(luck, 10)) {
            // What it has goes out again; the answer may be right all the same.
            const auto gone = dispatcher.CloseWorker(self);
            dispatcher.TellOwners(self, *gone);
            dispatcher.Wake();
            self = connect();
          }
          bool answered = false;
          {
            const auto answer =
                dispatcher.OnAnswer(WorkKind::kTurn, "", *token);
            answered = answer.owner &&
                       static_cast<FakeOwner&>(*answer.owner).Answer(*token);
          }
          dispatcher.Wake();
          if (answered) done(1);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(left, 0);
    for (const auto& owner : owners) {
      EXPECT_EQ(dispatcher.queued(owner->id()), 0u);
    }
  });
}

}  // namespace
}  // namespace leasehold
