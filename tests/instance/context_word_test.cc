#include "service/instance/context_word.h"

#include "gtest/gtest.h"

namespace leasehold {
namespace {

TEST(ContextWord, BeginsInOpeningAndTakesNoPin) {
  ContextWord word;
  EXPECT_EQ(word.Load().state(), ContextState::kOpening);
  bool was_idle = false;
  EXPECT_FALSE(word.TryPin(was_idle));
}

TEST(ContextWord, OpensWithThePinsOfThoseWhoWaited) {
  ContextWord word;
  word.Open(3);
  EXPECT_EQ(word.Load().state(), ContextState::kOpen);
  EXPECT_EQ(word.Load().pins(), 3u);
}

TEST(ContextWord, FirstPinIsTold) {
  ContextWord word;
  word.Open(0);
  bool was_idle = false;
  EXPECT_TRUE(word.TryPin(was_idle));
  EXPECT_TRUE(was_idle);
  EXPECT_TRUE(word.TryPin(was_idle));
  EXPECT_FALSE(was_idle);
}

TEST(ContextWord, LastUnpinIsTold) {
  ContextWord word;
  word.Open(1);
  word.PinAgain();
  EXPECT_EQ(word.Unpin(false), ContextWord::Unpinned::kNotLast);
  EXPECT_EQ(word.Unpin(false), ContextWord::Unpinned::kLast);
  EXPECT_TRUE(word.Load().idle());
}

TEST(ContextWord, LastPinStaysWhileThereIsSomethingToLookAfter) {
  ContextWord word;
  word.Open(2);
  EXPECT_FALSE(word.WantAttention().attention());
  EXPECT_EQ(word.Unpin(false), ContextWord::Unpinned::kNotLast);
  EXPECT_EQ(word.Unpin(false), ContextWord::Unpinned::kNotYet);
  EXPECT_EQ(word.Load().pins(), 1u);
  EXPECT_EQ(word.Unpin(true), ContextWord::Unpinned::kLast);
}

TEST(ContextWord, AttentionOutlivesTheOpening) {
  ContextWord word;
  word.WantAttention();
  word.Open(1);
  EXPECT_TRUE(word.Load().attention());
  word.ClearAttention();
  EXPECT_EQ(word.Unpin(false), ContextWord::Unpinned::kLast);
}

TEST(ContextWord, IdleWordClosesOnce) {
  ContextWord word;
  word.Open(0);
  const ContextWord::Value seen = word.Load();
  EXPECT_TRUE(word.TryClose(seen));
  EXPECT_FALSE(word.TryClose(seen));
  EXPECT_EQ(word.Load().state(), ContextState::kClosing);
  bool was_idle = false;
  EXPECT_FALSE(word.TryPin(was_idle));
}

TEST(ContextWord, PinThatCameFirstKeepsItOpen) {
  ContextWord word;
  word.Open(0);
  const ContextWord::Value seen = word.Load();
  bool was_idle = false;
  EXPECT_TRUE(word.TryPin(was_idle));
  EXPECT_FALSE(word.TryClose(seen));
  EXPECT_EQ(word.Load().state(), ContextState::kOpen);
}

TEST(ContextWord, PinThatCameAndWentKeepsItOpenToo) {
  ContextWord word;
  word.Open(0);
  const ContextWord::Value seen = word.Load();
  bool was_idle = false;
  EXPECT_TRUE(word.TryPin(was_idle));
  EXPECT_EQ(word.Unpin(false), ContextWord::Unpinned::kLast);
  EXPECT_TRUE(word.Load().idle());
  EXPECT_FALSE(word.TryClose(seen));
  EXPECT_TRUE(word.TryClose(word.Load()));
}

TEST(ContextWord, MovesKeepEverythingButTheState) {
  ContextWord word;
  word.WantAttention();
  word.MoveTo(ContextState::kClosing);
  EXPECT_EQ(word.Load().state(), ContextState::kClosing);
  word.MoveTo(ContextState::kClosed);
  EXPECT_EQ(word.Load().state(), ContextState::kClosed);
  EXPECT_TRUE(word.Load().attention());
}

TEST(ContextWordDeathTest, TwoMillionPinsEndTheProgramRatherThanSpillOver) {
  ContextWord word;
  word.Open((1u << 21) - 1);
  EXPECT_DEATH(word.PinAgain(), "");
}

TEST(ContextWord, BrokenInvariantEndsTheProcessWithItsName) {
  ContextWord word;
  EXPECT_DEATH(word.PinAgain(),
               "broken invariant: who takes another pin of a context has one");
  EXPECT_DEATH(word.MoveTo(ContextState::kClosed),
               "broken invariant: a context");
  word.Open(1);
  EXPECT_DEATH(word.Open(1), "a context that is to open is opening");
  EXPECT_EQ(word.Unpin(false), ContextWord::Unpinned::kLast);
  EXPECT_DEATH((void)word.Unpin(false), "a pin is released once");
}

}  // namespace
}  // namespace leasehold
