#include "service/orchestration/kept_calls.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr StoredTime kSecond = 1'000'000;

std::vector<std::string> Added(KeptCalls& kept, std::string request,
                               StoredTime ended, size_t bytes = 1) {
  std::vector<std::string> dropped;
  for (const CallMark& mark :
       kept.Add({"t", std::move(request), ended, bytes})) {
    dropped.push_back(mark.request);
  }
  return dropped;
}

TEST(KeptCalls, TheOldestMakeRoomForTheNewest) {
  KeptCalls kept({.count_max = 2});
  EXPECT_THAT(Added(kept, "a", 1), IsEmpty());
  EXPECT_THAT(Added(kept, "b", 2), IsEmpty());
  EXPECT_THAT(Added(kept, "c", 3), ElementsAre("a"));
  EXPECT_EQ(kept.size(), 2u);
}

TEST(KeptCalls, TheirBytesAreLimitedTogether) {
  KeptCalls kept({.bytes_max = 10});
  Added(kept, "a", 1, 4);
  Added(kept, "b", 2, 4);
  EXPECT_THAT(Added(kept, "c", 3, 5), ElementsAre("a"));
  EXPECT_EQ(kept.bytes(), 9u);
  // The new one is kept, however large it is.
  EXPECT_THAT(Added(kept, "d", 4, 99), ElementsAre("b", "c"));
  EXPECT_EQ(kept.bytes(), 99u);
}

TEST(KeptCalls, ThoseThatAreTooOldAreDropped) {
  KeptCalls kept({.age_max = absl::Seconds(10)});
  Added(kept, "a", 0);
  Added(kept, "b", kSecond);
  EXPECT_THAT(Added(kept, "c", 10 * kSecond), IsEmpty());
  EXPECT_THAT(Added(kept, "d", 10 * kSecond + 1), ElementsAre("a"));
  EXPECT_FALSE(kept.IsTooOld(0, 10 * kSecond));
  EXPECT_TRUE(kept.IsTooOld(0, 10 * kSecond + 1));
}

TEST(KeptCalls, ANameIsKeptOnce) {
  KeptCalls kept({.count_max = 2});
  Added(kept, "a", 1);
  Added(kept, "b", 2);
  EXPECT_THAT(Added(kept, "a", 3), IsEmpty());
  EXPECT_EQ(kept.size(), 2u);
  EXPECT_THAT(Added(kept, "c", 4), ElementsAre("b"));
}

TEST(KeptCalls, KnowsNothingOnceItIsCleared) {
  KeptCalls kept;
  Added(kept, "a", 1);
  kept.Clear();
  EXPECT_EQ(kept.size(), 0u);
  EXPECT_EQ(kept.bytes(), 0u);
}

TEST(KeptCalls, ThoseOfATenantAreForgottenAlone) {
  KeptCalls kept({.count_max = 2});
  Added(kept, "a", 1, 4);
  kept.Add({"u", "a", 2, 5});
  kept.Forget("u");
  EXPECT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept.bytes(), 4u);
  EXPECT_THAT(Added(kept, "b", 3), IsEmpty());  // There is room.
  EXPECT_THAT(Added(kept, "c", 4), ElementsAre("a"));
  kept.Forget("v");
  EXPECT_EQ(kept.size(), 2u);
}

TEST(KeptCalls, ATenantWithManyForgetsItsOwn) {
  KeptCalls kept({.count_max = 4});
  kept.Add({"quiet", "q", 1, 1});
  for (const char* request : {"a", "b", "c"}) Added(kept, request, 2);
  EXPECT_THAT(Added(kept, "d", 3), ElementsAre("a"));
  EXPECT_THAT(Added(kept, "e", 3), ElementsAre("b"));
  // Another one comes, and takes its place from who has the most.
  std::vector<std::string> dropped;
  for (const CallMark& mark : kept.Add({"new", "n", 4, 1})) {
    dropped.push_back(mark.tenant + "/" + mark.request);
  }
  EXPECT_THAT(dropped, ElementsAre("t/c"));
  EXPECT_EQ(kept.size(), 4u);
}

TEST(KeptCalls, ATenantWithMuchForgetsItsOwn) {
  KeptCalls kept({.bytes_max = 10});
  kept.Add({"quiet", "q", 1, 3});
  Added(kept, "a", 2, 6);
  EXPECT_THAT(Added(kept, "b", 3, 4), ElementsAre("a"));
  // One that is larger than the limit is kept alone of its tenant.
  EXPECT_THAT(Added(kept, "c", 4, 11), ElementsAre("b", "q"));
  EXPECT_EQ(kept.size(), 1u);
}

}  // namespace
}  // namespace leasehold
