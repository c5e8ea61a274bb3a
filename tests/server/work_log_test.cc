#include "service/host/work_log.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/pipe.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class WorkLogTest : public testing::Test {
 protected:
  WorkLog& Open(bool console = false, LogLevel level = LogLevel::kInfo) {
    writer_ = std::make_unique<LineWriter>(pipe_.writer());
    shown_writer_ = std::make_unique<LineWriter>(shown_.writer());
    log_ =
        std::make_unique<ServerLog>(clock_, *writer_, LogFormat::kText, level);
    console_ = std::make_unique<Console>(*shown_writer_);
    work_log_ = std::make_unique<WorkLog>(
        clock_, *log_, console ? console_.get() : nullptr, callers_);
    return *work_log_;
  }
  // What was logged, without times.
  std::vector<std::string> Lines() {
    writer_.reset();
    pipe_.CloseWriter();
    std::vector<std::string> lines = pipe_.ReadAll();
    for (std::string& line : lines) line.erase(0, line.find(' ') + 1);
    return lines;
  }
  std::vector<std::string> Shown() {
    shown_writer_.reset();
    shown_.CloseWriter();
    return shown_.ReadAll();
  }

  static WorkEvent Lost(std::string peer = "ipv4:10.0.0.1:5") {
    return {.kind = WorkEventKind::kLost,
            .tenant = "default",
            .instance_id = "a",
            .name = "Resize",
            .task_id = -1,
            .worker = 7,
            .peer = std::move(peer),
            .count = 2,
            .reason = "its worker's stream ended"};
  }

  static WorkEvent Failed(std::string tenant, std::string id) {
    return {.kind = WorkEventKind::kOrchestrationFailed,
            .tenant = std::move(tenant),
            .instance_id = std::move(id),
            .name = "Resize",
            .reason = "ValueError: \"x\" is no number"};
  }
  static WorkEvent Ended() {
    return {.kind = WorkEventKind::kOrchestrationEnded,
            .tenant = "default",
            .instance_id = "a",
            .name = "Resize",
            .status = "Completed"};
  }

  SimulatedClock clock_;
  CallerAddresses callers_;
  Pipe pipe_;
  Pipe shown_;
  std::unique_ptr<LineWriter> writer_;
  std::unique_ptr<LineWriter> shown_writer_;
  std::unique_ptr<ServerLog> log_;
  std::unique_ptr<Console> console_;
  std::unique_ptr<WorkLog> work_log_;
};

TEST_F(WorkLogTest, ALineSaysWhoWhatByWhomAndWhy) {
  Open().Write(Lost());
  EXPECT_THAT(
      Lines(),
      ElementsAre("WARNING work_lost tenant=default instance_id=a name=Resize "
                  "task_id=-1 worker=7 peer=ipv4:10.0.0.1:5 count=2 "
                  "reason=\"its worker's stream ended\""));
}

TEST_F(WorkLogTest, WorkerBehindAProxyHasItsOwnAddress) {
  callers_.Add("ipv4:10.0.0.1:5", 1, "ipv4:203.0.113.7:4711");
  callers_.Add("ipv4:10.0.0.1:6", 2, "ipv4:203.0.113.8:4711");
  WorkLog& log = Open();
  // One address's lines do not hide another's, although both came by one proxy.
  for (uint64_t i = 0; i < WorkLog::kLinesOfOneMax + 10; ++i) log.Write(Lost());
  log.Write(Lost("ipv4:10.0.0.1:6"));
  const std::vector<std::string> lines = Lines();
  EXPECT_THAT(lines, SizeIs(WorkLog::kLinesOfOneMax + 1));
  EXPECT_THAT(lines.front(), HasSubstr("peer=ipv4:203.0.113.7:4711"));
  EXPECT_THAT(lines.back(), HasSubstr("peer=ipv4:203.0.113.8:4711"));
}

TEST_F(WorkLogTest, WhatIsNotKnownIsLeftOut) {
  Open().Write({.kind = WorkEventKind::kWorkerConnected,
                .tenant = "default",
                .worker = 3,
                .peer = "unix:"});
  EXPECT_THAT(Lines(), ElementsAre("INFO worker_connected tenant=default "
                                   "worker=3 peer=unix:"));
}

TEST_F(WorkLogTest, AWorkerThatGoesWithWorkIsAWarning) {
  WorkLog& log = Open();
  log.Write({.kind = WorkEventKind::kWorkerGone, .worker = 3});
  log.Write({.kind = WorkEventKind::kWorkerGone, .worker = 4, .count = 5});
  EXPECT_THAT(Lines(), ElementsAre("INFO worker_gone worker=3",
                                   "WARNING worker_gone worker=4 count=5"));
}

TEST_F(WorkLogTest, AFailedOrchestrationIsAWarningWithItsReason) {
  Open().Write(Failed("default", "a\nINFO forged"));
  EXPECT_THAT(Lines(), ElementsAre("WARNING orchestration_failed "
                                   "tenant=default "
                                   "instance_id=\"a\\nINFO forged\" "
                                   "name=Resize "
                                   "reason=\"ValueError: \\\"x\\\" is no "
                                   "number\""));
}

TEST_F(WorkLogTest, FailuresOfATenantHideNothingElse) {
  WorkLog& log = Open();
  for (uint64_t i = 0; i < WorkLog::kLinesOfOneMax + 10; ++i) {
    log.Write(Failed("loud", absl::StrCat(i)));
  }
  log.Write(Failed("quiet", "a"));
  log.Write(Lost());
  log.Flush();
  const std::vector<std::string> lines = Lines();
  ASSERT_THAT(lines, SizeIs(WorkLog::kLinesOfOneMax + 3));
  EXPECT_THAT(lines[WorkLog::kLinesOfOneMax], HasSubstr("tenant=quiet"));
  EXPECT_THAT(lines[WorkLog::kLinesOfOneMax + 1], HasSubstr("work_lost"));
  EXPECT_THAT(lines.back(), HasSubstr("work_lines_left_out count=10"));
}

TEST_F(WorkLogTest, StartsAndEndsAreForDebugging) {
  WorkLog& quiet = Open();
  EXPECT_FALSE(quiet.WritesLives());
  quiet.Write(Ended());
  EXPECT_THAT(Lines(), SizeIs(0));
}

TEST_F(WorkLogTest, LinesForDebuggingAreNotLimited) {
  WorkLog& log = Open(/*console=*/true, LogLevel::kDebug);
  EXPECT_TRUE(log.WritesLives());
  for (uint64_t i = 0; i < 2 * WorkLog::kLinesMax; ++i) log.Write(Ended());
  const std::vector<std::string> lines = Lines();
  ASSERT_THAT(lines, SizeIs(2 * WorkLog::kLinesMax));
  EXPECT_EQ(lines.front(),
            "DEBUG orchestration_ended tenant=default instance_id=a "
            "name=Resize status=Completed");
  EXPECT_THAT(Shown(), SizeIs(0));
}

TEST_F(WorkLogTest, WhatTheLevelHidesCountsForNothing) {
  WorkLog& log = Open(/*console=*/false, LogLevel::kWarning);
  for (uint64_t i = 0; i < 2 * WorkLog::kLinesMax; ++i) {
    log.Write({.kind = WorkEventKind::kWorkerConnected, .worker = i + 1});
  }
  log.Write(Lost());
  log.Flush();
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("work_lost")));
}

TEST_F(WorkLogTest, AConsoleShowsAllAndTheLogHasTheWarnings) {
  WorkLog& log = Open(/*console=*/true);
  log.Write(Lost());
  log.Write({.kind = WorkEventKind::kWorkerConnected, .worker = 3});
  EXPECT_THAT(Lines(), SizeIs(1));
  EXPECT_THAT(Shown(),
              ElementsAre("work lost          \"a\"  Resize, action -1, worker "
                          "7, ipv4:10.0.0.1:5, count 2, its worker's stream "
                          "ended",
                          "worker connected   worker 3"));
}

TEST_F(WorkLogTest, AFloodIsCountedAndOthersAreHeard) {
  WorkLog& log = Open();
  for (int i = 0; i < 1000; ++i) {
    log.Write(Lost(absl::StrCat("ipv4:10.0.0.1:", i)));
  }
  log.Write(Lost("ipv4:10.0.0.2:1"));
  clock_.Advance(WorkLog::kSpan);
  log.Write(Lost());
  const std::vector<std::string> lines = Lines();
  ASSERT_THAT(lines, SizeIs(WorkLog::kLinesOfOneMax + 3));
  EXPECT_THAT(lines, Contains(HasSubstr("peer=ipv4:10.0.0.2:1 ")));
  EXPECT_THAT(lines[lines.size() - 2],
              HasSubstr(absl::StrCat("WARNING work_lines_left_out count=",
                                     1000 - WorkLog::kLinesOfOneMax)));
  EXPECT_THAT(lines.back(), HasSubstr("work_lost"));
}

TEST_F(WorkLogTest, AFloodOfManyAddressesIsBoundedToo) {
  WorkLog& log = Open();
  for (int i = 0; i < 1000; ++i) {
    log.Write(Lost(absl::StrCat("ipv6:[fd00::", i, "]:1")));
  }
  log.Flush();
  log.Flush();
  const std::vector<std::string> lines = Lines();
  ASSERT_THAT(lines, SizeIs(WorkLog::kLinesMax + 1));
  EXPECT_THAT(lines.back(),
              HasSubstr(absl::StrCat("count=", 1000 - WorkLog::kLinesMax)));
}

TEST_F(WorkLogTest, EveryKindHasANameOfItsOwn) {
  std::vector<std::string> names;
  for (int kind = 0;
       kind <= static_cast<int>(WorkEventKind::kOrchestrationFailed); ++kind) {
    names.emplace_back(WorkEventName(static_cast<WorkEventKind>(kind)));
    EXPECT_NE(names.back(), "");
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::unique(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace leasehold
