#include "service/orchestration/life.h"

#include <memory>
#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/dispatch/dispatcher.h"

namespace leasehold {
namespace {

using ::testing::HasSubstr;

class LifeTest : public testing::Test {
 protected:
  // An open orchestration that has received something.
  LifeTest() {
    one_.durable = true;
    Message message;
    message.sequence = 1;
    one_.inbox.Announce(message);
    one_.inbox.Arrive(message);
    one_.inbox.Add(std::move(message));
  }
  std::string Broken() const {
    const char* rule = BrokenRule(one_);
    return rule == nullptr ? "" : rule;
  }

  Orchestration one_{1, InstanceKey{"t", "a"}, "Name", std::nullopt, "e"};
};

TEST_F(LifeTest, OpenOneMayHaveItsTurnLinedUp) {
  EXPECT_EQ(LifeOf(one_), Life::kOpen);
  EXPECT_EQ(Broken(), "");
  one_.turn.state = Work::State::kQueued;
  EXPECT_EQ(Broken(), "");
}

TEST_F(LifeTest, TurnWithNothingToLookAtIsNotLinedUp) {
  one_.inbox.Clear();
  one_.turn.state = Work::State::kQueued;
  EXPECT_THAT(Broken(), HasSubstr("has something to look at"));
}

TEST_F(LifeTest, OneThatIsNotDurableHasNoWork) {
  one_.durable = false;
  EXPECT_EQ(LifeOf(one_), Life::kCreating);
  EXPECT_EQ(Broken(), "");
  one_.turn.state = Work::State::kQueued;
  EXPECT_THAT(Broken(), HasSubstr("not durable"));
}

TEST_F(LifeTest, WhileItsAnswerIsStoredItsTurnIsIdle) {
  one_.committing = true;
  EXPECT_EQ(LifeOf(one_), Life::kCommitting);
  EXPECT_EQ(Broken(), "");
  one_.turn.state = Work::State::kQueued;
  EXPECT_THAT(Broken(), HasSubstr("an answer is on its way"));
}

TEST_F(LifeTest, WhileItsEndIsStoredItsTurnIsIdle) {
  one_.ending = true;
  EXPECT_EQ(LifeOf(one_), Life::kEnding);
  EXPECT_EQ(Broken(), "");
  one_.turn.state = Work::State::kQueued;
  EXPECT_THAT(Broken(), HasSubstr("an end is on its way"));
}

TEST_F(LifeTest, OnlyOfOneThatIsEndingItIsUndecided) {
  one_.undecided = true;
  EXPECT_EQ(Broken(),
            "only of one that is ending it is undecided whether it ends");
  one_.ending = true;
  EXPECT_EQ(Broken(), "");
}

TEST_F(LifeTest, OneThatIsSetAsideKeepsNothing) {
  one_.damage = std::make_unique<const std::string>("why");
  EXPECT_EQ(LifeOf(one_), Life::kSetAside);
  EXPECT_THAT(Broken(), HasSubstr("set aside"));
  one_.inbox.Clear();
  EXPECT_EQ(Broken(), "");
}

TEST_F(LifeTest, OneThatHasGoneHasNoWork) {
  one_.gone = true;
  EXPECT_EQ(LifeOf(one_), Life::kGone);
  EXPECT_THAT(Broken(), HasSubstr("has gone"));
  one_.ending = true;
  EXPECT_EQ(Broken(), "");
}

TEST_F(LifeTest, TurnThatWasGivenBackAndWaitsIsIdle) {
  one_.held = true;
  EXPECT_EQ(Broken(), "");
  one_.turn.state = Work::State::kQueued;
  EXPECT_THAT(Broken(), HasSubstr("given back"));
}

TEST_F(LifeTest, PinsAreCountedAndHeld) {
  one_.turn.state = Work::State::kOut;
  EXPECT_EQ(Broken(), "work that is out pins its context");
  one_.turn.pins = true;
  EXPECT_THAT(Broken(), HasSubstr("pins are counted"));
  one_.pins = 1;
  EXPECT_THAT(Broken(), HasSubstr("held, or being acquired"));
  one_.pinning = true;
  EXPECT_EQ(Broken(), "");
  one_.turn.state = Work::State::kQueued;
  EXPECT_THAT(Broken(), HasSubstr("only while it is out"));
}

TEST_F(LifeTest, EachStateHasAName) {
  for (const Life life : {Life::kCreating, Life::kOpen, Life::kCommitting,
                          Life::kEnding, Life::kSetAside, Life::kGone}) {
    EXPECT_STRNE(LifeName(life), "unknown");
  }
}

}  // namespace
}  // namespace leasehold
