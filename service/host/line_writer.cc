#include "service/host/line_writer.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

// How long a stopping writer waits for a reader that reads nothing.
constexpr int kPatienceMs = 200;

}  // namespace

LineWriter::LineWriter(int fd, std::function<std::string(size_t)> dropped)
    : fd_(fd), dropped_line_(std::move(dropped)), thread_([this] { Run(); }) {}

LineWriter::~LineWriter() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  thread_.join();
}

void LineWriter::Write(const std::string& line) {
  {
    MutexLock lock(mu_);
    if (queued_.size() + line.size() >= kQueuedBytesMax) {
      ++dropped_;
      ever_dropped_.Add();
    } else {
      TellDroppedLocked();
      absl::StrAppend(&queued_, line, "\n");
    }
  }
  wake_.NotifyOne();
}

void LineWriter::TellDroppedLocked() {
  if (dropped_ == 0) return;
  const size_t lines = std::exchange(dropped_, 0);
  absl::StrAppend(&queued_,
                  dropped_line_ ? dropped_line_(lines)
                                : absl::StrCat("(", lines,
                                               " lines dropped: the reader is "
                                               "too slow)"),
                  "\n");
}

void LineWriter::Run() {
  for (;;) {
    std::string text;
    {
      MutexLock lock(mu_);
      while (queued_.empty() && dropped_ == 0 && !stopping_) wake_.Wait(mu_);
      TellDroppedLocked();  // There may be no further line.
      if (queued_.empty()) return;
      text.swap(queued_);
    }
    if (!failed()) failed_ = !WriteOut(text);
  }
}

bool LineWriter::WriteOut(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    pollfd ready = {.fd = fd_, .events = POLLOUT, .revents = 0};
    if (poll(&ready, 1, kPatienceMs) == 0) {
      if (stopping()) return false;
      continue;
    }
    // A pipe that is ready takes this much without blocking.
    const size_t length = std::min<size_t>(text.size() - at, PIPE_BUF);
    const ssize_t written = write(fd_, text.data() + at, length);
    if (written >= 0) {
      at += static_cast<size_t>(written);
    } else if (errno != EINTR && errno != EAGAIN) {
      return false;
    }
  }
  return true;
}

bool LineWriter::stopping() {
  MutexLock lock(mu_);
  return stopping_;
}

}  // namespace leasehold
