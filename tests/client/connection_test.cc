// Which server the command line calls, and as whom.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/client/fake_echo_server.h"
#include "tests/client/leasehold_run.h"
#include "tests/support/temporary_directory.h"

namespace leasehold::client::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Optional;

class Connection : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = folder_.path() + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  // The token that an echo with these arguments brings along.
  std::optional<std::string> TokenOf(LeaseholdRun& run,
                                     std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"echo", "a", "--id=a", "--repeat=1"});
    run.With(arguments);
    EXPECT_EQ(run.code, 0) << run.err;
    return server_.calls().back().Header("authorization");
  }

  const TemporaryDirectory folder_;
  const FakeEchoServer server_;
  const std::string address_ = "--address=" + server_.address();
};

TEST_F(Connection, ATokenComesFromAFileThatFlagEnvironmentOrConfigName) {
  const std::string one = Write("one", "token-1\n");
  const std::string two = Write("two", "token-2\n");
  const std::string three = Write("three", "token-3\n");
  const std::string config =
      "--config=" + Write("config", "token-file=" + three + "\n");
  LeaseholdRun run;
  EXPECT_EQ(TokenOf(run, {address_}), std::nullopt);
  EXPECT_THAT(TokenOf(run, {address_, config}),
              Optional(std::string("Bearer token-3")));
  run.environment["LEASEHOLD_TOKEN_FILE"] = two;
  EXPECT_THAT(TokenOf(run, {address_, config}),
              Optional(std::string("Bearer token-2")));
  EXPECT_THAT(TokenOf(run, {address_, config, "--token-file=" + one}),
              Optional(std::string("Bearer token-1")));
}

TEST_F(Connection, ATokenIsNoFlag) {
  LeaseholdRun run;
  run.With({"echo", "a", "--token=secret"});
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("unknown option"));
}

TEST_F(Connection, AWrongTokenFileIsWrongUsageAndNotQuoted) {
  const std::string path = Write("token", "secret one\n");
  LeaseholdRun run;
  run.With({"echo", "a", address_, "--token-file=" + path});
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err,
              AllOf(HasSubstr("--token-file: " + path + ": has a character"),
                    Not(HasSubstr("secret"))));
  EXPECT_THAT(server_.calls(), IsEmpty());
}

TEST_F(Connection, ATokenGoesToAnotherMachineOnlyWithTlsOrIfToldTo) {
  const std::string token = "--token-file=" + Write("token", "secret\n");
  LeaseholdRun run;
  run.With({"echo", "a", "--address=192.0.2.1:4001", token});
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, AllOf(HasSubstr("is not sent to 192.0.2.1:4001"),
                             HasSubstr("--allow-plaintext-token")));
  // A name and a number that nobody answers to.
  for (const char* allows : {"--allow-plaintext-token", "--tls"}) {
    run.With({"echo", "a", "--id=a", "--address=[::ffff:127.0.0.1]:1", token,
              allows, "--timeout=1s"});
    EXPECT_EQ(run.code, 4) << run.err;
  }
}

// A config file with the context `fake`, which is the fake, and `other`, where
// nobody is.
class ContextTest : public Connection {
 protected:
  std::string Config(const std::string& top = "") {
    Write("fake.token", "fake-token\n");
    return "--config=" + Write("config", top +
                                             "# Where we work.\n"
                                             "[contexts.fake]\n"
                                             "address=" +
                                             server_.address() +
                                             "\ntoken-file=fake.token\n"
                                             "[contexts.other]\n"
                                             "address=unix:/nowhere\n"
                                             "timeout=7s\n"
                                             "tls=false\n");
  }
  LeaseholdRun& Run(const std::vector<std::string>& arguments) {
    return run_.With(arguments);
  }

  LeaseholdRun run_;
};

TEST_F(ContextTest, AContextIsChosenByFlagElseEnvironmentElseFile) {
  const std::string config = Config("context=other\n");
  EXPECT_EQ(Run({"echo", "a", config}).code, 4);
  EXPECT_THAT(run_.err, HasSubstr("unix:/nowhere"));
  EXPECT_EQ(Run({"echo", "a", config, "--context=fake"}).code, 0) << run_.err;
  run_.environment["LEASEHOLD_CONTEXT"] = "fake";
  EXPECT_EQ(Run({"echo", "a", config}).code, 0) << run_.err;
  EXPECT_EQ(Run({"echo", "a", config, "--context=other"}).code, 4);
}

TEST_F(ContextTest, WhatAContextSaysIsBetweenEnvironmentAndTopLevel) {
  const std::string config =
      Config("context=fake\naddress=unix:/top\ntoken-file=none\n");
  EXPECT_THAT(TokenOf(run_, {config}),
              Optional(std::string("Bearer fake-token")));
  run_.environment["LEASEHOLD_ADDRESS"] = "unix:/environment";
  EXPECT_THAT(Run({"echo", "a", config}).err, HasSubstr("unix:/environment"));
  EXPECT_THAT(Run({"echo", "a", config, "--address=unix:/flag"}).err,
              HasSubstr("unix:/flag"));
}

TEST_F(ContextTest, PathsOfAFileAreMeantFromItsFolder) {
  // The token of TokenOf above is found so; an absolute path is left alone,
  // and one from elsewhere is meant from where we are.
  const std::string absolute = Write("absolute.token", "absolute\n");
  const std::string config =
      "--config=" + Write("config", "token-file=" + absolute + "\n");
  EXPECT_THAT(TokenOf(run_, {config, address_}),
              Optional(std::string("Bearer absolute")));
  EXPECT_THAT(Run({"echo", "a", config, "--token-file=fake.token"}).err,
              HasSubstr("--token-file: fake.token: cannot be read"));
}

TEST_F(ContextTest, AContextCanTurnOffWhatTheTopLevelSets) {
  const std::string config =
      "--config=" + Write("config",
                          "ca=none.pem\ntoken-file=none\n"
                          "[contexts.plain]\ntls=false\n"
                          "token-file=\n"
                          "[contexts.odd]\ntls=false\nca=odd.pem\n");
  EXPECT_EQ(TokenOf(run_, {config, address_, "--context=plain"}), std::nullopt);
  EXPECT_EQ(Run({"echo", "a", config, address_}).code, 2);
  EXPECT_THAT(run_.err, HasSubstr("none.pem: cannot be read"));
  EXPECT_EQ(Run({"echo", "a", config, address_, "--context=odd"}).code, 2);
  EXPECT_THAT(run_.err, HasSubstr("odd.pem: cannot be read"));
}

TEST_F(ContextTest, AnUnknownContextIsWrongUsageThatListsTheKnown) {
  const std::string config = Config();
  const std::string known =
      "the contexts of " + folder_.path() + "/config are fake, other";
  EXPECT_EQ(Run({"echo", "a", config, "--context=fak"}).code, 2);
  EXPECT_THAT(run_.err,
              HasSubstr("--context: there is no context \"fak\"; " + known));
  run_.environment["LEASEHOLD_CONTEXT"] = "fak";
  EXPECT_EQ(Run({"echo", "a", config}).code, 2);
  EXPECT_THAT(run_.err, HasSubstr("LEASEHOLD_CONTEXT: there is no context"));
  EXPECT_EQ(Run({"echo", "a"}).code, 2);
  EXPECT_THAT(run_.err, HasSubstr("give --config=FILE"));
  const std::string empty = "--config=" + Write("config", "");
  EXPECT_EQ(Run({"echo", "a", empty}).code, 2);
  EXPECT_THAT(run_.err, HasSubstr("a section [contexts.NAME]"));
}

TEST_F(ContextTest, AWrongContextIsWrongUsageThatNamesTheFile) {
  for (const auto& [text, what] :
       std::vector<std::pair<std::string, std::string>>{
           {"[contexts.a]\ncolour=red\n", "those are address, output"},
           {"[contexts.a]\nid=x\n", "\"contexts.a.id\" is not an option"},
           {"[contexts.a]\ncontext=b\n", "is not an option that a context"},
           {"[contexts.a]\nconfig=b\n", "is not an option that a context"},
           {"[contexts.a.b]\ntls=true\n", "[contexts.a.b] is no context"},
           {"[contexts]\ntls=true\n", "is in no context"},
           {"[context.a]\ntls=true\n", "a context is [contexts.NAME]"},
           {"context=a\n[contexts.a]\ntimeout=5\n", "[contexts.a]: "}}) {
    const std::string config = "--config=" + Write("config", text);
    EXPECT_EQ(Run({"echo", "a", address_, config}).code, 2) << text;
    EXPECT_THAT(run_.err, HasSubstr(folder_.path() + "/config: "));
    EXPECT_THAT(run_.err, HasSubstr(what));
  }
  EXPECT_THAT(server_.calls(), IsEmpty());
}

TEST_F(ContextTest, AValueOfAFileIsTakenWhole) {
  const std::string config = "--config=" + Write("config",
                                                 "context=six\n"
                                                 "[contexts.six]\n"
                                                 "address=[::1]:1\n"
                                                 "token-file=a b.token\n"
                                                 "[contexts.seven]\n");
  EXPECT_THAT(Run({"context", "show", config}).out,
              AllOf(HasSubstr("[::1]:1\n"), HasSubstr("/a b.token\n")));
}

TEST_F(ContextTest, TheFileIsFoundWhereTheEnvironmentOrTheHomeHasIt) {
  Config("context=fake\n");
  run_.environment["LEASEHOLD_CONFIG"] = folder_.path() + "/config";
  EXPECT_EQ(Run({"echo", "a"}).code, 0) << run_.err;
  run_.environment = {{"HOME", folder_.path()}};
  EXPECT_THAT(Run({"context", "list"}).err, HasSubstr("give --config=FILE"));
  const auto folder =
      std::filesystem::path(folder_.path()) / ".config" / "leasehold";
  std::filesystem::create_directories(folder);
  std::filesystem::copy(folder_.path() + "/config", folder);
  std::filesystem::copy(folder_.path() + "/fake.token", folder);
  EXPECT_EQ(Run({"echo", "a"}).code, 0) << run_.err;
  run_.environment = {{"XDG_CONFIG_HOME", folder.parent_path()}};
  EXPECT_EQ(Run({"echo", "a"}).code, 0) << run_.err;
  run_.environment = {{"LEASEHOLD_CONFIG", "/nowhere"}};
  EXPECT_EQ(Run({"echo", "a"}).code, 2);
  EXPECT_THAT(run_.err, HasSubstr("cannot read /nowhere"));
}

TEST_F(ContextTest, ListShowsAllAndWhichIsInUse) {
  const std::string config = Config("context=fake\n");
  EXPECT_EQ(Run({"context", "list", config}).code, 0) << run_.err;
  const std::vector<std::string> lines = Lines(run_.out);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[1], "fake     yes      address=" + server_.address() +
                          " token-file=fake.token");
  EXPECT_EQ(lines[2],
            "other    no       address=unix:/nowhere timeout=7s tls=false");
  EXPECT_EQ(
      Lines(Run({"context", "list", config, "--output=json"}).out)[1],
      "{\"context\":\"other\",\"current\":false,\"options\":{"
      "\"address\":\"unix:/nowhere\",\"timeout\":\"7s\",\"tls\":\"false\"}"
      "}");
}

TEST_F(ContextTest, ShowSaysWhatSetEachOption) {
  const std::string config = Config("timeout=9s\n");
  run_.environment["LEASEHOLD_CONTEXT"] = "fake";
  EXPECT_EQ(Run({"context", "show", config, "--output=json"}).code, 0)
      << run_.err;
  const auto line = [](const std::string& option, const std::string& value,
                       const std::string& from) {
    return "{\"option\":\"" + option + "\",\"value\":\"" + value +
           "\",\"from\":\"" + from + "\"}\n";
  };
  EXPECT_THAT(
      run_.out,
      AllOf(HasSubstr(line("context", "fake", "environment LEASEHOLD_CONTEXT")),
            HasSubstr(line("output", "json", "--output")),
            HasSubstr(line("address", server_.address(), "context fake")),
            HasSubstr(line("token-file", folder_.path() + "/fake.token",
                           "context fake")),
            HasSubstr(line("timeout", "9s", folder_.path() + "/config")),
            HasSubstr(line("ca", "", "default"))));
}

TEST_F(ContextTest, UseWritesTheNameAndNothingElse) {
  const std::string config = Config("timeout=9s\n");
  const std::string path = folder_.path() + "/config";
  const auto text = [&] {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string before = text();
  std::filesystem::permissions(path, std::filesystem::perms(0600));
  EXPECT_EQ(Run({"context", "use", "fake", config}).code, 0) << run_.err;
  EXPECT_EQ(text(), "context=fake\n" + before);
  EXPECT_EQ(Run({"echo", "a", config}).code, 0) << run_.err;
  EXPECT_EQ(Run({"context", "use", "other", config}).code, 0) << run_.err;
  EXPECT_EQ(text(), "context=other\n" + before);
  EXPECT_EQ(std::filesystem::status(path).permissions(),
            std::filesystem::perms(0600));
  EXPECT_EQ(Run({"context", "use", "fak", config}).code, 3);
  EXPECT_THAT(run_.err, HasSubstr("are fake, other"));
  EXPECT_EQ(text(), "context=other\n" + before);
}

TEST_F(ContextTest, UseWritesThroughALinkAndMendsAContextThatIsGone) {
  Config("context=gone\n");
  const std::string link = folder_.path() + "/link";
  std::filesystem::create_symlink(folder_.path() + "/config", link);
  EXPECT_EQ(Run({"echo", "a", "--config=" + link}).code, 2);
  EXPECT_THAT(Run({"context", "show", "--config=" + link}).err,
              HasSubstr("there is no context \"gone\""));
  EXPECT_EQ(Run({"context", "list", "--config=" + link}).code, 0);
  EXPECT_EQ(Run({"context", "use", "fake", "--config=" + link}).code, 0)
      << run_.err;
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(Run({"echo", "a", "--config=" + link}).code, 0) << run_.err;
}

}  // namespace
}  // namespace leasehold::client::cli
