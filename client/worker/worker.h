// Worker: takes work from a server of the Durable Task protocol, and does it.
//
//   Worker worker("localhost:4001");
//   worker.AddActivity("SayHello", &SayHello);
//   worker.AddOrchestrator("Greetings", &Greetings);
//   if (const absl::Status status = worker.Start(); !status.ok()) …
//
// It speaks the service TaskHubSidecarService and nothing else. One stream
// brings the work; results go back as calls of their own. A lost server is
// sought again, for as long as it takes; what was under way then is done again
// by whoever gets it: an activity runs at least once, a turn has its effect
// exactly once.
//
// Turns run on a thread a core; activities have threads of their own, and may
// block.
//
// Thread-safety: Add* by one thread, before Start; then safe.   Lifetime: what
// the callables refer to outlives it. It outlives their runs: its destructor
// waits for them.
#ifndef LEASEHOLD_CLIENT_WORKER_WORKER_H_
#define LEASEHOLD_CLIENT_WORKER_WORKER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/event_loop.h"
#include "client/worker/log.h"
#include "client/worker/registry.h"
#include "grpcpp/channel.h"

namespace leasehold::worker {

struct WorkerOptions {
  // How much the worker has at hand at most, waiting for the server to note
  // results included. Each at least 1.
  int max_concurrent_turns = 100;
  int max_concurrent_activities = 100;
  // Asks the server for those names only that are registered: for a worker
  // beside others that do the rest. Otherwise the worker gets all there is, and
  // fails what it does not know.
  bool only_registered = false;
  // Once a server has been heard to send health pings: how long it may be
  // silent before it is taken for lost.
  absl::Duration silence_timeout = absl::Seconds(120);
  LogSink log = &LogToStandardError;
  // How the worker waits before it tries again. Empty: gRPC's own timers.
  client::RunAfter run_after;
};

class Worker {
 public:
  // Over a connection of its own to `address`, HOST:PORT or unix:PATH, without
  // TLS.
  explicit Worker(const std::string& address, WorkerOptions options = {});
  // Over a channel that the caller made (TLS, in-process, …). Histories are
  // large: give it GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH -1.
  explicit Worker(std::shared_ptr<grpc::Channel> channel,
                  WorkerOptions options = {});
  // Ends it as Stop does, without time for what runs; then waits until every
  // activity that runs has returned.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // What may be added: registry.h. REQUIRES: before Start.
  template <typename Callable>
  void AddOrchestrator(std::string name, Callable callable) {
    registry_.AddOrchestrator(std::move(name), std::move(callable));
  }
  template <typename Callable>
  void AddActivity(std::string name, Callable callable) {
    registry_.AddActivity(std::move(name), std::move(callable));
  }

  // Begins to take work. Does not block, nor wait for a server.
  //   INVALID_ARGUMENT: an address that is none, an empty name, a limit below 1
  //   ALREADY_EXISTS: a name was added twice
  //   FAILED_PRECONDITION: it was started before
  absl::Status Start();

  // Takes no more work, gives back what has not begun, waits for what runs and
  // until its results are with the server; then lets go of the server. Blocks
  // for `timeout` at most. Idempotent.
  //   DEADLINE_EXCEEDED: something still ran; it has been given up, and the
  //   server hands it to another worker. Activities see it
  //   (ActivityContext::stopping).
  absl::Status Stop(absl::Duration timeout = absl::Seconds(30));

 private:
  class Host;

  Registry registry_;
  const absl::Status address_status_;
  const std::shared_ptr<Host> host_;
};

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_WORKER_H_
