// What a service of an embedder may ask for: a provider of its own, what its
// initializers are told, and timers of its States.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "leasehold/v1/echo.grpc.pb.h"
#include "service/embed/state_timer.h"
#include "service/instance/per_call_provider.h"
#include "service/instance/session_provider.h"
#include "tests/embedding/embedding_fixture.h"

namespace leasehold {
namespace {

using ::testing::Contains;
using ::testing::Pair;

class Number {
 public:
  int64_t Add(int64_t amount) { return value_ += amount; }

 private:
  std::atomic<int64_t> value_{0};
};

class ServiceOptionsTest : public EmbeddingTest {
 protected:
  // Serves Add by the binder of a service with `options`.
  template <typename State = Number>
  Serving ServeWith(ServiceOptions options) {
    service_ = std::make_unique<ScriptedCounter>(
        [this, options](auto* call, auto* request, auto* reply) {
          return instances_->ForService(options).template Bind<State>(
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

TEST_F(ServiceOptionsTest, AServiceMayHaveAProviderOfItsOwn) {
  PerCallProvider per_call;
  Make();
  const auto serving = ServeWith({.provider = &per_call});
  EXPECT_EQ(Add("room", 1), 1);
  EXPECT_EQ(Add("room", 1), 1);
}

TEST_F(ServiceOptionsTest, ASessionOfOneServiceIsLeasedIfAnotherUsesItToo) {
  SessionProvider session;
  Make();
  const InstanceBinder of_sessions =
      instances_->ForService({.provider = &session});
  service_ = std::make_unique<ScriptedCounter>(
      [&](auto* call, auto* request, auto* reply) {
        const auto serve = [=](Number& number) {
          reply->set_value(number.Add(1));
          return grpc::Status::OK;
        };
        return request->amount() == 1 ? of_sessions.Bind<Number>(call, serve)
                                      : instances_->Bind<Number>(call, serve);
      });
  const auto serving = Serve(*service_);
  EXPECT_EQ(Add("room", 1), 1);
  events_.Await(InstanceEventKind::kClosed, "room");
  EXPECT_EQ(Add("room", 2), 1);  // A new one, with a lease.
  EXPECT_EQ(Add("room", 1), 2);
  EXPECT_EQ(Add("room", 1), 3);
  events_.Await(InstanceEventKind::kIdle, "room", 4);
  clock_.Advance(absl::Seconds(21));
  events_.Await(InstanceEventKind::kClosed, "room", 2);
}

TEST_F(ServiceOptionsTest, InitializersSeeMethodPeerAndMetadata) {
  std::optional<InitializerRequest> seen;
  ScriptedInitializer initializer(
      [&](InstanceContext&, const InitializerRequest& request, HookDone done) {
        seen = request;
        done();
      });
  Make({.initializers = {&initializer}});
  const auto serving = ServeWith({.name = "counter.v1.Counter"});
  const auto call = NewCall("room");
  call->context().AddMetadata("x-color", "red");
  ASSERT_TRUE(call->Run(1).ok());
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->method, "counter.v1.Counter/Add");
  EXPECT_FALSE(seen->peer.empty());
  EXPECT_THAT(seen->metadata, Contains(Pair("x-color", "red")));
  EXPECT_EQ(seen->request.key.id, "room");
}

TEST_F(ServiceOptionsTest, AMethodIsKnownWithoutItsService) {
  std::string method;
  ScriptedInitializer initializer(
      [&](InstanceContext&, const InitializerRequest& request, HookDone done) {
        method = request.method;
        done();
      });
  Make({.initializers = {&initializer}});
  const auto serving = ServeWith({});
  ASSERT_TRUE(NewCall("room")->Run(1).ok());
  EXPECT_EQ(method, "Add");
}

TEST_F(ServiceOptionsTest, TheMethodsOfLeaseholdsOwnServicesAreKnown) {
  std::string method;
  ScriptedInitializer initializer(
      [&](InstanceContext&, const InitializerRequest& request, HookDone done) {
        method = request.method;
        done();
      });
  Make({.initializers = {&initializer}});
  const auto serving = ServeWith({});
  const auto stub = v1::Echo::NewStub(Channel());
  grpc::ClientContext context;
  v1::EchoRequest request;
  v1::EchoResponse response;
  ASSERT_TRUE(stub->Echo(&context, request, &response).ok());
  EXPECT_EQ(method, "leasehold.v1.Echo/Echo");
}

// ---- Timers

// Ticks each second.
class Metronome {
 public:
  static constexpr auto kConcurrency = Concurrency::kSerial;

  void OnAttach(InstanceContext& context) { Wind(context); }
  int64_t Add(int64_t amount) { return ticks_ += amount; }
  static std::atomic<int> ticked;

 private:
  void Wind(InstanceContext& context) {
    SetTimer<Metronome>(context, absl::Seconds(1), [&context](Metronome& m) {
      ++m.ticks_;
      m.Wind(context);
      ++ticked;  // Last: then the clock goes on.
    }).IgnoreError();
  }

  int64_t ticks_ = 0;
};
std::atomic<int> Metronome::ticked{0};

TEST_F(ServiceOptionsTest, AStatesTimersRunWithAccessAndEndWithItsContext) {
  Metronome::ticked = 0;
  Make();
  const auto serving = ServeWith<Metronome>({});
  EXPECT_EQ(Add("room", 0), 0);
  for (int i = 1; i <= 19; ++i) {
    clock_.Advance(absl::Milliseconds(1'010));
    while (Metronome::ticked < i) std::this_thread::yield();
  }
  // Nineteen ticks have renewed nothing: the lease of 20 s is over.
  events_.Await(InstanceEventKind::kIdle, "room");
  clock_.Advance(absl::Seconds(2));
  events_.Await(InstanceEventKind::kClosed, "room");
  const int ticks = Metronome::ticked;
  EXPECT_EQ(Add("room", 0), 0);
  EXPECT_EQ(Metronome::ticked, ticks);
}

class Bell final : public Extension {
 public:
  int64_t Add(int64_t amount) { return rung_ += amount; }

 private:
  std::atomic<int64_t> rung_{0};
};

TEST_F(ServiceOptionsTest, AnExtensionHasTimersTooAndOneThatIsGoneHasNone) {
  Make();
  Latch rang, looked;
  int64_t value = 0;
  service_ = std::make_unique<ScriptedCounter>([&](auto* call, auto*, auto*) {
    return instances_->Bind<Bell>(call, [&](Bell&, InstanceContext& context) {
      SetTimer<Bell>(context, absl::Seconds(1), [&](Bell& bell) {
        value = bell.Add(5);
        rang.Open();
      }).IgnoreError();
      SetTimer<Number>(context, absl::Seconds(1), [](Number&) {
        FAIL() << "there is none";
      }).IgnoreError();
      SetTimer(context, absl::Seconds(1), [&] { looked.Open(); }).IgnoreError();
      return grpc::Status::OK;
    });
  });
  const auto serving = Serve(*service_);
  ASSERT_TRUE(NewCall("room")->Run(1).ok());
  clock_.Advance(absl::Milliseconds(1'010));
  rang.Await();
  looked.Await();
  EXPECT_EQ(value, 5);
}

}  // namespace
}  // namespace leasehold
