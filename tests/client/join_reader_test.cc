#include "client/session/join_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "client/session/shared_session.h"
#include "client/wire/channel.h"
#include "tests/client/fake_echo_server.h"
#include "tests/client/local_server.h"
#include "tests/client/manual_timers.h"
#include "tests/server/events.h"

namespace leasehold::client {
namespace {

using Kind = JoinEvent::Kind;
using leasehold::v1::JoinResponse;

JoinResponse Joined(uint64_t generation, uint64_t sequence) {
  JoinResponse response;
  response.mutable_joined()->set_instance_id("a");
  response.mutable_joined()->set_generation(generation);
  response.mutable_joined()->set_sequence(sequence);
  return response;
}

JoinResponse Echoed(uint64_t generation, uint64_t sequence) {
  JoinResponse response;
  response.mutable_echo()->set_instance_id("a");
  response.mutable_echo()->set_generation(generation);
  response.mutable_echo()->set_sequence(sequence);
  return response;
}

const grpc::Status kGone(grpc::StatusCode::UNAVAILABLE, "draining");
const grpc::Status kSlow(grpc::StatusCode::RESOURCE_EXHAUSTED, "too slow");

class JoinReaderTest : public testing::Test {
 protected:
  JoinOptions Options() {
    JoinOptions options;
    options.instance_id = "a";
    options.run_after = timers_.run_after();
    options.on_event = [this](const JoinEvent& event) { events_.Put(event); };
    options.on_lost = [this](const absl::Status& why) { lost_.Put(why); };
    options.on_end = [this](const absl::Status& why) { ended_.Put(why); };
    return options;
  }
  JoinOptions Reconnecting() {
    JoinOptions options = Options();
    options.reconnect = true;
    return options;
  }

  void ExpectEvent(Kind kind, uint64_t generation, uint64_t sequence) {
    const JoinEvent event = events_.Take("an event");
    EXPECT_EQ(event.kind, kind);
    EXPECT_EQ(event.generation, generation);
    EXPECT_EQ(event.sequence, sequence);
  }

  ManualTimers timers_;
  Mailbox<JoinEvent> events_;
  Mailbox<absl::Status> lost_;
  Mailbox<absl::Status> ended_;
};

TEST_F(JoinReaderTest, TellsEveryEchoWhoeverSentIt) {
  LocalServer server;
  const JoinReader one(OpenChannel(server.address()), "one", Options());
  const JoinEvent joined = events_.Take("the room");
  EXPECT_EQ(joined.kind, Kind::kJoined);
  EXPECT_EQ(joined.instance_id, "a");
  EXPECT_EQ(joined.sequence, 0u);
  SharedSessionOptions session;
  session.instance_id = "a";
  const auto first = *SharedSession::Connect({server.address()}, session);
  const auto second = *SharedSession::Connect({server.address()}, session);
  ASSERT_TRUE(first->Echo("Apple", 0).ok());
  ASSERT_TRUE(second->Echo("Pear", 0).ok());
  EXPECT_EQ(events_.Take("the first echo").text, "Apple");
  const JoinEvent pear = events_.Take("the second echo");
  EXPECT_EQ(pear.text, "Pear");
  EXPECT_EQ(pear.sequence, 2u);
  EXPECT_EQ(pear.generation, joined.generation);
}

TEST_F(JoinReaderTest, CanBeginWithWhatTheServerStillHas) {
  LocalServer server;
  SharedSessionOptions session;
  session.instance_id = "Gr\u00fc\u00dfe";
  const auto sender = *SharedSession::Connect({server.address()}, session);
  JoinOptions options = Options();
  options.instance_id = session.instance_id;
  {
    // Echoes are kept from the first Join on.
    const JoinReader reader(OpenChannel(server.address()), "first", options);
    EXPECT_EQ(events_.Take("the room").instance_id, session.instance_id);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(sender->Echo("x", 0).ok());
    for (int i = 0; i < 3; ++i) events_.Take("an echo");
  }
  options.after_sequence = 1;
  const JoinReader reader(OpenChannel(server.address()), "second", options);
  EXPECT_EQ(events_.Take("the room").sequence, 3u);
  EXPECT_EQ(events_.Take("an echo").sequence, 2u);
  EXPECT_EQ(events_.Take("an echo").sequence, 3u);
}

TEST_F(JoinReaderTest, EndsWithItsStreamIfNotToldToReconnect) {
  FakeEchoServer server;
  server.OnNextJoin({Joined(7, 0), Echoed(7, 1)}, kGone);
  const JoinReader reader(OpenChannel(server.address()), "fake", Options());
  ExpectEvent(Kind::kJoined, 7, 0);
  ExpectEvent(Kind::kEcho, 7, 1);
  EXPECT_EQ(ended_.Take("the end"), absl::UnavailableError("fake: draining"));
  EXPECT_EQ(timers_.pending(), 0u);
}

TEST_F(JoinReaderTest, GoesOnAfterTheLastEchoThatItTold) {
  FakeEchoServer server;
  server.OnNextJoin({Joined(7, 4), Echoed(7, 5), Echoed(7, 6)}, kGone);
  server.OnNextJoin({Joined(7, 8), Echoed(7, 7), Echoed(7, 8)}, kSlow);
  const JoinReader reader(OpenChannel(server.address()), "fake",
                          Reconnecting());
  ExpectEvent(Kind::kJoined, 7, 4);
  ExpectEvent(Kind::kEcho, 7, 5);
  ExpectEvent(Kind::kEcho, 7, 6);
  timers_.Fire();
  EXPECT_TRUE(absl::IsUnavailable(lost_.Take("the loss")));
  ExpectEvent(Kind::kJoined, 7, 8);
  ExpectEvent(Kind::kEcho, 7, 7);
  ExpectEvent(Kind::kEcho, 7, 8);
  timers_.Fire();
  EXPECT_TRUE(absl::IsResourceExhausted(lost_.Take("the loss")));
  EXPECT_TRUE(absl::IsAborted(ended_.Take("the end")));
  ASSERT_EQ(server.joins().size(), 3u);
  EXPECT_FALSE(server.joins()[0].has_after_sequence());
  EXPECT_EQ(server.joins()[1].after_sequence(), 6u);
  EXPECT_EQ(server.joins()[2].after_sequence(), 8u);
}

TEST_F(JoinReaderTest, JoinsAgainWhateverCutIt) {
  FakeEchoServer server;
  const std::vector<grpc::Status> cuts = {{grpc::StatusCode::INTERNAL, "cut"},
                                          {grpc::StatusCode::UNKNOWN, "cut"},
                                          {grpc::StatusCode::CANCELLED, "cut"},
                                          grpc::Status::OK};
  for (const grpc::Status& cut : cuts) server.OnNextJoin({Joined(7, 0)}, cut);
  const JoinReader reader(OpenChannel(server.address()), "fake",
                          Reconnecting());
  for (size_t i = 0; i < cuts.size(); ++i) {
    ExpectEvent(Kind::kJoined, 7, 0);
    timers_.Fire();
    EXPECT_FALSE(lost_.Take("the loss").ok());
  }
  EXPECT_TRUE(absl::IsAborted(ended_.Take("the end")));
}

TEST_F(JoinReaderTest, MissesNothingThoughItHasSeenNoEchoYet) {
  FakeEchoServer server;
  server.OnNextJoin({Joined(7, 4)}, kGone);
  const JoinReader reader(OpenChannel(server.address()), "fake",
                          Reconnecting());
  timers_.Fire();
  EXPECT_FALSE(ended_.Take("the end").ok());
  EXPECT_EQ(server.joins()[1].after_sequence(), 4u);
}

TEST_F(JoinReaderTest, StartsOverWithAnInstanceThatWasRecreated) {
  FakeEchoServer server;
  server.OnNextJoin({Joined(7, 0), Echoed(7, 1), Echoed(7, 2)}, kGone);
  server.OnNextJoin({Joined(8, 3), Echoed(8, 3)}, kGone);
  server.OnNextJoin({Joined(8, 3), Echoed(8, 1)},
                    grpc::Status(grpc::StatusCode::ABORTED, "released"));
  const JoinReader reader(OpenChannel(server.address()), "fake",
                          Reconnecting());
  ExpectEvent(Kind::kJoined, 7, 0);
  ExpectEvent(Kind::kEcho, 7, 1);
  ExpectEvent(Kind::kEcho, 7, 2);
  timers_.Fire();
  ExpectEvent(Kind::kJoined, 8, 3);
  ExpectEvent(Kind::kEcho, 8, 1);
  EXPECT_FALSE(ended_.Take("the end").ok());
  EXPECT_EQ(server.joins()[2].after_sequence(), 0u);
  EXPECT_TRUE(server.joins()[2].has_after_sequence());
}

TEST_F(JoinReaderTest, SaysHowManyEchoesAreLost) {
  FakeEchoServer server;
  JoinResponse lagged;
  lagged.mutable_lagged()->set_missed(9);
  server.OnNextJoin({Joined(7, 12), lagged, Echoed(7, 10)}, kGone);
  JoinOptions options = Options();
  options.after_sequence = 0;
  const JoinReader reader(OpenChannel(server.address()), "fake", options);
  ExpectEvent(Kind::kJoined, 7, 12);
  EXPECT_EQ(events_.Take("the loss").missed, 9u);
  ExpectEvent(Kind::kEcho, 7, 10);
  EXPECT_TRUE(server.joins()[0].has_after_sequence());
}

TEST_F(JoinReaderTest, AReaderWhoseTokenEndedTriesOnceWithTheNext) {
  const grpc::Status refused(grpc::StatusCode::UNAUTHENTICATED, "expired");
  FakeEchoServer server;
  server.OnNextJoin({Joined(7, 0)}, refused);
  server.OnNextJoin({Joined(7, 0)}, refused);
  server.OnNextJoin({}, refused);
  const JoinReader reader(OpenChannel(server.address()), "fake",
                          Reconnecting());
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(absl::IsUnauthenticated(lost_.Take("the loss")));
    timers_.Fire();
  }
  EXPECT_TRUE(absl::IsUnauthenticated(ended_.Take("the end")));
  EXPECT_EQ(server.joins().size(), 3u);
}

TEST_F(JoinReaderTest, CanBeCancelledWhileItReconnects) {
  FakeEchoServer server;
  server.OnNextJoin({Joined(7, 0)}, kGone);
  JoinReader reader(OpenChannel(server.address()), "fake", Reconnecting());
  EXPECT_FALSE(lost_.Take("the loss").ok());
  reader.Cancel();
  EXPECT_TRUE(absl::IsCancelled(ended_.Take("the end")));
  timers_.Fire();
  EXPECT_EQ(server.joins().size(), 1u);
}

TEST_F(JoinReaderTest, ADestroyedReaderTellsNothing) {
  LocalServer server;
  {
    const JoinReader reader(OpenChannel(server.address()), "real", Options());
    events_.Take("the room");
  }
  EXPECT_EQ(ended_.size(), 0u);
}

}  // namespace
}  // namespace leasehold::client
