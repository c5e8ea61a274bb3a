// MethodQueue: where the calls of one method come from: a queue, and what is
// known of the method; and what has become of them.
//
// Thread-safety: belongs to its queue's thread; cells can be read on any.
// Lifetime: belongs to its RpcQueue.
#ifndef LEASEHOLD_SERVICE_RPC_METHOD_QUEUE_H_
#define LEASEHOLD_SERVICE_RPC_METHOD_QUEUE_H_

#include "service/rpc/call_cells.h"
#include "service/rpc/method_info.h"

namespace leasehold {

class RpcQueue;

class MethodQueue {
 public:
  MethodQueue(RpcQueue& queue, MethodInfo method)
      : queue_(queue), method_(method), cells_(method) {}
  MethodQueue(const MethodQueue&) = delete;
  MethodQueue& operator=(const MethodQueue&) = delete;

  RpcQueue& queue() const { return queue_; }
  const MethodInfo& method() const { return method_; }
  CallCells& cells() { return cells_; }
  const CallCells& cells() const { return cells_; }

 private:
  RpcQueue& queue_;
  const MethodInfo method_;
  CallCells cells_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_METHOD_QUEUE_H_
