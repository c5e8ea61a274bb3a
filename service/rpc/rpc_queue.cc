#include "service/rpc/rpc_queue.h"

#include <grpc/support/time.h>

#include <utility>

#include "service/rpc/stream_call.h"

namespace leasehold {

namespace {

// After so many completions without a pause the sockets have waited for a
// quarter of a millisecond or so. Looking costs an echo less than can be
// measured.
constexpr int kLookEach = 16;

}  // namespace

RpcQueue::RpcQueue(std::unique_ptr<grpc::ServerCompletionQueue> queue,
                   grpc::CompletionQueue& sockets, ByteBudget& budget,
                   RpcHooks hooks)
    : queue_(std::move(queue)),
      sockets_(sockets),
      budget_(budget),
      hooks_(hooks),
      wake_tag_(*this) {}

void RpcQueue::Post(std::function<void()> task) {
  MutexLock lock(mu_);
  posted_.push_back(std::move(task));
  if (std::exchange(waking_, true)) return;
  // An alarm that has rung already wakes the queue.
  CompletionTag* tag = &wake_tag_;
  wake_.Set(queue_.get(), gpr_time_0(GPR_CLOCK_MONOTONIC), tag);
}

void RpcQueue::RunPosted() {
  std::vector<std::function<void()>> posted;
  {
    MutexLock lock(mu_);
    waking_ = false;
    posted.swap(posted_);
    idle_.NotifyAll();
  }
  for (const std::function<void()>& task : posted) task();
}

void RpcQueue::EndStreams(const absl::Status& status) {
  std::set<std::shared_ptr<StreamControl>> streams;
  {
    MutexLock lock(mu_);
    streams_ended_ = status;
    streams = streams_;
  }
  for (const std::shared_ptr<StreamControl>& stream : streams) {
    stream->End(status);
  }
}

void RpcQueue::AskAgain() {
  std::set<std::shared_ptr<StreamControl>> streams;
  {
    MutexLock lock(mu_);
    streams = streams_;
  }
  for (const std::shared_ptr<StreamControl>& stream : streams) {
    stream->AskAgain();
  }
}

void RpcQueue::Run() {
  void* tag;
  bool ok;
  int completions = 0;
  size_t arrived = 0;
  for (;;) {
    if (++completions == kLookEach) {
      completions = 0;
      // Calls that have arrived come first: to read more of them would only
      // make them wait.
      if (arrived == arrived_.value()) Look();
      arrived = arrived_.value();
    }
    // While a call waits for room, the queue checks whether others leave theirs
    // unread.
    const bool reviews = budget_.has_waiting();
    const auto next =
        queue_->AsyncNext(&tag, &ok,
                          reviews ? gpr_time_from_seconds(1, GPR_TIMESPAN)
                                  : gpr_inf_future(GPR_CLOCK_MONOTONIC));
    if (next == grpc::CompletionQueue::SHUTDOWN) return;
    if (next == grpc::CompletionQueue::GOT_EVENT) {
      static_cast<CompletionTag*>(tag)->OnCompleted(ok);
    }
    if (reviews) budget_.Review();
  }
}

void RpcQueue::Look() {
  void* tag;
  bool ok;
  // That time is over: it looks once, and does not wait.
  sockets_.AsyncNext(&tag, &ok, gpr_time_0(GPR_CLOCK_MONOTONIC));
}

void RpcQueue::WaitEnds(bool arrived) {
  if (!arrived) return BusyEnds();
  running_.Add(1);
  arrived_.Add(1);
}

void RpcQueue::CallEnds(bool was_ending) {
  if (was_ending) ending_.Subtract(1);
  running_.Subtract(1);
  BusyEnds();
}

void RpcQueue::BusyEnds() {
  busy_.Subtract(1);
  if (!Idle()) return;
  MutexLock lock(mu_);
  idle_.NotifyAll();
}

void RpcQueue::WaitUntilIdle() {
  MutexLock lock(mu_);
  // A wake that has been asked for must be back before the queue is shut down.
  while (!Idle() || waking_) idle_.Wait(mu_);
}

void RpcQueue::ShutdownAndJoin() {
  queue_->Shutdown();
  if (thread_.joinable()) {
    thread_.join();
  } else {
    Run();  // Never started: a queue must be drained all the same.
  }
}

}  // namespace leasehold
