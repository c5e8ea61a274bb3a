// Stop: what ends a command that streams, and what wakes it.
//
// A signal, the end of its stream, and an output that nobody reads any more all
// come here; the command waits for nothing else.
//
// Thread-safety: safe; Request and Wake may be called by a signal handler.
// Await: one thread.   Lifetime: outlives what may call it.
#ifndef LEASEHOLD_CLIENT_CLI_STOP_H_
#define LEASEHOLD_CLIENT_CLI_STOP_H_

#include <atomic>

#include "absl/time/time.h"

namespace leasehold::client::cli {

class Stop {
 public:
  // `output` is the file descriptor to which the command writes: once nobody
  // reads it, the command is to stop. Below 0: none is watched.
  explicit Stop(int output);
  ~Stop();
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;

  // The command is to stop.
  void Request();
  // Something is to be looked at.
  void Wake();

  // Blocks until Request, Wake, the end of whoever read the output, or for
  // `timeout`. False: the command is to stop, now and for ever.
  bool Await(absl::Duration timeout = absl::InfiniteDuration());

 private:
  const int output_;
  // An eventfd that is readable once there is something to wake up for.
  const int event_;
  std::atomic<bool> requested_ = false;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_STOP_H_
