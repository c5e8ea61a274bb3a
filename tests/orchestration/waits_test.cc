#include "service/orchestration/waits.h"

#include <cstdint>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

struct Waiter {
  uint64_t id;
  std::string peer;
};

std::vector<uint64_t> Ids(const std::vector<Waiter>& waiters) {
  std::vector<uint64_t> ids;
  for (const Waiter& waiter : waiters) ids.push_back(waiter.id);
  return ids;
}

std::vector<uint64_t> TakeAllOf(Waits<Waiter>& waits, const std::string& key) {
  return Ids(waits.TakeIf(key, [](const Waiter&) { return true; }));
}

TEST(Waits, TheOldestOfAConnectionWithTooManyGoes) {
  Waits<Waiter> waits(2);
  EXPECT_FALSE(waits.Add("a", {1, "x"}).has_value());
  EXPECT_FALSE(waits.Add("b", {2, "x"}).has_value());
  const auto oldest = waits.Add("a", {3, "x"});
  ASSERT_TRUE(oldest.has_value());
  EXPECT_EQ(oldest->id, 1u);
  EXPECT_EQ(waits.Add("a", {4, "x"})->id, 2u);
  EXPECT_FALSE(waits.Contains("b"));
  EXPECT_THAT(TakeAllOf(waits, "a"), ElementsAre(3, 4));
}

TEST(Waits, OtherConnectionsLoseNothing) {
  Waits<Waiter> waits(2);
  EXPECT_FALSE(waits.Add("a", {1, "y"}).has_value());
  for (uint64_t id = 2; id < 100; ++id) waits.Add("a", {id, "x"});
  EXPECT_FALSE(waits.Add("a", {100, "y"}).has_value());
  EXPECT_THAT(TakeAllOf(waits, "a"), ElementsAre(1, 98, 99, 100));
}

TEST(Waits, ThoseThatWereTakenMakeRoom) {
  Waits<Waiter> waits(2);
  waits.Add("a", {1, "x"});
  waits.Add("b", {2, "x"});
  EXPECT_THAT(
      Ids(waits.TakeIf("a", [](const Waiter& one) { return one.id == 1; })),
      ElementsAre(1));
  EXPECT_FALSE(waits.Add("a", {3, "x"}).has_value());
  EXPECT_THAT(TakeAllOf(waits, "a"), ElementsAre(3));
  EXPECT_THAT(TakeAllOf(waits, "a"), IsEmpty());
  EXPECT_FALSE(waits.Add("a", {4, "x"}).has_value());
}

TEST(Waits, AllCanBeTaken) {
  Waits<Waiter> waits(2);
  waits.Add("a", {1, "x"});
  waits.Add("b", {2, "y"});
  EXPECT_THAT(waits.Keys(), UnorderedElementsAre("a", "b"));
  EXPECT_THAT(Ids(waits.TakeAll()), UnorderedElementsAre(1, 2));
  EXPECT_TRUE(waits.empty());
  waits.Add("a", {3, "x"});
  EXPECT_FALSE(waits.Add("a", {4, "x"}).has_value());
}

TEST(Waits, ThoseForSomeKeysAreTakenAndMakeRoom) {
  Waits<Waiter> waits(3);
  waits.Add("a", {1, "x"});
  waits.Add("b", {2, "x"});
  waits.Add("c", {3, "x"});
  EXPECT_THAT(
      Ids(waits.TakeForKeys([](const std::string& key) { return key != "b"; })),
      UnorderedElementsAre(1, 3));
  EXPECT_FALSE(waits.Contains("a"));
  EXPECT_FALSE(waits.Contains("c"));
  EXPECT_FALSE(waits.Add("b", {4, "x"}).has_value());
  EXPECT_FALSE(waits.Add("b", {5, "x"}).has_value());
  EXPECT_THAT(TakeAllOf(waits, "b"), ElementsAre(2, 4, 5));
}

}  // namespace
}  // namespace leasehold
