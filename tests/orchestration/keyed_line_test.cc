#include "service/orchestration/keyed_line.h"

#include <memory>
#include <optional>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::UnorderedElementsAre;

TEST(KeyedLine, TasksOfOneKeyRunOneAtATimeInTheirOrder) {
  KeyedLine<int> line;
  EXPECT_TRUE(line.Add("a", 1));
  EXPECT_FALSE(line.Add("a", 2));
  EXPECT_FALSE(line.Add("a", 3));
  EXPECT_THAT(line.Take("a"), Optional(1));
  EXPECT_TRUE(line.End("a"));
  EXPECT_THAT(line.Take("a"), Optional(2));
  EXPECT_TRUE(line.End("a"));
  EXPECT_THAT(line.Take("a"), Optional(3));
  EXPECT_FALSE(line.End("a"));
  EXPECT_FALSE(line.Contains("a"));
}

TEST(KeyedLine, KeysDoNotWaitForEachOther) {
  KeyedLine<int> line;
  EXPECT_TRUE(line.Add("a", 1));
  EXPECT_TRUE(line.Add("b", 2));
  EXPECT_THAT(line.Take("b"), Optional(2));
  EXPECT_THAT(line.Take("a"), Optional(1));
}

TEST(KeyedLine, OneThatComesWhileTheOnlyOneRunsWaits) {
  KeyedLine<int> line;
  EXPECT_TRUE(line.Add("a", 1));
  EXPECT_THAT(line.Take("a"), Optional(1));
  EXPECT_FALSE(line.Add("a", 2));
  EXPECT_TRUE(line.Contains("a"));
  EXPECT_TRUE(line.End("a"));
  EXPECT_THAT(line.Take("a"), Optional(2));
}

TEST(KeyedLine, ALineThatHasEndedCanBeginAgain) {
  KeyedLine<int> line;
  EXPECT_TRUE(line.Add("a", 1));
  EXPECT_THAT(line.Take("a"), Optional(1));
  EXPECT_FALSE(line.End("a"));
  EXPECT_TRUE(line.Add("a", 2));
}

TEST(KeyedLine, ThoseThatWaitAreTakenAndTheOneThatRunsStays) {
  KeyedLine<std::unique_ptr<int>> line;
  EXPECT_TRUE(line.Add("a", std::make_unique<int>(1)));
  EXPECT_FALSE(line.Add("a", std::make_unique<int>(2)));
  EXPECT_EQ(**line.Take("a"), 1);
  const auto waiting = line.TakeWaiting("a");
  ASSERT_EQ(waiting.size(), 1u);
  EXPECT_EQ(*waiting.front(), 2);
  EXPECT_TRUE(line.Contains("a"));
  EXPECT_FALSE(line.End("a"));
  EXPECT_THAT(line.TakeWaiting("a"), IsEmpty());
}

TEST(KeyedLine, ClearedLinesKnowNothingOfWhatRan) {
  KeyedLine<int> line;
  EXPECT_TRUE(line.Add("a", 1));
  EXPECT_FALSE(line.Add("a", 2));
  EXPECT_TRUE(line.Add("b", 3));
  EXPECT_THAT(line.Take("a"), Optional(1));
  EXPECT_THAT(line.Clear(), UnorderedElementsAre(2, 3));
  EXPECT_FALSE(line.Contains("a"));
  EXPECT_FALSE(line.End("a"));
  EXPECT_EQ(line.Take("b"), std::nullopt);
}

}  // namespace
}  // namespace leasehold
