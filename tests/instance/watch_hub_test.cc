#include "service/instance/watch_hub.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/instance/instance_fakes.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Kind = InstanceEventKind;

class WatchHubTest : public testing::Test {
 protected:
  using Watcher = WatchHub::Watcher;

  std::shared_ptr<Watcher> Watch(const std::string& id_prefix = "",
                                 std::string_view tenant = kTestTenant) {
    auto watcher = std::make_shared<Watcher>(std::string(tenant), id_prefix,
                                             [this] { ++wakes_; });
    hub_.Add(watcher);
    return watcher;
  }
  void Tell(Kind kind, const std::string& id,
            std::string_view tenant = kTestTenant) {
    hub_.OnEvent({.kind = kind, .tenant = tenant, .instance_id = id});
  }
  static std::vector<std::string> Ids(const WatchHub::Batch& batch) {
    std::vector<std::string> ids;
    for (const auto& kept : batch.events) {
      const WatchHub::Event& event = *kept;
      ids.push_back(event.key.id);
    }
    return ids;
  }

  WatchHub hub_;
  int wakes_ = 0;
};

TEST_F(WatchHubTest, EventsAreTakenOnceInTheirOrder) {
  const auto watcher = Watch();
  EXPECT_THAT(watcher->Take().events, IsEmpty());
  Tell(Kind::kCreated, "b");
  Tell(Kind::kCreated, "a");
  Tell(Kind::kClosing, "b");
  const WatchHub::Batch batch = watcher->Take();
  EXPECT_FALSE(batch.lagged);
  EXPECT_THAT(Ids(batch), ElementsAre("b", "a", "b"));
  EXPECT_EQ(batch.events[0]->kind, Kind::kCreated);
  EXPECT_EQ(batch.events[2]->kind, Kind::kClosing);
  EXPECT_THAT(watcher->Take().events, IsEmpty());
}

TEST_F(WatchHubTest, EventIsKeptWholeThoughItsViewsAreGone) {
  const auto watcher = Watch("", "red");
  {
    const std::string tenant = "red";
    const std::string id = "a-name-that-is-longer-than-a-small-string";
    hub_.OnEvent({.kind = Kind::kClosed,
                  .tenant = tenant,
                  .instance_id = id,
                  .generation = 7,
                  .idle_timeout = absl::Seconds(5),
                  .reason = DetachReason::kEvicted});
  }
  const WatchHub::Batch batch = watcher->Take();
  ASSERT_EQ(batch.events.size(), 1u);
  const WatchHub::Event& event = *batch.events[0];
  EXPECT_EQ(event.kind, Kind::kClosed);
  EXPECT_EQ(event.key.tenant, "red");
  EXPECT_EQ(event.key.id, "a-name-that-is-longer-than-a-small-string");
  EXPECT_EQ(event.generation, 7u);
  EXPECT_EQ(event.idle_timeout, absl::Seconds(5));
  EXPECT_EQ(event.reason, DetachReason::kEvicted);
}

TEST_F(WatchHubTest, WatcherIsWokenWhenThereIsSomethingToTake) {
  std::shared_ptr<Watcher> watcher;
  std::vector<std::string> taken;
  watcher = std::make_shared<Watcher>(std::string(kTestTenant), "", [&] {
    for (const std::string& id : Ids(watcher->Take())) taken.push_back(id);
  });
  hub_.Add(watcher);
  Tell(Kind::kCreated, "a");
  Tell(Kind::kCreated, "b");
  EXPECT_THAT(taken, ElementsAre("a", "b"));
  hub_.Remove(watcher);
}

TEST_F(WatchHubTest, OnlyIdsWithThePrefixAreTold) {
  const auto watcher = Watch("room-");
  for (const char* id : {"room-1", "roof-1", "room", "my-room-1", "room-"}) {
    Tell(Kind::kCreated, id);
  }
  EXPECT_THAT(Ids(watcher->Take()), ElementsAre("room-1", "room-"));
  EXPECT_EQ(wakes_, 2);
}

TEST_F(WatchHubTest, OnlyTheWatchersTenantIsTold) {
  const auto watcher = Watch();
  const auto red = Watch("", "red");
  Tell(Kind::kCreated, "a");
  Tell(Kind::kCreated, "b", "red");
  EXPECT_THAT(Ids(watcher->Take()), ElementsAre("a"));
  EXPECT_THAT(Ids(red->Take()), ElementsAre("b"));
}

TEST_F(WatchHubTest, WatcherIsToldOfNothingBeforeItCameOrAfterItWent) {
  Tell(Kind::kCreated, "a");
  const auto stays = Watch();
  const auto watcher = Watch();
  Tell(Kind::kCreated, "b");
  hub_.Remove(watcher);
  Tell(Kind::kCreated, "c");
  EXPECT_THAT(Ids(watcher->Take()), ElementsAre("b"));
  EXPECT_THAT(Ids(stays->Take()), ElementsAre("b", "c"));
}

TEST_F(WatchHubTest, FullQueueIsKeptWhole) {
  const auto watcher = Watch();
  for (size_t i = 0; i < WatchHub::kQueuedMax; ++i) Tell(Kind::kIdle, "a");
  const WatchHub::Batch batch = watcher->Take();
  EXPECT_FALSE(batch.lagged);
  EXPECT_EQ(batch.events.size(), WatchHub::kQueuedMax);
}

TEST_F(WatchHubTest, WatcherThatFallsBehindLosesWhatIsQueuedAndIsToldSoOnce) {
  const auto watcher = Watch();
  const auto other = Watch("b");
  for (size_t i = 0; i < WatchHub::kQueuedMax; ++i) Tell(Kind::kIdle, "a");
  Tell(Kind::kCreated, "b-1");
  Tell(Kind::kCreated, "b-2");
  const WatchHub::Batch batch = watcher->Take();
  EXPECT_TRUE(batch.lagged);
  // What came after it lost the rest.
  EXPECT_THAT(Ids(batch), ElementsAre("b-1", "b-2"));
  Tell(Kind::kCreated, "b-3");
  const WatchHub::Batch next = watcher->Take();
  EXPECT_FALSE(next.lagged);
  EXPECT_THAT(Ids(next), ElementsAre("b-3"));
  EXPECT_FALSE(other->Take().lagged) << "another's lag";
}

// ---- With a registry

class WatchedRegistryTest : public InstanceRegistryTest {
 protected:
  WatchedRegistryTest() {
    observers_ = {&hub_};
    watch_use_ = true;
  }
  WatchHub hub_;
};

TEST_F(WatchedRegistryTest, LifeOfAContextIsToldInOrder) {
  const auto watcher = std::make_shared<WatchHub::Watcher>(
      std::string(kTestTenant), "room-", [] {});
  hub_.Add(watcher);
  Use("other");
  Use("room-1");
  EXPECT_TRUE(registry().KeepAlive(RequestFor("room-1").key).ok());
  Use("room-1");
  EXPECT_TRUE(Release("room-1").ok());
  executor_.RunAll();
  std::vector<Kind> kinds;
  const WatchHub::Batch batch = watcher->Take();
  for (const auto& kept : batch.events) {
    const WatchHub::Event& event = *kept;
    EXPECT_EQ(event.key, RequestFor("room-1").key);
    EXPECT_EQ(event.generation, batch.events[0]->generation);
    kinds.push_back(event.kind);
  }
  EXPECT_THAT(kinds, ElementsAre(Kind::kCreated, Kind::kIdle, Kind::kRenewed,
                                 Kind::kBusy, Kind::kIdle, Kind::kClosing,
                                 Kind::kClosed));
  EXPECT_EQ(batch.events.back()->reason, DetachReason::kReleased);
}

TEST_F(WatchHubTest, ChangesOfPinsAreOneEventUntilItIsTaken) {
  const auto watcher = Watch();
  for (int i = 0; i < 100'000; ++i) Tell(Kind::kPinsChanged, "a");
  WatchHub::Batch batch = watcher->Take();
  EXPECT_FALSE(batch.lagged);
  EXPECT_EQ(batch.events.size(), 1u);
  Tell(Kind::kPinsChanged, "a");
  EXPECT_EQ(watcher->Take().events.size(), 1u);
}

}  // namespace
}  // namespace leasehold
