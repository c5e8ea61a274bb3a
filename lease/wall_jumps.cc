#include "lease/wall_jumps.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <limits>
#include <utility>

namespace leasehold {

WallJumps::WallJumps(std::function<void()> jumped)
    : jumped_(std::move(jumped)) {
  timer_ = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  end_ = eventfd(0, EFD_CLOEXEC);
  if (timer_ >= 0 && end_ >= 0 && Arm()) {
    thread_ = std::thread([this] { Watch(); });
    return;
  }
  if (timer_ >= 0) close(timer_);
  timer_ = -1;
}

WallJumps::~WallJumps() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    if (write(end_, &one, sizeof(one)) == sizeof(one)) thread_.join();
  }
  if (timer_ >= 0) close(timer_);
  if (end_ >= 0) close(end_);
}

bool WallJumps::Arm() const {
  itimerspec never = {};
  never.it_value.tv_sec = std::numeric_limits<int32_t>::max();
  never.it_value.tv_sec *= 16;  // The year 3058.
  return timerfd_settime(timer_, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
                         &never, nullptr) == 0 ||
         errno == ECANCELED;  // Armed; the clock has just been set.
}

void WallJumps::Watch() {
  for (;;) {
    pollfd sources[2] = {{.fd = timer_, .events = POLLIN, .revents = 0},
                         {.fd = end_, .events = POLLIN, .revents = 0}};
    if (poll(sources, 2, /*timeout=*/-1) < 0) continue;
    if (sources[1].revents != 0) return;
    uint64_t expired = 0;
    if (read(timer_, &expired, sizeof(expired)) < 0 && errno != ECANCELED) {
      continue;
    }
    if (!Arm()) return;
    jumped_();
  }
}

}  // namespace leasehold
