// StreamRun: one run of a command that streams, from its start to its end.
//
// The command starts its stream, whose callbacks write the output; then it
// awaits the end: by a signal or because nobody reads any more (OK), or by the
// server (its status).
//
// Thread-safety: End and Fail are safe; the rest: one thread.   Lifetime:
// outlives the stream.
#ifndef LEASEHOLD_CLIENT_CLI_STREAM_RUN_H_
#define LEASEHOLD_CLIENT_CLI_STREAM_RUN_H_

#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "client/cli/command.h"
#include "client/cli/stop.h"

namespace leasehold::client::cli {

class StreamRun {
 public:
  explicit StreamRun(Surroundings& surroundings)
      : StreamRun(surroundings, surroundings.output_fd) {}
  // `output` below 0: the run goes on though nobody reads its output.
  StreamRun(Surroundings& surroundings, int output) : stop_(output) {
    surroundings.stop_on_signal(stop_);
  }

  Stop& stop() { return stop_; }

  // The run ends, with `status` unless it has ended before. OK is no end that a
  // server should bring: it becomes UNAVAILABLE.
  void End(const absl::Status& status) {
    EndWith(status.ok() ? absl::UnavailableError("the server ended the call")
                        : status);
  }
  // Nothing more can be written: the run ends, and the output knows why.
  void OutputFailed() { EndWith(absl::OkStatus()); }
  // What the run was for is done.
  void Done() { EndWith(absl::OkStatus()); }

  // Blocks until the run is to end. OK: not by the server.
  absl::Status Await() {
    while (stop_.Await()) {
    }
    return status();
  }

  absl::Status status() {
    std::lock_guard<std::mutex> lock(mu_);
    return status_.value_or(absl::OkStatus());
  }

 private:
  void EndWith(const absl::Status& status) {
    {
      std::lock_guard<std::mutex> lock(mu_);
      if (!status_.has_value()) status_ = status;
    }
    stop_.Request();
  }

  Stop stop_;
  std::mutex mu_;
  std::optional<absl::Status> status_;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_STREAM_RUN_H_
