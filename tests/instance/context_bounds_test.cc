// Counts and bounds; instance_eviction_test shows which context makes room.
#include "service/instance/context_bounds.h"

#include "gtest/gtest.h"

namespace leasehold {
namespace {

TEST(ContextBounds, NoMoreThanTheMaximumAreOpen) {
  ContextBounds bounds(2);
  EXPECT_TRUE(bounds.Take(false));
  EXPECT_TRUE(bounds.HasRoom());
  EXPECT_TRUE(bounds.Take(false));
  EXPECT_FALSE(bounds.HasRoom());
  EXPECT_FALSE(bounds.Take(false));
  EXPECT_EQ(bounds.size(), 2u);
}

TEST(ContextBounds, ClosingOnesLeaveRoomUntilTheyAreAsManyAgain) {
  ContextBounds bounds(2);
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(bounds.TooManyAreClosing()) << i;
    ASSERT_TRUE(bounds.Take(false)) << i;
    bounds.Leave();
  }
  EXPECT_TRUE(bounds.HasRoom());
  EXPECT_TRUE(bounds.TooManyAreClosing());
  EXPECT_FALSE(bounds.Take(false));
  bounds.Gone();
  EXPECT_TRUE(bounds.Take(false));
}

TEST(ContextBounds, PromisedOneCountsInAnyCase) {
  ContextBounds bounds(1);
  EXPECT_TRUE(bounds.Take(false));
  EXPECT_TRUE(bounds.Take(true));
  EXPECT_EQ(bounds.size(), 2u);
  EXPECT_FALSE(bounds.HasRoom());
}

TEST(ContextBounds, OneThatIsCountedOutTwiceEndsTheProcess) {
  ContextBounds bounds(1);
  EXPECT_DEATH(bounds.Leave(), "each context leaves the open ones once");
  EXPECT_DEATH(bounds.Gone(), "each context is gone once");
}

TEST(ContextBounds, WithoutContextsThereIsNoVictim) {
  EXPECT_EQ(ContextBounds::ChooseVictim({}).context, nullptr);
}

}  // namespace
}  // namespace leasehold
