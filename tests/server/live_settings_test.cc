#include "service/host/live_settings.h"

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/pipe.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

// A server's settings, as they are read from a config file and from flags.
class LiveSettingsTest : public testing::Test {
 protected:
  void Write(const std::string& content) { std::ofstream(path_) << content; }

  void Start(const std::vector<std::string>& flags = {}) {
    arguments_ = {"leasehold-server", absl::StrCat("--config=", path_)};
    arguments_.insert(arguments_.end(), flags.begin(), flags.end());
    Serve();
  }
  void Serve() {
    for (const std::string& argument : arguments_) {
      argv_.push_back(argument.c_str());
    }
    const int argc = static_cast<int>(argv_.size());
    options_ =
        std::get<ServerOptions>(ParseServerOptions(argc, argv_.data()).value());
    log_ = std::make_unique<ServerLog>(clock_, *writer_, LogFormat::kText,
                                       options_.log_level);
    settings_ =
        std::make_unique<LiveSettings>(argc, argv_.data(), options_, *log_);
  }
  void ReadAgain() {
    settings_->ReadAgain(
        [this](const ServerOptions& read) { applied_.push_back(read); });
  }
  // What was logged, without times.
  std::vector<std::string> Lines() {
    writer_.reset();
    pipe_.CloseWriter();
    std::vector<std::string> lines = pipe_.ReadAll();
    for (std::string& line : lines) line.erase(0, line.find(' ') + 1);
    return lines;
  }

  SimulatedClock clock_;
  Pipe pipe_;
  TemporaryDirectory folder_;
  const std::string path_ = folder_.path() + "/leasehold.conf";
  std::unique_ptr<LineWriter> writer_ =
      std::make_unique<LineWriter>(pipe_.writer());
  std::vector<std::string> arguments_;
  std::vector<const char*> argv_;
  ServerOptions options_;
  std::vector<ServerOptions> applied_;
  std::unique_ptr<ServerLog> log_;
  std::unique_ptr<LiveSettings> settings_;
};

TEST_F(LiveSettingsTest, TheLevelOfTheLogIsThatOfTheFile) {
  Write("log-level = warning\n");
  Start();
  EXPECT_FALSE(log_->Logs(LogLevel::kInfo));
  Write("log-level = debug\n");
  ReadAgain();
  EXPECT_TRUE(log_->Logs(LogLevel::kDebug));
  Write("");
  ReadAgain();
  EXPECT_FALSE(log_->Logs(LogLevel::kDebug));
  EXPECT_TRUE(log_->Logs(LogLevel::kInfo));
}

TEST_F(LiveSettingsTest, AQuieterLevelIsStillAnnounced) {
  Write("log-level = info\n");
  Start();
  Write("log-level = error\n");
  ReadAgain();
  ReadAgain();
  EXPECT_FALSE(log_->Logs(LogLevel::kWarning));
  EXPECT_THAT(Lines(), ElementsAre(AllOf(StartsWith("INFO config_read file="),
                                         HasSubstr(" log_level=error "))));
}

TEST_F(LiveSettingsTest, TheCommandLineWinsAsAtTheStart) {
  Write("log-level = info\n");
  Start({"--log-level=warning"});
  Write("log-level = debug\n");
  ReadAgain();
  EXPECT_FALSE(log_->Logs(LogLevel::kInfo));
}

TEST_F(LiveSettingsTest, AFileThatIsNotRightChangesNothing) {
  Write("log-level = info\n");
  Start();
  Write("log-level = debug\nmax-contexts = none\n");
  ReadAgain();
  EXPECT_FALSE(log_->Logs(LogLevel::kDebug));
  EXPECT_THAT(Lines(),
              ElementsAre(AllOf(StartsWith("WARNING config_kept file="),
                                HasSubstr("max-contexts: must be a whole"))));
}

TEST_F(LiveSettingsTest, OthersGetWhatWasRead) {
  Write("retention = 7d\n");
  Start();
  Write("retention = \"completed=1d,failed=30d\"\n");
  ReadAgain();
  ASSERT_THAT(applied_, SizeIs(1));
  EXPECT_THAT(applied_.front().retention.ages,
              UnorderedElementsAre(
                  Pair(OrchestrationStatus::kCompleted, absl::Hours(24)),
                  Pair(OrchestrationStatus::kFailed, absl::Hours(24 * 30))));
  Write("retention = forever\n");
  ReadAgain();
  EXPECT_THAT(applied_, SizeIs(1));
  EXPECT_THAT(Lines(),
              ElementsAre(EndsWith(" retention=\"completed=24h,failed=720h\""),
                          HasSubstr("config_kept")));
}

TEST_F(LiveSettingsTest, WhatCannotChangeIsNamed) {
  Write("max-contexts = 7\nuser-threads = 2\nlisten = \"127.0.0.1:0\"\n");
  Start();
  Write("max-contexts = 8\nlisten = \"127.0.0.1:0\"\nconsole = on\n");
  ReadAgain();
  EXPECT_THAT(
      Lines(),
      ElementsAre(HasSubstr("config_read"),
                  AllOf(StartsWith("WARNING config_needs_restart file="),
                        EndsWith(" settings=\"console, max-contexts, "
                                 "user-threads\""))));
}

TEST_F(LiveSettingsTest, WithoutAFileThereIsNothingToRead) {
  arguments_ = {"leasehold-server"};
  Serve();
  ReadAgain();
  EXPECT_THAT(Lines(), IsEmpty());
}

}  // namespace
}  // namespace leasehold
