// ProgressLine: shows progress on a line of the terminal that is redrawn.
//
// Nothing is written if standard error is not a terminal. A line that is too
// long is cut instead of wrapped.
//
// Thread-safety: one thread.   Lifetime: the stream outlives it.
#ifndef LEASEHOLD_CLIENT_CLI_PROGRESS_LINE_H_
#define LEASEHOLD_CLIENT_CLI_PROGRESS_LINE_H_

#include <ostream>
#include <string_view>

#include "client/cli/command.h"

namespace leasehold::client::cli {

class ProgressLine {
 public:
  explicit ProgressLine(Surroundings& surroundings)
      : err_(surroundings.err), visible_(surroundings.err_is_terminal) {}
  // Removes the line.
  ~ProgressLine() {
    if (drawn_) err_ << "\r\x1b[K" << std::flush;
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Whether the line is shown at all.
  bool visible() const { return visible_; }

  // Replaces the line with `text`. REQUIRES: `text` is printable.
  void Draw(std::string_view text) {
    if (!visible_) return;
    err_ << "\r\x1b[?7l" << text << "\x1b[K\x1b[?7h" << std::flush;
    drawn_ = true;
  }

 private:
  std::ostream& err_;
  const bool visible_;
  bool drawn_ = false;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_PROGRESS_LINE_H_
