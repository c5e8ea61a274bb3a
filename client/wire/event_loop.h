// EventLoop: one thread that drives a client's streams and timers.
//
// Streams (server_stream.h, keep_alive.h) start their operations on its
// completion queue; the thread runs what follows them, one after another, and
// with it the callbacks of this library's users. So callbacks of one loop never
// run in parallel, and a slow one delays the others. The thread starts with the
// first piece of work: a client that opens no stream has no thread.
//
// Thread-safety: safe, except Stop and the destructor.   Lifetime: outlives
// what runs on it.
#ifndef LEASEHOLD_CLIENT_WIRE_EVENT_LOOP_H_
#define LEASEHOLD_CLIENT_WIRE_EVENT_LOOP_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "grpcpp/completion_queue.h"
#include "lease/base/mutex.h"

namespace leasehold::client {

// Calls `then` once, after `delay`, on a thread of its own choice: how this
// library waits. Tests pass in one that they control.
using RunAfter =
    std::function<void(absl::Duration delay, std::function<void()> then)>;

class EventLoop {
 public:
  // The tag of a gRPC operation; `done` runs on the loop's thread.
  struct Tag {
    std::function<void(bool ok)> done;
  };

  EventLoop() = default;
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Whether a stream may begin; none may once Stop has been called. A stream
  // that has begun calls End when its last operation is done.
  bool Begin() ABSL_LOCKS_EXCLUDED(mu_);
  void End() ABSL_LOCKS_EXCLUDED(mu_);

  // REQUIRES: between Begin and End.
  grpc::CompletionQueue& queue() { return queue_; }

  // Calls `then` on the loop's thread after `delay`; never, if Stop comes
  // first. gRPC measures the time: this library reads no clock.
  void CallAfter(absl::Duration delay, std::function<void()> then)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Whether the caller runs on the loop's thread, where waiting for the loop
  // would never end.
  bool InLoop() const;

  // Drops the timers, waits until all streams have ended, and ends the thread.
  // The owners of the streams have cancelled them before. Idempotent.
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
  // Streams and timers that have begun and have not ended.
  size_t active_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WIRE_EVENT_LOOP_H_
