#include "service/rpc/rpc_runtime.h"

#include <algorithm>
#include <utility>

namespace leasehold {

RpcRuntime::RpcRuntime(grpc::ServerBuilder& builder, int queues,
                       ByteBudget& budget, RpcHooks hooks) {
  queues_.reserve(queues);
  for (int i = 0; i < queues; ++i) {
    queues_.push_back(std::make_unique<RpcQueue>(builder.AddCompletionQueue(),
                                                 sockets_, budget, hooks));
  }
}

RpcRuntime::~RpcRuntime() { Stop(); }

void RpcRuntime::EndStreams(const absl::Status& status) {
  for (const std::unique_ptr<RpcQueue>& queue : queues_) {
    queue->EndStreams(status);
  }
}

void RpcRuntime::AskAgain() {
  for (const std::unique_ptr<RpcQueue>& queue : queues_) queue->AskAgain();
}

size_t RpcRuntime::AskQueues(const std::function<void()>& done) {
  for (const std::unique_ptr<RpcQueue>& queue : queues_) queue->Post(done);
  return queues_.size();
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

std::vector<MethodCalls> RpcRuntime::calls() const {
  std::vector<MethodCalls> calls;
  for (const std::unique_ptr<RpcQueue>& queue : queues_) {
    // All queues have the same methods, in the same order.
    size_t i = 0;
    for (const MethodQueue& method : queue->methods_) {
      if (i == calls.size()) calls.push_back({.method = method.method()});
      method.cells().AddTo(calls[i++]);
    }
  }
  return calls;
}

void RpcRuntime::Stop() {
  if (std::exchange(stopped_, true)) return;
  for (const std::unique_ptr<RpcQueue>& queue : queues_) queue->WaitUntilIdle();
  for (const std::unique_ptr<RpcQueue>& queue : queues_) {
    queue->ShutdownAndJoin();
  }
  sockets_.Shutdown();
  void* tag;
  bool ok;
  while (sockets_.Next(&tag, &ok)) {
  }
}

}  // namespace leasehold
