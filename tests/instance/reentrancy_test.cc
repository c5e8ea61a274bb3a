// Call chains, and which of them let a message into a reentrant queue.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/instance/call_chain.h"
#include "service/instance/serial_queue.h"
#include "tests/support/manual_executor.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using ::testing::HasSubstr;

// ---- CallChain

CallChain ChainOf(int links) {
  CallChain chain;
  for (int i = 0; i < links; ++i) chain.Add(CallChain::NewLink());
  return chain;
}

TEST(CallChain, IsReadAsItWasWritten) {
  CallChain chain;
  EXPECT_EQ(chain.header(), "");
  EXPECT_TRUE(CallChain::Parse("")->empty());
  std::vector<CallChain::Link> links;
  for (size_t i = 0; i < CallChain::kLinksMax; ++i) {
    links.push_back(CallChain::NewLink());
    chain.Add(links.back());
    const CallChain read = *CallChain::Parse(chain.header());
    for (const CallChain::Link& link : links) EXPECT_TRUE(read.Has(link));
    EXPECT_FALSE(read.Has(CallChain::NewLink()));
    EXPECT_EQ(read.header(), chain.header());
  }
  EXPECT_TRUE(chain.full());
  EXPECT_LT(chain.header().size(), 400u);
}

TEST(CallChain, IsRefusedIfNoServerHandedItOut) {
  const std::string link = ChainOf(1).header();
  for (const std::string& bad :
       {std::string("x"), link + ".", "." + link, link + ".x", link + link,
        link + "," + link, link.substr(1) + "!", std::string(5'000, 'a')}) {
    EXPECT_EQ(CallChain::Parse(bad).status().code(),
              absl::StatusCode::kInvalidArgument)
        << bad;
  }
  std::string longer = ChainOf(static_cast<int>(CallChain::kLinksMax)).header();
  longer.append(".").append(link);
  const absl::Status status = CallChain::Parse(longer).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("more than 16 links"));
  // It is as good as a password: nothing of it is repeated.
  EXPECT_EQ(status.message().find(link), std::string::npos);
}

// ---- Queues

// A message that keeps its answer.
class Message final : public AccessWaiter {
 public:
  bool Acquire(SerialQueue& queue, AccessTimer& timer, const CallChain& chain) {
    chain_ = chain;
    access_ = queue.Acquire(timer, *this, "Add", chain);
    return access_.has_value();
  }
  void OnAccess(absl::StatusOr<SerialAccess> access) override {
    EXPECT_FALSE(told_) << "told twice";
    told_ = true;
    status_ = access.status();
    if (access.ok()) access_ = *std::move(access);
  }
  // What it hands to calls that it makes.
  CallChain Chain() const {
    CallChain chain = chain_;
    chain.Add(*access_->link());
    return chain;
  }

  bool told() const { return told_; }
  bool has_access() const { return access_.has_value(); }
  const SerialAccess& access() const { return *access_; }
  const absl::Status& status() const { return status_; }
  void End() { access_.reset(); }

 private:
  CallChain chain_;
  bool told_ = false;
  absl::Status status_;
  std::optional<SerialAccess> access_;
};

class ReentrancyTest : public ::testing::Test {
 protected:
  bool Acquire(Message& message, const CallChain& chain = {}) {
    return message.Acquire(queue_, timer_, chain);
  }

  SimulatedClock clock_;
  ManualExecutor executor_;
  AccessTimer timer_{clock_, executor_, absl::Seconds(30)};
  SerialQueue queue_{/*reentrant=*/true};
  Message outer_, back_, again_, stranger_;
};

TEST_F(ReentrancyTest, ACallThatComesBackIsLetInAndOthersWaitForBoth) {
  ASSERT_TRUE(Acquire(outer_));
  const CallChain chain = outer_.Chain();
  EXPECT_FALSE(Acquire(stranger_));
  EXPECT_TRUE(Acquire(back_, chain));
  back_.End();
  executor_.RunAll();
  EXPECT_FALSE(stranger_.told());
  outer_.End();
  executor_.RunAll();
  EXPECT_TRUE(stranger_.has_access());
}

TEST_F(ReentrancyTest, AStrangersChainOpensNothing) {
  ASSERT_TRUE(Acquire(outer_));
  EXPECT_EQ(outer_.Chain().header(), outer_.Chain().header());
  EXPECT_FALSE(Acquire(stranger_, ChainOf(15)));
  Message without;
  EXPECT_FALSE(Acquire(without));
  outer_.End();
  executor_.RunAll();
  EXPECT_TRUE(stranger_.has_access());
  EXPECT_FALSE(without.has_access());
  stranger_.End();
  executor_.RunAll();
}

TEST_F(ReentrancyTest, ALinkIsWorthNothingWhenItsAccessIsOver) {
  ASSERT_TRUE(Acquire(outer_));
  const CallChain old = outer_.Chain();
  outer_.End();
  ASSERT_TRUE(Acquire(stranger_));
  EXPECT_FALSE(Acquire(back_, old));
  stranger_.End();
  executor_.RunAll();
  EXPECT_TRUE(back_.has_access());
}

TEST_F(ReentrancyTest, ALinkIsGoodForItsOwnQueueOnly) {
  SerialQueue other(/*reentrant=*/true);
  ASSERT_TRUE(Acquire(outer_));
  ASSERT_TRUE(stranger_.Acquire(other, timer_, {}));
  EXPECT_FALSE(back_.Acquire(other, timer_, outer_.Chain()));
  stranger_.End();
  executor_.RunAll();
  EXPECT_TRUE(back_.has_access());
}

TEST_F(ReentrancyTest, TwoThatComeBackTakeTurns) {
  ASSERT_TRUE(Acquire(outer_));
  EXPECT_FALSE(Acquire(stranger_));
  ASSERT_TRUE(Acquire(back_, outer_.Chain()));
  // The second one was not called by the first: it waits for it alone.
  EXPECT_FALSE(Acquire(again_, outer_.Chain()));
  back_.End();
  executor_.RunAll();
  EXPECT_TRUE(again_.has_access());
  again_.End();
  executor_.RunAll();
  EXPECT_FALSE(stranger_.told());
  outer_.End();
  executor_.RunAll();
  EXPECT_TRUE(stranger_.has_access());
}

TEST_F(ReentrancyTest, OneThatComesBackTwiceIsLetInTwice) {
  ASSERT_TRUE(Acquire(outer_));
  ASSERT_TRUE(Acquire(back_, outer_.Chain()));
  EXPECT_TRUE(Acquire(again_, back_.Chain()));
}

TEST_F(ReentrancyTest, OneWhoseCallerHasGoneKeepsItsAccess) {
  ASSERT_TRUE(Acquire(outer_));
  const CallChain chain = outer_.Chain();
  ASSERT_TRUE(Acquire(back_, chain));
  outer_.End();  // It has not waited.
  EXPECT_FALSE(Acquire(again_, chain));
  EXPECT_FALSE(Acquire(stranger_));
  executor_.RunAll();
  EXPECT_FALSE(again_.told());
  back_.End();
  executor_.RunAll();
  EXPECT_TRUE(again_.has_access());
  EXPECT_FALSE(stranger_.told());
  again_.End();
  executor_.RunAll();
}

TEST_F(ReentrancyTest, OneThatIsGivenUpIsNotLetInLater) {
  ASSERT_TRUE(Acquire(outer_));
  const CallChain chain = outer_.Chain();
  ASSERT_TRUE(Acquire(back_, chain));
  EXPECT_FALSE(Acquire(again_, chain));
  EXPECT_TRUE(SerialQueue::CancelWait(again_));
  back_.End();
  executor_.RunAll();
  EXPECT_FALSE(again_.told());
  Message later;
  EXPECT_TRUE(Acquire(later, chain));
}

TEST_F(ReentrancyTest, ATimeoutNamesTheOneThatRuns) {
  ASSERT_TRUE(Acquire(outer_));
  ASSERT_TRUE(Acquire(back_, outer_.Chain()));
  EXPECT_FALSE(Acquire(stranger_));
  clock_.Advance(absl::Seconds(31));
  timer_.RunDue();
  EXPECT_EQ(stranger_.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(stranger_.status().message()),
              HasSubstr("Add has had it for 31s"));
}

TEST_F(ReentrancyTest, AQueueThatIsNotReentrantHandsOutNoLink) {
  SerialQueue plain;
  ASSERT_TRUE(outer_.Acquire(plain, timer_, {}));
  EXPECT_EQ(outer_.access().link(), std::nullopt);
  EXPECT_FALSE(back_.Acquire(plain, timer_, ChainOf(3)));
  outer_.End();
  executor_.RunAll();
}

// Goal: in any order of calls, answers and ends, one message runs at a time
// (all others with access wait for calls of theirs), nobody gets in who does
// not come from the one that runs, and nobody is forgotten. Method: messages
// call, by chance, messages of the same queue, and end at any moment.
TEST(Reentrancy, AnyOrderOfCallsKeepsOneRunningAtATime) {
  ForEachSeed(20, [](Random& random) {
    SimulatedClock clock;
    ManualExecutor executor;
    AccessTimer timer(clock, executor, absl::Hours(100));
    SerialQueue queue(/*reentrant=*/true);
    struct Node {
      Message message;
      int parent = -1;
      bool asked = false, ended = false;
    };
    std::deque<Node> nodes;
    std::vector<int> inside;  // Who has access, in order.
    const auto note = [&] {
      for (int i = 0; i < static_cast<int>(nodes.size()); ++i) {
        Node& node = nodes[i];
        if (node.ended || !node.message.has_access()) continue;
        if (std::find(inside.begin(), inside.end(), i) != inside.end()) {
          continue;
        }
        // On top of one that it comes from, or of nobody.
        if (!inside.empty()) {
          bool descends = false;
          for (int p = node.parent; p >= 0; p = nodes[p].parent) {
            descends |= p == inside.back();
          }
          ASSERT_TRUE(descends);
        }
        inside.push_back(i);
      }
    };
    for (int step = 0; step < 400; ++step) {
      const uint64_t what = Uniform(random, 0, 3);
      if (what == 0 && nodes.size() < 60) {
        CallChain chain;
        int parent = -1;
        if (!inside.empty() && !OneIn(random, 3)) {
          parent = inside[Uniform(random, 0, inside.size() - 1)];
          chain = nodes[parent].message.Chain();
        }
        if (chain.full()) continue;
        nodes.emplace_back();
        nodes.back().parent = parent;
        nodes.back().message.Acquire(queue, timer, chain);
      } else if (what == 1 && !inside.empty()) {
        const size_t at = Uniform(random, 0, inside.size() - 1);
        Node& node = nodes[inside[at]];
        inside.erase(inside.begin() + static_cast<std::ptrdiff_t>(at));
        node.ended = true;
        node.message.End();
      } else {
        executor.RunAny(random);
      }
      note();
    }
    while (executor.RunOne() || !inside.empty()) {
      note();
      if (inside.empty()) continue;
      nodes[inside.back()].ended = true;
      nodes[inside.back()].message.End();
      inside.pop_back();
      note();
    }
    for (const Node& node : nodes) EXPECT_TRUE(node.ended);
  });
}

}  // namespace
}  // namespace leasehold
