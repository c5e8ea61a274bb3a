#include "service/instance/gate.h"

#include <memory>

#include "gtest/gtest.h"

namespace leasehold {
namespace {

TEST(Gate, LastToLeaveAClosedGateCallsDone) {
  Gate gate;
  int done = 0;
  gate.Enter();
  gate.SetDone([&] { ++done; });
  gate.Leave();  // Closed; one is inside.
  EXPECT_EQ(done, 0);
  EXPECT_TRUE(gate.TryEnter());
  gate.Leave();
  EXPECT_EQ(done, 0);
  gate.Leave();
  EXPECT_EQ(done, 1);
  EXPECT_FALSE(gate.TryEnter());
}

TEST(Gate, OpenGateIsNeverDone) {
  Gate gate;
  int done = 0;
  gate.SetDone([&] { ++done; });
  gate.Enter();
  gate.Leave();
  EXPECT_EQ(done, 0);
}

TEST(Gate, DoneMayDestroyTheGate) {
  auto gate = std::make_unique<Gate>();
  gate->SetDone([&] { gate.reset(); });
  gate->Leave();
  EXPECT_EQ(gate, nullptr);
}

TEST(Gate, LeavingTwiceEndsTheProcess) {
  Gate gate;
  gate.Leave();
  EXPECT_DEATH(gate.Leave(), "who leaves a gate was inside");
}

}  // namespace
}  // namespace leasehold
