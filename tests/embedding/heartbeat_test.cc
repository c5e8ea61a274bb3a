// Streams that have nothing to say: they send heartbeats, on a simulated clock.
#include <grpcpp/client_context.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "leasehold/v1/echo.grpc.pb.h"
#include "leasehold/v1/instances.grpc.pb.h"
#include "tests/embedding/embedding_fixture.h"

namespace leasehold {
namespace {

using ::testing::HasSubstr;

class HeartbeatTest : public EmbeddingTest {
 protected:
  Serving MakeAndServe() {
    InstancesOptions options;
    options.idle_timeout = absl::Hours(1);
    Make(std::move(options));
    return Serve(service_);
  }
  std::unique_ptr<v1::Echo::Stub> Echo() {
    return v1::Echo::NewStub(Channel());
  }
  std::unique_ptr<v1::Instances::Stub> Contexts() {
    return v1::Instances::NewStub(Channel());
  }
  // A context for a call of the instance "room".
  std::unique_ptr<grpc::ClientContext> Room(const std::string& interval = "") {
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("instance-id", "room");
    if (!interval.empty()) {
      context->AddMetadata("heartbeat-interval", interval);
    }
    return context;
  }

  ScriptedCounter service_{[](auto* call, auto*, auto*) {
    auto* reactor = call->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }};
};

TEST_F(HeartbeatTest, AStreamIsSilentForItsIntervalAndNoLonger) {
  const auto serving = MakeAndServe();
  const auto call = Room();
  const auto contexts = Contexts();
  const auto hold = contexts->Hold(call.get(), {});
  v1::HoldResponse held;
  ASSERT_TRUE(hold->Read(&held));
  EXPECT_FALSE(held.heartbeat());
  EXPECT_EQ(held.instance().instance_id(), "room");
  for (int i = 0; i < 3; ++i) {
    // When this timer waits, the one before is out.
    clock_.AwaitWaiter(clock_.Now() + kHeartbeatInterval);
    clock_.Advance(kHeartbeatInterval);
    ASSERT_TRUE(hold->Read(&held));
    EXPECT_TRUE(held.heartbeat());
    EXPECT_FALSE(held.has_instance());
  }
  call->TryCancel();
  while (hold->Read(&held)) {
  }
  hold->Finish();
}

TEST_F(HeartbeatTest, EveryStreamHasThem) {
  const auto serving = MakeAndServe();
  const auto echo = Echo();
  const auto contexts = Contexts();
  const auto join_call = Room(), echo_call = Room(), watch_call = Room(),
             keep_alive_call = Room();
  const auto join = echo->Join(join_call.get(), {});
  v1::JoinResponse joined;
  ASSERT_TRUE(join->Read(&joined));
  EXPECT_TRUE(joined.has_joined());
  const auto watch = contexts->Watch(watch_call.get(), {});
  v1::WatchInstancesResponse event;
  while (event.event() != v1::WatchInstancesResponse::SNAPSHOT_DONE) {
    ASSERT_TRUE(watch->Read(&event));
  }
  const auto stream = echo->EchoStream(echo_call.get());
  stream->WaitForInitialMetadata();
  const auto keep_alive = contexts->KeepAlive(keep_alive_call.get());
  keep_alive->WaitForInitialMetadata();

  // Until each has one: the clock may move before a stream has begun its own.
  std::atomic<bool> done = false;
  std::thread time([&] {
    while (!done) {
      clock_.Advance(absl::Seconds(5));
      std::this_thread::yield();
    }
  });
  while (!joined.heartbeat()) ASSERT_TRUE(join->Read(&joined));
  EXPECT_EQ(joined.event_case(), v1::JoinResponse::EVENT_NOT_SET);
  while (!event.heartbeat()) ASSERT_TRUE(watch->Read(&event));
  EXPECT_FALSE(event.has_instance());
  v1::EchoResponse echoed;
  ASSERT_TRUE(stream->Read(&echoed));
  EXPECT_TRUE(echoed.heartbeat());
  EXPECT_EQ(echoed.sequence(), 0u);
  v1::KeepAliveResponse kept;
  ASSERT_TRUE(keep_alive->Read(&kept));
  EXPECT_TRUE(kept.heartbeat());
  done = true;
  time.join();
  for (const auto& call :
       {&join_call, &echo_call, &watch_call, &keep_alive_call}) {
    (*call)->TryCancel();
  }
  join->Finish();
  watch->Finish();
  stream->Finish();
  keep_alive->Finish();
}

TEST_F(HeartbeatTest, TheCallersOwnAreNoEchoesAndGetNoAnswer) {
  const auto serving = MakeAndServe();
  const auto echo = Echo();
  const auto contexts = Contexts();
  const auto call = Room(), keep_alive_call = Room();
  const auto stream = echo->EchoStream(call.get());
  v1::EchoRequest request, heartbeat;
  request.set_text("Apple");
  heartbeat.set_heartbeat(true);
  v1::EchoResponse response;
  for (uint64_t sequence = 1; sequence <= 2; ++sequence) {
    ASSERT_TRUE(stream->Write(heartbeat));
    ASSERT_TRUE(stream->Write(request));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.text(), "Apple");
    EXPECT_EQ(response.sequence(), sequence);
  }
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());

  const auto keep_alive = contexts->KeepAlive(keep_alive_call.get());
  v1::KeepAliveRequest alive, renew;
  alive.set_heartbeat(true);
  renew.set_instance_id("room");
  ASSERT_TRUE(keep_alive->Write(alive));
  ASSERT_TRUE(keep_alive->Write(renew));
  v1::KeepAliveResponse kept;
  ASSERT_TRUE(keep_alive->Read(&kept));
  EXPECT_TRUE(kept.found());
  keep_alive->WritesDone();
  EXPECT_FALSE(keep_alive->Read(&kept));
  EXPECT_TRUE(keep_alive->Finish().ok());
}

TEST_F(HeartbeatTest, ARequestMayAskForLessAndNotForMore) {
  const auto serving = MakeAndServe();
  const auto contexts = Contexts();
  for (const auto& [asked, interval] :
       // Longer ones first: what is left of one must not be taken for the next.
       {std::pair{"1h", kHeartbeatInterval}, std::pair{"5s", absl::Seconds(5)},
        std::pair{"1ns", kHeartbeatIntervalMin}}) {
    SCOPED_TRACE(asked);
    const auto call = Room(asked);
    const auto hold = contexts->Hold(call.get(), {});
    v1::HoldResponse held;
    ASSERT_TRUE(hold->Read(&held));
    clock_.AwaitWaiter(clock_.Now() + interval);
    clock_.Advance(interval);
    ASSERT_TRUE(hold->Read(&held));
    EXPECT_TRUE(held.heartbeat());
    call->TryCancel();
    hold->Finish();
  }
}

TEST_F(HeartbeatTest, AnIntervalThatIsNotADurationIsRefusedByName) {
  const auto serving = MakeAndServe();
  const auto contexts = Contexts();
  const auto refuses = [](const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr("heartbeat-interval"));
    EXPECT_THAT(status.error_message(), HasSubstr("\"often\""));
  };
  const auto hold_call = Room("often"), watch_call = Room("often"),
             join_call = Room("often");
  v1::HoldResponse held;
  const auto hold = contexts->Hold(hold_call.get(), {});
  EXPECT_FALSE(hold->Read(&held));
  refuses(hold->Finish());
  v1::WatchInstancesResponse event;
  const auto watch = contexts->Watch(watch_call.get(), {});
  EXPECT_FALSE(watch->Read(&event));
  refuses(watch->Finish());
  v1::JoinResponse joined;
  const auto join = Echo()->Join(join_call.get(), {});
  EXPECT_FALSE(join->Read(&joined));
  refuses(join->Finish());
  EXPECT_EQ(instances_->registry().size(), 0u);  // Nothing was made.
}

// Goal: a heartbeat that is on its way never harms a message. Method: a stream
// of messages while the clock runs so fast that a heartbeat is due all the
// time; then the stream is ended in the midst of it.
TEST_F(HeartbeatTest, MessagesAndHeartbeatsDoNotGetIntoEachOthersWay) {
  const auto serving = MakeAndServe();
  const auto echo = Echo();
  std::atomic<bool> done = false;
  std::thread time([&] {
    while (!done) {
      clock_.Advance(kHeartbeatIntervalMin);
      std::this_thread::yield();
    }
  });
  for (int round = 0; round < 20; ++round) {
    const auto call = Room("100ms");
    const auto stream = echo->EchoStream(call.get());
    v1::EchoRequest request;
    v1::EchoResponse response;
    uint64_t last = 0;
    for (int i = 0; i < 100; ++i) {
      request.set_text(std::to_string(i));
      ASSERT_TRUE(stream->Write(request));
      do {
        ASSERT_TRUE(stream->Read(&response));
      } while (response.heartbeat());
      EXPECT_EQ(response.text(), request.text());
      if (i > 0) {
        EXPECT_EQ(response.sequence(), last + 1);
      }
      last = response.sequence();
    }
    if (round % 2 == 0) {
      call->TryCancel();
    } else {
      // By force: the handler is told while it may be writing.
      EXPECT_TRUE(instances_->registry()
                      .Release(instances_->Key("room"), /*force=*/true)
                      .ok());
    }
    while (stream->Read(&response)) {
    }
    EXPECT_EQ(stream->Finish().error_code(), round % 2 == 0
                                                 ? grpc::StatusCode::CANCELLED
                                                 : grpc::StatusCode::ABORTED);
  }
  done = true;
  time.join();
}

}  // namespace
}  // namespace leasehold
