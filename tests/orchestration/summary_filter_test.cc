// What a filter asks of summaries, which are read as they are stored.
#include "service/orchestration/summary_filter.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/orchestration/orchestration_info.h"

namespace leasehold {
namespace {

std::string Stored(std::string name, StringMap tags) {
  Summary summary;
  summary.name = std::move(name);
  summary.version = "2";
  summary.execution_id = "run";
  summary.updated = {7, 8};
  summary.tags = std::move(tags);
  summary.custom_status = "\"Named\"";
  summary.chunks = 3;
  return EncodeMessage(summary);
}

TEST(SummaryFilter, AnEmptyOneMatchesAll) {
  EXPECT_TRUE(SummaryFilter().empty());
  EXPECT_TRUE(SummaryFilter().Matches(Stored("Named", {})));
  EXPECT_TRUE(SummaryFilter().Matches(""));
}

TEST(SummaryFilter, NamesAreComparedWhole) {
  const SummaryFilter named{.name = "Named"};
  EXPECT_TRUE(named.Matches(Stored("Named", {})));
  for (const char* other : {"Name", "Named2", "named", ""}) {
    EXPECT_FALSE(named.Matches(Stored(other, {}))) << other;
  }
}

TEST(SummaryFilter, TagsAreAllThereWithTheirValues) {
  const std::string stored =
      Stored("Named", {{"a=b", ""}, {"empty", ""}, {"team", "blue=x"}});
  const auto matches = [&](std::vector<std::string> tags) {
    return SummaryFilter{.tags = std::move(tags)}.Matches(stored);
  };
  for (const char* tag : {"team", "team=blue=x", "a=b", "a=b=", "empty="}) {
    EXPECT_TRUE(matches({tag})) << tag;
  }
  for (const char* tag :
       {"tea", "team=", "team=blue", "=blue=x", "a", "b", "team=blue=xx"}) {
    EXPECT_FALSE(matches({tag})) << tag;
    EXPECT_FALSE(matches({"team", tag})) << tag;
  }
  EXPECT_TRUE(matches({"team", "a=b", "team=blue=x"}));
}

TEST(SummaryFilter, NameAndTagsHaveToMatch) {
  const std::string stored = Stored("Named", {{"team", "blue"}});
  EXPECT_TRUE((SummaryFilter{"Named", {"team"}}).Matches(stored));
  EXPECT_FALSE((SummaryFilter{"Other", {"team"}}).Matches(stored));
  EXPECT_FALSE((SummaryFilter{"Named", {"other"}}).Matches(stored));
}

TEST(SummaryFilter, WhatCannotBeReadDoesNotMatch) {
  const SummaryFilter filter{.tags = {"team"}};
  EXPECT_FALSE(filter.Matches("\xff\xff"));
  const std::string stored = Stored("Named", {{"team", "blue"}});
  for (size_t bytes = 0; bytes < stored.find("team"); ++bytes) {
    EXPECT_FALSE(filter.Matches(stored.substr(0, bytes))) << bytes;
  }
}

TEST(SummaryFilter, TagsThatAreNoneAreRefused) {
  EXPECT_TRUE(CheckFilterTags("tag", {"a", "=", "a=b"}).ok());
  EXPECT_TRUE(
      CheckFilterTags("tag", std::vector<std::string>(kFilterTagsMax, "a"))
          .ok());
  for (const auto& tags : {std::vector<std::string>{"a", ""},
                           std::vector<std::string>(kFilterTagsMax + 1, "a")}) {
    const absl::Status status = CheckFilterTags("tag", tags);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), testing::StartsWith("tag: "));
  }
}

}  // namespace
}  // namespace leasehold
