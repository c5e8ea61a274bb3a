// SerialQueue: the messages of a serial extension, one at a time in order of
// arrival.
//
// An extension whose methods must not run concurrently is kSerial: each message
// gets access before it uses the state, and passes it on at its end. A
// waiting message occupies no thread. An access is one message, not a whole
// stream.
//
//   Acquire ── free ──▶ SerialAccess ── destroyed ──▶ the next one's OnAccess,
//   or free
//      └────── held ──▶ waiting ── access timeout ──▶ Unavailable
//                          └────── CancelWait
//
// Access is passed on through the executor, never inside the call that freed
// it: so a long queue causes no deep recursion, and user code runs on no thread
// that serves calls. Time-outs are reported on the timer's thread, because
// those who have access may occupy all threads of the executor.
//
// A message that has access may make calls that come back to its instance. In a
// kSerial extension these wait until their timeout. In a kReentrant one, a
// message whose chain (call_chain.h) has the link of the access that was given
// last is let in on top of it, and has access alone until it ends:
//
//   Add ── calls ──▶ ... ── comes back with Add's link ──▶ Get: on top of Add
//    └─ calls ──▶ ... ── the same ──▶ Get: on top of Add, when the first ended
//   Get without that link: waits until Add has ended
//
// So one message runs at a time, as ever, if those that wait for others
// leave the state alone meanwhile.
//
// Thread-safety: safe.   Lifetime: an AccessTimer outlives the waits that it
// times; a SerialAccess may outlive its queue.
#ifndef LEASEHOLD_SERVICE_INSTANCE_SERIAL_QUEUE_H_
#define LEASEHOLD_SERVICE_INSTANCE_SERIAL_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lease/clock.h"
#include "lease/lease_manager.h"
#include "service/instance/call_chain.h"
#include "service/instance/executor.h"
#include "service/instance/extension.h"

namespace leasehold {

// How messages of a context may run in an extension.
enum class Concurrency {
  kMultiple,  // Concurrently: the extension is thread-safe.
  kSerial,    // One at a time, in order of arrival.
  // The same, but a call that comes back to its instance by the chain of calls
  // that the instance waits for is let in at once.
  kReentrant,
};

// Shared by all serial queues of a process: clock, executor, and the longest
// wait allowed (the access timeout). Its own lease manager times the waits.
class AccessTimer final : private LeaseListener {
 public:
  AccessTimer(Clock& clock, Executor& executor, absl::Duration timeout)
      : clock_(clock),
        executor_(executor),
        timeout_(timeout),
        leases_(clock, *this) {}
  // REQUIRES: nobody is waiting.
  ~AccessTimer() override { leases_.Stop(); }

  // Starts the thread. Without it, waits end when RunDue is called.
  void Start() { leases_.Start(); }
  size_t RunDue() { return leases_.RunDue(); }

 private:
  friend class SerialQueue;

  void OnLeasesOver(absl::Span<Lease* const> leases) override;

  Clock& clock_;
  Executor& executor_;
  const absl::Duration timeout_;
  LeaseManager leases_;
};

class SerialAccess;
class AccessWait;

// A message that may have to wait for access. Its owner derives from it.
class AccessWaiter {
 public:
  AccessWaiter() = default;
  AccessWaiter(const AccessWaiter&) = delete;
  AccessWaiter& operator=(const AccessWaiter&) = delete;

  // Ends a wait: called once, on the executor with access, or on the timer's
  // thread with an error, where it must not block. Not called if Acquire
  // returned the access, or if CancelWait returned true.
  //   Unavailable: the wait exceeded the access timeout. No part of the message
  //     has run, so it may be retried. The text names the method that holds the
  //     access, and since when. (Not DeadlineExceeded: that would mean that the
  //     caller's own deadline has passed, and would leave open whether the call
  //     ran.)
  virtual void OnAccess(absl::StatusOr<SerialAccess> access) = 0;

 protected:
  virtual ~AccessWaiter() = default;

 private:
  friend class SerialQueue;

  std::shared_ptr<AccessWait> wait_;  // Written by Acquire alone.
};

class SerialQueue {
 public:
  // `reentrant`: looks at chains.
  explicit SerialQueue(bool reentrant = false);
  // REQUIRES: nobody is waiting.
  ~SerialQueue();
  SerialQueue(const SerialQueue&) = delete;
  SerialQueue& operator=(const SerialQueue&) = delete;

  // Returns the access if it is free; else nullopt, and waiter.OnAccess gets it
  // (perhaps before this function returns). `method` names the message in the
  // errors of waits that time out; `chain` is what it came by. Never blocks.
  // REQUIRES: `waiter` is not waiting; it lives until the answer, or until
  // CancelWait has returned true.
  [[nodiscard]] std::optional<SerialAccess> Acquire(AccessTimer& timer,
                                                    AccessWaiter& waiter,
                                                    std::string method,
                                                    CallChain chain = {});

  // Stops waiting. True: OnAccess will not be called. False: it has been
  // called, or is about to be; or there was no wait. REQUIRES: the Acquire has
  // returned.
  [[nodiscard]] static bool CancelWait(AccessWaiter& waiter);

 private:
  friend class SerialAccess;
  friend class AccessTimer;
  friend class AccessWait;
  struct Core;  // Shared with accesses and waits, which may outlive the queue.

  // The access `number` has ended.
  static void PassOn(Core& core, uint64_t number);
  static void Fail(AccessWait& wait);

  const std::shared_ptr<Core> core_;
};

// The right of one message to use the state. Move-only; passed on when
// destroyed, on any thread.
class SerialAccess {
 public:
  SerialAccess(SerialAccess&&) noexcept = default;  // core_ becomes null.
  SerialAccess& operator=(SerialAccess&& other) noexcept {
    if (this != &other) {
      PassOn();
      core_ = std::move(other.core_);
      number_ = other.number_;
    }
    return *this;
  }
  ~SerialAccess() { PassOn(); }

  // The link of this access: the same each time. Nullopt: the queue is not
  // reentrant. REQUIRES: not moved from.
  std::optional<CallChain::Link> link() const;

 private:
  friend class SerialQueue;

  SerialAccess(std::shared_ptr<SerialQueue::Core> core, uint64_t number)
      : core_(std::move(core)), number_(number) {}
  void PassOn() {
    if (auto core = std::move(core_)) SerialQueue::PassOn(*core, number_);
  }

  std::shared_ptr<SerialQueue::Core> core_;  // Null: moved from.
  uint64_t number_;
};

// The base of extensions that are kSerial or kReentrant.
class SerialExtension : public Extension {
 public:
  SerialExtension() = default;
  // REQUIRES: not kMultiple.
  explicit SerialExtension(Concurrency concurrency)
      : queue_(concurrency == Concurrency::kReentrant) {}

  SerialQueue& queue() { return queue_; }

 private:
  SerialQueue queue_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_SERIAL_QUEUE_H_
