// A server whose calls find instances, and what holds those calls where a test
// wants them.
//
// Thread-safety: a fixture is of the test's thread, handlers run on the thread
// of their queue.   Lifetime: a fixture is the test's.
#ifndef LEASEHOLD_TESTS_SERVER_INSTANCE_CALL_FIXTURE_H_
#define LEASEHOLD_TESTS_SERVER_INSTANCE_CALL_FIXTURE_H_

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>

#include <atomic>
#include <coroutine>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "service/doors/echo_server.h"
#include "service/doors/instance_call.h"
#include "service/instance/shared_provider.h"
#include "service/rpc/rpc_runtime.h"
#include "tests/server/echo_call.h"
#include "tests/server/events.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/test_key.h"

namespace leasehold {

using EchoService =
    RawService<v1::Echo::AsyncService, v1::Echo::WithRawMethod_Echo,
               v1::Echo::WithRawMethod_EchoStream,
               v1::Echo::WithRawMethod_Join>;
using Headers = std::multimap<std::string, std::string>;

// ---- Doors

// An extension whose detaching the test ends, but for that of the shutdown.
class HeldExtension final : public Extension {
 public:
  explicit HeldExtension(Mailbox<HookDone>& held) : held_(held) {}
  void OnDetach(InstanceContext&, DetachReason reason, HookDone done) override {
    if (reason == DetachReason::kShutdown) return done();
    held_.Put(std::move(done));
  }

 private:
  Mailbox<HookDone>& held_;
};

class AttachHeldExtension final : public ContextInitializer {
 public:
  void Initialize(InstanceContext& context, const InitializerRequest&,
                  HookDone done) override {
    context.Attach<HeldExtension>(held);
    done();
  }

  Mailbox<HookDone> held;  // From OnDetach.
};

// Contexts open when the test says so.
class HoldOpening final : public ContextInitializer {
 public:
  void Initialize(InstanceContext&, const InitializerRequest&,
                  HookDone done) override {
    held.Put(std::move(done));
  }

  Mailbox<HookDone> held;
};

// Remembers what happened to contexts.
class Events final : public InstanceObserver {
 public:
  void OnEvent(const InstanceEvent& event) override {
    if (event.kind == InstanceEventKind::kCreated) ++created;
    events_.Put({event.kind, std::string(event.instance_id)});
  }

  // Passes over events up to one of `kind` of the instance `id`.
  void Await(InstanceEventKind kind, const std::string& id) {
    const std::pair<InstanceEventKind, std::string> awaited = {kind, id};
    while (events_.Take("an event of a context") != awaited) {
    }
  }

  std::atomic<int> created{0};

 private:
  Mailbox<std::pair<InstanceEventKind, std::string>> events_;
};

// ---- The server

class InstanceCallTest : public testing::Test {
 protected:
  using PinCall = UnaryCall<v1::EchoRequest, v1::EchoResponse>;

  // Awaits that the test resumes the coroutine.
  class Park {
   public:
    explicit Park(InstanceCallTest& test) : test_(test) {}
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) {
      test_.parked_.Put(coroutine);
    }
    void await_resume() {}

   private:
    InstanceCallTest& test_;
  };

  ~InstanceCallTest() override {
    if (server_ == nullptr) return;
    server_->Shutdown();
    std::promise<void> gone;
    registry_->Shutdown([&gone] { gone.set_value(); });
    gone.get_future().wait();
    runtime_->Stop();
    EXPECT_EQ(registry_->size(), 0u);
  }

  // Serves the real Echo.
  void ServeEcho(std::vector<ContextInitializer*> initializers = {},
                 InstanceRegistryOptions options = {},
                 const InstanceHeaderNames& names = {}) {
    MakeRegistry(std::move(initializers), options, names);
    echo_ = std::make_unique<EchoServer>(*door_, absl::ZeroDuration(),
                                         /*console=*/nullptr);
    Start(echo_->service(),
          [this](MethodQueue& calls) { echo_->Serve(calls.queue()); });
  }
  // Serves calls that only take a pin, and tell the test of it.
  void ServePins(std::vector<ContextInitializer*> initializers) {
    MakeRegistry(std::move(initializers), {}, {});
    Start(pins_, [this](MethodQueue& calls) { ServePin(*this, calls); });
  }
  // Serves Join: streams that hold their pin until they are over.
  void ServeHolds(std::vector<ContextInitializer*> initializers) {
    MakeRegistry(std::move(initializers), {}, {});
    Start(pins_, [this](MethodQueue& calls) {
      ServePin(*this, calls);
      ServeHold(*this, calls);
    });
  }
  // As ServePins; the call goes on when the test resumes it.
  void ServeHeldPins() {
    MakeRegistry({}, {}, {});
    Start(pins_, [this](MethodQueue& calls) { ServeHeldPin(*this, calls); });
  }

  // The instance headers of a response; others are gRPC's.
  static Headers InstanceHeaders(EchoCall& call) {
    call.Await();
    Headers headers;
    for (const auto& [name, value] : call.response_headers()) {
      if (name.starts_with("instance") || name.starts_with("x-")) {
        headers.emplace(std::string(name.data(), name.size()),
                        std::string(value.data(), value.size()));
      }
    }
    return headers;
  }

  // Opens the instance `id`, and closes it up to its extension's OnDetach,
  // whose end is returned.
  HookDone OpenAndBeginClosing(const std::string& id,
                               AttachHeldExtension& extension) {
    EchoCall call(*stub_, "", {{"instance-id", id}});
    EXPECT_TRUE(call.Await().ok()) << call.Await().error_message();
    closing_generation_ = call.response().generation();
    events_.Await(InstanceEventKind::kIdle, id);
    EXPECT_TRUE(registry_->Release(TestKey(id)).ok());
    if (echo_ == nullptr) {
      asking_.Take("the call that opened");
      EXPECT_TRUE(answered_.Take("the call that opened").ok());
    }
    return extension.held.Take("OnDetach");
  }

  // Waits until a call has told `asking_` and waits for its pin.
  void AwaitWaiter() {
    asking_.Take("a call to wait");
    AwaitQueue();
  }
  // Waits until the queue's thread has done what it was at.
  void AwaitQueue() {
    Event passed;
    PassThrough(*queue_, passed);
    passed.Await("the queue's thread");
  }

  SimulatedClock clock_;
  ThreadExecutor executor_{2};
  SharedProvider provider_;
  Events events_;
  std::unique_ptr<InstanceRegistry> registry_;
  std::unique_ptr<InstanceDoor> door_;
  std::unique_ptr<EchoServer> echo_;
  EchoService pins_;
  ByteBudget budget_{clock_, {}};
  std::unique_ptr<RpcRuntime> runtime_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::Echo::Stub> stub_;

  // What ServePin and ServeHeldPin tell.
  Mailbox<std::string> asking_;     // Is about to await the pin of this ID.
  Mailbox<absl::Status> answered_;  // What it got.
  Mailbox<std::coroutine_handle<>> parked_;
  Mailbox<bool> over_;         // ServerCall::cancelled, at the end of a hold.
  RpcQueue* queue_ = nullptr;  // The only one.
  uint64_t closing_generation_ = 0;  // Of OpenAndBeginClosing.

 private:
  void MakeRegistry(std::vector<ContextInitializer*> initializers,
                    InstanceRegistryOptions options,
                    const InstanceHeaderNames& names) {
    registry_ = std::make_unique<InstanceRegistry>(
        clock_, executor_, provider_, std::move(initializers),
        std::vector<InstanceObserver*>{&events_}, options);
    registry_->WatchUse();
    door_ = std::make_unique<InstanceDoor>(*registry_, names);
  }

  template <typename Serve>
  void Start(grpc::Service& service, Serve serve) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&service);
    runtime_ = std::make_unique<RpcRuntime>(builder, /*queues=*/1, budget_);
    server_ = builder.BuildAndStart();
    runtime_->Start([this, &serve](RpcQueue& queue) {
      queue_ = &queue;
      serve(queue.AddMethod({}));
    });
    stub_ = v1::Echo::NewStub(Connect(absl::StrCat("127.0.0.1:", port)));
  }

  // Awaits the queue's thread.
  class Hop {
   public:
    explicit Hop(RpcQueue& queue) : queue_(queue) {}
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) {
      queue_.Resume(coroutine);
    }
    void await_resume() {}

   private:
    RpcQueue& queue_;
  };
  static CallTask PassThrough(RpcQueue& queue, Event& passed) {
    Hop hop(queue);
    co_await hop;
    passed.Set();
  }

  static CallTask ServePin(InstanceCallTest& test, MethodQueue& calls) {
    PinCall call(calls);
    if (!co_await call.Accept(test.pins_, &EchoService::RequestEcho)) {
      co_return;
    }
    ServePin(test, calls);
    absl::StatusOr<InstanceRequest> request = test.door_->Read(call);
    test.asking_.Put(request->key.id);
    PinAwaiter pinned(*test.door_, std::move(request), call);
    absl::StatusOr<PinGrant> grant = co_await pinned;
    test.answered_.Put(grant.status());
    if (grant.ok()) {
      call.response().set_generation(grant->pin->generation());
    }
    co_await call.Finish(grant.status());
  }

  static CallTask ServeHold(InstanceCallTest& test, MethodQueue& calls) {
    ServerStreamCall<v1::JoinRequest, v1::JoinResponse> call(calls);
    if (!co_await call.Accept(test.pins_, &EchoService::RequestJoin)) {
      co_return;
    }
    ServeHold(test, calls);
    absl::StatusOr<InstanceRequest> request = test.door_->Read(call);
    test.asking_.Put(request->key.id);
    PinAwaiter pinned(*test.door_, std::move(request), call);
    absl::StatusOr<PinGrant> grant = co_await pinned;
    test.answered_.Put(grant.status());
    bool open = grant.ok();
    while (open) open = co_await call.News();
    const absl::Status status = call.EndStatus(grant.status());
    co_await call.Finish(status);
    test.over_.Put(call.cancelled());
  }

  static CallTask ServeHeldPin(InstanceCallTest& test, MethodQueue& calls) {
    PinCall call(calls);
    if (!co_await call.Accept(test.pins_, &EchoService::RequestEcho)) {
      co_return;
    }
    ServeHeldPin(test, calls);
    absl::StatusOr<InstanceRequest> request = test.door_->Read(call);
    PinAwaiter pinned(*test.door_, std::move(request), call);
    absl::StatusOr<PinGrant> grant = co_await pinned;
    Park park(test);
    co_await park;
    co_await call.Finish(absl::OkStatus());
  }
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SERVER_INSTANCE_CALL_FIXTURE_H_
