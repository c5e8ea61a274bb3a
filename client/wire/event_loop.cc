#include "client/wire/event_loop.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "client/wire/timespan.h"
#include "grpcpp/alarm.h"

namespace leasehold::client {
namespace {

// The loop whose thread this is.
thread_local const EventLoop* this_loop = nullptr;

}  // namespace

struct EventLoop::Timer {
  grpc::Alarm alarm;
  std::function<void()> then;
  Tag tag;
};

EventLoop::~EventLoop() { Stop(); }

bool EventLoop::InLoop() const { return this_loop == this; }

bool EventLoop::Begin() {
  MutexLock lock(mu_);
  if (stopping_) return false;
  BeginLocked();
  return true;
}

void EventLoop::BeginLocked() {
  ++active_;
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
}

void EventLoop::End() {
  MutexLock lock(mu_);
  if (--active_ == 0) idle_.NotifyAll();
}

void EventLoop::CallAfter(absl::Duration delay, std::function<void()> then) {
  auto* timer = new Timer;
  timer->then = std::move(then);
  // Runs once, and takes the timer with it.
  timer->tag.done = [this, timer](bool fired) {
    const std::unique_ptr<Timer> mine(timer);
    {
      MutexLock lock(mu_);
      timers_.erase(timer);
      fired = fired && !stopping_;
    }
    if (fired) mine->then();
    mine->then = nullptr;  // What it holds is freed before the loop may be.
    End();
  };
  MutexLock lock(mu_);
  if (stopping_) {
    delete timer;
    return;
  }
  BeginLocked();
  timers_.insert(timer);
  timer->alarm.Set(&queue_, Timespan(delay), &timer->tag);
}

void EventLoop::Run() {
  this_loop = this;
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) static_cast<Tag*>(tag)->done(ok);
}

void EventLoop::Stop() {
  if (InLoop()) {
    std::fputs("leasehold: a callback may not destroy what calls it\n", stderr);
    std::abort();
  }
  std::thread thread;
  {
    MutexLock lock(mu_);
    if (std::exchange(stopping_, true)) return;
    for (Timer* timer : timers_) timer->alarm.Cancel();
    while (active_ > 0) idle_.Wait(mu_);
    thread = std::move(thread_);
  }
  queue_.Shutdown();
  if (thread.joinable()) {
    thread.join();
  } else {
    // gRPC requires that the queue is drained before it is destroyed.
    void* tag = nullptr;
    bool ok = false;
    queue_.Next(&tag, &ok);
  }
}

}  // namespace leasehold::client
