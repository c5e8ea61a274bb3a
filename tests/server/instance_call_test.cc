#include "service/doors/instance_call.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>

#include <atomic>
#include <coroutine>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "service/doors/echo_server.h"
#include "service/instance/shared_provider.h"
#include "service/rpc/rpc_runtime.h"
#include "tests/server/echo_call.h"
#include "tests/server/events.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::MatchesRegex;
using ::testing::Pair;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

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
    Start(echo_->service(), [this](RpcQueue& queue) { echo_->Serve(queue); });
  }
  // Serves calls that only take a pin, and tell the test of it.
  void ServePins(std::vector<ContextInitializer*> initializers) {
    MakeRegistry(std::move(initializers), {}, {});
    Start(pins_, [this](RpcQueue& queue) { ServePin(*this, queue); });
  }
  // Serves Join: streams that hold their pin until they are over.
  void ServeHolds(std::vector<ContextInitializer*> initializers) {
    MakeRegistry(std::move(initializers), {}, {});
    Start(pins_, [this](RpcQueue& queue) {
      ServePin(*this, queue);
      ServeHold(*this, queue);
    });
  }
  // As ServePins; the call goes on when the test resumes it.
  void ServeHeldPins() {
    MakeRegistry({}, {}, {});
    Start(pins_, [this](RpcQueue& queue) { ServeHeldPin(*this, queue); });
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
    EXPECT_TRUE(registry_->Release({.id = id}).ok());
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
      serve(queue);
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

  static CallTask ServePin(InstanceCallTest& test, RpcQueue& queue) {
    PinCall call(queue);
    if (!co_await call.Accept(test.pins_, &EchoService::RequestEcho)) {
      co_return;
    }
    ServePin(test, queue);
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

  static CallTask ServeHold(InstanceCallTest& test, RpcQueue& queue) {
    ServerStreamCall<v1::JoinRequest, v1::JoinResponse> call(queue);
    if (!co_await call.Accept(test.pins_, &EchoService::RequestJoin)) {
      co_return;
    }
    ServeHold(test, queue);
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

  static CallTask ServeHeldPin(InstanceCallTest& test, RpcQueue& queue) {
    PinCall call(queue);
    if (!co_await call.Accept(test.pins_, &EchoService::RequestEcho)) {
      co_return;
    }
    ServeHeldPin(test, queue);
    absl::StatusOr<InstanceRequest> request = test.door_->Read(call);
    PinAwaiter pinned(*test.door_, std::move(request), call);
    absl::StatusOr<PinGrant> grant = co_await pinned;
    Park park(test);
    co_await park;
    co_await call.Finish(absl::OkStatus());
  }
};

// ---- The header contract

TEST_F(InstanceCallTest, CallThatCreatesIsToldIdGenerationAndTimeout) {
  ServeEcho();
  EchoCall call(*stub_, "hello", {{"instance-id", "room-1"}});
  ASSERT_TRUE(call.Await().ok()) << call.Await().error_message();
  EXPECT_EQ(call.response().text(), "hello");
  EXPECT_EQ(call.response().instance_id(), "room-1");
  EXPECT_EQ(call.response().sequence(), 1u);
  EXPECT_THAT(
      InstanceHeaders(call),
      UnorderedElementsAre(Pair("instance-id", "room-1"),
                           Pair("instance-created", "true"),
                           Pair("instance-generation",
                                absl::StrCat(call.response().generation())),
                           Pair("instance-idle-timeout-ms", "20000")));
}

TEST_F(InstanceCallTest, CallThatFindsIsToldTheGenerationAlone) {
  ServeEcho();
  EchoCall first(*stub_, "", {{"instance-id", "room-1"}});
  first.Await();
  EchoCall second(*stub_, "", {{"instance-id", "room-1"}});
  ASSERT_TRUE(second.Await().ok()) << second.Await().error_message();
  EXPECT_EQ(second.response().instance_id(), "room-1");
  EXPECT_EQ(second.response().sequence(), 2u);
  EXPECT_EQ(second.response().generation(), first.response().generation());
  EXPECT_THAT(
      InstanceHeaders(second),
      UnorderedElementsAre(Pair("instance-generation",
                                absl::StrCat(first.response().generation()))));
}

TEST_F(InstanceCallTest, CallWithoutAnIdGetsAFreshOneToComeBackTo) {
  ServeEcho();
  EchoCall one(*stub_, "");
  EchoCall other(*stub_, "");
  ASSERT_TRUE(one.Await().ok() && other.Await().ok());
  const std::string id = one.ResponseHeader("instance-id").value_or("");
  EXPECT_THAT(id, MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-"
                               "[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_EQ(one.response().instance_id(), id);
  EXPECT_EQ(one.ResponseHeader("instance-created"), "true");
  EXPECT_NE(other.response().instance_id(), id);

  EchoCall back(*stub_, "", {{"instance-id", id}});
  ASSERT_TRUE(back.Await().ok());
  EXPECT_EQ(back.response().sequence(), 2u);
  EXPECT_EQ(back.response().generation(), one.response().generation());
}

TEST_F(InstanceCallTest, IdOutsideTheHeaderAlphabetTravelsAsBinaryOnly) {
  ServeEcho();
  for (const std::string& id : {std::string("grün 東京"), std::string("a,b"),
                                std::string("a b"), std::string(257, 'x')}) {
    EchoCall call(*stub_, "", {{"instance-id-bin", id}});
    ASSERT_TRUE(call.Await().ok()) << call.Await().error_message();
    EXPECT_EQ(call.response().instance_id(), id);
    EXPECT_EQ(call.ResponseHeader("instance-id-bin"), id);
    EXPECT_EQ(call.ResponseHeader("instance-id"), std::nullopt);
    EXPECT_EQ(call.ResponseHeader("instance-created"), "true");
  }
}

TEST_F(InstanceCallTest, PlainIdIsTheSameWhicheverHeaderBringsIt) {
  ServeEcho();
  EchoCall binary(*stub_, "", {{"instance-id-bin", "room-1"}});
  ASSERT_TRUE(binary.Await().ok());
  EXPECT_EQ(binary.ResponseHeader("instance-id"), "room-1");
  EXPECT_EQ(binary.ResponseHeader("instance-id-bin"), std::nullopt);
  EchoCall text(*stub_, "", {{"instance-id", "room-1"}});
  ASSERT_TRUE(text.Await().ok());
  EXPECT_EQ(text.response().sequence(), 2u);
}

TEST_F(InstanceCallTest, IdleTimeoutIsAsAskedForWithinTheServersBounds) {
  ServeEcho();
  const std::pair<const char*, const char*> cases[] = {
      {"90s", "90000"}, {"1500us", "10"}, {"0", "10"}, {"1000h", "86400000"}};
  for (const auto& [asked, got] : cases) {
    EchoCall call(*stub_, "", {{"instance-idle-timeout", asked}});
    ASSERT_TRUE(call.Await().ok()) << call.Await().error_message();
    EXPECT_EQ(call.ResponseHeader("instance-idle-timeout-ms"), got) << asked;
  }
}

TEST_F(InstanceCallTest, IdleTimeoutOfAFoundInstanceStaysAsItWas) {
  ServeEcho();
  const EchoCall::Header id = {"instance-id", "a"};
  EchoCall first(*stub_, "", {id, {"instance-idle-timeout", "1s"}});
  first.Await();
  events_.Await(InstanceEventKind::kIdle, "a");
  EchoCall second(*stub_, "", {id, {"instance-idle-timeout", "1h"}});
  second.Await();
  events_.Await(InstanceEventKind::kIdle, "a");
  clock_.Advance(absl::Seconds(1));
  registry_->RunDueLeases();
  events_.Await(InstanceEventKind::kClosed, "a");
}

TEST_F(InstanceCallTest, ExpectationThatFailsCreatesAndTellsNothing) {
  ServeEcho();
  EchoCall none(*stub_, "",
                {{"instance-id", "a"}, {"instance-expect", "existing"}});
  EXPECT_EQ(none.Await().error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(none.Await().error_message(),
            "there is no instance \"a\"; the call expects an existing one");
  EXPECT_THAT(InstanceHeaders(none), IsEmpty());
  EXPECT_EQ(registry_->size(), 0u);

  EchoCall fresh(*stub_, "",
                 {{"instance-id", "a"}, {"instance-expect", "new"}});
  EXPECT_TRUE(fresh.Await().ok());
  EchoCall again(*stub_, "",
                 {{"instance-id", "a"}, {"instance-expect", "new"}});
  EXPECT_EQ(again.Await().error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(again.Await().error_message(),
            "instance \"a\" exists; the call expects a new one");
  EXPECT_THAT(InstanceHeaders(again), IsEmpty());

  EchoCall found(*stub_, "",
                 {{"instance-id", "a"}, {"instance-expect", "existing"}});
  EXPECT_TRUE(found.Await().ok());
  EXPECT_EQ(found.response().sequence(), 2u);
}

TEST_F(InstanceCallTest, BrokenHeaderIsRefusedAndCreatesNothing) {
  ServeEcho();
  using Given = std::vector<EchoCall::Header>;
  const std::pair<Given, const char*> cases[] = {
      {{{"instance-id", ""}}, "instance-id: the ID is empty"},
      {{{"instance-id", "a,b"}},
       "instance-id: the ID contains a comma at byte 1"},
      {{{"instance-id", "a b"}}, "instance-id: the ID contains the byte 0x20"},
      {{{"instance-id", std::string(257, 'x')}},
       "instance-id: the ID has 257 bytes"},
      {{{"instance-id", "a"}, {"instance-id", "a"}},
       "instance-id: given 2 times"},
      {{{"instance-id", "a"}, {"instance-id-bin", "a"}},
       "instance-id: given together with instance-id-bin"},
      {{{"instance-id-bin", ""}}, "instance-id-bin: the ID is empty"},
      {{{"instance-id-bin", "\xff"}},
       "instance-id-bin: the ID is not valid UTF-8 at byte 0"},
      {{{"instance-id-bin", "a\n"}},
       "instance-id-bin: the ID contains the control character U+000A"},
      {{{"instance-id-bin", std::string(1025, 'x')}},
       "instance-id-bin: the ID has 1025 bytes"},
      {{{"instance-idle-timeout", "90"}},
       "instance-idle-timeout: must be a finite duration"},
      {{{"instance-idle-timeout", "1s"}, {"instance-idle-timeout", "1s"}},
       "instance-idle-timeout: given 2 times"},
      {{{"instance-expect", "old"}},
       "instance-expect: must be \"new\" or \"existing\": \"old\""},
  };
  for (const auto& [headers, message] : cases) {
    EchoCall call(*stub_, "", headers);
    EXPECT_EQ(call.Await().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(call.Await().error_message(), StartsWith(message));
    EXPECT_THAT(InstanceHeaders(call), IsEmpty());
  }
  EXPECT_EQ(registry_->size(), 0u);
}

TEST_F(InstanceCallTest, HeaderMayHaveAnotherName) {
  ServeEcho({}, {}, *InstanceHeaderNames::Make("x-room"));
  EchoCall text(*stub_, "", {{"x-room", "a"}, {"instance-id", "ignored"}});
  ASSERT_TRUE(text.Await().ok());
  EXPECT_EQ(text.response().instance_id(), "a");
  EXPECT_THAT(InstanceHeaders(text),
              UnorderedElementsAre(Pair("x-room", "a"), Key("instance-created"),
                                   Key("instance-generation"),
                                   Key("instance-idle-timeout-ms")));
  EchoCall binary(*stub_, "", {{"x-room-bin", "ä"}});
  ASSERT_TRUE(binary.Await().ok());
  EXPECT_EQ(binary.ResponseHeader("x-room-bin"), "ä");
}

TEST_F(InstanceCallTest, FullServerSaysSo) {
  ServeEcho({}, {.contexts_max = 1, .evict_idle = false});
  EchoCall first(*stub_, "", {{"instance-id", "a"}});
  EXPECT_TRUE(first.Await().ok());
  EchoCall second(*stub_, "", {{"instance-id", "b"}});
  EXPECT_EQ(second.Await().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(second.Await().error_message(),
              AllOf(HasSubstr("--max-contexts"), HasSubstr("\"b\"")));
}

// ---- Pins

TEST_F(InstanceCallTest, PinIsHeldUntilTheCallIsGone) {
  ServeHeldPins();
  EchoCall call(*stub_, "", {{"instance-id", "a"}});
  const std::coroutine_handle<> parked = parked_.Take("the pin");
  EXPECT_EQ(registry_->Release({.id = "a"}).code(),
            absl::StatusCode::kFailedPrecondition);
  queue_->Resume(parked);
  EXPECT_TRUE(call.Await().ok());
  events_.Await(InstanceEventKind::kIdle, "a");
  EXPECT_TRUE(registry_->Release({.id = "a"}).ok());
  events_.Await(InstanceEventKind::kClosed, "a");
}

TEST_F(InstanceCallTest, WhoeverHasTheAnswerMayReleaseTheInstance) {
  ServeEcho();
  for (int i = 0; i < 3000; ++i) {
    EchoCall call(*stub_, "", {{"instance-id", "answered"}});
    ASSERT_TRUE(call.Await().ok());
    const absl::Status released = registry_->Release({.id = "answered"});
    ASSERT_TRUE(released.ok()) << "round " << i << ": " << released;
  }
}

TEST_F(InstanceCallTest, PinOfACancelledCallIsGivenBack) {
  ServeHeldPins();
  EchoCall call(*stub_, "", {{"instance-id", "a"}});
  const std::coroutine_handle<> parked = parked_.Take("the pin");
  call.Cancel();
  EXPECT_EQ(call.Await().error_code(), grpc::StatusCode::CANCELLED);
  queue_->Resume(parked);
  events_.Await(InstanceEventKind::kIdle, "a");
  EXPECT_TRUE(registry_->Release({.id = "a"}).ok());
}

TEST_F(InstanceCallTest, InstanceThatWasIdleForItsTimeoutIsMadeAnew) {
  ServeEcho();
  EchoCall first(*stub_, "", {{"instance-id", "a"}});
  first.Await();
  events_.Await(InstanceEventKind::kIdle, "a");
  clock_.Advance(absl::Seconds(20));
  registry_->RunDueLeases();
  events_.Await(InstanceEventKind::kClosed, "a");
  EchoCall second(*stub_, "", {{"instance-id", "a"}});
  EXPECT_TRUE(second.Await().ok());
  EXPECT_EQ(second.ResponseHeader("instance-created"), "true");
  EXPECT_EQ(second.response().sequence(), 1u);
  EXPECT_GT(second.response().generation(), first.response().generation());
}

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

TEST_F(InstanceCallTest, OnlyTheCallThatCreatesIsToldSo) {
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
  EXPECT_EQ(registry_->Release({.id = "a"}).code(),
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
// cancels, each after a random pause. Whoever wins: the call ends, and in the
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
      EXPECT_TRUE(registry_->Release({.id = id}).ok());
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
