// At the limit of contexts an idle one makes room, or the call is refused.

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/base/retry_after.h"
#include "service/instance/context_table.h"
#include "service/instance/held_pin.h"
#include "service/instance/instance_registry.h"
#include "tests/instance/instance_fakes.h"

namespace leasehold {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Code = absl::StatusCode;

class EvictionTest : public InstanceRegistryTest {
 protected:
  EvictionTest() { options_.evict_idle = true; }

  // `count` IDs whose contexts belong to the shard with that index.
  static std::vector<std::string> IdsOfShard(size_t shard, size_t count) {
    std::vector<std::string> ids;
    for (int i = 0; ids.size() < count; ++i) {
      const std::string id = absl::StrCat("room-", i);
      const size_t hash = ContextTable::View(RequestFor(id).key).hash;
      if (ContextTable::ShardIndex(hash) == shard) ids.push_back(id);
    }
    return ids;
  }

  // A call that begins and ends, whose ID the server generated.
  void UseGenerated(std::string_view id) {
    InstanceRequest request = RequestFor(id);
    request.id_generated = true;
    FakeCall call(request);
    call.Ask(registry());
    ASSERT_TRUE(call.answered());
    ASSERT_TRUE(call.status().ok()) << call.status();
  }

  bool Knows(std::string_view id) {
    return registry().Describe(RequestFor(id).key).has_value();
  }

  // An idle context whose detach hook answers when the test says so.
  void UseWithHook(std::string_view id) {
    FakeCall call(id);
    call.Ask(registry());
    ASSERT_TRUE(call.answered());
    ASSERT_TRUE(call.status().ok()) << call.status();
    call.context().Attach<First>(journal_, std::string(id), [this](HookDone d) {
      hooks_.push_back(std::make_unique<HookDone>(std::move(d)));
    });
  }
  // Answers the oldest hook that has not answered.
  void AnswerHook() {
    ASSERT_FALSE(hooks_.empty());
    (*hooks_.front())();
    hooks_.pop_front();
    executor_.RunAll();
  }

  std::deque<std::unique_ptr<HookDone>> hooks_;
};

TEST_F(EvictionTest, AtTheBoundAnIdleContextMakesRoom) {
  options_.contexts_max = 2;
  Use("room-1");
  Use("room-2");
  FakeCall call("room-3");
  // At once: it does not wait for the other context's end.
  ASSERT_TRUE(call.Ask(registry()));
  ASSERT_TRUE(call.status().ok()) << call.status();
  EXPECT_TRUE(call.created());
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 2u);
  EXPECT_TRUE(Knows("room-3"));
  EXPECT_NE(Knows("room-1"), Knows("room-2"));
}

TEST_F(EvictionTest, BelowTheBoundNothingIsEvicted) {
  options_.contexts_max = 3;
  for (const char* id : {"room-1", "room-2", "room-3"}) Use(id);
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 3u);
}

TEST_F(EvictionTest, CallOfAContextThatIsThereEvictsNothing) {
  options_.contexts_max = 2;
  Use("room-1");
  Use("room-2");
  Use("room-1");
  EXPECT_EQ(registry().size(), 2u);
}

TEST_F(EvictionTest, HooksAndObserversAreToldOfTheEviction) {
  options_.contexts_max = 1;
  {
    FakeCall call("room-1");
    call.Ask(registry());
    call.context().Attach<First>(journal_, "a");
  }
  TakeJournal();
  Use("room-2");
  EXPECT_THAT(journal_,
              ElementsAre("created room-2", "closing room-1 evicted",
                          "a: evicted", "closed room-1 evicted", "-a"));
}

TEST_F(EvictionTest, OldestOfTheShardGoesFirst) {
  const std::vector<std::string> ids = IdsOfShard(7, 12);
  options_.contexts_max = 6;
  // From least to most recently used: 3, 0, 5, 1, 4, 2.
  for (int i = 0; i < 6; ++i) Use(ids[i]);
  const int order[] = {3, 0, 5, 1, 4, 2};
  for (const int i : order) {
    clock_.Advance(kTick);
    Use(ids[i]);
  }
  clock_.Advance(kTick);
  int next = 6;
  for (const int i : order) {
    EXPECT_TRUE(Knows(ids[i]));
    Use(ids[next++]);
    EXPECT_FALSE(Knows(ids[i])) << i << " is still there";
    EXPECT_EQ(registry().size(), 6u);
    clock_.Advance(kTick);
  }
}

TEST_F(EvictionTest, ThoseThatTheServerNamedGoBeforeOthers) {
  const std::vector<std::string> ids = IdsOfShard(7, 8);
  options_.contexts_max = 4;
  for (int i = 0; i < 4; ++i) {
    if (i < 2) {
      Use(ids[i]);
    } else {
      UseGenerated(ids[i]);
    }
    clock_.Advance(kTick);
  }
  // The older of the two with generated IDs, then the other, then the oldest.
  for (const int i : {2, 3, 0, 1}) {
    EXPECT_TRUE(Knows(ids[i]));
    Use(ids[i + 4]);
    EXPECT_FALSE(Knows(ids[i])) << i << " is still there";
    clock_.Advance(kTick);
  }
}

TEST_F(EvictionTest, KeepAliveCountsAsAUse) {
  const std::vector<std::string> ids = IdsOfShard(7, 3);
  options_.contexts_max = 2;
  Use(ids[0]);
  clock_.Advance(kTick);
  Use(ids[1]);
  clock_.Advance(kTick);
  EXPECT_TRUE(registry().KeepAlive(RequestFor(ids[0]).key).ok());
  Use(ids[2]);
  EXPECT_TRUE(Knows(ids[0]));
  EXPECT_FALSE(Knows(ids[1]));
}

TEST_F(EvictionTest, IdleContextOfAnyShardMakesRoom) {
  options_.contexts_max = 1;
  for (const size_t shard : {0, 1, 31, 63, 0}) {
    const std::string id = IdsOfShard(shard, 1)[0];
    Use(id);
    EXPECT_TRUE(Knows(id));
    EXPECT_EQ(registry().size(), 1u);
  }
}

TEST_F(EvictionTest, BusyContextIsNeverEvicted) {
  const std::vector<std::string> ids = IdsOfShard(7, 4);
  options_.contexts_max = 2;
  FakeCall busy(ids[0]);
  busy.Ask(registry());
  clock_.Advance(kTick);
  Use(ids[1]);
  Use(ids[2]);
  EXPECT_TRUE(Knows(ids[0]));
  EXPECT_FALSE(Knows(ids[1]));
  EXPECT_EQ(busy.context().word().state(), ContextState::kOpen);
}

TEST_F(EvictionTest, HeldContextIsNeverEvicted) {
  const std::vector<std::string> ids = IdsOfShard(7, 3);
  options_.contexts_max = 2;
  FakeCall call(ids[0]);
  call.Ask(registry());
  const HeldPin held(std::move(call.pin()), PinKind::kHold, nullptr);
  clock_.Advance(kTick);
  Use(ids[1]);
  Use(ids[2]);
  EXPECT_TRUE(Knows(ids[0]));
  EXPECT_FALSE(Knows(ids[1]));
}

TEST_F(EvictionTest, OpeningContextIsNeverEvicted) {
  std::vector<std::unique_ptr<HookDone>> opening;
  FakeInitializer initializer{[&](auto&, auto&, HookDone done) {
    opening.push_back(std::make_unique<HookDone>(std::move(done)));
  }};
  initializers_ = {&initializer};
  options_.contexts_max = 1;
  FakeCall first("room-1");
  EXPECT_FALSE(first.Ask(registry()));
  executor_.RunAll();
  FakeCall second("room-2");
  ASSERT_TRUE(second.Ask(registry()));
  EXPECT_EQ(second.status().code(), Code::kResourceExhausted);
  (*opening[0])();
  executor_.RunAll();
  EXPECT_TRUE(first.status().ok());
}

TEST_F(EvictionTest, WithNoneIdleTheCallIsRefusedAndToldWhenToTryAgain) {
  options_.contexts_max = 1;
  FakeCall busy("room-1");
  busy.Ask(registry());
  FakeCall call("room-2");
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_EQ(call.status().code(), Code::kResourceExhausted);
  EXPECT_THAT(std::string(call.status().message()),
              HasSubstr("--max-contexts"));
  ASSERT_TRUE(RetryAfter(call.status()).has_value());
  EXPECT_GT(*RetryAfter(call.status()), absl::ZeroDuration());
  EXPECT_EQ(registry().size(), 1u);
}

TEST_F(EvictionTest, OnceThereIsAnIdleOneTheCallFindsRoom) {
  options_.contexts_max = 1;
  FakeCall busy("room-1");
  busy.Ask(registry());
  FakeCall call("room-2");
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_FALSE(call.status().ok());
  busy.Finish();
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_TRUE(call.status().ok()) << call.status();
}

TEST_F(EvictionTest, WhereEvictionIsOffTheCallIsRefusedAndToldWhenToTryAgain) {
  options_.evict_idle = false;
  options_.contexts_max = 1;
  Use("room-1");
  FakeCall call("room-2");
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_EQ(call.status().code(), Code::kResourceExhausted);
  ASSERT_TRUE(RetryAfter(call.status()).has_value());
  EXPECT_GT(*RetryAfter(call.status()), absl::ZeroDuration());
  executor_.RunAll();
  EXPECT_TRUE(Knows("room-1"));
}

TEST_F(EvictionTest, CallThatExpectsAnExistingContextEvictsNothing) {
  options_.contexts_max = 1;
  Use("room-1");
  FakeCall call("room-2", Expect::kExisting);
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_EQ(call.status().code(), Code::kNotFound);
  executor_.RunAll();
  EXPECT_TRUE(Knows("room-1"));
}

TEST_F(EvictionTest, CallOfAnEvictedContextWaitsForItsEndAndGetsAFreshOne) {
  options_.contexts_max = 1;
  UseWithHook("room-1");
  Use("room-2");
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  // It has waited: it gets its context even though the server is full.
  FakeCall busy("room-2");
  busy.Ask(registry());
  AnswerHook();
  ASSERT_TRUE(call.answered());
  ASSERT_TRUE(call.status().ok()) << call.status();
  EXPECT_TRUE(call.created());
}

// Two may be open, and two more closing. Otherwise a server whose hooks hang
// would evict one context after another, and grow.
TEST_F(EvictionTest, WithTwiceAsManyBecauseTheyAreStillClosingNoneIsEvicted) {
  const std::vector<std::string> ids = IdsOfShard(7, 5);
  options_.contexts_max = 2;
  for (const int i : {0, 1}) {
    UseWithHook(ids[i]);
    clock_.Advance(kTick);
  }
  for (const int i : {2, 3}) {
    Use(ids[i]);
    clock_.Advance(kTick);
  }
  EXPECT_EQ(hooks_.size(), 2u);
  EXPECT_EQ(registry().size(), 4u);
  TakeJournal();
  FakeCall call(ids[4]);
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_EQ(call.status().code(), Code::kResourceExhausted);
  EXPECT_TRUE(RetryAfter(call.status()).has_value());
  executor_.RunAll();
  EXPECT_THAT(journal_, IsEmpty());
  EXPECT_EQ(registry().size(), 4u);

  AnswerHook();
  TakeJournal();
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_TRUE(call.status().ok()) << call.status();
  executor_.RunAll();
  EXPECT_THAT(journal_, Contains(absl::StrCat("created ", ids[4])));
  AnswerHook();
}

// Its lease was found to be over; the eviction came before the decision.
TEST_F(EvictionTest, EvictionBetweenExpiryAndDecisionClosesOnce) {
  options_.contexts_max = 1;
  Use("room-1");
  clock_.Advance(kTimeout + kTick);
  EXPECT_EQ(registry().RunDueLeases(), 1u);
  FakeCall call("room-2");
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_TRUE(call.status().ok()) << call.status();
  executor_.RunAll();
  EXPECT_THAT(journal_,
              ElementsAre("created room-1", "created room-2",
                          "closing room-1 evicted", "closed room-1 evicted"));
}

}  // namespace
}  // namespace leasehold
