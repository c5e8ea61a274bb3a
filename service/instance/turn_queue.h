// TurnQueue: the messages of a serial extension, one at a time in order of
// arrival.
//
// An extension whose methods must not run concurrently is kSerial: each message
// takes a turn before it uses the state, and passes the turn on at its end. A
// waiting message occupies no thread. A turn is one message, not a whole
// stream.
//
//   Acquire ── free ──▶ Turn ── destroyed ──▶ the next one's OnTurn, or free
//      └────── held ──▶ waiting ── turn timeout ──▶ Unavailable
//                          └────── CancelWait
//
// A turn is passed on through the executor, never inside the call that freed
// it: so a long queue causes no deep recursion, and user code runs on no thread
// that serves calls. Time-outs are reported on the timer's thread, because turn
// holders may occupy all threads of the executor. A message that holds a turn
// and waits for another turn of the same instance waits until the timeout:
// turns are not recursive.
//
// Thread-safety: safe.   Lifetime: a TurnTimer outlives the waits that it
// times; a Turn may outlive its queue.
#ifndef LEASEHOLD_SERVICE_INSTANCE_TURN_QUEUE_H_
#define LEASEHOLD_SERVICE_INSTANCE_TURN_QUEUE_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lease/clock.h"
#include "lease/lease_manager.h"
#include "service/instance/executor.h"
#include "service/instance/extension.h"

namespace leasehold {

// How messages of a context may run in an extension.
enum class Concurrency {
  kMultiple,  // Concurrently: the extension is thread-safe.
  kSerial,    // One at a time, in order of arrival.
};

// Shared by all turn queues of a process: clock, executor, and the longest wait
// allowed (the turn timeout). Its own lease manager times the waits.
class TurnTimer final : private LeaseListener {
 public:
  TurnTimer(Clock& clock, Executor& executor, absl::Duration timeout)
      : clock_(clock),
        executor_(executor),
        timeout_(timeout),
        leases_(clock, *this) {}
  // REQUIRES: nobody is waiting.
  ~TurnTimer() override { leases_.Stop(); }

  // Starts the thread. Without it, waits end when RunDue is called.
  void Start() { leases_.Start(); }
  size_t RunDue() { return leases_.RunDue(); }

 private:
  friend class TurnQueue;

  void OnLeasesOver(absl::Span<Lease* const> leases) override;

  Clock& clock_;
  Executor& executor_;
  const absl::Duration timeout_;
  LeaseManager leases_;
};

class Turn;
class TurnWait;

// A message that may have to wait for its turn. Its owner derives from it.
class TurnWaiter {
 public:
  TurnWaiter() = default;
  TurnWaiter(const TurnWaiter&) = delete;
  TurnWaiter& operator=(const TurnWaiter&) = delete;

  // Ends a wait: called once, on the executor with a turn, or on the timer's
  // thread with an error, where it must not block. Not called if Acquire
  // returned the turn, or if CancelWait returned true.
  //   Unavailable: the wait exceeded the turn timeout. No part of the message
  //     has run, so it may be retried. The text names the method that holds the
  //     turn, and since when. (Not DeadlineExceeded: that would mean that the
  //     caller's own deadline has passed, and would leave open whether the call
  //     ran.)
  virtual void OnTurn(absl::StatusOr<Turn> turn) = 0;

 protected:
  virtual ~TurnWaiter() = default;

 private:
  friend class TurnQueue;

  std::shared_ptr<TurnWait> wait_;  // Written by Acquire alone.
};

class TurnQueue {
 public:
  TurnQueue();
  // REQUIRES: nobody is waiting.
  ~TurnQueue();
  TurnQueue(const TurnQueue&) = delete;
  TurnQueue& operator=(const TurnQueue&) = delete;

  // Returns the turn if it is free; else nullopt, and waiter.OnTurn gets it
  // (perhaps before this function returns). `method` names the message in the
  // errors of waits that time out. Never blocks. REQUIRES: `waiter` is not
  // waiting; it lives until the answer, or until CancelWait has returned true.
  [[nodiscard]] std::optional<Turn> Acquire(TurnTimer& timer,
                                            TurnWaiter& waiter,
                                            std::string method);

  // Stops waiting. True: OnTurn will not be called. False: it has been called,
  // or is about to be; or there was no wait. REQUIRES: the Acquire has
  // returned.
  [[nodiscard]] bool CancelWait(TurnWaiter& waiter);

 private:
  friend class Turn;
  friend class TurnTimer;
  friend class TurnWait;
  struct Core;  // Shared with turns and waits, which may outlive the queue.

  static void PassOn(Core& core);
  static void Fail(TurnWait& wait);

  const std::shared_ptr<Core> core_;
};

// The right of one message to use the state. Move-only; passed on when
// destroyed, on any thread.
class Turn {
 public:
  Turn(Turn&&) noexcept = default;
  Turn& operator=(Turn&& other) noexcept {
    if (this != &other) {
      PassOn();
      core_ = std::move(other.core_);
    }
    return *this;
  }
  ~Turn() { PassOn(); }

 private:
  friend class TurnQueue;

  explicit Turn(std::shared_ptr<TurnQueue::Core> core)
      : core_(std::move(core)) {}
  void PassOn() {
    if (auto core = std::move(core_)) TurnQueue::PassOn(*core);
  }

  std::shared_ptr<TurnQueue::Core> core_;  // Null: moved from.
};

// The base of extensions that are kSerial.
class SerialExtension : public Extension {
 public:
  TurnQueue& turns() { return turns_; }

 private:
  TurnQueue turns_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_TURN_QUEUE_H_
