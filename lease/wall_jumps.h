// WallJumps: reports when the machine's wall clock is set.
//
// Code that waits for a time of day computes the duration and waits on the
// monotonic clock; once the time of day is set, that duration is wrong. The
// kernel reports such a change (by cancelling a timerfd on CLOCK_REALTIME),
// also after the machine was suspended. Where the kernel cannot, nothing is
// reported, so waiters must also check the time of day now and then.
//
// Thread-safety: one thread.   Lifetime: `jumped` is called from a separate
// thread until the object is destroyed.
#ifndef LEASEHOLD_LEASE_WALL_JUMPS_H_
#define LEASEHOLD_LEASE_WALL_JUMPS_H_

#include <functional>
#include <thread>

namespace leasehold {

class WallJumps {
 public:
  explicit WallJumps(std::function<void()> jumped);
  ~WallJumps();
  WallJumps(const WallJumps&) = delete;
  WallJumps& operator=(const WallJumps&) = delete;

  // Whether the kernel reports changes.
  bool watching() const { return timer_ >= 0; }

 private:
  // Arms the timer, so that the next jump cancels it.
  bool Arm() const;
  void Watch();

  const std::function<void()> jumped_;
  int timer_ = -1;
  int end_ = -1;  // An eventfd that tells the thread to end.
  std::thread thread_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_WALL_JUMPS_H_
