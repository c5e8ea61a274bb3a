// Worker: gets work from a server of the Durable Task protocol and does it.
//
//   Worker worker("localhost:4001");
//   worker.AddActivity("SayHello", &SayHello);
//   worker.AddOrchestrator("Greetings", &Greetings);
//   if (const absl::Status status = worker.Start(); !status.ok()) …
//
// It uses the service TaskHubSidecarService and nothing else. One stream brings
// the work; each result goes back as a call of its own. If the server is lost,
// or refuses its token, the worker reconnects for as long as it takes, with the
// token that it has by then. Unfinished work is then done again by whichever
// worker gets it: an activity runs at least once; a turn, and an operation of
// an entity, takes effect exactly once.
//
// Turns run on one thread per core; activities and operations of entities have
// threads of their own and may block.
//
// Thread-safety: Add* by one thread, before Start; then safe.   Lifetime:
// everything that the callables refer to outlives it. It outlives their runs:
// its destructor waits for them.
#ifndef LEASEHOLD_CLIENT_WORKER_WORKER_H_
#define LEASEHOLD_CLIENT_WORKER_WORKER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/wire/event_loop.h"
#include "client/worker/log.h"
#include "client/worker/registry.h"
#include "grpcpp/channel.h"

namespace leasehold::worker {

struct WorkerOptions {
  // How much work the worker has at most, including results that the server has
  // not confirmed yet. Each at least 1.
  int max_concurrent_turns = 100;
  int max_concurrent_activities = 100;
  // A batch has operations of one entity, which run one after the other.
  int max_concurrent_batches = 100;
  // Whether the worker asks the server only for the names that it has
  // registered, and for nothing of a kind of which it has none, so that it
  // leaves other work to other workers. If not, it gets all work and fails what
  // it does not know; but operations of entities that it does not know it gives
  // back.
  bool only_registered = true;
  // If the server has sent a health ping: how long it may be silent before the
  // worker treats it as lost.
  absl::Duration silence_timeout = absl::Seconds(120);
  LogSink log = &LogToStandardError;
  // How the worker waits before it reconnects. If empty, gRPC's own timers.
  client::RunAfter run_after;
};

class Worker {
 public:
  // Over a connection of its own to `address`, HOST:PORT or unix:PATH, without
  // TLS or token. With them: Worker(OpenChannel(address, {}, credentials)).
  explicit Worker(const std::string& address, WorkerOptions options = {});
  // Over a channel that the caller made (TLS, in-process, …). Histories can be
  // large: set GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH to -1, as OpenChannel does.
  explicit Worker(std::shared_ptr<grpc::Channel> channel,
                  WorkerOptions options = {});
  // Ends it like Stop, without time for running work; then waits until every
  // running activity and operation has returned.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // registry.h says what can be added. REQUIRES: before Start.
  template <typename Callable>
  void AddOrchestrator(std::string name, Callable callable) {
    registry_.AddOrchestrator(std::move(name), std::move(callable));
  }
  template <typename Callable>
  void AddActivity(std::string name, Callable callable) {
    registry_.AddActivity(std::move(name), std::move(callable));
  }
  // `entity`: a function, or an EntityClass (entity_class.h).
  template <typename Entity>
  void AddEntity(const std::string& name, Entity entity) {
    registry_.AddEntity(name, std::move(entity));
  }

  // Starts to take work. Does not block, and does not wait for a server.
  //   INVALID_ARGUMENT: not an address, a bad name, or a limit below 1
  //   ALREADY_EXISTS: a name was added twice
  //   FAILED_PRECONDITION: it was started before
  absl::Status Start();

  // Takes no more work, gives back what has not started, waits for running work
  // and until the server has its results; then disconnects. Blocks for at most
  // `timeout`. Idempotent.
  //   DEADLINE_EXCEEDED: some work was still running and was given up; the
  //   server hands it to another worker. Activities can see this
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
