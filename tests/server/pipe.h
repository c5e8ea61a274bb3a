// Pipe: what a LineWriter writes to, and a test reads.
//
// Thread-safety: one thread for each end.   Lifetime: outlives the writer on
// it.
#ifndef LEASEHOLD_TESTS_SERVER_PIPE_H_
#define LEASEHOLD_TESTS_SERVER_PIPE_H_

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace leasehold {

class Pipe {
 public:
  Pipe() {
    if (pipe(ends_) == 0) return;
    std::perror("pipe");
    std::abort();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    CloseReader();
    CloseWriter();
  }

  int writer() const { return ends_[1]; }
  void CloseReader() { Close(ends_[0]); }
  void CloseWriter() { Close(ends_[1]); }

  // The next line, without its end; waits for it. Empty: the writer is closed.
  std::optional<std::string> ReadLine() {
    for (;;) {
      const size_t end = read_.find('\n', at_);
      if (end != std::string::npos) {
        std::string line = read_.substr(at_, end - at_);
        at_ = end + 1;
        return line;
      }
      read_.erase(0, std::exchange(at_, 0));
      char some[1 << 16];
      const ssize_t length = read(ends_[0], some, sizeof(some));
      if (length <= 0) return std::nullopt;
      read_.append(some, static_cast<size_t>(length));
    }
  }

  // All lines up to the end, after the writer has been closed.
  std::vector<std::string> ReadAll() {
    std::vector<std::string> lines;
    while (std::optional<std::string> line = ReadLine()) {
      lines.push_back(*std::move(line));
    }
    return lines;
  }

 private:
  static void Close(int& fd) {
    if (fd >= 0) close(std::exchange(fd, -1));
  }

  int ends_[2] = {-1, -1};
  std::string read_;
  size_t at_ = 0;  // What lies before it has been returned.
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SERVER_PIPE_H_
