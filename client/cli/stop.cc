#include "client/cli/stop.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace leasehold::client::cli {

Stop::Stop(int output)
    : output_(output), event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

Stop::~Stop() { close(event_); }

void Stop::Request() {
  requested_ = true;
  Wake();
}

void Stop::Wake() {
  const int error = errno;  // A signal handler must preserve it.
  const uint64_t one = 1;
  // If it is full, it is readable, which is all that is needed.
  [[maybe_unused]] const ssize_t written = write(event_, &one, sizeof(one));
  errno = error;
}

bool Stop::Await(absl::Duration timeout) {
  // For the output only errors matter, which poll reports without asking.
  pollfd watched[] = {{.fd = event_, .events = POLLIN, .revents = 0},
                      {.fd = output_, .events = 0, .revents = 0}};
  const int ms = timeout == absl::InfiniteDuration()
                     ? -1
                     : static_cast<int>(absl::ToInt64Milliseconds(std::clamp(
                           absl::Ceil(timeout, absl::Milliseconds(1)),
                           absl::ZeroDuration(), absl::Hours(1))));
  poll(watched, 2, ms);
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(event_, &count, sizeof(count));
  if ((watched[1].revents & (POLLERR | POLLHUP)) != 0) requested_ = true;
  return !requested_;
}

}  // namespace leasehold::client::cli
