#include "service/network/read_turns.h"

#include "gtest/gtest.h"

namespace leasehold {
namespace {

TEST(ReadTurn, OfAThreadThatNeverWaitsForConnectionsIsNone) {
  EXPECT_FALSE(ReadTurn().limited());
}

TEST(ReadTurn, EndsAfterAFewCalls) {
  ReadTurn turn;
  turn.Begin();
  EXPECT_TRUE(turn.limited());
  EXPECT_EQ(turn.Room(), ReadTurn::kBytes);
  turn.OnRead(1000);
  turn.OnCall();
  EXPECT_EQ(turn.Room(), ReadTurn::kBytes - 1000);
  turn.OnRead(ReadTurn::kBytes - 1000);
  EXPECT_EQ(turn.Room(), 0u);
  turn.Begin();
  EXPECT_EQ(turn.Room(), ReadTurn::kBytes);
}

TEST(ReadTurn, ReadsMoreOfALargeCall) {
  ReadTurn turn;
  turn.Begin();
  turn.OnRead(ReadTurn::kBytes);
  EXPECT_EQ(turn.Room(), ReadTurn::kBytesOfLarge - ReadTurn::kBytes);
  turn.OnRead(turn.Room());
  EXPECT_EQ(turn.Room(), 0u);
}

TEST(ReadTurn, EndsWhenTheNextCallBegins) {
  ReadTurn turn;
  turn.Begin();
  turn.OnRead(2 * ReadTurn::kBytes);
  turn.OnCall();
  EXPECT_EQ(turn.Room(), 0u);
}

}  // namespace
}  // namespace leasehold
