#include "service/host/retention_setting.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using ::testing::HasSubstr;

// What is read, as it could be given; or why it is refused.
std::string Read(const std::string& text) {
  const absl::StatusOr<RetentionRules> rules = ReadRetention(text);
  return rules.ok() ? RetentionText(*rules)
                    : std::string(rules.status().message());
}

TEST(RetentionSetting, IsForAllOrByStatus) {
  EXPECT_EQ(Read("7d"), "168h");
  EXPECT_EQ(Read("FAILED=30d"), "failed=720h");
  EXPECT_EQ(Read("7d,failed=off"), "completed=168h,terminated=168h");
  EXPECT_EQ(Read("failed=30d,1s"), "completed=1s,failed=720h,terminated=1s");
  EXPECT_EQ(Read("completed=off"), "off");
  EXPECT_EQ(Read("off"), "off");
}

TEST(RetentionSetting, WhatItSaysCanBeReadAgain) {
  for (const char* text : {"7d", "completed=1d,failed=30d", "7d,failed=8d",
                           "terminated=90m", "off"}) {
    EXPECT_EQ(Read(Read(text)), Read(text)) << text;
  }
}

TEST(RetentionSetting, RefusesWhatNobodyCanHaveMeant) {
  const auto refuses = [](const std::string& text, const std::string& why) {
    EXPECT_THAT(Read(text), HasSubstr(why)) << text;
  };
  refuses("running=1d", "completed, failed, terminated");
  refuses("=1d", "completed, failed, terminated");
  refuses("failed =1d", "completed, failed, terminated");
  refuses("0", "above zero");
  refuses("7", "above zero");
  refuses("completed=0s", "above zero");
  refuses("completed=", "above zero");
  refuses("-7d", "above zero");
  refuses("7d,", "above zero");
  refuses("", "above zero");
  refuses("inf", "above zero");
  refuses("failed=1d,failed=1d", "twice");
  refuses("7d,8d", "twice");
}

TEST(ReadDuration, MayHaveDays) {
  absl::Duration read;
  ASSERT_TRUE(ReadDuration("2d", read).ok());
  EXPECT_EQ(read, absl::Hours(48));
  ASSERT_TRUE(ReadDuration("1d2h3m", read).ok());
  EXPECT_EQ(read, absl::Hours(26) + absl::Minutes(3));
  ASSERT_TRUE(ReadDuration("90m", read).ok());
  EXPECT_EQ(read, absl::Minutes(90));
  for (const char* bad : {"0d", "d", "1d-1h", "-1d", "1.5d", "1d2d", "1d2",
                          "99999999999999999999d", "1h1d", "1d 2h", "1dinf"}) {
    EXPECT_FALSE(ReadDuration(bad, read).ok()) << bad;
  }
}

}  // namespace
}  // namespace leasehold
