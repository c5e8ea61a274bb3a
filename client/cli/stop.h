// Stop: ends a command that streams, or wakes it.
//
// A signal, the end of its stream, and the loss of the reader of its output all
// arrive here; the command waits for nothing else.
//
// Thread-safety: safe; a signal handler may call Request and Wake.
// Await: one thread.   Lifetime: outlives everything that may call it.
#ifndef LEASEHOLD_CLIENT_CLI_STOP_H_
#define LEASEHOLD_CLIENT_CLI_STOP_H_

#include <atomic>

#include "absl/time/time.h"

namespace leasehold::client::cli {

class Stop {
 public:
  // `output` is the file descriptor to which the command writes: the command
  // stops when its reader is gone. Below 0, none is watched.
  explicit Stop(int output);
  ~Stop();
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;

  // Tells the command to stop.
  void Request();
  // Wakes the command to check its state.
  void Wake();

  // Blocks until Request, Wake, the loss of the output's reader, or for
  // `timeout`. False: the command must stop; every later call returns false.
  bool Await(absl::Duration timeout = absl::InfiniteDuration());

 private:
  const int output_;
  // An eventfd that is readable when there is a reason to wake up.
  const int event_;
  std::atomic<bool> requested_ = false;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_STOP_H_
