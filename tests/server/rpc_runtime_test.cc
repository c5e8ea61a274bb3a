#include "service/rpc/rpc_runtime.h"

#include <arpa/inet.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "service/doors/instance_call.h"
#include "service/rpc/received.h"
#include "service/rpc/server_call.h"
#include "service/rpc/stream_call.h"
#include "tests/server/echo_call.h"
#include "tests/server/events.h"
#include "tests/server/health.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

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
  using Handler = CallTask (*)(TestServer&, RpcQueue&);

  // Serves with `handler` once Start is called.
  TestServer(Handler handler, int queues) : handler_(handler) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(&service);
    runtime = std::make_unique<RpcRuntime>(builder, queues, budget);
    server = builder.BuildAndStart();
  }
  ~TestServer() { Stop(); }

  void Start() {
    runtime->Start([this](RpcQueue& one) {
      queue = &one;
      handler_(*this, one);
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

CallTask EchoAtOnce(TestServer& server, RpcQueue& queue) {
  EchoUnaryCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  EchoAtOnce(server, queue);
  if (!co_await call.Parse()) co_return;
  server.threads.Put(std::this_thread::get_id());
  call.response().set_text(call.request().text());
  co_await call.Finish(absl::OkStatus());
  server.cancelled.Put(call.cancelled());
}

CallTask EchoWhenResumed(TestServer& server, RpcQueue& queue) {
  EchoUnaryCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  EchoWhenResumed(server, queue);
  if (!co_await call.Parse()) co_return;
  server.threads.Put(std::this_thread::get_id());
  Park park(server, call);
  co_await park;
  call.response().set_text(call.request().text());
  co_await call.Finish(absl::OkStatus());
  server.cancelled.Put(call.cancelled());
}

constexpr int kRounds = 100;

CallTask EchoAfterManyRounds(TestServer& server, RpcQueue& queue) {
  EchoUnaryCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  EchoAfterManyRounds(server, queue);
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

CallTask FailWhenCancelled(TestServer& server, RpcQueue& queue) {
  EchoUnaryCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  FailWhenCancelled(server, queue);
  if (!co_await call.Parse()) co_return;
  ParkUntilCancelled park(server, call);
  co_await park;
  co_await call.Finish(absl::CancelledError("told so"));
  server.cancelled.Put(call.cancelled());
}

// Whichever comes first, the test or the cancellation, resumes it; the other
// finds that it has been resumed.
class ParkUntilEither final : private CancelHandler {
 public:
  ParkUntilEither(TestServer& server, EchoUnaryCall& call)
      : server_(server), call_(call) {}

  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<> coroutine) {
    if (call_.cancelled()) return false;
    coroutine_ = coroutine;
    call_.set_cancel_handler(this);
    server_.parked.Put({});
    return true;
  }
  void await_resume() {}

  // From any thread.
  void Wake() {
    if (!woken_.exchange(true)) call_.queue().Resume(coroutine_);
  }

 private:
  void OnCancelled() override {
    ++server_.told;
    Wake();
  }

  TestServer& server_;
  EchoUnaryCall& call_;
  std::coroutine_handle<> coroutine_;
  std::atomic<bool> woken_{false};
};

// The one that waits; the test wakes it. One call at a time.
std::mutex waiting_either_mu;
ParkUntilEither* waiting_either = nullptr;

CallTask EchoWhenResumedOrCancelled(TestServer& server, RpcQueue& queue) {
  EchoUnaryCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  EchoWhenResumedOrCancelled(server, queue);
  if (!co_await call.Parse()) co_return;
  ParkUntilEither park(server, call);
  {
    std::lock_guard<std::mutex> lock(waiting_either_mu);
    waiting_either = &park;
  }
  co_await park;
  {
    std::lock_guard<std::mutex> lock(waiting_either_mu);
    waiting_either = nullptr;
  }
  co_await call.Finish(absl::OkStatus());
  server.cancelled.Put(call.cancelled());
}

// ---- Calls

TEST(RpcRuntime, CallIsServedByACoroutineOnTheQueuesThread) {
  TestServer server(EchoAtOnce, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  std::set<std::thread::id> threads;
  for (int i = 0; i < 5; ++i) {
    EchoCall call(*stub, absl::StrCat("text ", i));
    EXPECT_TRUE(call.Await().ok());
    EXPECT_EQ(call.response().text(), absl::StrCat("text ", i));
    threads.insert(server.threads.Take("the handler"));
    EXPECT_FALSE(server.cancelled.Take("the end of the handler"));
  }
  EXPECT_EQ(threads.size(), 1u);
  EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
}

// Ten calls are under way at once on one queue. They end in the reverse order
// of their arrival, each with its own text.
TEST(RpcRuntime, CallsInFlightDoNotWaitForEachOther) {
  constexpr int kCalls = 10;
  TestServer server(EchoWhenResumed, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  std::vector<std::unique_ptr<EchoCall>> calls;
  std::vector<Parked> parked;
  for (int i = 0; i < kCalls; ++i) {
    calls.push_back(std::make_unique<EchoCall>(*stub, absl::StrCat(i)));
    parked.push_back(server.parked.Take("a call to arrive"));
    EXPECT_EQ(parked.back().text, absl::StrCat(i));
  }
  for (int i = kCalls - 1; i >= 0; --i) {
    EXPECT_FALSE(calls[i]->ended());
    parked[i].Resume();
    EXPECT_TRUE(calls[i]->Await().ok());
    EXPECT_EQ(calls[i]->response().text(), absl::StrCat(i));
  }
  EXPECT_EQ(server.violations, 0);
}

// ---- Resume

TEST(RpcRuntime, CoroutineResumedElsewhereRunsOnItsQueuesThread) {
  TestServer server(EchoWhenResumed, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoCall call(*stub, "text");
  server.parked.Take("the call to arrive").Resume();
  EXPECT_TRUE(call.Await().ok());
  EXPECT_EQ(server.violations, 0);
  EXPECT_NE(server.threads.Take("the handler"), std::this_thread::get_id());
}

// A coroutine that has itself resumed while it suspends. If that happened
// inside Resume, it would be resumed before it is suspended.
class ResumeMyself {
 public:
  ResumeMyself(TestServer& server, RpcQueue& queue)
      : server_(server), queue_(queue) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) {
    suspending_ = true;
    queue_.Resume(coroutine);
    suspending_ = false;
  }
  void await_resume() {
    if (suspending_) ++server_.violations;
  }

 private:
  TestServer& server_;
  RpcQueue& queue_;
  bool suspending_ = false;
};

CallTask EchoAfterResumingItself(TestServer& server, RpcQueue& queue) {
  EchoUnaryCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  EchoAfterResumingItself(server, queue);
  if (!co_await call.Parse()) co_return;
  int times = 0;
  while (times < 1000) {
    ResumeMyself again(server, queue);
    co_await again;
    ++times;
  }
  co_await call.Finish(absl::OkStatus());
}

TEST(RpcRuntime, ResumeOnTheQueuesOwnThreadRunsTheCoroutineLater) {
  TestServer server(EchoAfterResumingItself, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoCall call(*stub, "text");
  EXPECT_TRUE(call.Await().ok());
  EXPECT_EQ(server.violations, 0);
}

// Sixteen calls on two queues go round a hundred times each; four threads
// resume whichever coroutine is parked next. Each must come back once a round,
// on the thread of its own queue.
TEST(RpcRuntime, ResumesFromManyThreadsEachArriveOnce) {
  constexpr int kCalls = 16;
  constexpr int kThreads = 4;
  static_assert(kCalls * kRounds % kThreads == 0);
  TestServer server(EchoAfterManyRounds, /*queues=*/2);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  std::vector<std::unique_ptr<EchoCall>> calls;
  for (int i = 0; i < kCalls; ++i) {
    calls.push_back(std::make_unique<EchoCall>(*stub, absl::StrCat(i)));
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&server] {
      for (int i = 0; i < kCalls * kRounds / kThreads; ++i) {
        server.parked.Take("a coroutine to resume").Resume();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& call : calls) {
    EXPECT_TRUE(call->Await().ok());
    EXPECT_EQ(call->response().sequence(), static_cast<uint64_t>(kRounds));
  }
  EXPECT_EQ(server.violations, 0);
  EXPECT_EQ(server.parked.size(), 0u);
}

// ---- Cancellation

TEST(RpcRuntime, CancelledCallTellsItsHandlerOnceOnTheQueuesThread) {
  TestServer server(FailWhenCancelled, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoCall call(*stub, "text");
  server.parked.Take("the call to arrive");
  call.Cancel();
  EXPECT_EQ(call.Await().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(server.cancelled.Take("the end of the handler"));
  server.Stop();
  EXPECT_EQ(server.told, 1);
  EXPECT_EQ(server.violations, 0);
}

// A deadline can pass before the call arrives: then the next one has longer.
TEST(RpcRuntime, CallPastItsDeadlineTellsItsHandlerOnce) {
  TestServer server(FailWhenCancelled, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  for (int ms = 50; server.parked.size() == 0; ms *= 2) {
    EchoCall call(*stub, "text", {}, ms);
    EXPECT_EQ(call.Await().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  EXPECT_TRUE(server.cancelled.Take("the end of the handler"));
  server.Stop();
  EXPECT_EQ(server.told, static_cast<int>(server.parked.size()));
  EXPECT_EQ(server.violations, 0);
}

// A client of which nothing is left but its bytes: one call of Echo, written to
// a socket of its own.
class BareClient {
 public:
  explicit BareClient(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name.sin_port = htons(static_cast<uint16_t>(port));
    EXPECT_EQ(
        connect(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof(name)),
        0);
  }
  BareClient(const BareClient&) = delete;
  BareClient& operator=(const BareClient&) = delete;
  ~BareClient() { Vanish(); }

  void CallEcho() {
    std::string headers = "\x83\x86";  // :method POST, :scheme http
    headers += Literal(":path", "/leasehold.v1.Echo/Echo");
    headers += Literal(":authority", "localhost");
    headers += Literal("content-type", "application/grpc");
    headers += Literal("te", "trailers");
    constexpr char kHeaders = 1, kData = 0, kSettings = 4;
    constexpr char kEndHeaders = 4, kEndStream = 1;
    const std::string bytes = absl::StrCat(
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Frame(kSettings, 0, 0, ""),
        Frame(kHeaders, kEndHeaders, 1, headers),
        // An empty message: not compressed, of no bytes.
        Frame(kData, kEndStream, 1, std::string(5, '\0')));
    EXPECT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Ends the connection without a word.
  void Vanish() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  static std::string Frame(char type, char flags, char stream,
                           const std::string& payload) {
    const char head[9] = {
        0, 0, static_cast<char>(payload.size()), type, flags, 0, 0, 0, stream};
    return std::string(head, sizeof(head)) + payload;
  }
  // A header that no table knows, as HPACK writes it.
  static std::string Literal(std::string_view name, std::string_view value) {
    std::string literal(1, '\0');
    literal += static_cast<char>(name.size());
    literal += name;
    literal += static_cast<char>(value.size());
    literal += value;
    return literal;
  }

  int fd_;
};

TEST(RpcRuntime, ClientThatGoesAwayTellsTheHandlerOnce) {
  TestServer server(FailWhenCancelled, /*queues=*/1);
  server.Start();
  BareClient client(server.port());
  client.CallEcho();
  server.parked.Take("the call to arrive");
  client.Vanish();
  EXPECT_TRUE(server.cancelled.Take("the end of the handler"));
  server.Stop();
  EXPECT_EQ(server.told, 1);
  EXPECT_EQ(server.violations, 0);
}

TEST(RpcRuntime, ServerThatStopsWaitingTellsTheHandlerOnce) {
  TestServer server(FailWhenCancelled, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoCall call(*stub, "text");
  server.parked.Take("the call to arrive");
  server.server->Shutdown(gpr_time_0(GPR_TIMESPAN));
  EXPECT_TRUE(server.cancelled.Take("the end of the handler"));
  EXPECT_FALSE(call.Await().ok());
  server.Stop();
  EXPECT_EQ(server.told, 1);
}

// The handler is set, taken back, and set anew; only the one that is set when
// the cancellation comes is told.
class ToldNever final : public CancelHandler {
 public:
  explicit ToldNever(TestServer& server) : server_(server) {}
  void OnCancelled() override { ++server_.violations; }

 private:
  TestServer& server_;
};

CallTask ReplaceTheHandler(TestServer& server, RpcQueue& queue) {
  EchoUnaryCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  ReplaceTheHandler(server, queue);
  if (!co_await call.Parse()) co_return;
  ToldNever never(server);
  call.set_cancel_handler(&never);
  call.set_cancel_handler(nullptr);
  call.set_cancel_handler(&never);
  ParkUntilCancelled park(server, call);
  co_await park;
  call.set_cancel_handler(&never);  // It has been told: never again.
  co_await call.Finish(absl::OkStatus());
  server.cancelled.Put(call.cancelled());
}

TEST(RpcRuntime, OnlyTheHandlerThatIsSetIsTold) {
  TestServer server(ReplaceTheHandler, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoCall call(*stub, "text");
  server.parked.Take("the call to arrive");
  call.Cancel();
  EXPECT_TRUE(server.cancelled.Take("the end of the handler"));
  EXPECT_EQ(server.told, 1);
  EXPECT_EQ(server.violations, 0);
}

// A coroutine that has no handler learns of the cancellation when it looks.
CallTask LookUntilCancelled(TestServer& server, RpcQueue& queue) {
  EchoUnaryCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  LookUntilCancelled(server, queue);
  if (!co_await call.Parse()) co_return;
  server.threads.Put(std::this_thread::get_id());
  while (!call.cancelled()) {
    ResumeMyself again(server, queue);
    co_await again;
  }
  co_await call.Finish(absl::OkStatus());
  server.cancelled.Put(call.cancelled());
}

TEST(RpcRuntime, CancelledCallWithoutAHandlerSeesIt) {
  TestServer server(LookUntilCancelled, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoCall call(*stub, "text");
  server.threads.Take("the call to arrive");
  call.Cancel();
  EXPECT_EQ(call.Await().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(server.cancelled.Take("the end of the handler"));
}

// The test resumes the coroutine, which then answers, while the client cancels,
// each after a random pause. Whoever wins: the call ends, the handler is told
// at most once, and the client learns one of two things.
TEST(RpcRuntime, CallThatEndsAsItIsCancelledEndsOnce) {
  TestServer server(EchoWhenResumedOrCancelled, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  int ok = 0;
  int cancelled = 0;
  const auto pause = [](uint64_t turns) {
    for (uint64_t i = 0; i < turns; ++i) std::this_thread::yield();
  };
  ForEachSeed(400, [&](Random& random) {
    const uint64_t before_cancel = Uniform(random, 0, 30);
    const uint64_t before_wake = Uniform(random, 0, 30);
    const int told_before = server.told;
    EchoCall call(*stub, "text");
    server.parked.Take("the call to arrive");
    std::thread waker([&] {
      pause(before_wake);
      std::lock_guard<std::mutex> lock(waiting_either_mu);
      if (ParkUntilEither* park = waiting_either) park->Wake();
    });
    pause(before_cancel);
    call.Cancel();
    const grpc::Status& status = call.Await();
    waker.join();
    server.cancelled.Take("the end of the handler");
    ++(status.ok() ? ok : cancelled);
    EXPECT_TRUE(status.ok() ||
                status.error_code() == grpc::StatusCode::CANCELLED)
        << status.error_message();
    EXPECT_LE(server.told - told_before, 1);
  });
  RecordProperty("ended_ok", ok);
  RecordProperty("ended_cancelled", cancelled);
  server.Stop();
}

// ---- Streams

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

auto EchoStreamOf(v1::Echo::Stub& stub) {
  return [&stub](grpc::ClientContext* context) {
    return stub.EchoStream(context);
  };
}
auto JoinOf(v1::Echo::Stub& stub) {
  return [&stub](grpc::ClientContext* context) {
    return stub.Join(context, v1::JoinRequest());
  };
}

using EchoStream =
    ClientStream<grpc::ClientReaderWriter<v1::EchoRequest, v1::EchoResponse>>;
using JoinStream = ClientStream<grpc::ClientReader<v1::JoinResponse>>;

v1::EchoRequest Saying(const std::string& text) {
  v1::EchoRequest request;
  request.set_text(text);
  return request;
}

// Returns when the queue's thread has done all that was posted before.
void PassThrough(RpcQueue& queue) {
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
CallTask ServeEchoes(TestServer& server, RpcQueue& queue) {
  EchoBidiCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestEchoStream)) {
    co_return;
  }
  ServeEchoes(server, queue);
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
CallTask ServeNews(TestServer& server, RpcQueue& queue) {
  JoinCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestJoin)) {
    co_return;
  }
  ServeNews(server, queue);
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
CallTask ServeNewsWhenResumed(TestServer& server, RpcQueue& queue) {
  JoinCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestJoin)) {
    co_return;
  }
  ServeNewsWhenResumed(server, queue);
  if (!co_await call.Parse()) co_return;
  server.controls.Put(call.control());
  ParkStream park(server, queue);
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
CallTask ServeReadThenNews(TestServer& server, RpcQueue& queue) {
  EchoBidiCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestEchoStream)) {
    co_return;
  }
  ServeReadThenNews(server, queue);
  server.controls.Put(call.control());
  server.awaited.Put(co_await call.Read());
  server.awaited.Put(co_await call.News());
  co_await call.Finish(absl::OkStatus());
  server.cancelled.Put(call.cancelled());
}

// More than gRPC takes from a client that does not read, and as much as it
// lets one read.
constexpr size_t kMuch = 3 << 20;

// Writes more than the client takes.
CallTask ServeMuch(TestServer& server, RpcQueue& queue) {
  JoinCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestJoin)) {
    co_return;
  }
  ServeMuch(server, queue);
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
CallTask ServeInRoom(TestServer& server, RpcQueue& queue) {
  JoinCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestJoin)) {
    co_return;
  }
  ServeInRoom(server, queue);
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
CallTask ServeEverythingOnce(TestServer& server, RpcQueue& queue) {
  EchoBidiCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestEchoStream)) {
    co_return;
  }
  ServeEverythingOnce(server, queue);
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
void FillBudget(TestServer& server, ByteBudget::Claim& claim) {
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
std::shared_ptr<grpc::Channel> ConnectWithSmallWindow(
    const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   arguments);
}

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
// random pause. Whoever wins: the handler comes to its end once.
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
CallTask EchoThenHoldTheThread(TestServer& server, RpcQueue& queue) {
  {
    EchoUnaryCall call(queue);
    if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
      co_return;
    }
    EchoThenHoldTheThread(server, queue);
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
CallTask EchoAfterGo(TestServer& server, RpcQueue& queue) {
  EchoUnaryCall call(queue);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  if (!co_await call.Parse()) co_return;
  server.threads.Put(std::this_thread::get_id());
  server.go.Await("the test to say Go");
  EchoAfterGo(server, queue);
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
