// Streams: what wakes them, what ends them, and how much of them is kept.

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "service/rpc/received.h"
#include "service/rpc/rpc_runtime.h"
#include "service/rpc/stream_call.h"
#include "tests/server/echo_call.h"
#include "tests/server/rpc_fixture.h"
#include "tests/server/rpc_stream_fixture.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using StreamControlPtr = std::shared_ptr<StreamControl>;

TEST(RpcRuntime, AnswerForWhichThereIsNoRoomIsRefused) {
  TestServer server(EchoAtOnce, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  const std::string text(kMuch, 'x');
  {
    ByteBudget::Claim another;
    FillBudget(server, another);
    EchoCall refused(*stub, text);
    const grpc::Status status = refused.Await();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_NE(status.error_message().find("--max-total-bytes"),
              std::string::npos)
        << status.error_message();
    EchoCall small(*stub, "small");
    EXPECT_TRUE(small.Await().ok());
  }
  EchoCall call(*stub, text);
  EXPECT_TRUE(call.Await().ok());
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(server.cancelled.Take("the end of the handler"));
  }
  server.Stop();
  EXPECT_EQ(server.budget.total(), 0u);
}

TEST(RpcRuntimeStream, MessageThatHasNoRoomWaitsForIt) {
  TestServer server(ServeInRoom, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  auto another = std::make_unique<ByteBudget::Claim>();
  FillBudget(server, *another);
  grpc::ClientContext context;
  const auto reader = stub->Join(&context, v1::JoinRequest());
  // A wake for another reason changes nothing.
  server.controls.Take("the stream")->Notify();
  another.reset();
  EXPECT_TRUE(server.awaited.Take("the room"));
  v1::JoinResponse response;
  EXPECT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.echo().text().size(), kMuch);
  EXPECT_TRUE(server.awaited.Take("the write"));
  EXPECT_TRUE(reader->Finish().ok());
  server.Stop();
  EXPECT_EQ(server.budget.total(), 0u);
}

TEST(RpcRuntimeStream, StreamThatEndsWhileItWaitsForRoomWaitsNoLonger) {
  TestServer server(ServeInRoom, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  ByteBudget::Claim another;
  FillBudget(server, another);
  grpc::ClientContext told;
  const auto reader = stub->Join(&told, v1::JoinRequest());
  server.controls.Take("the stream")->End(absl::AbortedError("so"));
  EXPECT_FALSE(server.awaited.Take("the room"));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::ABORTED);
  EXPECT_FALSE(server.cancelled.Take("the end of the handler"));

  grpc::ClientContext gone;
  const auto other = stub->Join(&gone, v1::JoinRequest());
  server.controls.Take("the stream");
  gone.TryCancel();
  EXPECT_FALSE(server.awaited.Take("the room"));
  EXPECT_TRUE(server.cancelled.Take("the end of the handler"));
}

TEST(RpcRuntimeStream, MessagesAreReadUntilTheClientHasSentAll) {
  TestServer server(ServeEchoes, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoStream stream(EchoStreamOf(*stub));
  v1::EchoResponse response;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(stream->Write(Saying(absl::StrCat("text ", i))));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.text(), absl::StrCat("text ", i));
  }
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(server.awaited.Take("the end of the reading"));
  EXPECT_FALSE(server.cancelled.Take("the end of the handler"));
}

TEST(RpcRuntimeStream, NotifyFromAnotherThreadWakesTheStreamOnItsOwnThread) {
  TestServer server(ServeNews, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  JoinStream stream(JoinOf(*stub));
  const StreamControlPtr control = server.controls.Take("the stream to arrive");
  std::set<std::thread::id> threads;
  for (int i = 0; i < 5; ++i) {
    control->Notify();
    EXPECT_TRUE(server.awaited.Take("news"));
    threads.insert(server.threads.Take("the handler"));
  }
  EXPECT_EQ(threads.size(), 1u);
  EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
  control->End(absl::OkStatus());
  EXPECT_FALSE(server.awaited.Take("the end"));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(RpcRuntimeStream, NotificationsThatComeBeforeTheHandlerLooksAreOne) {
  TestServer server(ServeNewsWhenResumed, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  JoinStream stream(JoinOf(*stub));
  const StreamControlPtr control = server.controls.Take("the stream to arrive");
  const Parked parked = server.parked.Take("the handler");
  for (int i = 0; i < 3; ++i) {
    control->Notify();
    PassThrough(*parked.queue);
  }
  parked.Resume();
  EXPECT_TRUE(server.awaited.Take("news"));
  PassThrough(*parked.queue);
  EXPECT_EQ(server.awaited.size(), 0u);
  control->End(absl::OkStatus());
  EXPECT_FALSE(server.awaited.Take("the end"));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(RpcRuntimeStream, NewsThatComesDuringAReadIsNotLostAndDoesNotEndIt) {
  TestServer server(ServeReadThenNews, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoStream stream(EchoStreamOf(*stub));
  const StreamControlPtr control = server.controls.Take("the stream to arrive");
  control->Notify();
  PassThrough(*server.queue);
  EXPECT_EQ(server.awaited.size(), 0u);
  ASSERT_TRUE(stream->Write(Saying("text")));
  EXPECT_TRUE(server.awaited.Take("the message"));
  EXPECT_TRUE(server.awaited.Take("the news"));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(RpcRuntimeStream, EndFromAnotherThreadEndsAReadThatIsAwaited) {
  TestServer server(ServeEchoes, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoStream stream(EchoStreamOf(*stub));
  v1::EchoResponse response;
  ASSERT_TRUE(stream->Write(Saying("text")));
  ASSERT_TRUE(stream->Read(&response));
  server.controls.Take("the stream to arrive")
      ->End(absl::UnavailableError("we close"));
  EXPECT_FALSE(stream->Read(&response));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "we close");
  server.cancelled.Take("the end of the handler");
}

TEST(RpcRuntimeStream, FirstEndCounts) {
  TestServer server(ServeNewsWhenResumed, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  JoinStream stream(JoinOf(*stub));
  const StreamControlPtr control = server.controls.Take("the stream to arrive");
  const Parked parked = server.parked.Take("the handler");
  control->End(absl::AbortedError("first"));
  control->End(absl::UnavailableError("second"));
  PassThrough(*parked.queue);
  control->End(absl::UnavailableError("third"));
  parked.Resume();
  EXPECT_FALSE(server.awaited.Take("the end"));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(status.error_message(), "first");
}

TEST(RpcRuntimeStream, ForcedReleaseEndsTheStreamAsAborted) {
  TestServer server(ServeNews, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  JoinStream stream(JoinOf(*stub));
  EndOnRelease(server.controls.Take("the stream to arrive")).OnForcedRelease();
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(status.error_message(), "the instance was released by force");
}

TEST(RpcRuntimeStream, DrainEndsEveryOpenStreamOfEveryQueue) {
  TestServer server(ServeNews, /*queues=*/2);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  std::deque<JoinStream> streams;
  for (int i = 0; i < 6; ++i) {
    streams.emplace_back(JoinOf(*stub));
    server.controls.Take("the stream to arrive");
  }
  server.runtime->EndStreams(absl::UnavailableError("we close"));
  for (JoinStream& stream : streams) {
    EXPECT_EQ(stream->Finish().error_message(), "we close");
  }
}

// It arrives after the drain has begun: nobody will end it any more.
TEST(RpcRuntimeStream, StreamThatWasEndedBeforeItArrivedDoesNothing) {
  TestServer server(ServeEverythingOnce, /*queues=*/1);
  server.Start();
  server.runtime->EndStreams(absl::UnavailableError("we close"));
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoStream stream(EchoStreamOf(*stub));
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(server.awaited.Take("what a stream can do")) << i;
  }
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "we close");
}

TEST(RpcRuntimeStream, StreamThatEndsWhileItWritesGoesOnAndThenWaitsForIt) {
  TestServer server(ServeMuch, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(ConnectWithSmallWindow(server.address()));
  JoinStream stream(JoinOf(*stub));
  const StreamControlPtr control = server.controls.Take("the stream to arrive");
  control->End(absl::AbortedError("released"));
  EXPECT_FALSE(server.awaited.Take("the write that was under way"));
  EXPECT_FALSE(server.awaited.Take("the write that was not begun"));
  PassThrough(*server.queue);
  EXPECT_EQ(server.cancelled.size(), 0u) << "it did not wait for its write";
  // What was under way arrives whole, and then the end.
  v1::JoinResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.echo().text().size(), kMuch);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::ABORTED);
  server.cancelled.Take("the end of the handler");
}

TEST(RpcRuntimeStream, ClientThatGoesWhileTheStreamWritesEndsIt) {
  TestServer server(ServeMuch, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(ConnectWithSmallWindow(server.address()));
  JoinStream stream(JoinOf(*stub));
  server.controls.Take("the stream to arrive");
  stream.Cancel();
  EXPECT_FALSE(server.awaited.Take("the write that was under way"));
  EXPECT_FALSE(server.awaited.Take("the write that was not begun"));
  EXPECT_TRUE(server.cancelled.Take("the end of the handler"));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(RpcRuntimeStream, ClientThatGoesWhileNewsIsAwaitedEndsTheStream) {
  TestServer server(ServeNews, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  JoinStream stream(JoinOf(*stub));
  server.controls.Take("the stream to arrive");
  PassThrough(*server.queue);
  stream.Cancel();
  EXPECT_FALSE(server.awaited.Take("the end"));
  EXPECT_TRUE(server.cancelled.Take("the end of the handler"));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(RpcRuntimeStream, ClientThatGoesWhileAMessageIsAwaitedEndsTheStream) {
  TestServer server(ServeEchoes, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoStream stream(EchoStreamOf(*stub));
  server.controls.Take("the stream to arrive");
  stream.Cancel();
  EXPECT_TRUE(server.cancelled.Take("the end of the handler"));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(RpcRuntimeStream, ControlOfAStreamThatIsGoneDoesNothing) {
  TestServer server(ServeNews, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  StreamControlPtr control;
  {
    JoinStream stream(JoinOf(*stub));
    control = server.controls.Take("the stream to arrive");
    control->End(absl::OkStatus());
    EXPECT_TRUE(stream->Finish().ok());
    server.cancelled.Take("the end of the handler");
  }
  control->Notify();
  control->End(absl::AbortedError("late"));
  // Nothing was left to the queue, which may be gone as well.
  server.Stop();
  control->Notify();
  EndOnRelease(control).OnForcedRelease();
  EXPECT_EQ(control.use_count(), 1);
}

// Two threads notify and end the stream while the client cancels, each after a
// random pause. Whichever wins: the handler comes to its end once.
TEST(RpcRuntimeStream, StreamThatIsEndedAsItIsCancelledEndsOnce) {
  TestServer server(ServeNews, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  const auto pause = [](uint64_t turns) {
    for (uint64_t i = 0; i < turns; ++i) std::this_thread::yield();
  };
  ForEachSeed(200, [&](Random& random) {
    const uint64_t before_notify = Uniform(random, 0, 30);
    const uint64_t before_end = Uniform(random, 0, 30);
    const uint64_t before_cancel = Uniform(random, 0, 30);
    JoinStream stream(JoinOf(*stub));
    const StreamControlPtr control =
        server.controls.Take("the stream to arrive");
    std::thread notifier([&] {
      pause(before_notify);
      control->Notify();
    });
    std::thread ender([&] {
      pause(before_end);
      control->End(absl::AbortedError("ended"));
      control->Notify();
    });
    pause(before_cancel);
    stream.Cancel();
    const grpc::StatusCode code = stream->Finish().error_code();
    notifier.join();
    ender.join();
    server.cancelled.Take("the end of the handler");
    EXPECT_TRUE(code == grpc::StatusCode::ABORTED ||
                code == grpc::StatusCode::CANCELLED)
        << code;
    // At most one true for the news, and one false, the last.
    while (server.awaited.Take("the end")) {
    }
    EXPECT_EQ(server.awaited.size(), 0u);
    EXPECT_EQ(server.cancelled.size(), 0u);
  });
  server.Stop();
  EXPECT_EQ(server.runtime->load().running, 0u);
}

}  // namespace
}  // namespace leasehold
