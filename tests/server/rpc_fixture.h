// A server whose Echo is a coroutine of the test, and handlers that hold calls
// where the test wants them.
//
// Thread-safety: TestServer's mailboxes are safe; handlers run on the thread of
// their queue.   Lifetime: the server outlives its calls.
#ifndef LEASEHOLD_TESTS_SERVER_RPC_FIXTURE_H_
#define LEASEHOLD_TESTS_SERVER_RPC_FIXTURE_H_

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>

#include <atomic>
#include <coroutine>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "service/doors/instance_call.h"
#include "service/rpc/received.h"
#include "service/rpc/rpc_runtime.h"
#include "service/rpc/server_call.h"
#include "service/rpc/stream_call.h"
#include "tests/server/events.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {

using EchoService =
    RawService<v1::Echo::AsyncService, v1::Echo::WithRawMethod_Echo,
               v1::Echo::WithRawMethod_EchoStream,
               v1::Echo::WithRawMethod_Join>;
using EchoUnaryCall = UnaryCall<v1::EchoRequest, v1::EchoResponse>;
using EchoBidiCall = BidiStreamCall<v1::EchoRequest, v1::EchoResponse>;
using JoinCall = ServerStreamCall<v1::JoinRequest, v1::JoinResponse>;
using StreamControlPtr = std::shared_ptr<StreamControl>;

// A coroutine that waits for the test to resume it.
struct Parked {
  RpcQueue* queue = nullptr;
  std::coroutine_handle<> coroutine;
  std::string text;  // The request's.

  void Resume() const { queue->Resume(coroutine); }
};

// A server whose Echo is a coroutine of the test. Its address is 127.0.0.1 and
// a free port.
class TestServer {
 public:
  using Handler = CallTask (*)(TestServer&, MethodQueue&);

  // Serves with `handler` once Start is called. `gatekeeper` may be null.
  TestServer(Handler handler, int queues, Gatekeeper* gatekeeper = nullptr)
      : handler_(handler) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(&service);
    runtime = std::make_unique<RpcRuntime>(
        builder, queues, budget,
        RpcHooks{.gatekeeper = gatekeeper, .clock = &clock});
    server = builder.BuildAndStart();
  }
  ~TestServer() { Stop(); }

  void Start() {
    runtime->Start([this](RpcQueue& one) {
      queue = &one;
      handler_(*this, one.AddMethod({}));
    });
  }
  // In the order that RpcRuntime asks for.
  void Stop() {
    server->Shutdown();
    runtime->Stop();
  }

  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  EchoService service;
  SimulatedClock clock;
  ByteBudget budget{
      clock, {.connection_bytes_max = 4 << 20, .total_bytes_max = 9 << 20}};
  std::unique_ptr<RpcRuntime> runtime;
  std::unique_ptr<grpc::Server> server;
  RpcQueue* queue = nullptr;  // The only one, if there is one only.

  // What handlers tell the test.
  Mailbox<Parked> parked;
  Mailbox<std::thread::id> threads;    // That they ran on.
  Mailbox<bool> cancelled;             // ServerCall::cancelled, at their end.
  std::atomic<int> told{0};            // Calls of CancelHandler::OnCancelled.
  std::atomic<int> violations{0};      // What must not be.
  Mailbox<StreamControlPtr> controls;  // Of streams that have arrived.
  Mailbox<bool> awaited;               // What handlers of streams got.
  Event go;

 private:
  const Handler handler_;
  int port_ = 0;
};

// Awaits that the test resumes the coroutine. After it, the coroutine must be
// on the thread that it was on before.
class Park {
 public:
  Park(TestServer& server, EchoUnaryCall& call)
      : server_(server), call_(call), thread_(std::this_thread::get_id()) {}

  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) {
    server_.parked.Put({.queue = &call_.queue(),
                        .coroutine = coroutine,
                        .text = call_.request().text()});
  }
  void await_resume() {
    if (std::this_thread::get_id() != thread_) ++server_.violations;
  }

 private:
  TestServer& server_;
  EchoUnaryCall& call_;
  const std::thread::id thread_;
};

// Awaits that the call is cancelled: as Park, but resumed by the cancellation.
class ParkUntilCancelled final : private CancelHandler {
 public:
  ParkUntilCancelled(TestServer& server, EchoUnaryCall& call)
      : server_(server), call_(call), thread_(std::this_thread::get_id()) {}

  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<> coroutine) {
    // It may have been cancelled before it got here: nobody tells it again.
    if (call_.cancelled()) return false;
    coroutine_ = coroutine;
    call_.set_cancel_handler(this);
    server_.parked.Put({.queue = &call_.queue(),
                        .coroutine = coroutine,
                        .text = call_.request().text()});
    return true;
  }
  void await_resume() {}

 private:
  void OnCancelled() override {
    ++server_.told;
    if (std::this_thread::get_id() != thread_) ++server_.violations;
    if (!call_.cancelled()) ++server_.violations;
    call_.queue().Resume(coroutine_);
  }

  TestServer& server_;
  EchoUnaryCall& call_;
  const std::thread::id thread_;
  std::coroutine_handle<> coroutine_;
};

// ---- Handlers

inline CallTask EchoAtOnce(TestServer& server, MethodQueue& calls) {
  EchoUnaryCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  EchoAtOnce(server, calls);
  if (!co_await call.Parse()) co_return;
  server.threads.Put(std::this_thread::get_id());
  call.response().set_text(call.request().text());
  co_await call.Finish(absl::OkStatus());
  server.cancelled.Put(call.cancelled());
}

inline CallTask EchoWhenResumed(TestServer& server, MethodQueue& calls) {
  EchoUnaryCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  EchoWhenResumed(server, calls);
  if (!co_await call.Parse()) co_return;
  server.threads.Put(std::this_thread::get_id());
  Park park(server, call);
  co_await park;
  call.response().set_text(call.request().text());
  co_await call.Finish(absl::OkStatus());
  server.cancelled.Put(call.cancelled());
}

inline constexpr int kRounds = 100;

inline CallTask EchoAfterManyRounds(TestServer& server, MethodQueue& calls) {
  EchoUnaryCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  EchoAfterManyRounds(server, calls);
  if (!co_await call.Parse()) co_return;
  int rounds = 0;
  while (rounds < kRounds) {
    Park park(server, call);
    co_await park;
    ++rounds;
  }
  call.response().set_sequence(rounds);
  co_await call.Finish(absl::OkStatus());
}

inline CallTask FailWhenCancelled(TestServer& server, MethodQueue& calls) {
  EchoUnaryCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  FailWhenCancelled(server, calls);
  if (!co_await call.Parse()) co_return;
  ParkUntilCancelled park(server, call);
  co_await park;
  co_await call.Finish(absl::CancelledError("told so"));
  server.cancelled.Put(call.cancelled());
}

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SERVER_RPC_FIXTURE_H_
