#include "service/instance/hook.h"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/manual_executor.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr absl::string_view kDropped =
    "the hook dropped its `done` without an answer";

// Chains of hooks that record their answers: `0 OK`, `1 INTERNAL: it threw: x`.
class HookChainTest : public testing::Test {
 protected:
  using Hook = std::function<void(HookDone)>;

  void Run(std::vector<Hook> hooks, bool stop_at_failure = false) {
    Make(std::move(hooks), stop_at_failure)->Begin();
  }
  std::shared_ptr<HookChain> Make(std::vector<Hook> hooks,
                                  bool stop_at_failure = false) {
    const size_t count = hooks.size();
    return HookChain::Make(
        executor_,
        {.count = count,
         .run = [hooks = std::move(hooks)](
                    size_t i, HookDone done) { hooks[i](std::move(done)); },
         .answered =
             [this, stop_at_failure](size_t i, const absl::Status& status) {
               answers_.push_back(std::to_string(i) + " " + status.ToString());
               return status.ok() || !stop_at_failure;
             },
         .end = [this] { answers_.push_back("end"); }});
  }

  static void Ok(HookDone done) { done(); }

  ManualExecutor executor_;
  std::vector<std::string> answers_;
};

TEST_F(HookChainTest, RunsHooksInOrderThenItsEnd) {
  Run({Ok, Ok, Ok});
  EXPECT_THAT(answers_, ElementsAre("0 OK", "1 OK", "2 OK", "end"));
}

TEST_F(HookChainTest, WithoutHooksEndsAtOnce) {
  Run({});
  EXPECT_THAT(answers_, ElementsAre("end"));
}

TEST_F(HookChainTest, WaitsForAnAnswerThatComesLater) {
  std::optional<HookDone> kept;
  Run({[&](HookDone done) { kept.emplace(std::move(done)); }, Ok});
  EXPECT_THAT(answers_, IsEmpty());
  (*kept)();
  // The thread that answers does not run the next hook.
  EXPECT_THAT(answers_, IsEmpty());
  EXPECT_EQ(executor_.RunAll(), 1u);
  EXPECT_THAT(answers_, ElementsAre("0 OK", "1 OK", "end"));
}

TEST_F(HookChainTest, AnswerFromAnotherThreadDuringTheHookIsTaken) {
  Run({[](HookDone done) {
         std::thread([done = std::move(done)]() mutable { done(); }).join();
       },
       Ok});
  EXPECT_THAT(answers_, ElementsAre("0 OK", "1 OK", "end"));
  EXPECT_EQ(executor_.size(), 0u);
}

TEST_F(HookChainTest, WhatAHookThrowsIsItsAnswer) {
  Run({[](HookDone) { throw std::runtime_error("no room"); },
       [](HookDone) { throw 5; }});
  EXPECT_THAT(
      answers_,
      ElementsAre(
          "0 INTERNAL: it threw: no room",
          "1 INTERNAL: it threw: something that is not a std::exception",
          "end"));
}

TEST_F(HookChainTest, ExceptionCountsMoreThanAnAnswerBeforeIt) {
  Run({[](HookDone done) {
    done();
    throw std::runtime_error("after all");
  }});
  EXPECT_THAT(answers_, ElementsAre("0 INTERNAL: it threw: after all", "end"));
}

TEST_F(HookChainTest, AnswerThatComesAfterAnExceptionChangesNothing) {
  std::optional<HookDone> kept;
  std::optional<HookDone> second;
  Run({[&](HookDone done) {
         kept.emplace(std::move(done));
         throw std::runtime_error("x");
       },
       [&](HookDone done) { second.emplace(std::move(done)); }});
  (*kept)();
  executor_.RunAll();
  EXPECT_THAT(answers_, ElementsAre("0 INTERNAL: it threw: x"));
  (*second)();
  executor_.RunAll();
  EXPECT_THAT(answers_, ElementsAre("0 INTERNAL: it threw: x", "1 OK", "end"));
}

TEST_F(HookChainTest, DroppedAnswerIsAnError) {
  Run({[](HookDone) {}});
  EXPECT_THAT(
      answers_,
      ElementsAre("0 " + absl::InternalError(kDropped).ToString(), "end"));
}

TEST_F(HookChainTest, AnswerThatIsDroppedLaterIsAnError) {
  std::optional<HookDone> kept;
  Run({[&](HookDone done) { kept.emplace(std::move(done)); }});
  kept.reset();
  executor_.RunAll();
  EXPECT_THAT(
      answers_,
      ElementsAre("0 " + absl::InternalError(kDropped).ToString(), "end"));
}

// An exception from elsewhere must not swallow the answer: the key would be
// blocked forever.
TEST_F(HookChainTest, AnswerThatIsDroppedByAnotherExceptionIsAnErrorToo) {
  std::optional<HookDone> kept;
  Run({[&](HookDone done) { kept.emplace(std::move(done)); }});
  try {
    const HookDone dropped = *std::move(kept);
    throw std::runtime_error("somebody else's");
  } catch (const std::runtime_error&) {
  }
  executor_.RunAll();
  EXPECT_THAT(
      answers_,
      ElementsAre("0 " + absl::InternalError(kDropped).ToString(), "end"));
}

TEST_F(HookChainTest, SecondAnswerChangesNothing) {
  std::optional<HookDone> kept;
  Run({[&](HookDone done) {
         done();
         done(absl::AbortedError("again"));
         kept.emplace(std::move(done));
       },
       Ok});
  (*kept)(absl::AbortedError("and again"));
  executor_.RunAll();
  EXPECT_THAT(answers_, ElementsAre("0 OK", "1 OK", "end"));
}

TEST_F(HookChainTest, EndsWhereItIsToldTo) {
  Run({Ok, [](HookDone done) { done(absl::AbortedError("no")); }, Ok},
      /*stop_at_failure=*/true);
  EXPECT_THAT(answers_, ElementsAre("0 OK", "1 ABORTED: no", "end"));
}

TEST_F(HookChainTest, GoesOnAfterAFailureUnlessToldOtherwise) {
  Run({[](HookDone done) { done(absl::AbortedError("no")); }, Ok});
  EXPECT_THAT(answers_, ElementsAre("0 ABORTED: no", "1 OK", "end"));
}

// Goal: no recursion, however many hooks there are. Method: more hooks than a
// stack has room for, answering alternately inside their call and later.
TEST(HookChain, RunsAHundredThousandHooksWithoutRecursion) {
  constexpr size_t kHooks = 100'000;
  ManualExecutor executor;
  std::optional<HookDone> kept;
  size_t answered = 0;
  bool ended = false;
  HookChain::Run(executor,
                 {.count = kHooks,
                  .run =
                      [&kept](size_t i, HookDone done) {
                        if (i % 2 == 0) return done();
                        kept.reset();
                        kept.emplace(std::move(done));
                      },
                  .answered =
                      [&answered](size_t i, const absl::Status& status) {
                        EXPECT_TRUE(status.ok());
                        EXPECT_EQ(i, answered++);
                        return true;
                      },
                  .end = [&ended] { ended = true; }});
  while (!ended) {
    (*kept)();
    ASSERT_EQ(executor.RunAll(), 1u);
  }
  EXPECT_EQ(answered, kHooks);
}

// ---- Abandon

TEST_F(HookChainTest, AbandonedChainDoesNotWaitForAnAnswer) {
  std::optional<HookDone> kept;
  const auto chain =
      Make({[&](HookDone done) { kept.emplace(std::move(done)); }, Ok});
  chain->Begin();
  chain->Abandon();
  EXPECT_THAT(answers_, IsEmpty());  // On the executor.
  executor_.RunAll();
  EXPECT_THAT(answers_, ElementsAre("end"));
  (*kept)();
  chain->Abandon();
  executor_.RunAll();
  EXPECT_THAT(answers_, ElementsAre("end"));
}

TEST_F(HookChainTest, AbandonedChainWaitsForAHookInItsCall) {
  std::shared_ptr<HookChain> chain;
  std::optional<HookDone> kept;
  chain = Make({[&](HookDone done) {
                  chain->Abandon();
                  executor_.RunAll();
                  EXPECT_THAT(answers_, IsEmpty());
                  kept.emplace(std::move(done));
                },
                Ok});
  chain->Begin();
  EXPECT_THAT(answers_, ElementsAre("end"));
  kept.reset();
  executor_.RunAll();
  EXPECT_THAT(answers_, ElementsAre("end"));
}

TEST_F(HookChainTest, AbandonedChainBeginsNoOtherHook) {
  std::shared_ptr<HookChain> chain;
  chain = Make({[&](HookDone done) {
                  done();
                  chain->Abandon();
                },
                Ok});
  chain->Begin();
  EXPECT_THAT(answers_, ElementsAre("0 OK", "end"));
  answers_.clear();
  chain = Make({Ok});
  chain->Abandon();
  chain->Begin();
  EXPECT_THAT(answers_, ElementsAre("end"));
}

}  // namespace
}  // namespace leasehold
