// Bind over gRPC: waits, cancellation, pins, metadata, the three kinds of
// services.
#include <grpcpp/completion_queue.h>

#include <atomic>
#include <deque>
#include <string>
#include <thread>

#include "leasehold/v1/echo.grpc.pb.h"
#include "service/instance/per_call_provider.h"
#include "service/instance/session_provider.h"
#include "service/instance/single_provider.h"
#include "tests/embedding/embedding_fixture.h"

namespace leasehold {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class Number {
 public:
  int64_t Add(int64_t amount) { return value_ += amount; }

 private:
  std::atomic<int64_t> value_{0};
};

class BindTest : public EmbeddingTest {
 protected:
  Serving MakeAndServe(InstancesOptions options = {}) {
    Make(std::move(options));
    return Serve(service_);
  }

  ScriptedCounter service_{[this](auto* call, auto* request, auto* reply) {
    return instances_->Bind<Number>(call, [=](Number& number) {
      reply->set_value(number.Add(request->amount()));
      return grpc::Status::OK;
    });
  }};
};

TEST_F(BindTest, CallsOfOneIdShareItsStateOverTwoChannels) {
  const auto serving = MakeAndServe();
  EXPECT_EQ(Add("room", 1), 1);
  EXPECT_EQ(Add("room", 2), 3);
  EXPECT_EQ(Add("other", 5), 5);
}

TEST_F(BindTest, TheResponseHeadersNameTheInstanceIfTheCallMadeIt) {
  const auto serving = MakeAndServe();
  const auto first = NewCall("room");
  ASSERT_TRUE(first->Run(1).ok());
  EXPECT_EQ(first->header("instance-id"), "room");
  EXPECT_EQ(first->header("instance-created"), "true");
  EXPECT_EQ(first->header("instance-idle-timeout-ms"), "20000");
  const auto second = NewCall("room");
  ASSERT_TRUE(second->Run(1).ok());
  EXPECT_EQ(second->header("instance-id"), std::nullopt);
  EXPECT_EQ(second->header("instance-created"), std::nullopt);
  EXPECT_EQ(second->header("instance-generation"),
            first->header("instance-generation"));
  EXPECT_NE(second->header("instance-generation"), std::nullopt);
}

TEST_F(BindTest, ACallWithoutAnIdGetsOneThatItCanComeBackTo) {
  const auto serving = MakeAndServe();
  const auto first = NewCall("");
  ASSERT_TRUE(first->Run(4).ok());
  const auto id = first->header("instance-id");
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(Add(*id, 1), 5);
}

TEST_F(BindTest, ABrokenHeaderIsInvalidArgumentAndMakesNothing) {
  const auto serving = MakeAndServe();
  const auto call = NewCall("a,b");
  EXPECT_EQ(call->Run(1).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(call->header("instance-generation"), std::nullopt);
  EXPECT_EQ(instances_->registry().size(), 0);
}

TEST_F(BindTest, AnOwnServiceAndEchoShareOneContextAndOneGeneration) {
  const auto serving = MakeAndServe();
  const auto mine = NewCall("room");
  ASSERT_TRUE(mine->Run(1).ok());
  const auto echo = v1::Echo::NewStub(Channel());
  grpc::ClientContext context;
  context.AddMetadata("instance-id", "room");
  v1::EchoRequest request;
  v1::EchoResponse response;
  ASSERT_TRUE(echo->Echo(&context, request, &response).ok());
  EXPECT_EQ(std::to_string(response.generation()),
            mine->header("instance-generation"));
  EXPECT_EQ(response.sequence(), 1);
  EXPECT_EQ(instances_->registry().size(), 1);
  const auto info = instances_->registry().Describe(instances_->Key("room"));
  ASSERT_TRUE(info.has_value());
  EXPECT_THAT(info->extensions, Contains(HasSubstr("Number")));
  EXPECT_THAT(info->extensions, Contains(HasSubstr("Echo")));
}

TEST_F(BindTest, TheLeaseRunsFromTheEndOfTheLastCall) {
  const auto serving = MakeAndServe();
  EXPECT_EQ(Add("room", 1), 1);
  events_.Await(InstanceEventKind::kIdle, "room");
  clock_.Advance(absl::Seconds(19));
  EXPECT_EQ(Add("room", 1), 2);
  events_.Await(InstanceEventKind::kIdle, "room", 2);
  clock_.Advance(absl::Seconds(21));
  events_.Await(InstanceEventKind::kClosed, "room");
  EXPECT_EQ(Add("room", 1), 1);
}

TEST_F(BindTest, WaitingForAnInitializerHoldsNoThread) {
  Mutex mu;
  std::deque<HookDone> held;
  Latch first_held;
  ScriptedInitializer initializer(
      [&](InstanceContext& context, auto&, HookDone done) {
        if (context.id() != "slow") return done();
        MutexLock lock(mu);
        held.push_back(std::move(done));
        first_held.Open();
      });
  const auto serving =
      MakeAndServe({.initializers = {&initializer}, .user_threads = 1});
  std::vector<std::unique_ptr<Call>> waiting;
  for (int i = 0; i < 20; ++i) {
    waiting.push_back(NewCall("slow"));
    waiting.back()->Begin(1);
  }
  first_held.Await();
  for (int i = 1; i <= 20; ++i) EXPECT_EQ(Add("fast", 1), i);
  for (const auto& call : waiting) EXPECT_FALSE(call->done());
  {
    MutexLock lock(mu);
    ASSERT_EQ(held.size(), 1);
    held.front()();
  }
  int created = 0;
  for (const auto& call : waiting) {
    EXPECT_TRUE(call->Await().ok());
    created += call->header("instance-created").has_value();
  }
  EXPECT_EQ(created, 1);
  EXPECT_EQ(Add("slow", 1), 21);
}

TEST_F(BindTest, AnInitializersFailureIsTheCallsStatus) {
  std::atomic<bool> fails{true};
  ScriptedInitializer initializer([&](auto&, auto& request, HookDone done) {
    EXPECT_FALSE(request.metadata.empty());
    done(fails ? absl::PermissionDeniedError("not you") : absl::OkStatus());
  });
  const auto serving = MakeAndServe({.initializers = {&initializer}});
  const auto call = NewCall("room");
  EXPECT_EQ(call->Run(1).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(call->status().error_message(), "not you");
  fails = false;
  EXPECT_EQ(Add("room", 1), 1);
}

TEST_F(BindTest, ACancelledCallLeavesTheWaitAndTheContextOpensAllTheSame) {
  Mutex mu;
  std::deque<HookDone> held;
  Latch asked, gone;
  ScriptedInitializer initializer([&](auto&, auto&, HookDone done) {
    MutexLock lock(mu);
    held.push_back(std::move(done));
    asked.Open();
  });
  ScriptedCounter service([&](auto* call, auto* request, auto* reply) {
    // Goes with the call.
    const std::shared_ptr<Latch> end(&gone, [](Latch* l) { l->Open(); });
    return instances_->Bind<Number>(call, [=](Number& number) {
      (void)end;
      reply->set_value(number.Add(request->amount()));
      return grpc::Status::OK;
    });
  });
  Make({.initializers = {&initializer}});
  const auto serving = Serve(service);
  const auto call = NewCall("room");
  call->Begin(1);
  asked.Await();
  call->context().TryCancel();
  EXPECT_EQ(call->Await().error_code(), grpc::StatusCode::CANCELLED);
  gone.Await();  // Though the initializer has not answered.
  {
    MutexLock lock(mu);
    held.front()();
  }
  events_.Await(InstanceEventKind::kCreated, "room");
  EXPECT_EQ(Add("room", 1), 1);  // The cancelled one has not counted.
}

TEST_F(BindTest, ThePinOfACallLastsUntilItsHandlerHasReturned) {
  Latch inside, go_on;
  ScriptedCounter service([&](auto* call, auto*, auto*) {
    return instances_->Bind<Number>(call, [&](Number&, InstanceContext&) {
      inside.Open();
      go_on.Await();
      return grpc::Status::OK;
    });
  });
  Make();
  const auto serving = Serve(service);
  const auto call = NewCall("room");
  call->Begin(1);
  inside.Await();
  EXPECT_TRUE(absl::IsFailedPrecondition(
      instances_->registry().Release(instances_->Key("room"))));
  clock_.Advance(absl::Hours(1));  // No lease runs.
  EXPECT_EQ(events_.count(InstanceEventKind::kIdle, "room"), 0);
  go_on.Open();
  EXPECT_TRUE(call->Await().ok());
  events_.Await(InstanceEventKind::kIdle, "room");
  EXPECT_TRUE(instances_->registry().Release(instances_->Key("room")).ok());
  events_.Await(InstanceEventKind::kClosed, "room");
  EXPECT_EQ(events_.reasons().back(), DetachReason::kReleased);
}

TEST_F(BindTest, ACallerThatHasTheAnswerMayReleaseTheInstance) {
  ScriptedCounter service([&](auto* call, auto*, auto*) {
    return instances_->Bind<Number>(call,
                                    [](Number&) { return grpc::Status::OK; });
  });
  Make();
  const auto serving = Serve(service);
  for (int i = 0; i < 1000; ++i) {
    const auto call = NewCall("room");
    ASSERT_TRUE(call->Run(1).ok());
    const absl::Status released =
        instances_->registry().Release(instances_->Key("room"));
    ASSERT_TRUE(released.ok()) << "round " << i << ": " << released;
  }
}

TEST_F(BindTest, AHandlerThatThrowsEndsItsCallWithUnknown) {
  ScriptedCounter service([&](auto* call, auto*, auto*) {
    return instances_->Bind<Number>(call, [](Number&) -> grpc::Status {
      throw std::runtime_error("oops");
    });
  });
  Make();
  const auto serving = Serve(service);
  const auto call = NewCall("room");
  EXPECT_EQ(call->Run(1).error_code(), grpc::StatusCode::UNKNOWN);
  EXPECT_THAT(events_.threw(), testing::ElementsAre(testing::AllOf(
                                   testing::StartsWith("room, handler "),
                                   testing::EndsWith(": oops"))));
}

struct Serial {
  static constexpr auto kConcurrency = Concurrency::kSerial;
};

// A handler that waits for its own instance holds its thread, here the only
// one, and what tells it that the wait was too long must not need one.
TEST_F(BindTest,
       HandlersThatCallTheirOwnInstanceAreAnsweredThoughNoThreadIsFree) {
  ScriptedCounter service([&](auto* call, const auto* request, auto*) {
    const bool inner = request->amount() == 0;
    return instances_->Bind<Serial>(call, [this, inner](Serial&) {
      if (inner) return grpc::Status::OK;
      const auto own = NewCall("room");
      return grpc::Status(own->Run(0).error_code(), "of the inner call");
    });
  });
  InstancesOptions options;
  options.user_threads = 1;
  Make(std::move(options));
  const auto serving = Serve(service);
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 5; ++i) {
    calls.push_back(NewCall("room"));
    calls.back()->Begin(1);
  }
  for (const auto& call : calls) {
    AdvanceUntilDone(*call, absl::Seconds(1));
    EXPECT_EQ(call->status().error_code(), grpc::StatusCode::UNAVAILABLE);
  }
}

TEST_F(BindTest, AContextHasTheLongestIdleTimeoutThatItsServicesWant) {
  ScriptedCounter service([&](auto* call, auto*, auto*) {
    return instances_->ForService({.idle_timeout = absl::Minutes(1)})
        .Bind<Number>(call, [](Number&) { return grpc::Status::OK; });
  });
  Make();
  const auto serving = Serve(service);
  const auto call = NewCall("room");
  ASSERT_TRUE(call->Run(1).ok());
  EXPECT_EQ(call->header("instance-idle-timeout-ms"), "60000");
}

TEST_F(BindTest, AHandlerMaySetTheIdleTimeout) {
  ScriptedCounter service([&](auto* call, auto*, auto*) {
    return instances_->Bind<Number>(call, [&](Number&,
                                              InstanceContext& context) {
      EXPECT_TRUE(
          instances_->SetIdleTimeout(context, absl::Milliseconds(100)).ok());
      return grpc::Status::OK;
    });
  });
  Make();
  const auto serving = Serve(service);
  EXPECT_TRUE(NewCall("room")->Run(1).ok());
  events_.Await(InstanceEventKind::kIdle, "room");
  clock_.Advance(absl::Milliseconds(110));
  events_.Await(InstanceEventKind::kClosed, "room");
}

TEST_F(BindTest, ShutdownDetachesEveryContextAndRefusesNone) {
  const auto serving = MakeAndServe();
  for (int i = 0; i < 10; ++i) Add("room-" + std::to_string(i), 1);
  Shutdown();
  EXPECT_THAT(events_.reasons(), ::testing::SizeIs(10));
  EXPECT_THAT(events_.reasons(), ::testing::Each(DetachReason::kShutdown));
}

TEST_F(BindTest, ShutdownEndsLeaseholdsOwnStreamsAtOnce) {
  const auto serving = MakeAndServe();
  const auto echo = v1::Echo::NewStub(Channel());
  grpc::ClientContext context;
  context.AddMetadata("instance-id", "room");
  const auto reader = echo->Join(&context, v1::JoinRequest());
  v1::JoinResponse joined;
  ASSERT_TRUE(reader->Read(&joined));
  // Would hang: the clock that the drain timeout is counted by is gRPC's.
  instances_->Shutdown(*server_, absl::InfiniteDuration());
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  server_ = nullptr;
}

// ---- Provider modes

TEST_F(BindTest, PerCallEachCallHasAContextOfItsOwn) {
  PerCallProvider provider;
  const auto serving = MakeAndServe({.provider = &provider});
  EXPECT_EQ(Add("room", 1), 1);
  EXPECT_EQ(Add("room", 1), 1);
}

TEST_F(BindTest, PerSessionAContextEndsWithItsLastCall) {
  SessionProvider provider;
  const auto serving = MakeAndServe({.provider = &provider});
  EXPECT_EQ(Add("room", 1), 1);
  events_.Await(InstanceEventKind::kClosed, "room");
  EXPECT_EQ(Add("room", 1), 1);
}

TEST_F(BindTest, SingleAllCallsShareOneContext) {
  SingleProvider provider;
  const auto serving = MakeAndServe({.provider = &provider});
  EXPECT_EQ(Add("room", 1), 1);
  EXPECT_EQ(Add("other", 1), 2);
}

// ---- Synchronous services

class SyncCounter final : public counter::v1::Counter::Service {
 public:
  explicit SyncCounter(std::unique_ptr<Instances>& instances)
      : instances_(instances) {}

  grpc::Status Add(grpc::ServerContext* call,
                   const counter::v1::AddRequest* request,
                   counter::v1::AddReply* reply) override {
    absl::StatusOr<Bound<Number>> number =
        instances_->BindBlocking<Number>(*call);
    if (!number.ok()) return ToGrpcStatus(number.status());
    reply->set_value((*number)->Add(request->amount()));
    return grpc::Status::OK;
  }

 private:
  std::unique_ptr<Instances>& instances_;
};

TEST_F(BindTest, ASynchronousHandlerBindsByBlocking) {
  SyncCounter service(instances_);
  Make();
  const auto serving = Serve(service);
  const auto first = NewCall("room");
  ASSERT_TRUE(first->Run(2).ok());
  EXPECT_EQ(first->header("instance-created"), "true");
  EXPECT_EQ(Add("room", 1), 3);
}

TEST_F(BindTest, ACancelledSynchronousHandlerStopsWaiting) {
  Mutex mu;
  std::deque<HookDone> held;
  Latch asked;
  ScriptedInitializer initializer([&](auto&, auto&, HookDone done) {
    MutexLock lock(mu);
    held.push_back(std::move(done));
    asked.Open();
  });
  std::atomic<int> returned{0};
  class Service final : public counter::v1::Counter::Service {
   public:
    Service(std::unique_ptr<Instances>& instances, std::atomic<int>& returned)
        : instances_(instances), returned_(returned) {}
    grpc::Status Add(grpc::ServerContext* call, const counter::v1::AddRequest*,
                     counter::v1::AddReply*) override {
      const auto number = instances_->BindBlocking<Number>(*call);
      EXPECT_TRUE(absl::IsCancelled(number.status()));
      ++returned_;
      return ToGrpcStatus(number.status());
    }
    std::unique_ptr<Instances>& instances_;
    std::atomic<int>& returned_;
  };
  Service service(instances_, returned);
  Make({.initializers = {&initializer}});
  const auto serving = Serve(service);
  const auto call = NewCall("room");
  call->Begin(1);
  asked.Await();
  call->context().TryCancel();
  EXPECT_EQ(call->Await().error_code(), grpc::StatusCode::CANCELLED);
  while (returned == 0) {
    clock_.Advance(absl::Milliseconds(50));
    std::this_thread::yield();
  }
  MutexLock lock(mu);
  held.front()();
}

// ---- Completion queues

// Goal: a call of an async service is bound by a continuation, and its pin is
// kept as long as the service likes.
TEST_F(BindTest, ACompletionQueueServiceBindsByContinuation) {
  Make();
  counter::v1::Counter::AsyncService service;
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const auto queue = builder.AddCompletionQueue();
  server_ = builder.BuildAndStart();
  instances_->Start();

  grpc::ServerContext call;
  counter::v1::AddRequest request;
  counter::v1::AddReply reply;
  grpc::ServerAsyncResponseWriter<counter::v1::AddReply> writer(&call);
  std::optional<Bound<Number>> bound;
  service.RequestAdd(&call, &request, &writer, queue.get(), queue.get(),
                     &request);
  const auto client = NewCall("room");
  client->Begin(7);
  void* tag;
  bool ok;
  ASSERT_TRUE(queue->Next(&tag, &ok) && ok && tag == &request);
  instances_->Bind<Number>(call, [&](absl::StatusOr<Bound<Number>> number) {
    ASSERT_TRUE(number.ok());
    bound = *std::move(number);
    reply.set_value((*bound)->Add(request.amount()));
    writer.Finish(reply, grpc::Status::OK, &reply);
  });
  ASSERT_TRUE(queue->Next(&tag, &ok) && ok && tag == &reply);
  EXPECT_TRUE(client->Await().ok());
  EXPECT_EQ(client->value(), 7);
  EXPECT_EQ(client->header("instance-created"), "true");
  EXPECT_TRUE(bound->created());
  EXPECT_EQ(bound->context().id(), "room");
  EXPECT_TRUE(absl::IsFailedPrecondition(
      instances_->registry().Release(instances_->Key("room"))));
  bound.reset();
  EXPECT_TRUE(instances_->registry().Release(instances_->Key("room")).ok());

  server_->Shutdown();
  queue->Shutdown();
  while (queue->Next(&tag, &ok)) {
  }
}

}  // namespace
}  // namespace leasehold
