#include "service/orchestration/orchestration_info.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/history_builder.h"

namespace leasehold {
namespace {

using testing::HasSubstr;

Summary FullSummary() {
  Summary summary;
  summary.name = "Greet";
  summary.version = "";
  summary.execution_id = "e-1";
  summary.parent_id = "p-1";
  summary.scheduled_start = Timestamp{5, 0};
  summary.updated = {6, 7};
  summary.tags = {{"k", "v"}};
  summary.custom_status = "\"half\"";
  summary.turn_time = {8, 9};
  summary.trace_context = {"\x0a\x01t"};
  return summary;
}

RunRow RowWith(std::string summary) {
  RunRow row;
  row.id = "a-1";
  row.summary = std::move(summary);
  return row;
}

TEST(OrchestrationInfo, IsMadeOfItsRow) {
  const RunRow row{.number = 7,
                   .tenant = "default",
                   .id = "a-1",
                   .status = 1,
                   .created = 1'000'000,
                   .finished = 2'000'001,
                   .summary = EncodeMessage(FullSummary())};
  const absl::StatusOr<OrchestrationInfo> info = InfoOf(row);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->id, "a-1");
  EXPECT_EQ(info->status, OrchestrationStatus::kCompleted);
  EXPECT_EQ(info->created, absl::FromUnixSeconds(1));
  EXPECT_EQ(info->finished, absl::FromUnixSeconds(2) + absl::Microseconds(1));
  EXPECT_FALSE(info->has_payloads);
  const Summary& summary = info->summary;
  EXPECT_EQ(summary.name, "Greet");
  EXPECT_EQ(summary.version, "");
  EXPECT_EQ(summary.execution_id, "e-1");
  EXPECT_EQ(summary.parent_id, "p-1");
  EXPECT_EQ(summary.scheduled_start, (Timestamp{5, 0}));
  EXPECT_EQ(summary.updated, (Timestamp{6, 7}));
  EXPECT_EQ(summary.tags, (StringMap{{"k", "v"}}));
  EXPECT_EQ(summary.custom_status, "\"half\"");
  EXPECT_EQ(summary.turn_time, (Timestamp{8, 9}));
  EXPECT_EQ(EncodeMessage(summary), row.summary);
}

TEST(OrchestrationInfo, OpenOneHasNoEnd) {
  const auto info = InfoOf(RowWith(EncodeMessage(Summary{})));
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->finished, std::nullopt);
}

TEST(OrchestrationInfo, BrokenSummaryIsDataLossAndNamesTheId) {
  const auto info = InfoOf(RowWith("\x0a"));
  EXPECT_EQ(info.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(info.status().message()), HasSubstr("\"a-1\""));
}

TEST(OrchestrationInfo, StoredTimesAreMicroseconds) {
  const absl::Time time = absl::FromUnixMicros(1'234'567);
  EXPECT_EQ(ToStored(time), 1'234'567);
  EXPECT_EQ(FromStored(1'234'567), time);
  // Fractions are rounded down.
  EXPECT_EQ(ToStored(time + absl::Nanoseconds(999)), 1'234'567);
}

TEST(OrchestrationInfo, PayloadsAreThoseOfBothEnds) {
  HistoryBuilder history;
  history.Turn(1).Started("Greet", "in").Task(1, "t");
  HistoryEnds ends;
  ends.first = history.Frames(3);
  history.Turn(2)
      .TaskDone(1, "between")
      .Ended(2, OrchestrationStatus::kCompleted, "out");
  ends.last = history.Frames(6).substr(ends.first.size());
  OrchestrationInfo info;
  info.finished = absl::UnixEpoch();
  ASSERT_TRUE(AddPayloads(ends, info).ok());
  EXPECT_TRUE(info.has_payloads);
  EXPECT_EQ(info.input, "in");
  EXPECT_EQ(info.output, "out");
  EXPECT_FALSE(info.failure.has_value());
}

TEST(OrchestrationInfo, OneThatGoesOnHasNoEndThoughItsHistoryHas) {
  HistoryBuilder history;
  history.Turn(1)
      .Started("Greet", "in")
      .Ended(2, OrchestrationStatus::kFailed, "out");
  OrchestrationInfo info;
  HistoryEnds ends;
  ends.first = ends.last = history.Frames(3);
  ASSERT_TRUE(AddPayloads(ends, info).ok());
  EXPECT_EQ(info.input, "in");
  EXPECT_EQ(info.output, std::nullopt);
}

TEST(OrchestrationInfo, OneChunkIsBothEnds) {
  HistoryBuilder history;
  history.Turn(1)
      .Started("Greet", "")
      .Ended(0, OrchestrationStatus::kCompleted, "");
  OrchestrationInfo info;
  info.finished = absl::UnixEpoch();
  ASSERT_TRUE(AddPayloads({history.Frames(3), history.Frames(3)}, info).ok());
  EXPECT_EQ(info.input, "");
  EXPECT_EQ(info.output, "");
}

TEST(OrchestrationInfo, WithoutHistoryWhatIsThereStays) {
  OrchestrationInfo info;
  info.input = "pending";
  ASSERT_TRUE(AddPayloads({}, info).ok());
  EXPECT_TRUE(info.has_payloads);
  EXPECT_EQ(info.input, "pending");
  EXPECT_EQ(info.output, std::nullopt);
}

TEST(OrchestrationInfo, BrokenHistoryIsDataLossAndNamesTheId) {
  std::string frames;
  AppendFrame(frames, kStoredFrame, "\x08");
  for (const HistoryEnds& ends :
       {HistoryEnds{"\x1a", ""}, HistoryEnds{"", "\x1a"},
        HistoryEnds{frames, ""}, HistoryEnds{"", frames}}) {
    OrchestrationInfo info;
    info.id = "a-1";
    const absl::Status status = AddPayloads(ends, info);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr("\"a-1\""));
  }
}

OrchestrationInfo Large() {
  OrchestrationInfo info;
  info.id = "a";
  info.has_payloads = true;
  info.input = std::string(3000, 'i');
  info.output = std::string(20'000, 'o');
  info.summary.custom_status = std::string(5000, 's');
  return info;
}

TEST(FitIntoPage, LeavesWhatFitsAsItIs) {
  OrchestrationInfo info = Large();
  FitIntoPage(info, 30'000);
  EXPECT_EQ(info.input, Large().input);
  EXPECT_EQ(info.output, Large().output);
  EXPECT_EQ(info.summary.custom_status, Large().summary.custom_status);
}

TEST(FitIntoPage, LeavesOutTheLargestPayloadsWithAWord) {
  OrchestrationInfo info = Large();
  FitIntoPage(info, 10'000);
  EXPECT_LE(SizeOf(info), 10'000u);
  EXPECT_EQ(info.input, Large().input);
  EXPECT_EQ(info.output,
            "\"(the output has 20000 bytes, too many for a page: ask for this "
            "orchestration alone)\"");
  EXPECT_EQ(info.summary.custom_status, Large().summary.custom_status);
  FitIntoPage(info, 4000);
  EXPECT_EQ(info.input, Large().input);
  EXPECT_LT(info.summary.custom_status->size(), 200u);
}

TEST(FitIntoPage, CutsWhatWasStoredBeforeItHadABound) {
  OrchestrationInfo info;
  info.summary.name = std::string(50'000, 'n');
  info.summary.version = std::string(50'000, 'v');
  info.summary.tags = {{"k", std::string(50'000, 't')}};
  info.failure = MakeFailure("E", std::string(50'000, 'm'));
  FitIntoPage(info, 10'000);
  EXPECT_LE(SizeOf(info), 10'000u);
  EXPECT_EQ(info.summary.name, std::string(1024, 'n'));
}

}  // namespace
}  // namespace leasehold
