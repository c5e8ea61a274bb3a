// WorkWatch: finds work that has been out for too long.
//
// One watch has one limit for all it watches, so the first to go out is the
// first to be late: a list in that order, of which only the first entry is
// checked. Adding or removing an entry costs a few pointers, and no timer.
//
//   limit 60 s:   since 10:00:00 ─ since 10:00:07 ─ since 10:00:41
//                 late at 10:01:00
//
// Entries that return in time wake no one: after the check at 10:01:00, the
// next check is when the entry that is then first would be late.
//
// Thread-safety: none; callers synchronise.   Lifetime: entries belong to the
// caller; an entry leaves its watch when it is destroyed, and may outlive the
// watch.
#ifndef LEASEHOLD_SERVICE_DISPATCH_WORK_WATCH_H_
#define LEASEHOLD_SERVICE_DISPATCH_WORK_WATCH_H_

#include <cstdint>
#include <optional>

namespace leasehold {

// Microseconds on a monotonic clock.
using WatchTime = int64_t;

// A base class for what can be watched.
class Watched {
 public:
  Watched() = default;
  ~Watched() { Unwatch(); }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

  // Removes it from its watch, if it is in one.
  void Unwatch();
  bool is_watched() const { return next_ != nullptr; }

 private:
  friend class WorkWatch;

  Watched* previous_ = nullptr;
  Watched* next_ = nullptr;
  WatchTime since_ = 0;
};

class WorkWatch {
 public:
  // 0: nothing is ever late.
  explicit WorkWatch(WatchTime limit);
  ~WorkWatch();
  WorkWatch(const WorkWatch&) = delete;
  WorkWatch& operator=(const WorkWatch&) = delete;

  // Watches `what` from `now` on, even if it was watched before. True:
  // next_look has changed.
  //  REQUIRES: `now` is not earlier than in any call before.
  bool Watch(Watched& what, WatchTime now);
  // Takes the first entry that has been watched for at least the limit;
  // nullptr: there is none, or it is before next_look.
  Watched* TakeLate(WatchTime now);
  // When to call TakeLate; nullopt: nothing is watched. TakeLate may then find
  // nothing.
  std::optional<WatchTime> next_look() const { return next_look_; }
  WatchTime limit() const { return limit_; }

 private:
  const WatchTime limit_;
  Watched ends_;  // A ring: the first one is next, the last one previous.
  std::optional<WatchTime> next_look_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DISPATCH_WORK_WATCH_H_
