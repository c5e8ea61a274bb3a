// BuiltinWorker: the server's own worker, whose orchestrators are available
// without any connected worker (`--builtin`).
//
// It gets its work directly from the exchange, without a connection, and is the
// exchange's last resort: it gets only work that no other worker would take. It
// is one worker in each tenant.
// (As a client over an in-process channel it cost every call of the server: the
// client's threads also polled the server's sockets.)
//
// Thread-safety: one thread.   Lifetime: clock and exchange outlive it; Stop it
// before its server ends.
#ifndef LEASEHOLD_SERVICE_BUILTIN_BUILTIN_WORKER_H_
#define LEASEHOLD_SERVICE_BUILTIN_BUILTIN_WORKER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/worker/log.h"
#include "grpcpp/channel.h"
#include "lease/clock.h"
#include "service/orchestration/work_exchange.h"

namespace leasehold {

class BuiltinWorker {
 public:
  // `channel`: to the server, for the activity Echo; `token`: what its calls
  // show (AccessControl::process_token), if the server asks for it. `log`
  // receives the worker's log lines.
  BuiltinWorker(Clock& clock, WorkExchange& work,
                std::shared_ptr<grpc::Channel> channel, std::string token,
                worker::LogSink log);
  ~BuiltinWorker();
  BuiltinWorker(const BuiltinWorker&) = delete;
  BuiltinWorker& operator=(const BuiltinWorker&) = delete;

  // As worker::Worker::Start. Call it again to add tenants.
  absl::Status Start(const std::vector<std::string>& tenants);
  // Takes no more work. Gives back work that has not begun; running work has a
  // second to end. Blocks. Idempotent.
  void Stop();

 private:
  class Host;
  class Sink;

  const std::unique_ptr<Host> host_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BUILTIN_BUILTIN_WORKER_H_
