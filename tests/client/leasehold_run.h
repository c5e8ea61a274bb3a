// LeaseholdRun: a run of `leasehold` in this process: what it is given besides
// arguments, and what came of it.
//
// Thread-safety: one thread; while With runs on another, only what says so.
// Lifetime: outlives its run.
#ifndef LEASEHOLD_TESTS_CLIENT_LEASEHOLD_RUN_H_
#define LEASEHOLD_TESTS_CLIENT_LEASEHOLD_RUN_H_

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <ostream>
#include <sstream>
#include <streambuf>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "client/cli/command_line.h"
#include "client/cli/stop.h"

namespace leasehold::client::cli {

// A stream buffer that another thread may look into. Safe.
class SharedText : public std::streambuf {
 public:
  std::string text() const {
    std::lock_guard<std::mutex> lock(mu_);
    return text_;
  }
  // Blocks until `part` has been written.
  void Await(const std::string& part) const {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait(lock, [&] { return text_.find(part) != std::string::npos; });
  }

 protected:
  int_type overflow(int_type c) override {
    const char one = traits_type::to_char_type(c);
    xsputn(&one, 1);
    return c;
  }
  std::streamsize xsputn(const char* data, std::streamsize size) override {
    std::lock_guard<std::mutex> lock(mu_);
    text_.append(data, size);
    changed_.notify_all();
    return size;
  }

 private:
  mutable std::mutex mu_;
  mutable std::condition_variable changed_;
  std::string text_;
};

struct LeaseholdRun {
  std::map<std::string, std::string> environment;
  // The names of those that begin with LEASEHOLD_, as the process has them.
  std::vector<std::string> variables;
  bool interactive = false;
  // What standard input holds, and whether standard error is a terminal.
  std::string in;
  bool err_is_terminal = false;
  int terminal_rows = 0;
  int terminal_columns = 80;
  std::function<void(absl::Duration)> on_sleep = [](absl::Duration) {};
  // Does not move, so that what is waited for is waited for until it comes;
  // unless `moving`: then with each sleep.
  bool moving = false;
  absl::Time now = absl::UnixEpoch() + absl::Hours(24 * 20000);
  // Gets the stop of a command that streams. Called by the run.
  std::function<void(Stop&)> on_stop = [](Stop&) {};

  int code = -1;
  std::string out;
  std::string err;
  int enters = 0;
  // Safe: standard output and standard error, of all runs.
  SharedText shown;
  SharedText complained;

  LeaseholdRun& With(const std::vector<std::string>& arguments) {
    std::vector<const char*> argv = {"leasehold"};
    for (const std::string& argument : arguments) {
      argv.push_back(argument.c_str());
    }
    std::ostream out_stream(&shown);
    std::ostream err_stream(&complained);
    std::istringstream in_stream(in);
    Surroundings surroundings{
        .in = in_stream,
        .out = out_stream,
        .err = err_stream,
        .sleep =
            [this](absl::Duration duration) {
              if (moving) now += duration;
              on_sleep(duration);
            },
        .environment = [this](const char* name) -> const char* {
          const auto found = environment.find(name);
          return found == environment.end() ? nullptr : found->second.c_str();
        },
        .variables = [this] { return variables; },
        .interactive = interactive,
        .err_is_terminal = err_is_terminal,
        .wait_for_enter = [this] { ++enters; },
        .now = [this] { return now; },
        .stop_on_signal = [this](Stop& stop) { on_stop(stop); },
        .output_fd = -1,
        .terminal_rows = [this] { return terminal_rows; },
        .terminal_columns = [this] { return terminal_columns; },
    };
    const size_t before = shown.text().size();
    const size_t err_before = complained.text().size();
    code = RunCommandLine(static_cast<int>(argv.size()), argv.data(),
                          surroundings);
    out = shown.text().substr(before);
    err = complained.text().substr(err_before);
    return *this;
  }
};

// The exit code of a run that ended with this error: scripts tell by it what is
// not there, and a server that is not.
inline int ExitCodeOf(const std::string& err) {
  if (err.starts_with("NOT_FOUND: ")) return 3;
  return err.starts_with("UNAVAILABLE: ") ? 4 : 1;
}

inline std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_TESTS_CLIENT_LEASEHOLD_RUN_H_
