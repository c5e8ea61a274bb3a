// The client of Instances, against the real server.
#include "client/instances/instances_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/session/shared_session.h"
#include "client/wire/channel.h"
#include "tests/client/local_server.h"
#include "tests/client/manual_timers.h"
#include "tests/server/events.h"

namespace leasehold::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class InstancesClientTest : public testing::Test {
 protected:
  OpenedInstance Create(const std::string& id) {
    return *client_->Create({.instance_id = id, .idle_timeout = {}});
  }

  // What the server tells of an instance once `is` says yes.
  template <typename Is>
  Instance Await(const std::string& id, Is is) {
    while (true) {
      const auto instance = *client_->Get(id);
      if (instance.has_value() && is(*instance)) return *instance;
    }
  }

  HoldOptions HoldOf(const std::string& id) {
    HoldOptions options;
    options.instance_id = id;
    options.on_held = [this](const OpenedInstance& opened) {
      held_.Put(opened);
    };
    options.on_end = [this](const absl::Status& why) { ended_.Put(why); };
    return options;
  }

  WatchOptions WatchAll() {
    WatchOptions options;
    options.on_event = [this](const WatchEvent& event) { events_.Put(event); };
    options.on_end = [this](const absl::Status& why) { ended_.Put(why); };
    return options;
  }

  KeepAliveOptions KeepAliveOf(std::vector<std::string> ids) {
    KeepAliveOptions options;
    options.instance_ids = std::move(ids);
    options.on_renewed = [this](const RenewedLease& renewed) {
      renewed_.Put(renewed);
    };
    options.on_end = [this](const absl::Status& why) { ended_.Put(why); };
    options.run_after = timers_.run_after();
    return options;
  }

  // The next event of a kind, whatever comes before.
  WatchEvent TakeEvent(WatchEvent::Kind kind) {
    while (true) {
      WatchEvent event = events_.Take(WatchEventName(kind));
      if (event.kind == kind) return event;
    }
  }

  LocalServer server_;
  ManualTimers timers_;
  Mailbox<OpenedInstance> held_;
  Mailbox<WatchEvent> events_;
  Mailbox<RenewedLease> renewed_;
  Mailbox<absl::Status> ended_;
  std::unique_ptr<InstancesClient> client_ =
      *InstancesClient::Connect(server_.address());
};

// ---- Calls

TEST_F(InstancesClientTest, CreateMakesAnInstanceOrFindsIt) {
  const OpenedInstance first =
      *client_->Create({.instance_id = "a", .idle_timeout = absl::Seconds(90)});
  EXPECT_TRUE(first.created);
  EXPECT_EQ(first.instance.instance_id, "a");
  EXPECT_EQ(first.instance.idle_timeout, absl::Seconds(90));
  EXPECT_NE(first.instance.generation, 0u);
  EXPECT_FALSE(Create("a").created);
  EXPECT_EQ(Create("a").instance.generation, first.instance.generation);
}

TEST_F(InstancesClientTest, CreateWithoutAnIdGetsOneFromTheServer) {
  const std::string id = Create("").instance.instance_id;
  EXPECT_NE(id, "");
  EXPECT_TRUE((*client_->Get(id)).has_value());
}

TEST_F(InstancesClientTest, GetTellsWhatIsKnownOfAnInstance) {
  Create("a");
  const Instance instance = Await(
      "a", [](const Instance& i) { return i.lease_remaining.has_value(); });
  EXPECT_EQ(instance.state, InstanceState::kIdle);
  EXPECT_EQ(instance.lease_remaining, absl::Seconds(20));
  EXPECT_THAT(instance.pins, IsEmpty());
  EXPECT_EQ(absl::ToUnixSeconds(instance.create_time),
            absl::ToUnixSeconds(server_.clock().WallNow()));
  server_.clock().Advance(absl::Seconds(5));
  EXPECT_EQ((*client_->Get("a"))->lease_remaining, absl::Seconds(15));
}

TEST_F(InstancesClientTest, GetOfAnUnknownInstanceIsEmptyAndNoError) {
  const auto instance = client_->Get("a");
  ASSERT_TRUE(instance.ok());
  EXPECT_EQ(*instance, std::nullopt);
}

TEST_F(InstancesClientTest, AnIdMayBeAnyText) {
  for (const std::string& id : {std::string("Gr\u00fc\u00dfe"),
                                std::string("a b,c"), std::string(1024, 'x')}) {
    EXPECT_EQ(Create(id).instance.instance_id, id);
    EXPECT_EQ((*client_->Get(id))->instance_id, id);
    EXPECT_TRUE(client_->Release(id).ok());
  }
}

TEST_F(InstancesClientTest, AnIdThatIsNotUtf8IsRefusedBeforeTheCall) {
  const std::string id = "\xff";
  server_.Stop();  // So that a call would be UNAVAILABLE.
  EXPECT_TRUE(absl::IsInvalidArgument(client_->Get(id).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      client_->Create({.instance_id = id, .idle_timeout = {}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(client_->Release(id).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      client_->SetIdleTimeout(id, absl::Seconds(1)).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(client_->StartHold(HoldOf(id)).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      client_->StartKeepAlive(KeepAliveOf({"a", id})).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      client_->StartKeepAlive(KeepAliveOf({})).status()));
}

TEST_F(InstancesClientTest, ListTellsEachInstanceOnceOverAllPages) {
  std::set<std::string> made;
  for (int i = 0; i < 50; ++i) {
    made.insert(Create(absl::StrCat("a-", i)).instance.instance_id);
    Create(absl::StrCat("b-", i));
  }
  std::vector<std::string> listed;
  int pages = 0;
  ListOptions options;
  options.id_prefix = "a-";
  options.page_size = 7;
  const auto on_page = [&](const std::vector<Instance>& page) {
    ++pages;
    for (const Instance& instance : page)
      listed.push_back(instance.instance_id);
    return true;
  };
  ASSERT_TRUE(client_->List(options, on_page).ok());
  EXPECT_GE(pages, 8);
  EXPECT_EQ(listed.size(), made.size());
  EXPECT_EQ(std::set<std::string>(listed.begin(), listed.end()), made);
}

TEST_F(InstancesClientTest, ListStopsWhenNoMoreIsWanted) {
  for (int i = 0; i < 20; ++i) Create(absl::StrCat("a-", i));
  ListOptions options;
  options.page_size = 1;
  int pages = 0;
  ASSERT_TRUE(
      client_
          ->List(options,
                 [&](const std::vector<Instance>&) { return ++pages < 3; })
          .ok());
  EXPECT_EQ(pages, 3);
}

TEST_F(InstancesClientTest, ListCanBeOfOneState) {
  Create("idle");
  const auto hold = client_->StartHold(HoldOf("busy"));
  held_.Take("the hold");
  ListOptions options;
  options.state = InstanceState::kBusy;
  std::vector<std::string> listed;
  ASSERT_TRUE(client_
                  ->List(options,
                         [&](const std::vector<Instance>& page) {
                           for (const Instance& instance : page) {
                             listed.push_back(instance.instance_id);
                           }
                           return true;
                         })
                  .ok());
  EXPECT_THAT(listed, ElementsAre("busy"));
}

TEST_F(InstancesClientTest, SetIdleTimeoutHoldsFromNowOn) {
  Create("a");
  EXPECT_EQ(
      client_->SetIdleTimeout("a", absl::Milliseconds(1500))->idle_timeout,
      absl::Milliseconds(1500));
  EXPECT_TRUE(absl::IsNotFound(
      client_->SetIdleTimeout("b", absl::Seconds(1)).status()));
}

TEST_F(InstancesClientTest, ReleaseClosesAnIdleInstance) {
  const uint64_t generation = Create("a").instance.generation;
  Await("a", [](const Instance& i) { return i.state == InstanceState::kIdle; });
  EXPECT_EQ(client_->Release("a")->generation, generation);
  EXPECT_EQ(*client_->Get("a"), std::nullopt);
  EXPECT_TRUE(absl::IsNotFound(client_->Release("a").status()));
}

TEST_F(InstancesClientTest, ReleaseOfABusyInstanceNeedsForce) {
  const auto hold = client_->StartHold(HoldOf("a"));
  held_.Take("the hold");
  EXPECT_TRUE(absl::IsFailedPrecondition(client_->Release("a").status()));
  EXPECT_EQ(client_->Release("a", /*force=*/true)->pin_count("hold"), 1u);
  EXPECT_TRUE(absl::IsAborted(ended_.Take("the end of the hold")));
}

TEST_F(InstancesClientTest, AServerThatIsNotThereIsUnavailableByName) {
  server_.Stop();
  const absl::Status status = client_->Get("a").status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr(server_.address()));
}

TEST_F(InstancesClientTest, RefusesAnInvalidAddress) {
  EXPECT_TRUE(
      absl::IsInvalidArgument(InstancesClient::Connect("here").status()));
}

// ---- Hold

TEST_F(InstancesClientTest, AHoldKeepsItsInstanceBusyUntilItIsDestroyed) {
  HoldOptions options = HoldOf("a");
  options.idle_timeout = absl::Seconds(7);
  auto hold = *client_->StartHold(std::move(options));
  const OpenedInstance opened = held_.Take("the hold");
  EXPECT_TRUE(opened.created);
  EXPECT_EQ(opened.instance.idle_timeout, absl::Seconds(7));
  server_.clock().Advance(absl::Hours(1));
  EXPECT_EQ((*client_->Get("a"))->pin_count("hold"), 1u);
  hold.reset();
  const Instance idle = Await(
      "a", [](const Instance& i) { return i.state == InstanceState::kIdle; });
  EXPECT_EQ(idle.lease_remaining, absl::Seconds(7));
  EXPECT_EQ(ended_.size(), 0u);
}

TEST_F(InstancesClientTest, AHoldCanBeOfWhatExistsOnly) {
  HoldOptions options = HoldOf("a");
  options.expect = Expect::kExisting;
  const auto hold = client_->StartHold(std::move(options));
  EXPECT_TRUE(absl::IsNotFound(ended_.Take("the refusal")));
  EXPECT_EQ(held_.size(), 0u);
}

TEST_F(InstancesClientTest, ACallbackMayDestroyItsOwnStream) {
  std::unique_ptr<Hold> hold;
  Mailbox<int> destroyed;
  HoldOptions options = HoldOf("a");
  Mailbox<int> go;
  options.on_held = [&](const OpenedInstance&) {
    go.Take("the start to return");
    hold.reset();
    destroyed.Put(0);
  };
  hold = *client_->StartHold(std::move(options));
  go.Put(0);
  destroyed.Take("the callback");
  Await("a", [](const Instance& i) { return i.state == InstanceState::kIdle; });
  EXPECT_EQ(ended_.size(), 0u);
}

TEST_F(InstancesClientTest, AServerThatDrainsEndsStreams) {
  const auto hold = client_->StartHold(HoldOf("a"));
  held_.Take("the hold");
  const auto watch = client_->StartWatch(WatchAll());
  TakeEvent(WatchEvent::Kind::kSnapshotDone);
  const auto keep_alive = client_->StartKeepAlive(KeepAliveOf({"a"}));
  renewed_.Take("a renewal");
  server_.Stop();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(absl::IsUnavailable(ended_.Take("the end of a stream")));
  }
}

// Goal: streams that are to reconnect outlive their server. Method: it stops
// and comes back at its address; time passes when the test says.
TEST_F(InstancesClientTest, StreamsThatAreToReconnectOutliveTheirServer) {
  Mailbox<std::string> lost;
  HoldOptions hold_options = HoldOf("a");
  hold_options.reconnect = true;
  hold_options.on_lost = [&](const absl::Status&) { lost.Put("hold"); };
  const auto hold = client_->StartHold(std::move(hold_options));
  const OpenedInstance before = held_.Take("the hold");
  WatchOptions watch_options = WatchAll();
  watch_options.reconnect = true;
  watch_options.on_lost = [&](const absl::Status&) { lost.Put("watch"); };
  const auto watch = client_->StartWatch(std::move(watch_options));
  TakeEvent(WatchEvent::Kind::kSnapshotDone);
  KeepAliveOptions keep_alive_options = KeepAliveOf({"a"});
  keep_alive_options.run_after = {};
  keep_alive_options.interval = absl::Milliseconds(10);
  keep_alive_options.reconnect = true;
  keep_alive_options.on_lost = [&](const absl::Status&) {
    lost.Put("keep-alive");
  };
  const auto keep_alive =
      client_->StartKeepAlive(std::move(keep_alive_options));
  renewed_.Take("a renewal");

  server_.Stop();
  std::set<std::string> all;
  while (all.size() < 3) all.insert(lost.Take("the loss of a stream"));
  server_.Restart();
  const OpenedInstance after = held_.Take("the hold, again");
  EXPECT_EQ(after.instance.instance_id, "a");
  EXPECT_GT(after.instance.generation, before.instance.generation);
  TakeEvent(WatchEvent::Kind::kLagged);  // What was told is to be forgotten.
  TakeEvent(WatchEvent::Kind::kSnapshotDone);
  while (renewed_.Take("a renewal").generation != after.instance.generation) {
  }
}

TEST_F(InstancesClientTest, HeartbeatsArePassedOver) {
  const auto hold = client_->StartHold(HoldOf("a"));
  held_.Take("the hold");
  const auto watch = client_->StartWatch(WatchAll());
  TakeEvent(WatchEvent::Kind::kSnapshotDone);
  // One that hears them.
  const auto stub =
      leasehold::v1::Instances::NewStub(OpenChannel(server_.address()));
  grpc::ClientContext call;
  const auto raw = stub->Watch(&call, {});
  leasehold::v1::WatchInstancesResponse message;
  while (message.event() !=
         leasehold::v1::WatchInstancesResponse::SNAPSHOT_DONE) {
    ASSERT_TRUE(raw->Read(&message));
  }
  // Time goes on until it has heard some: when the silence of each begins is
  // the server's affair.
  std::atomic<bool> done = false;
  int heartbeats = 0;
  std::thread listener([&] {
    while (heartbeats < 3 && raw->Read(&message)) {
      heartbeats += message.heartbeat();
    }
    done = true;
  });
  while (!done) {
    server_.clock().Advance(absl::Seconds(20));
    std::this_thread::yield();
  }
  listener.join();
  EXPECT_EQ(heartbeats, 3);
  Create("b");
  EXPECT_EQ(events_.Take("an event").kind, WatchEvent::Kind::kCreated);
  EXPECT_EQ(held_.size(), 0u);
  call.TryCancel();
  raw->Finish();
}

TEST_F(InstancesClientTest, AReconnectingStreamCanBeCancelled) {
  Mailbox<std::string> lost;
  WatchOptions options = WatchAll();
  options.reconnect = true;
  options.run_after = timers_.run_after();
  options.on_lost = [&](const absl::Status&) { lost.Put("watch"); };
  const auto watch = client_->StartWatch(std::move(options));
  TakeEvent(WatchEvent::Kind::kSnapshotDone);
  server_.Stop();
  lost.Take("the loss");
  (*watch)->Cancel();
  EXPECT_TRUE(absl::IsCancelled(ended_.Take("the end")));
}

// ---- Watch

TEST_F(InstancesClientTest, AWatchTellsWhatIsThereAndThenWhatHappens) {
  const uint64_t generation = Create("a-1").instance.generation;
  Create("b-1");
  WatchOptions options = WatchAll();
  options.id_prefix = "a-";
  const auto watch = client_->StartWatch(std::move(options));
  const WatchEvent snapshot = events_.Take("the snapshot");
  EXPECT_EQ(snapshot.kind, WatchEvent::Kind::kSnapshot);
  EXPECT_EQ(snapshot.instance.instance_id, "a-1");
  EXPECT_EQ(snapshot.instance.generation, generation);
  EXPECT_EQ(events_.Take("the end of the snapshot").kind,
            WatchEvent::Kind::kSnapshotDone);
  Create("b-2");
  Create("a-2");
  EXPECT_EQ(TakeEvent(WatchEvent::Kind::kCreated).instance.instance_id, "a-2");
  Await("a-2",
        [](const Instance& i) { return i.state == InstanceState::kIdle; });
  ASSERT_TRUE(client_->Release("a-2").ok());
  const WatchEvent closed = TakeEvent(WatchEvent::Kind::kClosed);
  EXPECT_EQ(closed.instance.instance_id, "a-2");
  EXPECT_EQ(closed.reason, "released");
}

TEST_F(InstancesClientTest, AWatchThatIsCancelledSaysSo) {
  const auto watch = *client_->StartWatch(WatchAll());
  TakeEvent(WatchEvent::Kind::kSnapshotDone);
  watch->Cancel();
  EXPECT_TRUE(absl::IsCancelled(ended_.Take("the end")));
}

TEST_F(InstancesClientTest, ADestroyedWatchTellsNothing) {
  auto watch = *client_->StartWatch(WatchAll());
  watch.reset();
  const size_t told = events_.size();
  Create("a");
  EXPECT_EQ(events_.size(), told);
  EXPECT_EQ(ended_.size(), 0u);
}

// ---- KeepAlive

TEST_F(InstancesClientTest, AKeepAliveRenewsAllItsInstancesTimeAndAgain) {
  const uint64_t a = Create("a").instance.generation;
  Create("b");
  const auto keep_alive = client_->StartKeepAlive(KeepAliveOf({"a", "b", "c"}));
  for (int round = 0; round < 5; ++round) {
    const RenewedLease first = renewed_.Take("a");
    EXPECT_EQ(first.instance_id, "a");
    EXPECT_TRUE(first.found);
    EXPECT_EQ(first.generation, a);
    EXPECT_EQ(first.lease_remaining, absl::Seconds(20));
    EXPECT_EQ(renewed_.Take("b").instance_id, "b");
    EXPECT_FALSE(renewed_.Take("c").found);
    server_.clock().Advance(absl::Seconds(7));
    // A third of the lease.
    EXPECT_EQ(timers_.Fire(), absl::Seconds(20) / 3);
  }
  EXPECT_EQ((*client_->Get("a"))->generation, a);
}

TEST_F(InstancesClientTest, AKeepAliveUsesTheIntervalThatItIsGiven) {
  KeepAliveOptions options = KeepAliveOf({"a"});
  options.interval = absl::Milliseconds(300);
  const auto keep_alive = client_->StartKeepAlive(std::move(options));
  EXPECT_FALSE(renewed_.Take("the answer").found);
  EXPECT_EQ(timers_.Fire(), absl::Milliseconds(300));
  renewed_.Take("the next answer");
}

TEST_F(InstancesClientTest, ADestroyedKeepAliveNoLongerRenews) {
  auto keep_alive = *client_->StartKeepAlive(KeepAliveOf({"a"}));
  renewed_.Take("the answer");
  keep_alive.reset();
  timers_.Fire();
  EXPECT_EQ(renewed_.size(), 0u);
  EXPECT_EQ(ended_.size(), 0u);
}

TEST_F(InstancesClientTest, AKeepAliveThatIsCancelledSaysSo) {
  const auto keep_alive = *client_->StartKeepAlive(KeepAliveOf({"a"}));
  renewed_.Take("the answer");
  keep_alive->Cancel();
  EXPECT_TRUE(absl::IsCancelled(ended_.Take("the end")));
}

// ---- A session, from its first call to the end of the lease

TEST_F(InstancesClientTest, TheLeaseBeginsWhenTheLastChannelIsClosed) {
  SharedSessionOptions options;
  options.instance_id = "a";
  const auto session =
      *SharedSession::Connect({server_.address(), server_.address()}, options);
  const uint64_t generation = session->Echo("x", 0)->generation;
  ASSERT_EQ(session->Echo("x", 1)->sequence, 2u);
  Await("a", [](const Instance& i) {
    return i.pin_count("hold") == 2 && i.pins.size() == 1;
  });
  server_.clock().Advance(absl::Hours(1));
  ASSERT_TRUE(session->CloseChannel(0).ok());
  Await("a", [](const Instance& i) { return i.pin_count("hold") == 1; });
  server_.clock().Advance(absl::Hours(1));
  ASSERT_TRUE(session->CloseChannel(1).ok());
  const Instance idle = Await(
      "a", [](const Instance& i) { return i.state == InstanceState::kIdle; });
  EXPECT_EQ(idle.generation, generation);
  EXPECT_EQ(idle.lease_remaining, absl::Seconds(20));
}

TEST_F(InstancesClientTest, ASessionFindsItsServerAgain) {
  Mailbox<uint64_t> changes;
  Mailbox<absl::Status> lost;
  SharedSessionOptions options;
  options.instance_id = "a";
  options.run_after = timers_.run_after();
  options.on_generation_change = [&](uint64_t, uint64_t after) {
    changes.Put(after);
  };
  options.on_hold_lost = [&](size_t, const absl::Status& why) {
    lost.Put(why);
  };
  const auto session = *SharedSession::Connect({server_.address()}, options);
  const uint64_t before = session->Echo("x", 0)->generation;
  server_.Restart();
  EXPECT_TRUE(absl::IsUnavailable(lost.Take("the loss")));
  // The connection itself comes back in gRPC's time.
  while (changes.size() == 0 && session->generation() == before) {
    if (timers_.pending() > 0) timers_.Fire();
  }
  EXPECT_GT(changes.Take("the change"), before);
  EXPECT_EQ(session->Echo("x", 0)->sequence, 1u);
}

}  // namespace
}  // namespace leasehold::client
