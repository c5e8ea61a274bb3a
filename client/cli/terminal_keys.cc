#include "client/cli/terminal_keys.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace leasehold::client::cli {

TerminalKeys::TerminalKeys(int terminal, std::function<void(char)> on_key)
    : terminal_(terminal), on_key_(std::move(on_key)) {
  if (terminal_ < 0 || tcgetattr(terminal_, &before_) != 0) return;
  termios keys = before_;
  keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  keys.c_cc[VMIN] = 1;
  keys.c_cc[VTIME] = 0;
  keys.c_cc[VSUSP] = _POSIX_VDISABLE;
  changed_ = tcsetattr(terminal_, TCSANOW, &keys) == 0;
  if (!changed_) return;
  end_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  thread_ = std::thread([this] { Read(); });
}

TerminalKeys::~TerminalKeys() {
  if (!changed_) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(end_, &one, sizeof(one));
  thread_.join();
  close(end_);
  tcsetattr(terminal_, TCSANOW, &before_);
}

void TerminalKeys::Read() const {
  for (;;) {
    pollfd watched[] = {{.fd = terminal_, .events = POLLIN, .revents = 0},
                        {.fd = end_, .events = POLLIN, .revents = 0}};
    poll(watched, 2, /*timeout=*/-1);
    if (watched[1].revents != 0) return;
    if (watched[0].revents == 0) continue;
    char key = 0;
    // The terminal is gone: there are no more keys.
    if (read(terminal_, &key, 1) != 1) return;
    on_key_(key);
  }
}

}  // namespace leasehold::client::cli
