#include "service/rpc/rpc_runtime.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <atomic>
#include <coroutine>
#include <cstddef>
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
#include "service/rpc/server_call.h"
#include "tests/server/echo_call.h"
#include "tests/server/rpc_fixture.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using EchoService =
    RawService<v1::Echo::AsyncService, v1::Echo::WithRawMethod_Echo,
               v1::Echo::WithRawMethod_EchoStream,
               v1::Echo::WithRawMethod_Join>;
using EchoUnaryCall = UnaryCall<v1::EchoRequest, v1::EchoResponse>;

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

CallTask EchoWhenResumedOrCancelled(TestServer& server, MethodQueue& calls) {
  EchoUnaryCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  EchoWhenResumedOrCancelled(server, calls);
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

TEST(RpcRuntime, EachQueuesThreadAnswersWhenItIsAsked) {
  TestServer server(EchoAtOnce, /*queues=*/3);
  server.Start();
  const size_t asked = server.runtime->AskQueues(
      [&server] { server.threads.Put(std::this_thread::get_id()); });
  EXPECT_EQ(asked, 3u);
  std::set<std::thread::id> threads;
  for (size_t i = 0; i < asked; ++i) {
    threads.insert(server.threads.Take("an answer"));
  }
  EXPECT_EQ(threads.size(), 3u);
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

CallTask EchoAfterResumingItself(TestServer& server, MethodQueue& calls) {
  EchoUnaryCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  EchoAfterResumingItself(server, calls);
  if (!co_await call.Parse()) co_return;
  int times = 0;
  while (times < 1000) {
    ResumeMyself again(server, call.queue());
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

// The handler is set, taken back, and set again; only the one that is set when
// the cancellation comes is told.
class ToldNever final : public CancelHandler {
 public:
  explicit ToldNever(TestServer& server) : server_(server) {}
  void OnCancelled() override { ++server_.violations; }

 private:
  TestServer& server_;
};

CallTask ReplaceTheHandler(TestServer& server, MethodQueue& calls) {
  EchoUnaryCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  ReplaceTheHandler(server, calls);
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
CallTask LookUntilCancelled(TestServer& server, MethodQueue& calls) {
  EchoUnaryCall call(calls);
  if (!co_await call.Accept(server.service, &EchoService::RequestEcho)) {
    co_return;
  }
  LookUntilCancelled(server, calls);
  if (!co_await call.Parse()) co_return;
  server.threads.Put(std::this_thread::get_id());
  while (!call.cancelled()) {
    ResumeMyself again(server, call.queue());
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
// each after a random pause. Whichever wins: the call ends, the handler is told
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

// ---- Counting

TEST(RpcRuntime, CallsAreCountedByCodeAndOneInSixteenIsTimed) {
  TestServer server(EchoAtOnce, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  for (int i = 0; i < 20; ++i) {
    EchoCall call(*stub, "text");
    EXPECT_TRUE(call.Await().ok());
  }
  const std::vector<MethodCalls> calls = server.runtime->calls();
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].arrived, 20u);
  EXPECT_EQ(calls[0].ended[0], 20u);
  uint64_t timed = 0;
  for (const uint64_t count : calls[0].times.counts) timed += count;
  EXPECT_EQ(timed, 2u);  // The first one, and the seventeenth.
}

TEST(RpcRuntime, ACallThatRunsIsOpenAndItsTimeIsWhatPassesMeanwhile) {
  TestServer server(EchoWhenResumed, /*queues=*/1);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoCall call(*stub, "text");
  const Parked parked = server.parked.Take("a call to arrive");
  EXPECT_EQ(server.runtime->calls()[0].arrived, 1u);
  EXPECT_EQ(server.runtime->calls()[0].ended[0], 0u);
  server.clock.Advance(absl::Milliseconds(7));
  parked.Resume();
  EXPECT_TRUE(call.Await().ok());
  EXPECT_EQ(server.runtime->calls()[0].ended[0], 1u);
  EXPECT_EQ(server.runtime->calls()[0].times.sum, 7'000'000u);
}

TEST(RpcRuntime, CallsOfAllQueuesAreSummed) {
  TestServer server(EchoAtOnce, /*queues=*/3);
  server.Start();
  for (int i = 0; i < 9; ++i) {
    const auto stub = v1::Echo::NewStub(Connect(server.address()));
    EchoCall call(*stub, "text");
    EXPECT_TRUE(call.Await().ok());
  }
  const std::vector<MethodCalls> calls = server.runtime->calls();
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].arrived, 9u);
  EXPECT_EQ(calls[0].ended[0], 9u);
}

}  // namespace
}  // namespace leasehold
