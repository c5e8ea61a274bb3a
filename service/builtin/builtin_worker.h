// BuiltinWorker: the server's own worker, with the orchestrators that are there
// without a worker of anybody's (`--builtin`).
//
// It is a client of its server like any other, over a channel that stays in the
// process. The server hands it only what no other worker would take.
//
// Thread-safety: one thread.   Lifetime: ended before its server is.
#ifndef LEASEHOLD_SERVICE_BUILTIN_BUILTIN_WORKER_H_
#define LEASEHOLD_SERVICE_BUILTIN_BUILTIN_WORKER_H_

#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "client/worker/worker.h"
#include "grpcpp/channel.h"

namespace leasehold {

class BuiltinWorker {
 public:
  // `log`: takes what there is to say.
  BuiltinWorker(std::shared_ptr<grpc::Channel> channel, worker::LogSink log);

  // As worker::Worker::Start.
  absl::Status Start() { return worker_.Start(); }
  // Takes no more work; what runs is finished, or goes back.
  void Stop();

 private:
  worker::Worker worker_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BUILTIN_BUILTIN_WORKER_H_
