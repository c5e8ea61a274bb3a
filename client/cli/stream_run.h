// StreamRun: one run of a command that streams, from its start to its end.
//
// The command starts its stream, whose callbacks write the output. Then it
// waits for the end: a signal or the loss of its reader (OK), or the server's
// status.
//
// Thread-safety: End and Fail are safe; Lost and Heard: the stream's thread;
// the rest: one thread.   Lifetime: outlives the stream.
#ifndef LEASEHOLD_CLIENT_CLI_STREAM_RUN_H_
#define LEASEHOLD_CLIENT_CLI_STREAM_RUN_H_

#include <mutex>
#include <optional>
#include <ostream>
#include <utility>

#include "absl/status/status.h"
#include "client/cli/command.h"
#include "client/cli/error_text.h"
#include "client/cli/printable.h"
#include "client/cli/stop.h"

namespace leasehold::client::cli {

class StreamRun {
 public:
  explicit StreamRun(Surroundings& surroundings)
      : StreamRun(surroundings, surroundings.output_fd) {}
  // If `output` is below 0, the run continues even if nobody reads the output.
  StreamRun(Surroundings& surroundings, int output)
      : stop_(output), err_(surroundings.err) {
    surroundings.stop_on_signal(stop_);
  }

  Stop& stop() { return stop_; }

  // Ends the run with `status`, unless it has ended before. A server should not
  // end it with OK, so that becomes UNAVAILABLE.
  void End(const absl::Status& status) {
    EndWith(status.ok() ? absl::UnavailableError("the server ended the call")
                        : status);
  }
  // Nothing more can be written: ends the run; the output knows why.
  void OutputFailed() { EndWith(absl::OkStatus()); }
  // Ends the run because its task is done.
  void Done() { EndWith(absl::OkStatus()); }

  // The stream was lost and reconnects: says so, once.
  void Lost(const absl::Status& why) {
    if (std::exchange(lost_, true)) return;
    err_ << "leasehold: connection lost, reconnecting: "
         << absl::StatusCodeToString(why.code()) << ": "
         << Printable(InPlainWords(why)) << "\n"
         << std::flush;
  }
  // The stream has delivered something.
  void Heard() {
    if (!std::exchange(lost_, false)) return;
    err_ << "leasehold: reconnected\n" << std::flush;
  }

  // Blocks until the run ends. OK: the server did not end it.
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
  std::ostream& err_;
  bool lost_ = false;  // Used by the stream's thread.
  std::mutex mu_;
  std::optional<absl::Status> status_;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_STREAM_RUN_H_
