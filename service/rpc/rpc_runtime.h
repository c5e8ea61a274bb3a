// RpcRuntime: calls served by coroutines over gRPC completion queues.
//
// There is one thread a queue and one coroutine a call, which was measured to
// take half the CPU of gRPC 1.51's callback API. A handler is one coroutine,
// from before its call arrives until after the call is over:
//
//   CallTask EchoServer::ServeEcho(MethodQueue& queue) {
//     UnaryCall<EchoRequest, EchoResponse> call(queue);
//     if (!co_await call.Accept(service_, &Service::RequestEcho)) co_return;
//     ServeEcho(queue);  // For the next call.
//     if (!co_await call.Parse()) co_return;  // It was refused.
//     call.response().set_text(call.request().text());
//     co_await call.Finish(absl::OkStatus());
//   }
//
// `Service` is a RawService: requests arrive as bytes and are parsed by us, so
// that a refusal says why (received.h).
//
// A handler runs only on its queue's thread. So it needs no locks of its own,
// and it must never block that thread. Work that finishes on another thread,
// such as the wait for a context, comes back through RpcQueue::Post.
//
// Other threads can end and wake streams, and streams send heartbeats: see
// stream_call.h.
//
// Bytes that were sent and that the client has not read yet are claimed from
// the byte budget, and so are those of a request that was admitted. An answer
// for which there is no room becomes RESOURCE_EXHAUSTED.
//
// Thread-safety: AskQueues, load and calls are safe; the rest belongs to the
// thread that starts and ends the server.   Lifetime: services outlive the
// runtime; the runtime outlives the grpc::Server's last call (see Stop).
#ifndef LEASEHOLD_SERVICE_RPC_RPC_RUNTIME_H_
#define LEASEHOLD_SERVICE_RPC_RPC_RUNTIME_H_

#include <grpcpp/server_builder.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "service/rpc/byte_budget.h"
#include "service/rpc/call_cells.h"
#include "service/rpc/heartbeat.h"
#include "service/rpc/rpc_queue.h"

namespace leasehold {

// The queues of a server.
class RpcRuntime {
 public:
  // Adds `queues` completion queues to `builder`. `budget` outlives the
  // runtime.
  RpcRuntime(grpc::ServerBuilder& builder, int queues, ByteBudget& budget,
             RpcHooks hooks = {});
  ~RpcRuntime();

  // Starts the threads. Call it after grpc::ServerBuilder::BuildAndStart.
  // `serve` is called for each queue, on the caller's thread, before the
  // queue's thread runs.
  template <typename Serve>
  void Start(Serve serve) {
    for (const std::unique_ptr<RpcQueue>& queue : queues_) serve(*queue);
    for (const std::unique_ptr<RpcQueue>& queue : queues_) queue->Start();
  }

  // Ends every open stream with `status`, and also those that still arrive.
  void EndStreams(const absl::Status& status);

  // Asks the gatekeeper again about every open stream, and ends those that it
  // does not admit any more.
  void AskAgain();

  // Has the thread of each queue call `done` once, between its calls. Returns
  // how many will. From the end of Start until grpc::Server::Shutdown; on any
  // thread.
  size_t AskQueues(const std::function<void()>& done);

  struct Load {
    size_t running = 0;  // Calls that have arrived and are not done.
    size_t ending = 0;   // Streams that are done, but whose client has not read
                         // everything, and perhaps never will.
    size_t arrived = 0;  // Calls that ever arrived.
  };
  Load load() const;

  // What has become of the calls of each method that is served, in the order
  // of the methods. Safe once Start has returned.
  std::vector<MethodCalls> calls() const;

  // Waits until no call is running, then ends queues and threads. Idempotent.
  // REQUIRES: grpc::Server::Shutdown was called, which lets no new call in and
  // ends the waits for one; or Start was not.
  void Stop();

 private:
  // See RpcQueue::Look. It is not the server's: to each of those it hands
  // calls of methods that nobody serves. All queues look at all sockets.
  grpc::CompletionQueue sockets_;
  std::vector<std::unique_ptr<RpcQueue>> queues_;
  bool stopped_ = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_RPC_RUNTIME_H_
