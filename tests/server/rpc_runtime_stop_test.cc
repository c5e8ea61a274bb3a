// How a runtime ends, and one with several queues.

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>

#include <coroutine>
#include <cstddef>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "service/rpc/received.h"
#include "service/rpc/rpc_runtime.h"
#include "service/rpc/server_call.h"
#include "tests/server/echo_call.h"
#include "tests/server/events.h"
#include "tests/server/health.h"
#include "tests/server/rpc_fixture.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using EchoService =
    RawService<v1::Echo::AsyncService, v1::Echo::WithRawMethod_Echo,
               v1::Echo::WithRawMethod_EchoStream,
               v1::Echo::WithRawMethod_Join>;
using EchoUnaryCall = UnaryCall<v1::EchoRequest, v1::EchoResponse>;

// ---- Stop

TEST(RpcRuntime, StopWaitsForRunningCalls) {
  TestServer server(EchoWhenResumed, /*queues=*/2);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoCall first(*stub, "first");
  const Parked one = server.parked.Take("the first call to arrive");
  EchoCall second(*stub, "second");
  const Parked two = server.parked.Take("the second call to arrive");

  Event stopped;
  std::thread stop([&server, &stopped] {
    server.Stop();
    stopped.Set();
  });
  one.Resume();
  EXPECT_TRUE(first.Await().ok());
  EXPECT_FALSE(stopped.set());
  two.Resume();
  EXPECT_TRUE(second.Await().ok());
  stop.join();
  EXPECT_EQ(server.violations, 0);
}

// The server has given the call up, and the client is gone; the coroutine
// lives.
TEST(RpcRuntime, StopWaitsForACoroutineThatDoesNotHeedItsCancellation) {
  TestServer server(EchoWhenResumed, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoCall call(*stub, "text");
  const Parked parked = server.parked.Take("the call to arrive");
  Event stopped;
  std::thread stop([&server, &stopped] {
    server.server->Shutdown(gpr_time_0(GPR_TIMESPAN));
    server.runtime->Stop();
    stopped.Set();
  });
  EXPECT_FALSE(call.Await().ok());
  EXPECT_FALSE(stopped.set());
  parked.Resume();
  EXPECT_TRUE(server.cancelled.Take("the end of the handler"));
  stop.join();
}

// The queue's thread is busy with the rest of a call that has ended, so that
// the next one has arrived but is not served yet when the server is shut down.
// It still needs its queue. (That it has arrived is known from a health check,
// which came after it on the same connection and has its own threads.)
CallTask EchoThenHoldTheThread(TestServer& server, MethodQueue& calls) {
  {
    EchoUnaryCall call(calls);
    if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
      co_return;
    }
    EchoThenHoldTheThread(server, calls);
    if (!co_await call.Parse()) co_return;
    co_await call.Finish(absl::OkStatus());
  }
  server.threads.Put(std::this_thread::get_id());
  server.go.Await("the test to say Go");
}

TEST(RpcRuntime, CallThatHasArrivedAndIsNotServedYetSurvivesStop) {
  grpc::EnableDefaultHealthCheckService(true);
  TestServer server(EchoThenHoldTheThread, /*queues=*/1);
  grpc::EnableDefaultHealthCheckService(false);
  server.Start();
  const auto channel = Connect(server.address());
  const auto stub = v1::Echo::NewStub(channel);
  EchoCall first(*stub, "first");
  server.threads.Take("the first call to end");
  EchoCall second(*stub, "second");
  EXPECT_EQ(CheckHealth(channel), kServing);
  server.server->Shutdown(gpr_time_0(GPR_TIMESPAN));
  std::thread stop([&server] { server.runtime->Stop(); });
  server.go.Set();
  stop.join();
  EXPECT_FALSE(second.Await().ok());
}

TEST(RpcRuntime, StopEndsAServerWithoutACall) {
  for (const int queues : {1, 3}) {
    TestServer server(EchoAtOnce, queues);
    server.Start();
    server.Stop();
    EXPECT_EQ(server.threads.size(), 0u);
  }
}

TEST(RpcRuntime, RuntimeThatWasNeverStartedEnds) {
  TestServer server(EchoAtOnce, /*queues=*/2);
  server.Stop();
}

TEST(RpcRuntime, RuntimeWhoseServerDidNotComeUpEnds) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:/no/such/folder/s",
                           grpc::InsecureServerCredentials());
  EchoService service;
  builder.RegisterService(&service);
  SimulatedClock clock;
  ByteBudget budget(clock, {});
  RpcRuntime runtime(builder, /*queues=*/2, budget);
  EXPECT_EQ(builder.BuildAndStart(), nullptr);
}

TEST(RpcRuntime, SecondStopDoesNothing) {
  TestServer server(EchoAtOnce, /*queues=*/1);
  server.Start();
  server.Stop();
  server.Stop();
}

// ---- Several queues

// A call that holds its queue's thread until the test says Go, and only then
// asks for the next one: so no queue can have two of them.
CallTask EchoAfterGo(TestServer& server, MethodQueue& calls) {
  EchoUnaryCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  if (!co_await call.Parse()) co_return;
  server.threads.Put(std::this_thread::get_id());
  server.go.Await("the test to say Go");
  EchoAfterGo(server, calls);
  co_await call.Finish(absl::OkStatus());
}

TEST(RpcRuntime, EachQueueHasAThreadOfItsOwn) {
  constexpr int kQueues = 3;
  TestServer server(EchoAfterGo, kQueues);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  std::vector<std::unique_ptr<EchoCall>> calls;
  std::set<std::thread::id> threads;
  for (int i = 0; i < kQueues; ++i) {
    calls.push_back(std::make_unique<EchoCall>(*stub, "text"));
    threads.insert(server.threads.Take("a queue to serve the call"));
  }
  EXPECT_EQ(threads.size(), static_cast<size_t>(kQueues));
  server.go.Set();
  for (const auto& call : calls) EXPECT_TRUE(call->Await().ok());
}

TEST(RpcRuntime, CallStaysWithItsQueueWhicheverThreadResumesIt) {
  constexpr int kCalls = 30;
  TestServer server(EchoWhenResumed, /*queues=*/3);
  server.Start();
  std::vector<std::unique_ptr<v1::Echo::Stub>> stubs;
  std::vector<std::unique_ptr<EchoCall>> calls;
  for (int i = 0; i < kCalls; ++i) {
    if (i % 10 == 0) {
      stubs.push_back(v1::Echo::NewStub(Connect(server.address())));
    }
    calls.push_back(std::make_unique<EchoCall>(*stubs.back(), absl::StrCat(i)));
  }
  for (int i = 0; i < kCalls; ++i) {
    server.parked.Take("a call to arrive").Resume();
  }
  for (int i = 0; i < kCalls; ++i) {
    EXPECT_TRUE(calls[i]->Await().ok());
    EXPECT_EQ(calls[i]->response().text(), absl::StrCat(i));
  }
  EXPECT_EQ(server.violations, 0);
}

}  // namespace
}  // namespace leasehold
