// Owners of work that behave as an engine does, without anything to do.
//
// Thread-safety: a FakeOwner is safe, unless said otherwise.   Lifetime: the
// dispatcher outlives its owners.
#ifndef LEASEHOLD_TESTS_DISPATCH_SHARED_DISPATCHER_FIXTURE_H_
#define LEASEHOLD_TESTS_DISPATCH_SHARED_DISPATCHER_FIXTURE_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lease/base/mutex.h"
#include "service/dispatch/shared_dispatcher.h"
#include "tests/dispatch/dispatcher_fixture.h"

namespace leasehold {

class OwnerAnswers {};

// Keeps the tokens that it was sent, in order.
class TokenSink final : public WorkSink {
 public:
  explicit TokenSink(std::function<void(std::string)> told = {})
      : told_(std::move(told)) {}
  void Send(std::string token) override {
    if (told_) return told_(std::move(token));
    tokens.push_back(std::move(token));
  }
  std::deque<std::string> tokens;  // One thread.

 private:
  const std::function<void(std::string)> told_;
};

class FakeOwner final : public WorkOwner {
 public:
  explicit FakeOwner(SharedDispatcher& dispatcher)
      : dispatcher_(dispatcher), id_(dispatcher.AddOwner(*this)) {}
  ~FakeOwner() override { Stop(); }

  OwnerId id() const { return id_; }
  // Queues new work, and sends out what can go.
  TestWork& Queue(std::string name = "a") ABSL_LOCKS_EXCLUDED(mu_) {
    TestWork* work = nullptr;
    Do([&] {
      mu_.AssertHeld();
      work = &works_.emplace_back(std::move(name));
      dispatcher_.Enqueue(id_, *work);
    });
    return *work;
  }
  // The work of that token is done. False: it was, or never will be.
  bool Answer(std::string_view token) ABSL_LOCKS_EXCLUDED(mu_) {
    bool found = false;
    Do([&] {
      mu_.AssertHeld();
      Work* work = dispatcher_.Find(id_, "", token);
      if (work == nullptr) return;
      found = true;
      dispatcher_.End(*work);
    });
    return found;
  }
  // Ends all its work, and leaves. Returns how much of it was not done.
  size_t Stop() ABSL_LOCKS_EXCLUDED(mu_) {
    size_t ended = 0;
    bool stopped = false;
    Do([&] {
      mu_.AssertHeld();
      stopped = std::exchange(stopped_, true);
      for (TestWork& work : works_) {
        if (work.state != Work::State::kIdle) ++ended;
        dispatcher_.End(work);
      }
    });
    if (!stopped) dispatcher_.RemoveOwner(id_);
    return ended;
  }
  // Does something under its lock, then sends out what can go.
  void Do(const std::function<void()>& something) ABSL_LOCKS_EXCLUDED(mu_) {
    std::vector<std::pair<std::shared_ptr<WorkSink>, std::string>> items;
    {
      const MutexLock lock(mu_);
      something();
      if (stopped_) dispatcher_.Nudge(id_);
      while (Work* work = stopped_ ? nullptr : dispatcher_.Next(id_)) {
        items.emplace_back(work->taker->sink, work->token);
      }
      for (Work* work : dispatcher_.TakeNewlyUnwanted(id_)) {
        unwanted.push_back(work->name);
      }
    }
    for (auto& [sink, token] : items) {
      if (sink != nullptr) sink->Send(std::move(token));
    }
    dispatcher_.Wake();
  }

  void OnWorkToTake() override {
    if (on_work_to_take) on_work_to_take();
    Do([this] { ++woken; });
  }
  void OnTakersChanged() override {
    Do([this] { ++takers_changed; });
  }
  void OnWorkerGone(WorkerId worker) override {
    Do([&] {
      for (Work* work : dispatcher_.WorkOf(id_, worker)) {
        ++lost;
        dispatcher_.PutBack(*work);
      }
    });
  }
  OwnerAnswers& answers() override { return answers_; }

  // Written under its lock.
  int woken = 0;
  int takers_changed = 0;
  int lost = 0;
  std::vector<std::string> unwanted;
  std::function<void()> on_work_to_take;  // Under no lock.

 private:
  SharedDispatcher& dispatcher_;
  const OwnerId id_;
  OwnerAnswers answers_;
  Mutex mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<TestWork> works_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_DISPATCH_SHARED_DISPATCHER_FIXTURE_H_
