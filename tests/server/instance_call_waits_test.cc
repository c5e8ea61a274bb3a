// Calls that wait: for a context that opens, and for one that closes.

#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "service/doors/instance_call.h"
#include "tests/server/echo_call.h"
#include "tests/server/instance_call_fixture.h"
#include "tests/support/seed.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

using ::testing::IsEmpty;

// ---- Opening

TEST_F(InstanceCallTest, StatusOfAnInitializerReachesTheClient) {
  HoldOpening initializer;
  ServeEcho({&initializer});
  EchoCall call(*stub_, "", {{"instance-id", "a"}});
  HookDone opening = initializer.held.Take("the initializer");
  opening(absl::PermissionDeniedError("no key for \"a\": ä"));
  EXPECT_EQ(call.Await().error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(call.Await().error_message(), "no key for \"a\": ä");
  EXPECT_THAT(InstanceHeaders(call), IsEmpty());
  EXPECT_EQ(registry_->size(), 0u);
  EXPECT_EQ(events_.created, 0);
}

TEST_F(InstanceCallTest, StatusOfAnInitializerReachesAllWhoWaitedAndNoneLater) {
  HoldOpening initializer;
  ServePins({&initializer});
  EchoCall first(*stub_, "", {{"instance-id", "a"}});
  AwaitWaiter();
  EchoCall second(*stub_, "", {{"instance-id", "a"}});
  AwaitWaiter();
  HookDone opening = initializer.held.Take("the initializer");
  opening(absl::DataLossError("gone"));
  EXPECT_EQ(first.Await().error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(second.Await().error_code(), grpc::StatusCode::DATA_LOSS);

  EchoCall third(*stub_, "", {{"instance-id", "a"}});
  HookDone again = initializer.held.Take("the initializer");
  again();
  EXPECT_TRUE(third.Await().ok());
}

TEST_F(InstanceCallTest, CallsThatWaitForOneOpeningShareItAndOneCreated) {
  HoldOpening initializer;
  ServePins({&initializer});
  EchoCall first(*stub_, "", {{"instance-id", "a"}});
  AwaitWaiter();
  EchoCall second(*stub_, "", {{"instance-id", "a"}});
  AwaitWaiter();
  HookDone opening = initializer.held.Take("the initializer");
  opening();
  EXPECT_TRUE(first.Await().ok());
  EXPECT_TRUE(second.Await().ok());
  EXPECT_EQ(first.response().generation(), second.response().generation());
  EXPECT_EQ(events_.created, 1);
}

TEST_F(InstanceCallTest, OnlyTheCallThatCreatesLearnsSo) {
  HoldOpening initializer;
  ServeEcho({&initializer});
  EchoCall first(*stub_, "", {{"instance-id", "a"}});
  HookDone opening = initializer.held.Take("the initializer");
  EchoCall second(*stub_, "", {{"instance-id", "a"}});
  opening();
  EXPECT_TRUE(first.Await().ok());
  EXPECT_TRUE(second.Await().ok());
  EXPECT_EQ(first.ResponseHeader("instance-created"), "true");
  EXPECT_EQ(second.ResponseHeader("instance-created"), std::nullopt);
}

TEST_F(InstanceCallTest, FirstCallerThatCancelsDoesNotFailTheOthers) {
  HoldOpening initializer;
  ServePins({&initializer});
  EchoCall first(*stub_, "", {{"instance-id", "a"}});
  HookDone opening = initializer.held.Take("the initializer");
  AwaitWaiter();
  EchoCall second(*stub_, "", {{"instance-id", "a"}});
  AwaitWaiter();
  first.Cancel();
  EXPECT_TRUE(absl::IsCancelled(answered_.Take("the cancelled call")));
  opening();
  EXPECT_TRUE(second.Await().ok());
  EXPECT_TRUE(answered_.Take("the second call").ok());
}

// ---- Waiting for a context that closes

// The queue has one thread. While a call waits for "a" to close, others must be
// served.
TEST_F(InstanceCallTest, CallThatWaitsHoldsNoThreadAndGetsTheFreshContext) {
  AttachHeldExtension extension;
  ServeEcho({&extension});
  HookDone closing = OpenAndBeginClosing("a", extension);

  EchoCall waiting(*stub_, "", {{"instance-id", "a"}});
  for (int i = 0; i < 10; ++i) {
    EchoCall other(*stub_, "", {{"instance-id", absl::StrCat("b", i)}});
    EXPECT_TRUE(other.Await().ok());
  }
  EXPECT_FALSE(waiting.ended());

  closing();
  ASSERT_TRUE(waiting.Await().ok()) << waiting.Await().error_message();
  EXPECT_GT(waiting.response().generation(), closing_generation_);
  EXPECT_EQ(waiting.response().sequence(), 1u);
  EXPECT_EQ(waiting.ResponseHeader("instance-created"), "true");
}

TEST_F(InstanceCallTest, CancelledCallLeavesTheWaitAndOthersStay) {
  AttachHeldExtension extension;
  ServePins({&extension});
  HookDone closing = OpenAndBeginClosing("a", extension);

  EchoCall leaves(*stub_, "", {{"instance-id", "a"}});
  EchoCall stays(*stub_, "", {{"instance-id", "a"}});
  AwaitWaiter();
  AwaitWaiter();
  leaves.Cancel();
  EXPECT_EQ(leaves.Await().error_code(), grpc::StatusCode::CANCELLED);
  // The server knows as well, though the hook is still running.
  EXPECT_TRUE(absl::IsCancelled(answered_.Take("the cancelled call")));
  EXPECT_FALSE(stays.ended());

  closing();
  EXPECT_TRUE(stays.Await().ok()) << stays.Await().error_message();
  EXPECT_TRUE(answered_.Take("the call that stayed").ok());
  EXPECT_GT(stays.response().generation(), closing_generation_);
}

// Nobody waits any more when the context has closed: so none is made.
TEST_F(InstanceCallTest, WaitThatWasLeftMakesNoContext) {
  AttachHeldExtension extension;
  ServePins({&extension});
  HookDone closing = OpenAndBeginClosing("a", extension);
  EchoCall leaves(*stub_, "", {{"instance-id", "a"}});
  AwaitWaiter();
  leaves.Cancel();
  EXPECT_EQ(leaves.Await().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(absl::IsCancelled(answered_.Take("the cancelled call")));
  closing();
  events_.Await(InstanceEventKind::kClosed, "a");
  EXPECT_EQ(events_.created, 1);
}

// A deadline can pass before the call arrives: then the next one has longer.
TEST_F(InstanceCallTest, CallPastItsDeadlineLeavesTheWait) {
  AttachHeldExtension extension;
  ServePins({&extension});
  HookDone closing = OpenAndBeginClosing("a", extension);

  for (int ms = 50; asking_.size() == 0; ms *= 2) {
    EchoCall late(*stub_, "", {{"instance-id", "a"}}, ms);
    EXPECT_EQ(late.Await().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  EXPECT_TRUE(absl::IsCancelled(answered_.Take("the call past its deadline")));

  closing();
  events_.Await(InstanceEventKind::kClosed, "a");
  EchoCall next(*stub_, "", {{"instance-id", "a"}});
  EXPECT_TRUE(next.Await().ok()) << next.Await().error_message();
  EXPECT_GT(next.response().generation(), closing_generation_);
}

TEST_F(InstanceCallTest, ServerThatStopsEndsTheWaits) {
  AttachHeldExtension extension;
  ServePins({&extension});
  HookDone closing = OpenAndBeginClosing("a", extension);
  EchoCall waiting(*stub_, "", {{"instance-id", "a"}});
  AwaitWaiter();
  server_->Shutdown(gpr_time_0(GPR_TIMESPAN));
  EXPECT_TRUE(absl::IsCancelled(answered_.Take("the waiter")));
  EXPECT_FALSE(waiting.Await().ok());
  closing();
  events_.Await(InstanceEventKind::kClosed, "a");
  EXPECT_EQ(events_.created, 1);
}

// Once it has its pin, a cancellation is for what it awaits then.
TEST_F(InstanceCallTest, StreamWhosePinCameLateSeesItsCancellation) {
  AttachHeldExtension extension;
  ServeHolds({&extension});
  HookDone closing = OpenAndBeginClosing("a", extension);

  grpc::ClientContext context;
  context.AddMetadata("instance-id", "a");
  const auto stream = stub_->Join(&context, v1::JoinRequest());
  AwaitWaiter();
  closing();
  EXPECT_TRUE(answered_.Take("the stream's pin").ok());
  AwaitQueue();  // It awaits news.
  EXPECT_EQ(registry_->Release(TestKey("a")).code(),
            absl::StatusCode::kFailedPrecondition);
  context.TryCancel();
  EXPECT_TRUE(over_.Take("the end of the stream"));
  events_.Await(InstanceEventKind::kIdle, "a");
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(InstanceCallTest, StreamThatIsCancelledWhileItWaitsForItsPinLeaves) {
  AttachHeldExtension extension;
  ServeHolds({&extension});
  HookDone closing = OpenAndBeginClosing("a", extension);

  grpc::ClientContext context;
  context.AddMetadata("instance-id", "a");
  const auto stream = stub_->Join(&context, v1::JoinRequest());
  AwaitWaiter();
  context.TryCancel();
  EXPECT_TRUE(absl::IsCancelled(answered_.Take("the cancelled stream")));
  EXPECT_TRUE(over_.Take("the end of the stream"));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  closing();
  events_.Await(InstanceEventKind::kClosed, "a");
  EXPECT_EQ(events_.created, 1);
}

// The context has closed, and the waiter's pin is on its way, while the client
// cancels, each after a random pause. Whichever wins: the call ends, and in the
// end no pin is left, or the context would not close.
TEST_F(InstanceCallTest, GrantAndCancellationAtOnceLeaveNothingBehind) {
  AttachHeldExtension extension;
  ServePins({&extension});
  const auto pause = [](uint64_t turns) {
    for (uint64_t i = 0; i < turns; ++i) std::this_thread::yield();
  };
  int ok = 0;
  int cancelled = 0;
  ForEachSeed(200, [&](Random& random) {
    const uint64_t before_cancel = Uniform(random, 0, 30);
    const uint64_t before_grant = Uniform(random, 0, 30);
    const std::string id = absl::StrCat("a", random());
    HookDone closing = OpenAndBeginClosing(id, extension);
    EchoCall waiting(*stub_, "", {{"instance-id", id}});
    AwaitWaiter();
    std::thread granter(
        [closing = std::move(closing), before_grant, pause]() mutable {
          pause(before_grant);
          closing();
        });
    pause(before_cancel);
    waiting.Cancel();
    const grpc::Status& status = waiting.Await();
    granter.join();
    const bool granted = answered_.Take("the waiter").ok();
    ++(status.ok() ? ok : cancelled);
    if (status.ok()) {
      EXPECT_TRUE(granted);
      EXPECT_GT(waiting.response().generation(), closing_generation_);
    } else {
      EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
    }
    events_.Await(InstanceEventKind::kClosed, id);
    if (granted) {  // A fresh one, idle soon.
      events_.Await(InstanceEventKind::kIdle, id);
      EXPECT_TRUE(registry_->Release(TestKey(id)).ok());
      HookDone again = extension.held.Take("OnDetach");
      again();
      events_.Await(InstanceEventKind::kClosed, id);
    }
  });
  RecordProperty("granted", ok);
  RecordProperty("cancelled", cancelled);
}

}  // namespace
}  // namespace leasehold
