#include "service/server/rpc_runtime.h"

#include <grpc/support/time.h>

#include <algorithm>

namespace leasehold {

RpcQueue::RpcQueue(std::unique_ptr<grpc::ServerCompletionQueue> queue)
    : queue_(std::move(queue)), wake_tag_(*this) {}

void RpcQueue::Post(std::function<void()> task) {
  MutexLock lock(mu_);
  posted_.push_back(std::move(task));
  if (std::exchange(waking_, true)) return;
  // An alarm that has rung already is the queue's way to be woken.
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

void RpcQueue::Run() {
  void* tag;
  bool ok;
  while (queue_->Next(&tag, &ok)) {
    static_cast<CompletionTag*>(tag)->OnCompleted(ok);
  }
}

void RpcQueue::WaitEnds(bool arrived) {
  waits_.Subtract(1);
  if (arrived) {
    running_.Add(1);
    arrived_.Add(1);
  } else if (Idle()) {
    MutexLock lock(mu_);
    idle_.NotifyAll();
  }
}

void RpcQueue::CallEnds(bool was_ending) {
  if (was_ending) ending_.Subtract(1);
  running_.Subtract(1);
  if (Idle()) {
    MutexLock lock(mu_);
    idle_.NotifyAll();
  }
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

void StreamControl::Notify() {
  MutexLock lock(mu_);
  news_ = true;
  PostLocked();
}

void StreamControl::End(absl::Status status) {
  MutexLock lock(mu_);
  if (end_.has_value()) return;
  end_ = std::move(status);
  PostLocked();
}

void StreamControl::PostLocked() {
  if (queue_ == nullptr || std::exchange(posted_, true)) return;
  queue_->Post([self = shared_from_this()] { self->Deliver(); });
}

void StreamControl::Deliver() {
  StreamCall* call;
  bool news;
  std::optional<absl::Status> end;
  {
    MutexLock lock(mu_);
    posted_ = false;
    // Set and cleared on this thread: it stays until this function is done,
    // unless the call itself ends below.
    call = call_;
    if (call == nullptr) return;
    news = std::exchange(news_, false);
    end = end_;
  }
  call->OnControl(news, std::move(end));
}

void StreamControl::Close() {
  MutexLock lock(mu_);
  queue_ = nullptr;
  call_ = nullptr;
}

void StreamCall::OnArrived() {
  absl::Status ended;
  {
    MutexLock lock(queue().mu_);
    ended = queue().streams_ended_;
    queue().streams_.insert(control_);
  }
  if (!ended.ok()) end_ = ended;
}

void StreamCall::Unregister() {
  control_->Close();
  queue().ending_.Add(1);
  ending_ = true;
  MutexLock lock(queue().mu_);
  queue().streams_.erase(control_);
}

void StreamCall::OnControl(bool news, std::optional<absl::Status> end) {
  news_ |= news;
  // Either may let the coroutine run to its end, and this call with it.
  if (end.has_value() && !end_.has_value()) {
    end_ = std::move(end);
    Interrupt();
  } else if (news) {
    ServerCall::OnNews();
  }
}

RpcRuntime::RpcRuntime(grpc::ServerBuilder& builder, int queues) {
  queues_.reserve(queues);
  for (int i = 0; i < queues; ++i) {
    queues_.push_back(std::make_unique<RpcQueue>(builder.AddCompletionQueue()));
  }
}

RpcRuntime::~RpcRuntime() { Stop(); }

void RpcRuntime::EndStreams(const absl::Status& status) {
  for (const std::unique_ptr<RpcQueue>& queue : queues_) {
    queue->EndStreams(status);
  }
}

RpcRuntime::Load RpcRuntime::load() const {
  Load load;
  for (const std::unique_ptr<RpcQueue>& queue : queues_) {
    // Calls come and go between the two looks.
    const size_t running = queue->running_.value();
    const size_t ending = std::min(running, queue->ending_.value());
    load.running += running - ending;
    load.ending += ending;
    load.arrived += queue->arrived_.value();
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
