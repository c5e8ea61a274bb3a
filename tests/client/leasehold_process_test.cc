// The executable itself: what tests of the command functions cannot see.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <string>

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
      "unset LEASEHOLD_ADDRESS LEASEHOLD_OUTPUT "
      "LEASEHOLD_TIMEOUT; " LEASEHOLD_BINARY " " +
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

TEST(LeaseholdProcess, EndsWith1AndCodeAndMessageWhenACallFailed) {
  const Result result =
      Leasehold("echo Apple --address=unix:/nowhere 2>&1 >/dev/null");
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.output, StartsWith("UNAVAILABLE: unix:/nowhere: "));
}

TEST(LeaseholdProcess, EndsWith2AndOneLineOnWrongUsage) {
  const Result result = Leasehold("ecko 2>&1 >/dev/null");
  EXPECT_EQ(result.code, 2);
  EXPECT_EQ(result.output,
            "leasehold: unknown command \"ecko\"; the commands are echo, "
            "demo\n");
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
