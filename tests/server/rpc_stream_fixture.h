// Streams of a TestServer, and handlers that hold them where the test wants
// them.
//
// Thread-safety: handlers run on the thread of their queue.   Lifetime: the
// server outlives its streams.
#ifndef LEASEHOLD_TESTS_SERVER_RPC_STREAM_FIXTURE_H_
#define LEASEHOLD_TESTS_SERVER_RPC_STREAM_FIXTURE_H_

#include <coroutine>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "service/rpc/received.h"
#include "service/rpc/rpc_runtime.h"
#include "service/rpc/stream_call.h"
#include "tests/server/events.h"
#include "tests/server/rpc_fixture.h"

namespace leasehold {

// A stream of the client's, which ends by itself after a minute.
template <typename Stream>
class ClientStream {
 public:
  // `start` makes the stream in the context that it is given.
  template <typename Start>
  explicit ClientStream(Start start) {
    context_.set_deadline(gpr_time_from_minutes(1, GPR_TIMESPAN));
    stream_ = start(&context_);
  }

  Stream* operator->() { return stream_.get(); }
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
};

inline auto EchoStreamOf(v1::Echo::Stub& stub) {
  return [&stub](grpc::ClientContext* context) {
    return stub.EchoStream(context);
  };
}
inline auto JoinOf(v1::Echo::Stub& stub) {
  return [&stub](grpc::ClientContext* context) {
    return stub.Join(context, v1::JoinRequest());
  };
}

using EchoStream =
    ClientStream<grpc::ClientReaderWriter<v1::EchoRequest, v1::EchoResponse>>;
using JoinStream = ClientStream<grpc::ClientReader<v1::JoinResponse>>;

inline v1::EchoRequest Saying(const std::string& text) {
  v1::EchoRequest request;
  request.set_text(text);
  return request;
}

// Returns when the queue's thread has done all that was posted before.
inline void PassThrough(RpcQueue& queue) {
  Event passed;
  queue.Post([&passed] { passed.Set(); });
  passed.Await("the queue's thread");
}

// Awaits that the test resumes the stream.
class ParkStream {
 public:
  ParkStream(TestServer& server, RpcQueue& queue)
      : server_(server), queue_(queue) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) {
    server_.parked.Put({.queue = &queue_, .coroutine = coroutine, .text = ""});
  }
  void await_resume() {}

 private:
  TestServer& server_;
  RpcQueue& queue_;
};

// Echoes until the client has sent all, or the stream is over.
inline CallTask ServeEchoes(TestServer& server, MethodQueue& calls) {
  EchoBidiCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestEchoStream)) {
    co_return;
  }
  ServeEchoes(server, calls);
  server.controls.Put(call.control());
  bool open = co_await call.SendInitialMetadata();
  while (open && co_await call.Read()) {
    v1::EchoResponse response;
    response.set_text(call.request().text());
    open = co_await call.Write(response);
  }
  server.awaited.Put(open);
  const absl::Status status = call.EndStatus(absl::OkStatus());
  co_await call.Finish(status);
  server.cancelled.Put(call.cancelled());
}

// Awaits news until the stream is over.
inline CallTask ServeNews(TestServer& server, MethodQueue& calls) {
  JoinCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestJoin)) {
    co_return;
  }
  ServeNews(server, calls);
  if (!co_await call.Parse()) co_return;
  server.controls.Put(call.control());
  bool open = true;
  while (open) {
    open = co_await call.News();
    server.threads.Put(std::this_thread::get_id());
    server.awaited.Put(open);
  }
  const absl::Status status = call.EndStatus(absl::OkStatus());
  co_await call.Finish(status);
  server.cancelled.Put(call.cancelled());
}

// As ServeNews, once the test has resumed it.
inline CallTask ServeNewsWhenResumed(TestServer& server, MethodQueue& calls) {
  JoinCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestJoin)) {
    co_return;
  }
  ServeNewsWhenResumed(server, calls);
  if (!co_await call.Parse()) co_return;
  server.controls.Put(call.control());
  ParkStream park(server, call.queue());
  co_await park;
  bool open = true;
  while (open) {
    open = co_await call.News();
    server.awaited.Put(open);
  }
  const absl::Status status = call.EndStatus(absl::OkStatus());
  co_await call.Finish(status);
  server.cancelled.Put(call.cancelled());
}

// Reads a message, then awaits news.
inline CallTask ServeReadThenNews(TestServer& server, MethodQueue& calls) {
  EchoBidiCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestEchoStream)) {
    co_return;
  }
  ServeReadThenNews(server, calls);
  server.controls.Put(call.control());
  server.awaited.Put(co_await call.Read());
  server.awaited.Put(co_await call.News());
  co_await call.Finish(absl::OkStatus());
  server.cancelled.Put(call.cancelled());
}

// More than gRPC takes from a client that does not read, and as much as it
// lets one read.
inline constexpr size_t kMuch = 3 << 20;

// Writes more than the client takes.
inline CallTask ServeMuch(TestServer& server, MethodQueue& calls) {
  JoinCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestJoin)) {
    co_return;
  }
  ServeMuch(server, calls);
  if (!co_await call.Parse()) co_return;
  server.controls.Put(call.control());
  v1::JoinResponse response;
  response.mutable_echo()->set_text(std::string(kMuch, 'x'));
  server.awaited.Put(co_await call.Write(response));
  server.awaited.Put(co_await call.Write(response));
  const absl::Status status = call.EndStatus(absl::OkStatus());
  co_await call.Finish(status);
  server.cancelled.Put(call.cancelled());
}

// Awaits room for a long message, then writes it.
inline CallTask ServeInRoom(TestServer& server, MethodQueue& calls) {
  JoinCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestJoin)) {
    co_return;
  }
  ServeInRoom(server, calls);
  server.controls.Put(call.control());
  v1::JoinResponse response;
  response.mutable_echo()->set_text(std::string(kMuch, 'x'));
  const bool room = co_await call.Room(response.ByteSizeLong());
  server.awaited.Put(room);
  if (room) server.awaited.Put(co_await call.Write(response));
  call.LeaveRoom();
  const absl::Status status = call.EndStatus(absl::OkStatus());
  co_await call.Finish(status);
  server.cancelled.Put(call.cancelled());
}

// Tries all that a stream can do.
inline CallTask ServeEverythingOnce(TestServer& server, MethodQueue& calls) {
  EchoBidiCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestEchoStream)) {
    co_return;
  }
  ServeEverythingOnce(server, calls);
  server.awaited.Put(!call.over());
  server.awaited.Put(co_await call.SendInitialMetadata());
  server.awaited.Put(co_await call.Read());
  server.awaited.Put(co_await call.Write(v1::EchoResponse()));
  server.awaited.Put(co_await call.News());
  const absl::Status status = call.EndStatus(absl::OkStatus());
  co_await call.Finish(status);
  server.cancelled.Put(call.cancelled());
}

// Takes what all have, but for what is small.
inline void FillBudget(TestServer& server, ByteBudget::Claim& claim) {
  ASSERT_TRUE(server.budget
                  .Take(
                      7 << 20,
                      [] {
                        return ByteBudget::Holder{.connection = "another",
                                                  .cut = nullptr};
                      },
                      claim)
                  .ok());
}

// A client whose window grows only as it reads, so that a long write is under
// way until it does.
inline std::shared_ptr<grpc::Channel> ConnectWithSmallWindow(
    const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   arguments);
}

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SERVER_RPC_STREAM_FIXTURE_H_
