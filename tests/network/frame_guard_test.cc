#include "service/network/frame_guard.h"

#include <cstddef>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

class FrameGuardTest : public testing::Test {
 protected:
  // Addresses of connections, parsers and streams; never dereferenced.
  static const void* At(size_t address) {
    return reinterpret_cast<const void*>(address);
  }
  // How many of `count` streams, each begun and reset at once, the connection
  // may reset.
  int ResetYoung(const void* connection, int count) {
    for (int i = 0; i < count; ++i) {
      const void* stream = At(0x10000 + 0x400 * i);
      guard_.OnStream(stream);
      if (!guard_.AdmitReset(connection, stream)) return i;
    }
    return count;
  }

  SimulatedClock clock_;
  std::vector<FrameGuard::Cut> cuts_;
  FrameGuard guard_{clock_,
                    {.header_block_bytes_max = 1000,
                     .resets_max = 5,
                     .resets_per_second_max = 2},
                    [this](FrameGuard::Cut cut) { cuts_.push_back(cut); }};
};

TEST_F(FrameGuardTest, BlocksInOnePieceAreNeverCut) {
  for (int i = 0; i < 100; ++i) {
    guard_.OnHeaderFrame(At(1), /*ends_block=*/true);
    EXPECT_TRUE(guard_.AdmitHeaderBytes(At(1), 900, /*ends_frame=*/true));
  }
  EXPECT_TRUE(cuts_.empty());
}

TEST_F(FrameGuardTest, BlockOfManyFramesHasOneBoundForAll) {
  guard_.OnHeaderFrame(At(1), /*ends_block=*/false);
  EXPECT_TRUE(guard_.AdmitHeaderBytes(At(1), 500, /*ends_frame=*/true));
  guard_.OnHeaderFrame(At(1), /*ends_block=*/false);
  EXPECT_FALSE(guard_.AdmitHeaderBytes(At(1), 500, /*ends_frame=*/true));
  EXPECT_EQ(cuts_, std::vector{FrameGuard::Cut::kHeaderBlock});
}

TEST_F(FrameGuardTest, FrameInManySlicesHasTheSameBound) {
  guard_.OnHeaderFrame(At(1), /*ends_block=*/true);
  EXPECT_TRUE(guard_.AdmitHeaderBytes(At(1), 500, /*ends_frame=*/false));
  EXPECT_FALSE(guard_.AdmitHeaderBytes(At(1), 500, /*ends_frame=*/false));
}

TEST_F(FrameGuardTest, EmptyFramesCountToo) {
  guard_.OnHeaderFrame(At(1), /*ends_block=*/false);
  int admitted = 0;
  while (guard_.AdmitHeaderBytes(At(1), 0, /*ends_frame=*/true)) ++admitted;
  EXPECT_GT(admitted, 2);
  EXPECT_LT(admitted, 100);
}

TEST_F(FrameGuardTest, TheNextBlockAndOtherConnectionsStartFresh) {
  for (int i = 0; i < 10; ++i) {
    guard_.OnHeaderFrame(At(1), /*ends_block=*/false);
    EXPECT_TRUE(guard_.AdmitHeaderBytes(At(1), 400, /*ends_frame=*/true));
    guard_.OnHeaderFrame(At(2), /*ends_block=*/false);
    EXPECT_TRUE(guard_.AdmitHeaderBytes(At(2), 800, /*ends_frame=*/true));
    guard_.OnHeaderFrame(At(1), /*ends_block=*/true);
    EXPECT_TRUE(guard_.AdmitHeaderBytes(At(1), 400, /*ends_frame=*/true));
    guard_.OnGone(At(3), At(2));
  }
}

TEST_F(FrameGuardTest, YoungStreamsMayBeResetUpToTheBoundAndThenAtItsRate) {
  EXPECT_EQ(ResetYoung(At(7), 100), 5);
  EXPECT_EQ(cuts_, std::vector{FrameGuard::Cut::kResets});
  EXPECT_EQ(ResetYoung(At(8), 5), 5);  // Another connection.
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(ResetYoung(At(8), 100), 2);
}

TEST_F(FrameGuardTest, OldStreamsAreResetForNothing) {
  const int count = 100;
  for (int i = 0; i < count; ++i) guard_.OnStream(At(0x10000 + 0x400 * i));
  clock_.Advance(FrameGuard::kYoung);
  for (int i = 0; i < count; ++i) {
    EXPECT_TRUE(guard_.AdmitReset(At(7), At(0x10000 + 0x400 * i)));
  }
  EXPECT_EQ(ResetYoung(At(7), 100), 5);
}

TEST_F(FrameGuardTest, ResetsOfStreamsThatAreGoneCount) {
  int admitted = 0;
  while (guard_.AdmitReset(At(7), nullptr)) ++admitted;
  EXPECT_EQ(admitted, 5);
}

TEST_F(FrameGuardTest, ConnectionAtTheAddressOfOneThatIsGoneStartsFresh) {
  EXPECT_EQ(ResetYoung(At(7), 5), 5);
  guard_.OnGone(At(7), At(6));
  EXPECT_EQ(ResetYoung(At(7), 5), 5);
}

}  // namespace
}  // namespace leasehold
