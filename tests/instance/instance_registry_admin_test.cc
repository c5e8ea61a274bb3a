// The part of the registry that inspects and manages contexts from outside:
// Describe, List, KeepAlive, SetIdleTimeout, forced Release; and the idle
// timeouts of services.

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/instance/context_table.h"
#include "service/instance/held_pin.h"
#include "service/instance/instance_registry.h"
#include "tests/instance/instance_fakes.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

using Code = absl::StatusCode;

// Counts its calls.
class FakeListener final : public ReleaseListener {
 public:
  void OnForcedRelease() override {
    ++told;
    if (then) then();
  }

  int told = 0;
  std::function<void()> then;
};

class AdminTest : public InstanceRegistryTest {
 protected:
  std::optional<InstanceInfo> Describe(std::string_view id) {
    return registry().Describe(RequestFor(id).key);
  }
  // REQUIRES: the context exists.
  InstanceState StateOf(std::string_view id) { return Describe(id)->state; }
  absl::StatusOr<InstanceInfo> KeepAlive(std::string_view id) {
    return registry().KeepAlive(RequestFor(id).key);
  }
  absl::StatusOr<InstanceInfo> SetIdleTimeout(std::string_view id,
                                              absl::Duration timeout) {
    return registry().SetIdleTimeout(RequestFor(id).key, timeout);
  }
  absl::Status Force(std::string_view id, std::function<void()> closed = {}) {
    return registry().Release(RequestFor(id).key, /*force=*/true,
                              std::move(closed));
  }

  // A context of `room-1` whose detach hook has not answered yet.
  void BeginClosing() {
    {
      FakeCall call("room-1");
      call.Ask(registry());
      call.context().Attach<First>(journal_, "a", [this](HookDone done) {
        hook_.emplace(std::move(done));
      });
    }
    ASSERT_TRUE(Release("room-1").ok());
    executor_.RunAll();
    ASSERT_TRUE(hook_.has_value());
    TakeJournal();
  }
  void EndClosing() {
    (*hook_)();
    hook_.reset();
    executor_.RunAll();
  }

  // `room-1` is idle, and is gone at `d` from now and not before.
  void ExpectEndsAfter(absl::Duration d) {
    Pass(d - kNanosecond);
    EXPECT_EQ(registry().size(), 1u) << "ended early";
    Pass(kNanosecond + kTick);
    EXPECT_EQ(registry().size(), 0u) << "did not end";
  }

  std::optional<HookDone> hook_;
};

// An initializer that answers when the test says so.
class AdminOpeningTest : public AdminTest {
 protected:
  AdminOpeningTest() { initializers_ = {&initializer_}; }

  FakeInitializer initializer_{
      [this](InstanceContext&, const InitializerRequest&, HookDone done) {
        hook_.emplace(std::move(done));
      }};
};

// ---- Describe

TEST_F(AdminTest, UnknownInstanceIsNotDescribed) {
  EXPECT_EQ(Describe("room-1"), std::nullopt);
  Use("room-1");
  EXPECT_NE(Describe("room-1"), std::nullopt);
  EXPECT_EQ(registry().Describe({.tenant = "red", .id = "room-1"}),
            std::nullopt);
}

TEST_F(AdminTest, DescriptionSaysWhichContextItIs) {
  const absl::Time created = clock_.WallNow();
  InstanceRequest request = RequestFor("room-1");
  request.key.tenant = "red";
  request.idle_timeout = absl::Seconds(5);
  FakeCall call(request);
  call.Ask(registry());
  clock_.Advance(absl::Seconds(1));
  const auto info = registry().Describe(request.key);
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->key, request.key);
  EXPECT_EQ(info->generation, call.context().generation());
  EXPECT_EQ(info->idle_timeout, absl::Seconds(5));
  EXPECT_EQ(info->create_time, created);
}

TEST_F(AdminOpeningTest, ContextIsOpeningWhileItsInitializersRun) {
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  const auto info = Describe("room-1");
  EXPECT_EQ(info->state, InstanceState::kOpening);
  EXPECT_THAT(info->pins, IsEmpty());
  EXPECT_EQ(info->lease_remaining, std::nullopt);
  EndClosing();
  EXPECT_EQ(StateOf("room-1"), InstanceState::kBusy);
}

TEST_F(AdminTest, BusyContextIsInUseNowAndHasNoLeaseThatRuns) {
  FakeCall call("room-1");
  call.Ask(registry());
  clock_.Advance(absl::Seconds(7));
  const auto info = Describe("room-1");
  EXPECT_EQ(info->state, InstanceState::kBusy);
  EXPECT_EQ(info->lease_remaining, std::nullopt);
  EXPECT_EQ(info->last_use_time, clock_.WallNow());
  EXPECT_EQ(info->idle_timeout, kTimeout);
}

TEST_F(AdminTest, IdleContextSaysItsLastUseAndWhatRemainsOfItsLease) {
  clock_.Advance(absl::Seconds(3));
  Use("room-1");
  const absl::Time used = clock_.WallNow();
  Pass(absl::Seconds(7));
  const auto info = Describe("room-1");
  EXPECT_EQ(info->state, InstanceState::kIdle);
  EXPECT_EQ(info->lease_remaining, kTimeout - absl::Seconds(7));
  EXPECT_EQ(info->last_use_time, used);
  EXPECT_THAT(info->pins, IsEmpty());
}

TEST_F(AdminTest, LeaseThatIsOverHasNothingLeftAndNotLess) {
  Use("room-1");
  clock_.Advance(kTimeout * 2);
  EXPECT_EQ(Describe("room-1")->lease_remaining, absl::ZeroDuration());
}

TEST_F(AdminTest, IdleContextWithoutALeaseSaysThatItHasNone) {
  FakeProvider provider{/*leased=*/false};
  provider.idle = false;
  provider_ = &provider;
  Use("room-1");
  const auto info = Describe("room-1");
  EXPECT_EQ(info->state, InstanceState::kIdle);
  EXPECT_EQ(info->lease_remaining, std::nullopt);
  Shutdown();
  executor_.RunAll();
  registry_.reset();
}

TEST_F(AdminTest, ContextIsClosingWhileItsHooksRun) {
  BeginClosing();
  const auto info = Describe("room-1");
  EXPECT_EQ(info->state, InstanceState::kClosing);
  EXPECT_EQ(info->lease_remaining, std::nullopt);
  EXPECT_EQ(info->idle_timeout, kTimeout);
  EndClosing();
  EXPECT_EQ(Describe("room-1"), std::nullopt);
}

// The lease then times the hooks, which callers do not need to know.
TEST_F(AdminTest, IdleTimeoutIsDescribedAsItIsWhileSomebodyWaitsForTheClosing) {
  BeginClosing();
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  EXPECT_EQ(Describe("room-1")->idle_timeout, kTimeout);
  EndClosing();
}

TEST_F(AdminTest, IdleTimeoutIsToldAsItIsThoughSomebodyWaitedForTheClosing) {
  std::optional<absl::Duration> told;
  noting_.then = [&told](const InstanceEvent& event) {
    if (event.kind == InstanceEventKind::kClosed) told = event.idle_timeout;
  };
  BeginClosing();
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  EndClosing();
  noting_.then = nullptr;
  EXPECT_EQ(told, kTimeout);
}

// The kinds and counts of `info`.
std::map<std::string_view, uint64_t> PinsOf(const InstanceInfo& info) {
  std::map<std::string_view, uint64_t> pins;
  for (const InstanceInfo::Pins& p : info.pins) {
    pins[PinKindName(p.kind)] += p.count;
  }
  return pins;
}

TEST_F(AdminTest, PinsAreCountedByKind) {
  FakeCall call("room-1");
  call.Ask(registry());
  Pin second = call.pin().Clone();
  const HeldPin stream(call.pin().Clone(), PinKind::kEchoStream, nullptr);
  const HeldPin join(call.pin().Clone(), PinKind::kJoin, nullptr);
  const HeldPin hold(call.pin().Clone(), PinKind::kHold, nullptr);
  const HeldPin other_hold(call.pin().Clone(), PinKind::kHold, nullptr);
  const HeldPin work(call.pin().Clone(), PinKind::kWorkItem, nullptr);
  const auto info = Describe("room-1");
  EXPECT_EQ(info->pins.size(), 5u) << "a kind stands there twice";
  EXPECT_THAT(PinsOf(*info),
              UnorderedElementsAre(Pair("call", 2), Pair("echo-stream", 1),
                                   Pair("join", 1), Pair("hold", 2),
                                   Pair("work-item", 1)));
}

TEST_F(AdminTest, HeldPinThatWasLetGoIsNotCounted) {
  FakeCall call("room-1");
  call.Ask(registry());
  auto join =
      std::make_unique<HeldPin>(call.pin().Clone(), PinKind::kJoin, nullptr);
  const HeldPin hold(call.pin().Clone(), PinKind::kHold, nullptr);
  auto work = std::make_unique<HeldPin>(call.pin().Clone(), PinKind::kWorkItem,
                                        nullptr);
  call.Finish();
  join.reset();
  EXPECT_THAT(PinsOf(*Describe("room-1")),
              UnorderedElementsAre(Pair("hold", 1), Pair("work-item", 1)));
  work.reset();
  EXPECT_THAT(PinsOf(*Describe("room-1")),
              UnorderedElementsAre(Pair("hold", 1)));
}

TEST_F(AdminTest, HeldPinKeepsTheContextBusyForAsLongAsItIsThere) {
  FakeCall call("room-1");
  call.Ask(registry());
  auto hold =
      std::make_unique<HeldPin>(std::move(call.pin()), PinKind::kHold, nullptr);
  Pass(kTimeout * 100);
  EXPECT_EQ(StateOf("room-1"), InstanceState::kBusy);
  EXPECT_EQ(Release("room-1").code(), Code::kFailedPrecondition);
  hold.reset();
  executor_.RunAll();
  EXPECT_EQ(StateOf("room-1"), InstanceState::kIdle);
  ExpectEndsAfter(kTimeout);
}

TEST_F(AdminTest, ExtensionsAreDescribedInTheOrderOfTheirAttachment) {
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_THAT(Describe("room-1")->extensions, IsEmpty());
  call.context().Attach<Second>(journal_, "b");
  call.context().Attach<Third>(journal_, "c");
  call.context().Attach<First>(journal_, "a");
  EXPECT_THAT(
      Describe("room-1")->extensions,
      ElementsAre("leasehold::Second", "leasehold::Third", "leasehold::First"));
  call.context().Detach<Third>();
  EXPECT_THAT(Describe("room-1")->extensions,
              ElementsAre("leasehold::Second", "leasehold::First"));
  executor_.RunAll();
}

// ---- List

class ListTest : public AdminTest {
 protected:
  static InstanceQuery Query(size_t page_size) {
    InstanceQuery query;
    query.page_size = page_size;
    return query;
  }

  // The IDs of all pages, in their order. `between` runs between two pages.
  std::vector<std::string> ListAll(
      InstanceQuery query, const std::function<void()>& between = [] {},
      std::string_view tenant = kDefaultTenant) {
    std::vector<std::string> ids;
    for (int pages = 0;; ++pages) {
      const absl::StatusOr<InstancePage> page = registry().List(tenant, query);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok() || pages > 1'000) return ids;
      EXPECT_LE(page->instances.size(), std::max<size_t>(query.page_size, 1));
      for (const InstanceInfo& info : page->instances) {
        ids.push_back(info.key.id);
      }
      if (page->next_page_token.empty()) return ids;
      query.page_token = page->next_page_token;
      between();
    }
  }

  // `count` IDs whose contexts belong to one shard.
  static std::vector<std::string> IdsOfOneShard(size_t count) {
    std::vector<std::string> ids;
    for (int i = 0; ids.size() < count; ++i) {
      const std::string id = absl::StrCat("one-shard-", i);
      const size_t hash = ContextTable::View(RequestFor(id).key).hash;
      if (ContextTable::ShardIndex(hash) == 5) ids.push_back(id);
    }
    return ids;
  }
};

TEST_F(ListTest, EmptyRegistryHasOnePageWithNothing) {
  const absl::StatusOr<InstancePage> page =
      registry().List(kDefaultTenant, Query(10));
  ASSERT_TRUE(page.ok());
  EXPECT_THAT(page->instances, IsEmpty());
  EXPECT_EQ(page->next_page_token, "");
}

TEST_F(ListTest, EachContextIsOnOnePage) {
  std::set<std::string> ids;
  for (int i = 0; i < 300; ++i) {
    ids.insert(absl::StrCat("room-", i));
    Use(absl::StrCat("room-", i));
  }
  for (const size_t page_size : {1, 7, 100, 300, 1000}) {
    std::vector<std::string> listed = ListAll(Query(page_size));
    EXPECT_EQ(listed.size(), ids.size()) << page_size;
    EXPECT_EQ(std::set<std::string>(listed.begin(), listed.end()), ids)
        << page_size;
  }
}

TEST_F(ListTest, PageThatIsNotTheLastIsFull) {
  for (int i = 0; i < 50; ++i) Use(absl::StrCat("room-", i));
  const absl::StatusOr<InstancePage> page =
      registry().List(kDefaultTenant, Query(20));
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->instances.size(), 20u);
  EXPECT_NE(page->next_page_token, "");
}

TEST_F(ListTest, PageMayEndInTheMiddleOfAShard) {
  const std::vector<std::string> ids = IdsOfOneShard(10);
  for (const std::string& id : ids) Use(id);
  EXPECT_THAT(ListAll(Query(3)), testing::UnorderedElementsAreArray(ids));
}

TEST_F(ListTest, PageSizeIsAtLeastOneAndAtMostAThousand) {
  for (int i = 0; i < 1001; ++i) Use(absl::StrCat("room-", i));
  EXPECT_EQ(registry().List(kDefaultTenant, Query(0))->instances.size(), 1u);
  EXPECT_EQ(registry().List(kDefaultTenant, Query(5000))->instances.size(),
            1000u);
}

// Goal: a context that stays open is listed exactly once, whatever comes and
// goes between two pages. Method: sixty contexts stay; between two pages others
// are created and released at random, which moves the rest within their shards.
TEST_F(ListTest, ContextThatStaysIsListedOnceWhileOthersComeAndGo) {
  ForEachSeed(20, [this](Random& random) {
    std::multiset<std::string> stay;
    std::vector<std::string> others;
    for (int i = 0; i < 120; ++i) {
      const std::string id = absl::StrCat(i, "-", random());
      Use(id);
      if (i % 2 == 0) {
        stay.insert(id);
      } else {
        others.push_back(id);
      }
    }
    const std::vector<std::string> listed = ListAll(Query(5), [&] {
      for (int i = 0; i < 10; ++i) {
        if (!others.empty() && OneIn(random, 2)) {
          std::swap(others[Uniform(random, 0, others.size() - 1)],
                    others.back());
          EXPECT_TRUE(Release(others.back()).ok());
          others.pop_back();
        } else {
          others.push_back(absl::StrCat("new-", random()));
          Use(others.back());
        }
      }
      executor_.RunAll();
    });
    std::multiset<std::string> listed_that_stayed;
    for (const std::string& id : listed) {
      if (stay.contains(id)) listed_that_stayed.insert(id);
    }
    EXPECT_EQ(listed_that_stayed, stay);
    EXPECT_EQ(std::set<std::string>(listed.begin(), listed.end()).size(),
              listed.size())
        << "one that came or went was listed twice";
    for (const std::string& id : stay) EXPECT_TRUE(Release(id).ok());
    for (const std::string& id : others) EXPECT_TRUE(Release(id).ok());
    executor_.RunAll();
    TakeJournal();
  });
}

// The same in the hardest case: all in one shard, the listed ones gone.
TEST_F(ListTest, ContextIsListedThoughThoseListedBeforeItAreGone) {
  const std::vector<std::string> ids = IdsOfOneShard(12);
  for (const std::string& id : ids) Use(id);
  std::vector<std::string> listed;
  InstanceQuery query = Query(2);
  do {
    const absl::StatusOr<InstancePage> page =
        registry().List(kDefaultTenant, query);
    ASSERT_TRUE(page.ok());
    for (const InstanceInfo& info : page->instances) {
      listed.push_back(info.key.id);
      EXPECT_TRUE(Release(info.key.id).ok());
    }
    executor_.RunAll();
    query.page_token = page->next_page_token;
  } while (!query.page_token.empty());
  EXPECT_THAT(listed, testing::UnorderedElementsAreArray(ids));
}

TEST_F(ListTest, PrefixChoosesIds) {
  for (const char* id : {"room-1", "room-2", "roof-1", "my-room-1"}) Use(id);
  InstanceQuery query = Query(1);
  query.id_prefix = "room-";
  EXPECT_THAT(ListAll(query), UnorderedElementsAre("room-1", "room-2"));
}

TEST_F(ListTest, StateChoosesContexts) {
  Use("idle-1");
  Use("idle-2");
  BeginClosing();
  FakeCall busy("busy");
  busy.Ask(registry());
  InstanceQuery query = Query(1);
  query.state = InstanceState::kIdle;
  EXPECT_THAT(ListAll(query), UnorderedElementsAre("idle-1", "idle-2"));
  query.state = InstanceState::kBusy;
  EXPECT_THAT(ListAll(query), ElementsAre("busy"));
  query.state = InstanceState::kClosing;
  EXPECT_THAT(ListAll(query), ElementsAre("room-1"));
  query.state = InstanceState::kOpening;
  EXPECT_THAT(ListAll(query), IsEmpty());
  EndClosing();
}

// Contexts that the filter excludes take no room on a page.
TEST_F(ListTest, PageIsFilledWithWhatTheFilterLetsThrough) {
  std::vector<std::unique_ptr<FakeCall>> calls;
  for (int i = 0; i < 100; ++i) {
    const std::string id = absl::StrCat("room-", i);
    if (i % 10 == 0) {
      calls.push_back(std::make_unique<FakeCall>(id));
      calls.back()->Ask(registry());
    } else {
      Use(id);
    }
  }
  InstanceQuery query = Query(4);
  query.state = InstanceState::kBusy;
  const absl::StatusOr<InstancePage> page =
      registry().List(kDefaultTenant, query);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->instances.size(), 4u);
  EXPECT_EQ(ListAll(query).size(), 10u);
}

TEST_F(ListTest, OnlyTheContextsOfTheTenantAreListed) {
  Use("room-1");
  InstanceRequest request = RequestFor("room-2");
  request.key.tenant = "red";
  FakeCall call(request);
  call.Ask(registry());
  const auto nothing = [] {};
  EXPECT_THAT(ListAll(Query(10)), ElementsAre("room-1"));
  EXPECT_THAT(ListAll(Query(10), nothing, "red"), ElementsAre("room-2"));
  EXPECT_THAT(ListAll(Query(10), nothing, "blue"), IsEmpty());
}

TEST_F(ListTest, TokenThatIsNoneOfOursIsRefused) {
  for (const char* token : {"x", "64", "-1", "1.2.3", "1.", ".5", "1.x", "1. ",
                            "18446744073709551616", "1.18446744073709551616"}) {
    InstanceQuery query = Query(10);
    query.page_token = token;
    const absl::Status status = registry().List(kDefaultTenant, query).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << token;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("\"", token, "\"")));
  }
}

// ---- KeepAlive

TEST_F(AdminTest, KeepAliveRenewsTheLease) {
  Use("room-1");
  Pass(absl::Seconds(15));
  const absl::StatusOr<InstanceInfo> info = KeepAlive("room-1");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->state, InstanceState::kIdle);
  EXPECT_EQ(info->lease_remaining, kTimeout);
  EXPECT_EQ(info->last_use_time, clock_.WallNow());
  ExpectEndsAfter(kTimeout);
}

TEST_F(AdminTest, KeepAliveIsObserved) {
  Use("room-1");
  ASSERT_TRUE(KeepAlive("room-1").ok());
  EXPECT_THAT(journal_, ElementsAre("created room-1", "renewed room-1"));
}

TEST_F(AdminTest, KeepAliveOfABusyContextLeavesItBusy) {
  FakeCall call("room-1");
  call.Ask(registry());
  const absl::StatusOr<InstanceInfo> info = KeepAlive("room-1");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->state, InstanceState::kBusy);
  EXPECT_THAT(PinsOf(*info), UnorderedElementsAre(Pair("call", 1)));
  call.Finish();
  ExpectEndsAfter(kTimeout);
}

TEST_F(AdminTest, KeepAliveOfTheUnknownIsNotFoundAndMakesNothing) {
  const absl::Status status = KeepAlive("room-1").status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"room-1\""));
  EXPECT_EQ(registry().size(), 0u);
  EXPECT_THAT(journal_, IsEmpty());
}

TEST_F(AdminTest, KeepAliveOfAClosingContextIsNotFoundAndNotObserved) {
  BeginClosing();
  EXPECT_EQ(KeepAlive("room-1").status().code(), Code::kNotFound);
  EXPECT_THAT(journal_, IsEmpty());
  EndClosing();
}

TEST_F(AdminTest, KeepAliveThatComesBetweenExpiryAndDecisionWins) {
  Use("room-1");
  clock_.Advance(kTimeout + kTick);
  EXPECT_EQ(registry().RunDueLeases(), 1u);
  EXPECT_TRUE(KeepAlive("room-1").ok());
  executor_.RunAll();
  ExpectEndsAfter(kTimeout);
}

TEST_F(AdminTest, KeepAliveBetweenQuestionAndCloseKeepsItOpen) {
  FakeProvider provider{/*leased=*/true};
  provider_ = &provider;
  provider.meanwhile = [&](InstanceContext&) {
    if (provider.asked == 1) {
      EXPECT_TRUE(KeepAlive("room-1").ok());
    }
  };
  Use("room-1");
  Pass(kTimeout + kTick);
  EXPECT_EQ(provider.asked, 1);
  ExpectEndsAfter(kTimeout);
  EXPECT_THAT(journal_,
              ElementsAre("created room-1", "renewed room-1", "expired room-1",
                          "closing room-1 idle", "closed room-1 idle"));
  registry_->Shutdown([] {});
  registry_.reset();  // Before its provider.
}

TEST_F(AdminTest, KeepAliveOfAClosingContextDoesNotProlongTheDetachTimeout) {
  BeginClosing();
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  Pass(options_.detach_timeout - absl::Seconds(1));
  EXPECT_EQ(KeepAlive("room-1").status().code(), Code::kNotFound);
  Pass(absl::Seconds(1) + kTick);
  ASSERT_TRUE(call.answered());
  EXPECT_EQ(call.status().code(), Code::kUnavailable);
  EndClosing();
}

// ---- SetIdleTimeout

TEST_F(AdminTest, IdleTimeoutThatIsSetIsClampedToTheServersBounds) {
  options_.idle_timeout_min = absl::Seconds(1);
  options_.idle_timeout_max = absl::Seconds(60);
  Use("room-1");
  EXPECT_EQ(SetIdleTimeout("room-1", absl::ZeroDuration())->idle_timeout,
            absl::Seconds(1));
  EXPECT_EQ(SetIdleTimeout("room-1", absl::Hours(1))->idle_timeout,
            absl::Seconds(60));
  EXPECT_EQ(SetIdleTimeout("room-1", absl::Seconds(2))->idle_timeout,
            absl::Seconds(2));
}

TEST_F(AdminTest, ShortenedLeaseEndsAtLastUsePlusTheNewTimeout) {
  Use("room-1");
  Pass(absl::Seconds(3));
  const auto info = SetIdleTimeout("room-1", absl::Seconds(10));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->lease_remaining, absl::Seconds(7));
  ExpectEndsAfter(absl::Seconds(7));
}

TEST_F(AdminTest, LeaseThatIsShortenedBelowItsAgeEndsAtOnce) {
  Use("room-1");
  Pass(absl::Seconds(10));
  EXPECT_TRUE(SetIdleTimeout("room-1", absl::Seconds(5)).ok());
  EXPECT_LE(registry().NextLeaseDue(), clock_.Now());
  Pass(kTick);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(AdminTest, LengthenedLeaseEndsAtLastUsePlusTheNewTimeout) {
  Use("room-1");
  Pass(absl::Seconds(3));
  EXPECT_TRUE(SetIdleTimeout("room-1", absl::Seconds(100)).ok());
  ExpectEndsAfter(absl::Seconds(97));
}

TEST_F(AdminTest, TimeoutThatIsSetWhileBusyCountsFromTheLastUnpin) {
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_TRUE(SetIdleTimeout("room-1", absl::Seconds(5)).ok());
  Pass(kTimeout * 3);
  call.Finish();
  executor_.RunAll();
  ExpectEndsAfter(absl::Seconds(5));
}

TEST_F(AdminTest, LeaseThatIsLengthenedBetweenQuestionAndCloseRunsOn) {
  FakeProvider provider{/*leased=*/true};
  provider_ = &provider;
  provider.meanwhile = [&](InstanceContext&) {
    if (provider.asked == 1) {
      EXPECT_TRUE(SetIdleTimeout("room-1", kTimeout * 2).ok());
    }
  };
  Use("room-1");
  Pass(kTimeout + kTick);
  ExpectEndsAfter(kTimeout - kTick);
  registry_->Shutdown([] {});
  registry_.reset();  // Before its provider.
}

TEST_F(AdminTest, SetIdleTimeoutOfTheUnknownIsNotFoundAndMakesNothing) {
  EXPECT_EQ(SetIdleTimeout("room-1", kTimeout).status().code(),
            Code::kNotFound);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(AdminTest, SetIdleTimeoutOfAClosingContextIsNotFound) {
  BeginClosing();
  EXPECT_EQ(SetIdleTimeout("room-1", absl::Hours(1)).status().code(),
            Code::kNotFound);
  EXPECT_EQ(Describe("room-1")->idle_timeout, kTimeout);
  EndClosing();
}

// ---- The idle timeouts of services

InstanceRequest ServiceRequest(absl::Duration wanted) {
  InstanceRequest request = RequestFor("room-1");
  request.service_idle_timeout = wanted;
  return request;
}

class ServiceTimeoutTest : public AdminOpeningTest {
 protected:
  ServiceTimeoutTest() { initializers_.clear(); }
  // A call of a service that wants that timeout begins and ends.
  void Touch(absl::Duration wanted) {
    FakeCall call(ServiceRequest(wanted));
    call.Ask(registry());
    ASSERT_TRUE(call.answered());
    ASSERT_TRUE(call.status().ok()) << call.status();
  }
  absl::Duration timeout() { return Describe("room-1")->idle_timeout; }
};

TEST_F(ServiceTimeoutTest, ContextHasTheTimeoutOfTheServiceThatMadeIt) {
  Touch(absl::Seconds(5));
  EXPECT_EQ(timeout(), absl::Seconds(5));
  ExpectEndsAfter(absl::Seconds(5));
}

TEST_F(ServiceTimeoutTest, LargestOfTheServicesThatTouchedItCounts) {
  Touch(absl::Seconds(5));
  Touch(absl::Seconds(60));
  Touch(absl::Seconds(30));
  EXPECT_EQ(timeout(), absl::Seconds(60));
  ExpectEndsAfter(absl::Seconds(60));
}

TEST_F(ServiceTimeoutTest, ServicesTimeoutIsClampedToTheServersBounds) {
  options_.idle_timeout_max = absl::Seconds(60);
  Touch(absl::Seconds(5));
  Touch(absl::Hours(1));
  EXPECT_EQ(timeout(), absl::Seconds(60));
}

TEST_F(ServiceTimeoutTest, ServicesThatWaitedWhileItOpenedCountToo) {
  initializers_ = {&initializer_};
  FakeCall first(ServiceRequest(absl::Seconds(5)));
  FakeCall second(ServiceRequest(absl::Seconds(60)));
  FakeCall third(ServiceRequest(absl::Seconds(30)));
  for (FakeCall* call : {&first, &second, &third}) {
    EXPECT_FALSE(call->Ask(registry()));
  }
  executor_.RunAll();
  EndClosing();
  EXPECT_EQ(third.context().idle_timeout(), absl::Seconds(60));
}

TEST_F(ServiceTimeoutTest, ServicesThatWaitedForAClosingOneCountForTheNext) {
  BeginClosing();
  FakeCall first(ServiceRequest(absl::Seconds(30)));
  FakeCall second(ServiceRequest(absl::Seconds(60)));
  EXPECT_FALSE(first.Ask(registry()));
  EXPECT_FALSE(second.Ask(registry()));
  EXPECT_EQ(timeout(), kTimeout);
  EndClosing();
  EXPECT_EQ(timeout(), absl::Seconds(60));
}

TEST_F(ServiceTimeoutTest, ServiceDoesNotLengthenWhatAHeaderChose) {
  InstanceRequest request = ServiceRequest(absl::Seconds(30));
  request.idle_timeout = absl::Seconds(5);
  {
    FakeCall call(request);
    call.Ask(registry());
  }
  Touch(absl::Seconds(60));
  EXPECT_EQ(timeout(), absl::Seconds(5));
}

TEST_F(ServiceTimeoutTest, WhoWaitsDoesNotLengthenWhatAHeaderChose) {
  initializers_ = {&initializer_};
  InstanceRequest request = ServiceRequest(absl::Seconds(30));
  request.idle_timeout = absl::Seconds(5);
  FakeCall first(request);
  FakeCall second(ServiceRequest(absl::Seconds(60)));
  EXPECT_FALSE(first.Ask(registry()));
  EXPECT_FALSE(second.Ask(registry()));
  executor_.RunAll();
  EndClosing();
  EXPECT_EQ(timeout(), absl::Seconds(5));
}

TEST_F(ServiceTimeoutTest, ServiceDoesNotLengthenWhatSetIdleTimeoutChose) {
  Touch(absl::Seconds(30));
  EXPECT_TRUE(SetIdleTimeout("room-1", absl::Seconds(5)).ok());
  Touch(absl::Seconds(60));
  EXPECT_EQ(timeout(), absl::Seconds(5));
  ExpectEndsAfter(absl::Seconds(5));
}

TEST_F(ServiceTimeoutTest, CallThatIsRefusedDoesNotLengthenIt) {
  Touch(absl::Seconds(5));
  InstanceRequest request = ServiceRequest(absl::Seconds(60));
  request.expect = Expect::kNew;
  FakeCall call(request);
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_EQ(call.status().code(), Code::kAlreadyExists);
  EXPECT_EQ(timeout(), absl::Seconds(5));
}

// ---- Release

TEST_F(AdminTest, ForcedReleaseOfTheUnknownIsNotFound) {
  int closed = 0;
  EXPECT_EQ(Force("room-1", [&] { ++closed; }).code(), Code::kNotFound);
  executor_.RunAll();
  EXPECT_EQ(closed, 0);
}

TEST_F(AdminTest, ForcedReleaseOfAnIdleContextClosesIt) {
  Use("room-1");
  EXPECT_TRUE(Force("room-1").ok());
  executor_.RunAll();
  EXPECT_THAT(journal_, ElementsAre("created room-1", "closing room-1 released",
                                    "closed room-1 released"));
  EXPECT_EQ(registry().NextLeaseDue(), Instant::Infinite());
}

TEST_F(AdminTest, ForcedReleaseWaitsForThePinsAndThenCloses) {
  FakeCall call("room-1");
  call.Ask(registry());
  call.context().Attach<First>(journal_, "a");
  Pin clone = call.pin().Clone();
  EXPECT_TRUE(Force("room-1").ok());
  executor_.RunAll();
  TakeJournal();
  call.Finish();
  executor_.RunAll();
  EXPECT_THAT(journal_, IsEmpty());
  EXPECT_EQ(clone->Get<First>()->name(), "a");
  clone.Reset();
  executor_.RunAll();
  EXPECT_THAT(journal_, ElementsAre("closing room-1 released", "a: released",
                                    "closed room-1 released", "-a"));
}

TEST_F(AdminTest, ContextThatIsReleasedByForceIsClosingAndSaysItsPins) {
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_TRUE(Force("room-1").ok());
  const auto info = Describe("room-1");
  EXPECT_EQ(info->state, InstanceState::kClosing);
  EXPECT_THAT(PinsOf(*info), UnorderedElementsAre(Pair("call", 1)));
}

TEST_F(AdminTest, ForcedReleaseTakesNoNewPinsAndWhoWaitsGetsAFreshContext) {
  FakeCall busy("room-1");
  busy.Ask(registry());
  const uint64_t generation = busy.context().generation();
  EXPECT_TRUE(Force("room-1").ok());
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  executor_.RunAll();
  EXPECT_FALSE(call.answered());
  EXPECT_EQ(registry().size(), 1u);
  busy.Finish();
  executor_.RunAll();
  ASSERT_TRUE(call.answered());
  EXPECT_TRUE(call.created());
  EXPECT_GT(call.context().generation(), generation);
}

// It waits for calls, not for a hook: no hook hangs.
TEST_F(AdminTest, WhoWaitsForThePinsOfAForcedReleaseMayWaitForLong) {
  FakeCall busy("room-1");
  busy.Ask(registry());
  busy.context().Attach<First>(journal_, "a");
  EXPECT_TRUE(Force("room-1").ok());
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  Pass(options_.detach_timeout * 100);
  EXPECT_FALSE(call.answered());
  busy.Finish();
  executor_.RunAll();
  EXPECT_TRUE(call.created());
}

TEST_F(AdminOpeningTest, OpeningContextIsReleasedByForceAlone) {
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  EXPECT_EQ(Release("room-1").code(), Code::kFailedPrecondition);
  int told = 0;
  EXPECT_TRUE(Force("room-1", [&told] { ++told; }).ok());
  EXPECT_EQ(call.status().code(), Code::kAborted);
  executor_.RunAll();
  EXPECT_EQ(told, 1);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(AdminTest, WhoHoldsAContextIsToldOnceOfItsForcedRelease) {
  const auto first = std::make_shared<FakeListener>();
  const auto second = std::make_shared<FakeListener>();
  FakeCall call("room-1");
  call.Ask(registry());
  const HeldPin one(call.pin().Clone(), PinKind::kHold, first);
  const HeldPin two(call.pin().Clone(), PinKind::kJoin, second);
  const HeldPin deaf(call.pin().Clone(), PinKind::kHold, nullptr);
  EXPECT_EQ(Release("room-1").code(), Code::kFailedPrecondition);
  EXPECT_EQ(first->told, 0);
  EXPECT_TRUE(Force("room-1").ok());
  EXPECT_TRUE(Force("room-1").ok());
  EXPECT_TRUE(Release("room-1").ok());
  EXPECT_EQ(first->told, 1);
  EXPECT_EQ(second->told, 1);
}

TEST_F(AdminTest, WhoBeginsToHoldAfterTheForceIsToldOnceToo) {
  const auto listener = std::make_shared<FakeListener>();
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_TRUE(Force("room-1").ok());
  const HeldPin late(std::move(call.pin()), PinKind::kHold, listener);
  EXPECT_EQ(listener->told, 1);
  EXPECT_TRUE(Force("room-1").ok());
  EXPECT_EQ(listener->told, 1);
}

TEST_F(AdminTest, WhoHasLetGoIsNotTold) {
  const auto listener = std::make_shared<FakeListener>();
  FakeCall call("room-1");
  call.Ask(registry());
  { const HeldPin gone(call.pin().Clone(), PinKind::kHold, listener); }
  EXPECT_TRUE(Force("room-1").ok());
  EXPECT_EQ(listener->told, 0);
}

TEST_F(AdminTest, WhoIsToldMayLetGoThereAndThen) {
  const auto listener = std::make_shared<FakeListener>();
  FakeCall call("room-1");
  call.Ask(registry());
  std::optional<HeldPin> held;
  held.emplace(std::move(call.pin()), PinKind::kHold, listener);
  listener->then = [&held] { held.reset(); };
  EXPECT_TRUE(Force("room-1").ok());
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(AdminTest, WhoReleasesIsToldOnceWhenTheContextIsGone) {
  FakeCall call("room-1");
  call.Ask(registry());
  call.context().Attach<First>(
      journal_, "a", [this](HookDone done) { hook_.emplace(std::move(done)); });
  int closed = 0;
  EXPECT_TRUE(Force("room-1", [&] {
                ++closed;
                EXPECT_TRUE(executor_.running());
                EXPECT_EQ(Describe("room-1"), std::nullopt);
              }).ok());
  executor_.RunAll();
  call.Finish();
  executor_.RunAll();
  EXPECT_EQ(closed, 0);
  EndClosing();
  EXPECT_EQ(closed, 1);
}

TEST_F(AdminTest, WhoReleasesAnIdleContextIsToldOnceWhenItIsGone) {
  Use("room-1");
  int closed = 0;
  EXPECT_TRUE(
      registry()
          .Release(RequestFor("room-1").key, /*force=*/false, [&] { ++closed; })
          .ok());
  EXPECT_EQ(closed, 0);
  executor_.RunAll();
  EXPECT_EQ(closed, 1);
}

TEST_F(AdminTest, SecondReleaseOfAClosingContextIsToldOnceAsWell) {
  BeginClosing();
  std::vector<int> closed(2);
  EXPECT_TRUE(Force("room-1", [&] { ++closed[0]; }).ok());
  EXPECT_TRUE(registry()
                  .Release(RequestFor("room-1").key, /*force=*/false,
                           [&] { ++closed[1]; })
                  .ok());
  executor_.RunAll();
  EXPECT_THAT(closed, ElementsAre(0, 0));
  EndClosing();
  EXPECT_THAT(closed, ElementsAre(1, 1));
}

TEST_F(AdminTest, SecondReleaseWhileThePinsLastIsOkWithoutForceAndToldToo) {
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_TRUE(Force("room-1").ok());
  int closed = 0;
  EXPECT_TRUE(
      registry()
          .Release(RequestFor("room-1").key, /*force=*/false, [&] { ++closed; })
          .ok());
  call.Finish();
  executor_.RunAll();
  EXPECT_EQ(closed, 1);
}

TEST_F(AdminTest, WhoseReleaseIsRefusedIsNotToldOfALaterEnd) {
  FakeCall call("room-1");
  call.Ask(registry());
  int closed = 0;
  EXPECT_EQ(
      registry()
          .Release(RequestFor("room-1").key, /*force=*/false, [&] { ++closed; })
          .code(),
      Code::kFailedPrecondition);
  call.Finish();
  EXPECT_TRUE(Release("room-1").ok());
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
  EXPECT_EQ(closed, 0);
}

TEST_F(AdminTest, ShutdownWaitsForThePinsOfAForcedRelease) {
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_TRUE(Force("room-1").ok());
  Shutdown();
  executor_.RunAll();
  EXPECT_EQ(done_, 0);
  call.Finish();
  executor_.RunAll();
  EXPECT_EQ(done_, 1);
  EXPECT_THAT(journal_, ElementsAre("created room-1", "closing room-1 released",
                                    "closed room-1 released"));
}

// ---- Pins, while someone watches

class AdminPinsTest : public AdminTest {
 protected:
  AdminPinsTest() { watch_use_ = true; }
};

TEST_F(AdminPinsTest, HolderThatComesOrGoesIsTold) {
  FakeCall call("room-1");
  call.Ask(registry());
  TakeJournal();
  {
    const HeldPin hold(std::move(call.pin()), PinKind::kHold, nullptr);
    EXPECT_THAT(TakeJournal(), ElementsAre("pins changed room-1"));
    FakeCall second("room-1");
    second.Ask(registry());
    {
      const HeldPin join(std::move(second.pin()), PinKind::kJoin, nullptr);
      EXPECT_THAT(TakeJournal(), ElementsAre("pins changed room-1"));
      noting_.then = [this](const InstanceEvent&) {
        // At the time of the event, the pin that was released is gone.
        const auto info = Describe("room-1");
        ASSERT_EQ(info->pins.size(), 1u);
        EXPECT_EQ(info->pins[0].kind, PinKind::kHold);
      };
    }
    noting_.then = nullptr;
    EXPECT_THAT(TakeJournal(), ElementsAre("pins changed room-1"));
  }
  EXPECT_THAT(TakeJournal(), ElementsAre("idle room-1"));
}

TEST_F(AdminPinsTest, CallBesideAHolderIsToldIfItStaysAndWhenItHasGone) {
  FakeCall call("room-1");
  call.Ask(registry());
  const HeldPin hold(std::move(call.pin()), PinKind::kHold, nullptr);
  TakeJournal();
  FakeCall beside("room-1");
  beside.Ask(registry());
  EXPECT_THAT(TakeJournal(), IsEmpty());
  Pass(absl::Seconds(1));
  EXPECT_THAT(TakeJournal(), ElementsAre("pins changed room-1"));
  Pass(absl::Seconds(10));
  EXPECT_THAT(TakeJournal(), IsEmpty());  // Nothing new.
  beside.Finish();
  EXPECT_THAT(TakeJournal(), IsEmpty());
  Pass(absl::Seconds(1));
  EXPECT_THAT(TakeJournal(), ElementsAre("pins changed room-1"));
  Pass(absl::Seconds(10));
  EXPECT_THAT(TakeJournal(), IsEmpty());
}

TEST_F(AdminPinsTest, ManyShortCallsBesideAHolderAreOneEvent) {
  FakeCall call("room-1");
  call.Ask(registry());
  const HeldPin hold(std::move(call.pin()), PinKind::kHold, nullptr);
  TakeJournal();
  for (int i = 0; i < 1000; ++i) Use("room-1");
  EXPECT_THAT(TakeJournal(), IsEmpty());
  Pass(absl::Seconds(1));
  EXPECT_LE(TakeJournal().size(), 1u);
}

TEST_F(AdminTest, NobodyWatchesSoPinsAreNotTold) {
  FakeCall call("room-1");
  call.Ask(registry());
  TakeJournal();
  const HeldPin hold(std::move(call.pin()), PinKind::kHold, nullptr);
  EXPECT_THAT(TakeJournal(), IsEmpty());
}

// ---- A drain

class DrainListener final : public ReleaseListener {
 public:
  void OnForcedRelease() override {}
  void OnDraining() override { ++told; }
  int told = 0;
};

TEST_F(AdminTest, HoldersAreToldOfADrainOnceThoseThatComeLaterToo) {
  const auto before = std::make_shared<DrainListener>();
  const auto after = std::make_shared<DrainListener>();
  FakeCall call("room-1");
  call.Ask(registry());
  const HeldPin hold(std::move(call.pin()), PinKind::kHold, before);
  EXPECT_FALSE(registry().draining());
  registry().TellDraining();
  EXPECT_TRUE(registry().draining());
  FakeCall late("room-2");
  late.Ask(registry());
  const HeldPin second(std::move(late.pin()), PinKind::kHold, after);
  registry().TellDraining();
  EXPECT_EQ(before->told, 1);
  EXPECT_EQ(after->told, 1);
}

// ---- What an embedder's code throws

class ThrowingListener final : public ReleaseListener {
 public:
  void OnForcedRelease() override { throw std::runtime_error("release"); }
  void OnDraining() override { throw std::runtime_error("drain"); }
};

TEST_F(AdminTest, WhatAListenerThrowsIsToldAndHurtsNobody) {
  const auto throws = std::make_shared<ThrowingListener>();
  const auto listens = std::make_shared<FakeListener>();
  FakeCall call("room-1");
  FakeCall second("room-1");
  call.Ask(registry());
  second.Ask(registry());
  {
    const HeldPin bad(std::move(call.pin()), PinKind::kHold, throws);
    const HeldPin good(std::move(second.pin()), PinKind::kHold, listens);
    TakeJournal();
    registry().TellDraining();
    EXPECT_TRUE(Force("room-1", [] { throw std::logic_error("closed"); }).ok());
    EXPECT_EQ(listens->told, 1);
  }
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
  EXPECT_THAT(
      TakeJournal(),
      ElementsAre("threw room-1 ReleaseListener::OnDraining: drain",
                  "threw room-1 ReleaseListener::OnForcedRelease: release",
                  "closing room-1 released", "closed room-1 released",
                  "threw room-1 the `closed` of Release: closed"));
}

TEST_F(AdminTest, WhatAnObserverThrowsIsToldToTheOthers) {
  FakeObserver throwing{journal_};
  throwing.then = [](const InstanceEvent& event) {
    if (event.kind == InstanceEventKind::kCreated) {
      throw std::runtime_error("observer");
    }
  };
  observers_.push_back(&throwing);
  Use("room-1");
  EXPECT_THAT(
      journal_,
      testing::Contains("threw room-1 InstanceObserver::OnEvent: observer"));
  EXPECT_EQ(registry().size(), 1u);
  registry();
  TearDown();
}

TEST_F(AdminTest, HookOfARemovedExtensionThatThrowsIsTold) {
  FakeCall call("room-1");
  call.Ask(registry());
  call.context().Attach<First>(
      journal_, "a", [](HookDone) { throw std::runtime_error("oops"); });
  TakeJournal();
  EXPECT_TRUE(call.context().Detach<First>());
  executor_.RunAll();
  EXPECT_THAT(TakeJournal(),
              ElementsAre("a: removed",
                          "detach failed room-1 leasehold::First it threw: "
                          "oops"));
}

}  // namespace
}  // namespace leasehold
