// StreamingRun: a run of `leasehold` that goes on, on a thread of its own.
//
// Thread-safety: one thread.   Lifetime: ended by Interrupt or End.
#ifndef LEASEHOLD_TESTS_CLIENT_STREAMING_RUN_H_
#define LEASEHOLD_TESTS_CLIENT_STREAMING_RUN_H_

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/client/leasehold_run.h"
#include "tests/server/events.h"

namespace leasehold::client::cli {

// What a run came to: it cannot be copied itself.
struct Outcome {
  int code;
  std::string out;
  std::string err;
};

class StreamingRun {
 public:
  // What it is on: how many rows standard output's terminal has, if it is one,
  // and whether standard error is one.
  struct On {
    int terminal_rows = 0;
    bool err_is_terminal = false;
  };

  explicit StreamingRun(std::vector<std::string> arguments)
      : StreamingRun(std::move(arguments), On()) {}
  StreamingRun(std::vector<std::string> arguments, On on) {
    run_.terminal_rows = on.terminal_rows;
    run_.err_is_terminal = on.err_is_terminal;
    run_.on_stop = [this](Stop& stop) { stop_.Put(&stop); };
    thread_ = std::thread(
        [this, arguments = std::move(arguments)] { run_.With(arguments); });
  }

  // Blocks until it has written this: to standard output, to standard error.
  void Await(const std::string& part) { run_.shown.Await(part); }
  void AwaitError(const std::string& part) { run_.complained.Await(part); }

  // As a signal would end it.
  Outcome Interrupt() {
    stop_.Take("the command to be ready for signals")->Request();
    return End();
  }
  // It ends by itself.
  Outcome End() {
    thread_.join();
    return {run_.code, run_.out, run_.err};
  }

 private:
  LeaseholdRun run_;
  Mailbox<Stop*> stop_;
  std::thread thread_;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_TESTS_CLIENT_STREAMING_RUN_H_
