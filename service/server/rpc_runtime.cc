#include "service/server/rpc_runtime.h"

#include <grpc/support/time.h>

namespace leasehold {

RpcQueue::RpcQueue(std::unique_ptr<grpc::ServerCompletionQueue> queue)
    : queue_(std::move(queue)), wake_tag_(*this) {}

void RpcQueue::Resume(std::coroutine_handle<> coroutine) {
  MutexLock lock(mu_);
  resumed_.push_back(coroutine);
  if (std::exchange(waking_, true)) return;
  // An alarm that has rung already is the queue's way to be woken.
  CompletionTag* tag = &wake_tag_;
  wake_.Set(queue_.get(), gpr_time_0(GPR_CLOCK_MONOTONIC), tag);
}

void RpcQueue::ResumeAll() {
  std::vector<std::coroutine_handle<>> resumed;
  {
    MutexLock lock(mu_);
    waking_ = false;
    resumed.swap(resumed_);
    idle_.NotifyAll();
  }
  for (std::coroutine_handle<> coroutine : resumed) coroutine.resume();
}

void RpcQueue::Run() {
  void* tag;
  bool ok;
  while (queue_->Next(&tag, &ok)) {
    static_cast<CompletionTag*>(tag)->OnCompleted(ok);
  }
}

void RpcQueue::WaitBegins() {
  MutexLock lock(mu_);
  ++waits_;
}

void RpcQueue::WaitEnds(bool arrived) {
  MutexLock lock(mu_);
  --waits_;
  if (arrived) {
    ++running_;
    ++arrived_;
  } else {
    idle_.NotifyAll();
  }
}

void RpcQueue::CallEnds() {
  MutexLock lock(mu_);
  if (--running_ == 0) idle_.NotifyAll();
}

void RpcQueue::WaitUntilIdle() {
  MutexLock lock(mu_);
  // A wake that has been asked for must be back before the queue is shut down.
  while (waits_ > 0 || running_ > 0 || waking_) idle_.Wait(mu_);
}

void RpcQueue::ShutdownAndJoin() {
  queue_->Shutdown();
  if (thread_.joinable()) {
    thread_.join();
  } else {
    Run();  // Never started: a queue must be drained all the same.
  }
}

RpcRuntime::RpcRuntime(grpc::ServerBuilder& builder, int queues) {
  queues_.reserve(queues);
  for (int i = 0; i < queues; ++i) {
    queues_.push_back(std::make_unique<RpcQueue>(builder.AddCompletionQueue()));
  }
}

RpcRuntime::~RpcRuntime() { Stop(); }

RpcRuntime::Load RpcRuntime::load() const {
  Load load;
  for (const std::unique_ptr<RpcQueue>& queue : queues_) {
    MutexLock lock(queue->mu_);
    load.running += queue->running_;
    load.arrived += queue->arrived_;
  }
  return load;
}

void RpcRuntime::Stop() {
  if (std::exchange(stopped_, true)) return;
  for (const std::unique_ptr<RpcQueue>& queue : queues_) queue->WaitUntilIdle();
  for (const std::unique_ptr<RpcQueue>& queue : queues_) {
    queue->ShutdownAndJoin();
  }
}

}  // namespace leasehold
