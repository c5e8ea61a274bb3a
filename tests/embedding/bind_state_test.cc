// What a State may be: plain or an Extension, serial or not, made by a factory.
#include <atomic>
#include <string>
#include <vector>

#include "tests/embedding/embedding_fixture.h"

namespace leasehold {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class BindStateTest : public EmbeddingTest {
 protected:
  // Serves Add by `state.Add(amount)`.
  template <typename State>
  Serving ServeState() {
    service_ = std::make_unique<ScriptedCounter>(
        [this](auto* call, auto* request, auto* reply) {
          return instances_->Bind<State>(
              call,
              [=](State& state) {
                reply->set_value(state.Add(request->amount()));
                return grpc::Status::OK;
              },
              "Add");
        });
    return Serve(*service_);
  }

  std::unique_ptr<ScriptedCounter> service_;
};

// What detach hooks say.
Mutex told_mu;
std::vector<DetachReason> told ABSL_GUARDED_BY(told_mu);

class Plain {
 public:
  int64_t Add(int64_t amount) { return value_ += amount; }
  void OnDetach(DetachReason reason) {
    MutexLock lock(told_mu);
    told.push_back(reason);
  }

 private:
  std::atomic<int64_t> value_{0};
};

TEST_F(BindStateTest, APlainClassIsToldOfItsDetachmentIfItWantsTo) {
  {
    MutexLock lock(told_mu);
    told.clear();
  }
  Make();
  const auto serving = ServeState<Plain>();
  Add("idle", 1);
  events_.Await(InstanceEventKind::kIdle, "idle");
  clock_.Advance(absl::Seconds(21));
  events_.Await(InstanceEventKind::kClosed, "idle");
  Add("shutdown", 1);
  Shutdown();
  MutexLock lock(told_mu);
  EXPECT_THAT(told, ElementsAre(DetachReason::kIdle, DetachReason::kShutdown));
}

TEST_F(BindStateTest, APlainClassIsNamedAndFoundByItsOwnType) {
  Make();
  int64_t found = 0;
  service_ = std::make_unique<ScriptedCounter>([&](auto* call, auto*, auto*) {
    return instances_->Bind<Plain>(call,
                                   [&](Plain& plain, InstanceContext& context) {
                                     EXPECT_EQ(context.Find<Plain>(), &plain);
                                     found = context.Find<Plain>()->Add(3);
                                     return grpc::Status::OK;
                                   });
  });
  const auto serving = Serve(*service_);
  Add("room", 1);
  EXPECT_EQ(found, 3);
  const auto info = instances_->registry().Describe(instances_->Key("room"));
  EXPECT_THAT(info->extensions,
              Contains("leasehold::(anonymous namespace)::Plain"));
}

class Own final : public Extension {
 public:
  explicit Own(InstanceContext& context) : id_(context.id()) {}
  int64_t Add(int64_t amount) {
    return static_cast<int64_t>(id_.size()) + amount;
  }

 private:
  const std::string id_;
};

TEST_F(BindStateTest, AnExtensionIsAttachedAsItIsAndMayKnowItsContext) {
  Make();
  const auto serving = ServeState<Own>();
  EXPECT_EQ(Add("four", 10), 14);
}

TEST_F(BindStateTest, AnExtensionThatAnInitializerAttachedIsTheState) {
  ScriptedInitializer initializer(
      [](InstanceContext& context, auto&, HookDone done) {
        EXPECT_NE(context.Attach<Own>(context), nullptr);
        done();
      });
  Make({.initializers = {&initializer}});
  const auto serving = ServeState<Own>();
  EXPECT_EQ(Add("four", 10), 14);
  const auto info = instances_->registry().Describe(instances_->Key("four"));
  EXPECT_EQ(info->extensions.size(), 2);  // The lease, and it.
}

// Neither can be made without help.
class NeedsABase {
 public:
  explicit NeedsABase(int64_t base) : base_(base) {}
  int64_t Add(int64_t amount) { return base_ + amount; }

 private:
  const int64_t base_;
};
class ExtensionNeedsABase final : public Extension {
 public:
  explicit ExtensionNeedsABase(int64_t base) : base_(base) {}
  int64_t Add(int64_t amount) { return base_ + amount; }

 private:
  const int64_t base_;
};

TEST_F(BindStateTest, AFactoryMakesPlainStates) {
  Make();
  instances_->MakeWith<NeedsABase>(
      [](InstanceContext&) { return std::make_unique<NeedsABase>(100); });
  const auto serving = ServeState<NeedsABase>();
  EXPECT_EQ(Add("room", 1), 101);
}

TEST_F(BindStateTest, AFactoryMakesExtensions) {
  Make();
  instances_->MakeWith<ExtensionNeedsABase>([](InstanceContext&) {
    return std::make_unique<ExtensionNeedsABase>(100);
  });
  const auto serving = ServeState<ExtensionNeedsABase>();
  EXPECT_EQ(Add("room", 1), 101);
}

TEST_F(BindStateTest, AStateThatCannotBeMadeIsInternalAndSaysWhich) {
  Make();
  const auto serving = ServeState<NeedsABase>();
  const auto call = NewCall("room");
  EXPECT_EQ(call->Run(1).error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(call->status().error_message(), HasSubstr("NeedsABase"));
}

class Throws {
 public:
  Throws() { throw std::runtime_error("no disk"); }
  int64_t Add(int64_t) { return 0; }
};

TEST_F(BindStateTest, AConstructorThatThrowsIsInternalAndLosesNoPin) {
  Make();
  const auto serving = ServeState<Throws>();
  const auto call = NewCall("room");
  EXPECT_EQ(call->Run(1).error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(call->status().error_message(), HasSubstr("no disk"));
  events_.Await(InstanceEventKind::kIdle, "room");
}

// ---- Serial

// Not thread-safe, and slow if told to be.
class Serial {
 public:
  static constexpr auto kConcurrency = Concurrency::kSerial;
  int64_t Add(int64_t amount) {
    EXPECT_EQ(running_.fetch_add(1), 0) << "two messages at once";
    if (amount == kHold) {
      inside->Open();
      go_on->Await();
    }
    value_ += amount;
    running_.fetch_sub(1);
    return value_;
  }

  static constexpr int64_t kHold = 1000;
  static Latch* inside;
  static Latch* go_on;

 private:
  std::atomic<int> running_{0};
  int64_t value_ = 0;
};
Latch* Serial::inside;
Latch* Serial::go_on;

class OwnSerial final : public SerialExtension {
 public:
  int64_t Add(int64_t amount) { return state_.Add(amount); }

 private:
  Serial state_;
};

static_assert(kIsSerial<Serial>);
static_assert(kIsSerial<OwnSerial>);
static_assert(!kIsSerial<Plain>);
static_assert(!kIsSerial<Own>);

class SerialStateTest : public BindStateTest {
 protected:
  SerialStateTest() {
    Serial::inside = &inside_;
    Serial::go_on = &go_on_;
  }

  Latch inside_;
  Latch go_on_;
};

TEST_F(SerialStateTest, MessagesRunOneAtATime) {
  Make();
  const auto serving = ServeState<Serial>();
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 50; ++i) {
    calls.push_back(NewCall("room"));
    calls.back()->Begin(1);
  }
  for (const auto& call : calls) EXPECT_TRUE(call->Await().ok());
  EXPECT_EQ(Add("room", 1), 51);
}

TEST_F(SerialStateTest, ASerialExtensionIsSerialToo) {
  Make();
  const auto serving = ServeState<OwnSerial>();
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 50; ++i) {
    calls.push_back(NewCall("room"));
    calls.back()->Begin(1);
  }
  for (const auto& call : calls) EXPECT_TRUE(call->Await().ok());
  EXPECT_EQ(Add("room", 1), 51);
}

TEST_F(SerialStateTest, WaitingForAccessHoldsNoThreadAndOtherInstancesGoOn) {
  Make({.user_threads = 1});
  const auto serving = ServeState<Serial>();
  const auto holder = NewCall("room");
  holder->Begin(Serial::kHold);
  inside_.Await();
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 20; ++i) {
    calls.push_back(NewCall("room"));
    calls.back()->Begin(1);
  }
  for (int i = 1; i <= 20; ++i) EXPECT_EQ(Add("other", 1), i);
  for (const auto& call : calls) EXPECT_FALSE(call->done());
  go_on_.Open();
  for (const auto& call : calls) EXPECT_TRUE(call->Await().ok());
  EXPECT_EQ(Add("room", 1), Serial::kHold + 21);
}

TEST_F(SerialStateTest,
       AWaitPastTheAccessTimeoutIsUnavailableAndNamesTheHolder) {
  Make();
  const auto serving = ServeState<Serial>();
  const auto holder = NewCall("room");
  holder->Begin(Serial::kHold);
  inside_.Await();
  const auto call = NewCall("room");
  call->Begin(1);
  AdvanceUntilDone(*call, absl::Seconds(1));
  EXPECT_EQ(call->status().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(call->status().error_message(),
              HasSubstr("instance \"room\": the message waited 30s for "
                        "access (access timeout); Add has had it for "));
  go_on_.Open();
  EXPECT_TRUE(holder->Await().ok());
  EXPECT_EQ(Add("room", 1), Serial::kHold + 1);  // The other did not run.
}

TEST_F(SerialStateTest, ACancelledCallLeavesTheQueue) {
  Make();
  const auto serving = ServeState<Serial>();
  const auto holder = NewCall("room");
  holder->Begin(Serial::kHold);
  inside_.Await();
  const auto call = NewCall("room");
  call->Begin(1);
  call->context().TryCancel();
  EXPECT_EQ(call->Await().error_code(), grpc::StatusCode::CANCELLED);
  go_on_.Open();
  EXPECT_TRUE(holder->Await().ok());
}

// Goal: in a stream, an access is one message. Method: a Bound awaits its
// accesses one by one; two of them alternate.
TEST_F(SerialStateTest, AStreamAwaitsAccessForEachMessage) {
  Make();
  std::unique_ptr<Bound<Serial>> bound;
  service_ = std::make_unique<ScriptedCounter>([&](auto* call, auto*,
                                                   auto* reply) {
    auto* reactor = call->DefaultReactor();
    instances_->Bind<Serial>(
        *call, [=, &bound](absl::StatusOr<Bound<Serial>> state) {
          ASSERT_TRUE(state.ok());
          bound = std::make_unique<Bound<Serial>>(*std::move(state));
          std::optional<StateAccess<Serial>> first;
          bound->AwaitAccess([&](absl::StatusOr<StateAccess<Serial>> access) {
            ASSERT_TRUE(access.ok());
            first = *std::move(access);
            (*first)->Add(1);
          });
          ASSERT_TRUE(first.has_value());  // It was free.
          bool cancelled = false;
          WaitHandle second = bound->AwaitAccess([&](auto access) {
            cancelled = absl::IsCancelled(access.status());
          });
          second.Cancel();
          EXPECT_TRUE(cancelled);
          auto third = std::make_shared<Latch>();
          bound->AwaitAccess([=](absl::StatusOr<StateAccess<Serial>> access) {
            ASSERT_TRUE(access.ok());
            reply->set_value((*access)->Add(1));
            third->Open();
          });
          EXPECT_FALSE(third->open());
          first.reset();
          third->Await();
          reactor->Finish(grpc::Status::OK);
        });
    return reactor;
  });
  const auto serving = Serve(*service_);
  EXPECT_EQ(Add("room", 1), 2);
  bound = nullptr;
}

TEST_F(SerialStateTest, ASynchronousHandlerAwaitsAccessByBlocking) {
  class Service final : public counter::v1::Counter::Service {
   public:
    explicit Service(std::unique_ptr<Instances>& instances)
        : instances_(instances) {}
    grpc::Status Add(grpc::ServerContext* call,
                     const counter::v1::AddRequest* request,
                     counter::v1::AddReply* reply) override {
      const auto bound = instances_->BindBlocking<Serial>(*call);
      if (!bound.ok()) return ToGrpcStatus(bound.status());
      const auto access = bound->AwaitAccessBlocking();
      if (!access.ok()) return ToGrpcStatus(access.status());
      reply->set_value((*access)->Add(request->amount()));
      return grpc::Status::OK;
    }

   private:
    std::unique_ptr<Instances>& instances_;
  };
  Service service(instances_);
  Make();
  const auto serving = Serve(service);
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 20; ++i) {
    calls.push_back(NewCall("room"));
    calls.back()->Begin(1);
  }
  for (const auto& call : calls) EXPECT_TRUE(call->Await().ok());
  EXPECT_EQ(Add("room", 1), 21);
}

}  // namespace
}  // namespace leasehold
