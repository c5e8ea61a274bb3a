// EventLoop: one thread that drives a client's streams and timers.
//
// Streams (server_stream.h, keep_alive.h) start their operations on its
// completion queue; the thread runs what follows them, one after another, and
// with it the callbacks of this library's users. So callbacks of one loop never
// run at once, and one that takes long delays the others. The thread begins
// with the first piece of work: a client that streams nothing has none.
//
// Thread-safety: safe, but for Stop and the destructor.   Lifetime: outlives
// what runs on it.
#ifndef LEASEHOLD_CLIENT_EVENT_LOOP_H_
#define LEASEHOLD_CLIENT_EVENT_LOOP_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "client/mutex.h"
#include "grpcpp/completion_queue.h"

namespace leasehold::client {

// Calls `then` once, after `delay`, on a thread of its own choice: how this
// library waits. Tests bring one that calls when they say.
using RunAfter =
    std::function<void(absl::Duration delay, std::function<void()> then)>;

class EventLoop {
 public:
  // What gRPC is given for an operation; `done` runs on the loop's thread.
  struct Tag {
    std::function<void(bool ok)> done;
  };

  EventLoop() = default;
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Whether a stream may begin; not once Stop has been called. One that has
  // begun calls End when its last operation is done.
  bool Begin() ABSL_LOCKS_EXCLUDED(mu_);
  void End() ABSL_LOCKS_EXCLUDED(mu_);

  // REQUIRES: between Begin and End.
  grpc::CompletionQueue& queue() { return queue_; }

  // Calls `then` on the loop's thread after `delay`; never, if Stop comes
  // first. gRPC measures the time: this library reads no clock.
  void CallAfter(absl::Duration delay, std::function<void()> then)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Whether this is the loop's thread, so that waiting for it would last for
  // ever.
  bool InLoop() const;

  // Drops the timers, awaits the end of all that has begun, and ends the
  // thread. Whoever began a stream has cancelled it. Idempotent.
  // REQUIRES: not InLoop().
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Timer;

  void Run();
  void BeginLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Synchronises itself.
  grpc::CompletionQueue queue_;
  CondVar idle_;

  // Guarded by mu_.
  Mutex mu_;
  std::thread thread_ ABSL_GUARDED_BY(mu_);
  std::set<Timer*> timers_ ABSL_GUARDED_BY(mu_);
  // Streams and timers that have begun and not ended.
  size_t active_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_EVENT_LOOP_H_
