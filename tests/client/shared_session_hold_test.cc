// A session that holds its instance, and keeps its lease alive.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/session/shared_session.h"
#include "client/wire/channel.h"
#include "tests/client/fake_echo_server.h"
#include "tests/client/manual_timers.h"
#include "tests/server/events.h"

namespace leasehold::client {
namespace {

using testing::AllOf;
using testing::Ge;
using testing::HasSubstr;
using testing::Le;
using testing::Pair;

using Change = std::pair<uint64_t, uint64_t>;
using Lost = std::pair<size_t, absl::StatusCode>;

const grpc::Status kGone(grpc::StatusCode::UNAVAILABLE, "draining");
const grpc::Status kForced(grpc::StatusCode::ABORTED, "released by force");

// A server, and sessions over it whose callbacks are remembered.
class SharedSessionHold : public testing::Test {
 protected:
  SharedSessionOptions Options() {
    SharedSessionOptions options;
    options.instance_id = "a";
    options.run_after = timers_.run_after();
    options.on_generation_change = [this](uint64_t before, uint64_t after) {
      changes_.Put({before, after});
    };
    options.on_hold_lost = [this](size_t channel, const absl::Status& why) {
      lost_.Put({channel, why.code()});
    };
    return options;
  }

  std::unique_ptr<SharedSession> Session(int channels,
                                         SharedSessionOptions options) {
    return server_.Connect(channels, std::move(options));
  }
  std::unique_ptr<SharedSession> Session(int channels) {
    return Session(channels, Options());
  }

  ManualTimers timers_;
  Mailbox<Change> changes_;
  Mailbox<Lost> lost_;
  FakeEchoServer server_;
};

TEST_F(SharedSessionHold, EachChannelHoldsFromItsFirstCall) {
  const auto session = Session(2);
  EXPECT_EQ(server_.hold_calls().size(), 0u);
  ASSERT_TRUE(session->Echo("x", 0).ok());
  EXPECT_EQ(server_.hold_calls().size(), 1u);
  ASSERT_TRUE(session->Echo("x", 1).ok());
  server_.AwaitHolds(2);
  EXPECT_NE(server_.hold_calls()[0].peer, server_.hold_calls()[1].peer);
}

TEST_F(SharedSessionHold, AChannelHoldsOnceForAllItsCalls) {
  const auto session = Session(1);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(session->Echo("x", 0).ok());
  EXPECT_EQ(server_.hold_calls().size(), 1u);
}

TEST_F(SharedSessionHold, FirstCallsAtOnceHoldOnce) {
  const auto session = Session(1);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { EXPECT_TRUE(session->Echo("x", 0).ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server_.hold_calls().size(), 1u);
}

TEST_F(SharedSessionHold, ClosingAChannelEndsItsHoldAlone) {
  const auto session = Session(2);
  ASSERT_TRUE(session->Echo("x", 0).ok());
  ASSERT_TRUE(session->Echo("x", 1).ok());
  ASSERT_TRUE(session->CloseChannel(0).ok());
  server_.AwaitHolds(1);
  EXPECT_TRUE(session->Echo("x", 1).ok());
  ASSERT_TRUE(session->CloseChannel(1).ok());
  server_.AwaitHolds(0);
  EXPECT_EQ(lost_.size(), 0u);
}

TEST_F(SharedSessionHold, TheEndOfTheSessionEndsAllHolds) {
  auto session = Session(3);
  for (size_t i = 0; i < 3; ++i) ASSERT_TRUE(session->Echo("x", i).ok());
  session.reset();
  server_.AwaitHolds(0);
  EXPECT_EQ(lost_.size(), 0u);
}

TEST_F(SharedSessionHold, ASessionToldNotToHoldsNothing) {
  SharedSessionOptions options = Options();
  options.hold = false;
  const auto session = Session(1, std::move(options));
  ASSERT_TRUE(session->HoldChannel(0).ok());
  ASSERT_TRUE(session->Echo("x", 0).ok());
  EXPECT_EQ(server_.hold_calls().size(), 0u);
}

TEST_F(SharedSessionHold, AChannelCanBeOpenedWithoutAnEcho) {
  const auto session = Session(1);
  ASSERT_TRUE(session->HoldChannel(0).ok());
  EXPECT_NE(session->generation(), 0u);
  EXPECT_EQ(server_.calls().size(), 0u);
  server_.AwaitHolds(1);
  EXPECT_TRUE(absl::IsOutOfRange(session->HoldChannel(1)));
}

TEST_F(SharedSessionHold, TheHoldIsTheFirstCallAndSaysWhatThatSays) {
  SharedSessionOptions options = Options();
  options.expect = Expect::kNew;
  options.idle_timeout = absl::Seconds(90);
  const auto session = Session(2, std::move(options));
  const EchoReply reply = *session->Echo("x", 0);
  EXPECT_TRUE(reply.created);
  EXPECT_EQ(reply.idle_timeout, absl::Seconds(90));
  EXPECT_FALSE(session->Echo("x", 1)->created);
  EXPECT_EQ(server_.hold_calls()[0].Header("instance-expect"), "new");
  EXPECT_EQ(server_.hold_calls()[0].Header("instance-idle-timeout"), "90s");
  EXPECT_EQ(server_.hold_calls()[1].Header("instance-expect"), std::nullopt);
  EXPECT_EQ(server_.calls()[0].Header("instance-expect"), std::nullopt);
}

TEST_F(SharedSessionHold, TheIdThatTheServerMakesComesWithTheHold) {
  SharedSessionOptions options = Options();
  options.instance_id = "";
  const auto session = Session(8, std::move(options));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] { EXPECT_TRUE(session->Echo("x", i).ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_NE(session->instance_id(), "");
  EXPECT_EQ(server_.created(), 1);
}

TEST_F(SharedSessionHold, AHoldThatFailsIsTheCallsErrorAndTheNextTriesAgain) {
  const auto session = Session(1);
  server_.FailNextHold({grpc::StatusCode::RESOURCE_EXHAUSTED, "full"});
  EXPECT_EQ(session->Echo("x", 0).status(),
            absl::ResourceExhaustedError("full"));
  EXPECT_EQ(server_.calls().size(), 0u);
  EXPECT_EQ(timers_.pending(), 0u);
  EXPECT_TRUE(session->Echo("x", 0).ok());
  EXPECT_EQ(lost_.size(), 0u);
}

TEST_F(SharedSessionHold, ALostServerIsReconnectedToInTheBackground) {
  const auto session = Session(1);
  const uint64_t before = session->Echo("x", 0)->generation;
  server_.ExpireAll();
  server_.EndHolds(kGone);
  EXPECT_THAT(lost_.Take("the loss"), Pair(0u, absl::StatusCode::kUnavailable));
  timers_.Fire();
  EXPECT_THAT(changes_.Take("the change"), Pair(before, before + 1));
  server_.AwaitHolds(1);
  EXPECT_EQ(session->generation(), before + 1);
  EXPECT_EQ(server_.calls().size(), 1u);
}

TEST_F(SharedSessionHold, AHoldThatIsLostReconnectsWhateverTheCode) {
  const auto session = Session(1);
  ASSERT_TRUE(session->Echo("x", 0).ok());
  // As proxies end calls, and servers that know no better.
  for (const auto code :
       {grpc::StatusCode::INTERNAL, grpc::StatusCode::UNKNOWN,
        grpc::StatusCode::CANCELLED, grpc::StatusCode::DEADLINE_EXCEEDED,
        grpc::StatusCode::RESOURCE_EXHAUSTED, grpc::StatusCode::UNIMPLEMENTED,
        grpc::StatusCode::DATA_LOSS, grpc::StatusCode::OK}) {
    server_.EndHolds({code, "cut"});
    lost_.Take("the loss");
    timers_.Fire();
    server_.AwaitHolds(1);
    ASSERT_TRUE(session->Echo("x", 0).ok());
  }
}

TEST_F(SharedSessionHold, AHoldThatSomebodyEndedDoesNotReconnect) {
  const auto session = Session(1);
  for (const auto code :
       {grpc::StatusCode::ABORTED, grpc::StatusCode::NOT_FOUND,
        grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::PERMISSION_DENIED,
        grpc::StatusCode::FAILED_PRECONDITION}) {
    ASSERT_TRUE(session->Echo("x", 0).ok());
    server_.EndHolds({code, "ended"});
    lost_.Take("the loss");
    EXPECT_EQ(timers_.pending(), 0u);
  }
}

TEST_F(SharedSessionHold, AHoldWhoseTokenEndedIsTriedOnceWithTheNext) {
  const grpc::Status refused(grpc::StatusCode::UNAUTHENTICATED, "expired");
  const auto session = Session(1);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(session->Echo("x", 0).ok());
    server_.EndHolds(refused);
    EXPECT_THAT(lost_.Take("the loss"),
                Pair(0, absl::StatusCode::kUnauthenticated));
    timers_.Fire();
    server_.AwaitHolds(1);
  }
  ASSERT_TRUE(session->Echo("x", 0).ok());
  server_.FailHolds(refused);
  server_.EndHolds(refused);
  lost_.Take("the loss");
  timers_.Fire();
  EXPECT_THAT(lost_.Take("the refusal"),
              Pair(0, absl::StatusCode::kUnauthenticated));
  EXPECT_EQ(timers_.pending(), 0u);
}

TEST_F(SharedSessionHold, ReconnectingToAServerThatStaysLostSlowsDown) {
  const auto session = Session(1);
  ASSERT_TRUE(session->Echo("x", 0).ok());
  server_.FailHolds(kGone);
  server_.EndHolds(kGone);
  for (const int ms : {100, 200, 400, 800, 1600, 3200, 5000, 5000}) {
    EXPECT_THAT(timers_.Fire(), AllOf(Ge(absl::Milliseconds(ms) * 0.75),
                                      Le(absl::Milliseconds(ms))));
  }
  timers_.Await();  // The last attempt has failed.
  server_.MendHolds();
  timers_.Fire();
  server_.AwaitHolds(1);
  ASSERT_TRUE(session->Echo("x", 0).ok());  // It knows that it holds again.
  server_.EndHolds(kGone);
  EXPECT_LE(timers_.Fire(), absl::Milliseconds(100));
  lost_.Take("the first loss");
  lost_.Take("the second loss");
  EXPECT_EQ(lost_.size(), 0u);  // What fails again is lost once.
}

TEST_F(SharedSessionHold, TheNextCallReconnectsToALostServerAtOnce) {
  const auto session = Session(1);
  const uint64_t before = session->Echo("x", 0)->generation;
  server_.ExpireAll();
  server_.EndHolds(kGone);
  lost_.Take("the loss");
  EXPECT_EQ(session->Echo("x", 0)->generation, before + 1);
  EXPECT_THAT(changes_.Take("the change"), Pair(before, before + 1));
  timers_.Fire();  // Nothing is left to do.
  EXPECT_EQ(server_.hold_calls().size(), 2u);
}

TEST_F(SharedSessionHold, CallsToALostServerDoNotPileUpAttempts) {
  const auto session = Session(1);
  ASSERT_TRUE(session->Echo("x", 0).ok());
  server_.FailHolds(kGone);
  server_.EndHolds(kGone);
  lost_.Take("the loss");
  for (int i = 0; i < 5; ++i) {
    const absl::Status status = session->Echo("x", 0).status();
    EXPECT_TRUE(absl::IsUnavailable(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr(server_.address()));
  }
  EXPECT_EQ(timers_.pending(), 1u);
}

TEST_F(SharedSessionHold, AReleaseByForceIsNotUndoneUntilTheNextCall) {
  const auto session = Session(1);
  ASSERT_TRUE(session->Echo("x", 0).ok());
  server_.ExpireAll();
  server_.EndHolds(kForced);
  EXPECT_THAT(lost_.Take("the loss"), Pair(0u, absl::StatusCode::kAborted));
  EXPECT_EQ(timers_.pending(), 0u);
  EXPECT_TRUE(session->Echo("x", 0)->created);
  server_.AwaitHolds(1);
}

TEST_F(SharedSessionHold, AClosedChannelDoesNotReconnect) {
  const auto session = Session(1);
  ASSERT_TRUE(session->Echo("x", 0).ok());
  server_.EndHolds(kGone);
  lost_.Take("the loss");
  ASSERT_TRUE(session->CloseChannel(0).ok());
  timers_.Fire();
  EXPECT_EQ(server_.hold_calls().size(), 1u);
}

TEST_F(SharedSessionHold, ATimerThatOutlivesTheSessionDoesNothing) {
  auto session = Session(1);
  ASSERT_TRUE(session->Echo("x", 0).ok());
  server_.EndHolds(kGone);
  lost_.Take("the loss");
  session.reset();
  timers_.Fire();
  EXPECT_EQ(server_.hold_calls().size(), 1u);
}

TEST_F(SharedSessionHold, CallbacksMayCallTheSession) {
  std::unique_ptr<SharedSession> session;
  Mailbox<std::string> done;
  SharedSessionOptions options = Options();
  const auto use_it = [&] {
    // The channel that is being opened, one that is open, and a new one.
    EXPECT_TRUE(session->Echo("x", 0).ok());
    EXPECT_TRUE(session->Echo("x", 1).ok());
    const size_t index = *session->AddChannel(server_.address());
    EXPECT_TRUE(session->Echo("x", index).ok());
    EXPECT_TRUE(session->CloseChannel(index).ok());
    done.Put(session->instance_id());
  };
  options.on_generation_change = [&](uint64_t, uint64_t) { use_it(); };
  options.on_hold_lost = [&](size_t channel, const absl::Status&) {
    if (channel == 0) use_it();
  };
  session = Session(2, std::move(options));
  ASSERT_TRUE(session->HoldChannel(0).ok());
  ASSERT_TRUE(session->HoldChannel(1).ok());
  server_.ExpireAll();
  server_.EndHolds(kGone);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(done.Take("a callback"), "a");
}

TEST_F(SharedSessionHold, ClosingAChannelEndsTheWaitForItsHold) {
  const auto session = Session(1);
  server_.StallHolds();
  std::thread caller([&] {
    EXPECT_TRUE(absl::IsFailedPrecondition(session->Echo("x", 0).status()));
  });
  server_.AwaitHoldCalls(1);
  ASSERT_TRUE(session->CloseChannel(0).ok());
  caller.join();
  server_.AwaitHolds(0);
}

TEST_F(SharedSessionHold, AFirstHoldThatIsClosedLeavesItToTheNextToBeTheFirst) {
  SharedSessionOptions options = Options();
  options.instance_id = "";
  const auto session = Session(2, std::move(options));
  server_.StallHolds();
  std::thread caller([&] { EXPECT_FALSE(session->Echo("x", 0).ok()); });
  server_.AwaitHoldCalls(1);
  server_.Release();
  ASSERT_TRUE(session->CloseChannel(0).ok());
  caller.join();
  EXPECT_TRUE(session->Echo("x", 1).ok());
}

TEST_F(SharedSessionHold, AHoldThatIsNotAnsweredEndsAtTheCallTimeout) {
  const auto channel = OpenChannel(server_.address());
  ASSERT_TRUE(channel->WaitForConnected(gpr_inf_future(GPR_CLOCK_REALTIME)));
  server_.StallHolds();
  SharedSessionOptions options = Options();
  options.call_timeout = absl::Milliseconds(1);
  SharedSession session({channel}, options);
  EXPECT_TRUE(absl::IsDeadlineExceeded(session.Echo("x", 0).status()));
  server_.AwaitHolds(0);
}

TEST_F(SharedSessionHold, AServerThatIsNotThereIsUnavailableByName) {
  const std::string address = "unix:/nowhere/leasehold.sock";
  const auto session = *SharedSession::Connect({address}, Options());
  const absl::Status status = session->Echo("x", 0).status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr(address));
}

// ---- Keep-alive

class SharedSessionKeepAlive : public SharedSessionHold {
 protected:
  SharedSessionOptions Options() {
    SharedSessionOptions options = SharedSessionHold::Options();
    options.hold = false;
    options.keep_alive_interval = absl::Seconds(5);
    return options;
  }
};

TEST_F(SharedSessionKeepAlive, RenewsFromTheFirstCallOnAtItsInterval) {
  const auto session = Session(2, Options());
  ASSERT_TRUE(session->Echo("x", 0).ok());
  ASSERT_TRUE(session->Echo("x", 1).ok());
  server_.AwaitRenewals(1);
  EXPECT_EQ(timers_.Fire(), absl::Seconds(5));
  server_.AwaitRenewals(2);
  server_.AwaitKeepAlives(1);
  EXPECT_EQ(server_.hold_calls().size(), 0u);
}

TEST_F(SharedSessionKeepAlive, GoesOnOverAnotherChannelUntilTheLastIsClosed) {
  const auto session = Session(2, Options());
  ASSERT_TRUE(session->Echo("x", 0).ok());
  server_.AwaitRenewals(1);
  ASSERT_TRUE(session->CloseChannel(0).ok());
  server_.AwaitRenewals(2);
  ASSERT_TRUE(session->CloseChannel(1).ok());
  server_.AwaitKeepAlives(0);
}

TEST_F(SharedSessionKeepAlive,
       ReconnectsToALostServerAndReportsANewGeneration) {
  const auto session = Session(1, Options());
  const uint64_t before = session->Echo("x", 0)->generation;
  server_.AwaitRenewals(1);
  EXPECT_EQ(timers_.Fire(), absl::Seconds(5));
  server_.AwaitRenewals(2);
  server_.ExpireAll();
  SharedSessionOptions other = SharedSessionHold::Options();
  other.on_generation_change = nullptr;
  ASSERT_TRUE(Session(1, std::move(other))->Echo("x", 0).ok());
  server_.EndKeepAlives(kGone);
  while (timers_.Fire() == absl::Seconds(5)) {
  }
  EXPECT_THAT(changes_.Take("the change"), Pair(before, before + 1));
}

TEST_F(SharedSessionKeepAlive, EndsWithTheSession) {
  auto session = Session(1, Options());
  ASSERT_TRUE(session->Echo("x", 0).ok());
  server_.AwaitKeepAlives(1);
  session.reset();
  server_.AwaitKeepAlives(0);
}

}  // namespace
}  // namespace leasehold::client
