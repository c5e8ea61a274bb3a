// The executable itself: what tests of the command functions cannot see.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <string>
#include <utility>

#include "tests/client/fake_echo_server.h"

namespace leasehold::client {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Result {
  int code = -1;
  std::string output;
};

// Runs `leasehold` with what follows it on a shell's command line.
Result Leasehold(const std::string& rest) {
  const std::string command =
      "unset $(env | sed -n 's/^\\(LEASEHOLD_[A-Z_]*\\)=.*/\\1/p') "
      "LEASEHOLD_; " LEASEHOLD_BINARY " " +
      rest;
  Result result;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    result.output.append(buffer, n);
  }
  const int status = pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

TEST(LeaseholdProcess, EndsWith0WhenDone) {
  FakeEchoServer server;
  const Result result =
      Leasehold("--output=json echo Apple --address=" + server.address());
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.output, StartsWith("{\"text\":\"Apple\","));
}

TEST(LeaseholdProcess, EndsWith4AndCodeAndMessageWithoutAServer) {
  const Result result =
      Leasehold("echo Apple --address=unix:/nowhere 2>&1 >/dev/null");
  EXPECT_EQ(result.code, 4);
  EXPECT_THAT(result.output, StartsWith("UNAVAILABLE: cannot reach a "));
}

TEST(LeaseholdProcess, EndsWith2AndOneLineOnWrongUsage) {
  const Result result = Leasehold("ecko 2>&1 >/dev/null");
  EXPECT_EQ(result.code, 2);
  EXPECT_EQ(result.output,
            "leasehold: unknown command \"ecko\"; the commands are echo, "
            "demo, instances, join, orchestration, entity, why, workers, top, "
            "health, context, completion, man, help\n");
}

TEST(LeaseholdProcess, EndsQuietlyWhenNobodyReadsItsOutput) {
  FakeEchoServer server;
  const Result result =
      Leasehold("echo a --repeat=10000 --address=" + server.address() +
                " 2>&1 | (read line; echo \"$line\")");
  EXPECT_THAT(result.output, StartsWith("CHANNEL"));
  EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1);
  EXPECT_LT(server.calls().size(), 10000u);
}

// `leasehold instances hold a` as a process of its own, whose output we read.
class HoldProcess {
 public:
  explicit HoldProcess(const FakeEchoServer& server) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    output_ = ends[0];
    const std::string address = "--address=" + server.address();
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      close(ends[0]);
      close(ends[1]);
      execl(LEASEHOLD_BINARY, "leasehold", "instances", "hold", "a",
            address.c_str(), nullptr);
      _exit(127);
    }
    close(ends[1]);
  }

  // Blocks until it has written something: it holds, and flushed that at once.
  void AwaitOutput() {
    char buffer[4096];
    EXPECT_GT(read(output_, buffer, sizeof(buffer)), 0);
  }
  void Signal(int signal) { kill(pid_, signal); }
  void StopReading() { close(std::exchange(output_, -1)); }

  // Its exit code; -1: a signal ended it.
  int End() {
    int status = 0;
    waitpid(pid_, &status, 0);
    if (output_ >= 0) close(output_);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  int output_ = -1;
  pid_t pid_ = -1;
};

TEST(LeaseholdProcess, AStreamEndsWith0OnInterruptAndTermination) {
  for (const int signal : {SIGINT, SIGTERM}) {
    FakeEchoServer server;
    HoldProcess hold(server);
    hold.AwaitOutput();
    hold.Signal(signal);
    EXPECT_EQ(hold.End(), 0);
    server.AwaitHolds(0);
  }
}

TEST(LeaseholdProcess, AStreamEndsWith0WhenNobodyReadsEvenIfNothingHappens) {
  FakeEchoServer server;
  HoldProcess hold(server);
  hold.AwaitOutput();
  hold.StopReading();
  EXPECT_EQ(hold.End(), 0);
}

TEST(LeaseholdProcess, AKilledProcessHoldsNothing) {
  FakeEchoServer server;
  HoldProcess hold(server);
  hold.AwaitOutput();
  server.AwaitHolds(1);
  hold.Signal(SIGKILL);
  EXPECT_EQ(hold.End(), -1);
  server.AwaitHolds(0);
}

TEST(LeaseholdProcess, AStreamEndsWith1WhenSomebodyEndsIt) {
  FakeEchoServer server;
  HoldProcess hold(server);
  hold.AwaitOutput();
  server.EndHolds({grpc::StatusCode::ABORTED, "released by force"});
  EXPECT_EQ(hold.End(), 1);
}

TEST(LeaseholdProcess, AStreamThatIsLostReconnects) {
  FakeEchoServer server;
  HoldProcess hold(server);
  hold.AwaitOutput();
  server.EndHolds({grpc::StatusCode::INTERNAL, "a proxy cut it"});
  server.AwaitHoldCalls(2);
  hold.Signal(SIGINT);
  EXPECT_EQ(hold.End(), 0);
}

TEST(LeaseholdProcess, SaysWhenItsOutputCannotBeWritten) {
  FakeEchoServer server;
  const Result result =
      Leasehold("echo a --address=" + server.address() + " 2>&1 >/dev/full");
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.output, HasSubstr("No space left"));
}

TEST(LeaseholdProcess, ReadsItsEnvironment) {
  FakeEchoServer server;
  const Result result =
      Leasehold("--version; LEASEHOLD_ADDRESS=" + server.address() +
                " LEASEHOLD_OUTPUT=json " LEASEHOLD_BINARY " echo a");
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.output, HasSubstr("{\"text\":\"a\","));
}

}  // namespace
}  // namespace leasehold::client
