// The drain of an embedder's server, and what is told of it.
#include <string>
#include <vector>

#include "leasehold/v1/echo.grpc.pb.h"
#include "tests/embedding/embedding_fixture.h"

namespace leasehold {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Number {
 public:
  int64_t Add(int64_t amount) { return value_ += amount; }

 private:
  int64_t value_ = 0;
};

// Notes what it is told.
class Part final : public ServerPart {
 public:
  explicit Part(Instances& instances) : instances_(instances) {}

  void OnDraining() override { told.push_back("draining"); }
  void OnStopping() override {
    told.push_back("stopping");
    contexts_at_stop = instances_.registry().size();
  }

  std::vector<std::string> told;
  size_t contexts_at_stop = 0;

 private:
  Instances& instances_;
};

class DrainTest : public EmbeddingTest {
 protected:
  grpc::Status Echo(const std::string& id) {
    grpc::ClientContext context;
    context.AddMetadata("instance-id", id);
    v1::EchoResponse response;
    return v1::Echo::NewStub(Channel())->Echo(&context, v1::EchoRequest(),
                                              &response);
  }

  ScriptedCounter service_{[this](auto* call, auto* request, auto* reply) {
    return instances_->Bind<Number>(call, [=](Number& number) {
      reply->set_value(number.Add(request->amount()));
      return grpc::Status::OK;
    });
  }};
};

TEST_F(DrainTest, LeaseholdsServicesRefuseCallsAndYoursAreServed) {
  Make();
  const auto serving = Serve(service_);
  EXPECT_TRUE(Echo("room").ok());
  EXPECT_FALSE(instances_->draining());
  const absl::Duration left = instances_->Drain(absl::Seconds(10));
  EXPECT_GT(left, absl::ZeroDuration());
  EXPECT_LT(left, absl::Seconds(10));
  EXPECT_TRUE(instances_->draining());
  const grpc::Status refused = Echo("room");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(refused.error_message(), "the server is shutting down");
  EXPECT_EQ(Add("room", 3), 3);
}

TEST_F(DrainTest, NothingIsWaitedForWhereLeaseholdServesNothing) {
  Make();
  EXPECT_EQ(instances_->Drain(absl::Seconds(10)), absl::Seconds(10));
}

TEST_F(DrainTest, APartIsToldOnceOfTheDrainAndOnceOfTheEnd) {
  Make();
  Part part(*instances_);
  instances_->Add(part);
  const auto serving = Serve(service_);
  EXPECT_EQ(Add("room", 1), 1);
  instances_->BeginDrain();
  EXPECT_THAT(part.told, ElementsAre("draining"));
  Shutdown();
  instances_->Shutdown();
  EXPECT_THAT(part.told, ElementsAre("draining", "stopping"));
  EXPECT_EQ(part.contexts_at_stop, 1u);
}

TEST_F(DrainTest, APartIsNotToldOfTheEndOfWhatNeverBegan) {
  Make();
  Part part(*instances_);
  instances_->Add(part);
  instances_->Shutdown();
  EXPECT_THAT(part.told, ElementsAre());
}

TEST_F(DrainTest, ServicesThatAreAddedAreRegisteredOnce) {
  Make();
  instances_->AddEcho();
  EXPECT_EQ(instances_->services().size(), 1u);
  grpc::ServerBuilder builder;
  instances_->Register(builder);
  instances_->RegisterInstances(builder);  // Not Echo again.
  EXPECT_EQ(instances_->services().size(), 2u);
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr);
  instances_->Start();
  EXPECT_TRUE(Echo("room").ok());
  Shutdown();
}

TEST_F(DrainTest, KeyNamesTheInstanceThatACallNames) {
  Make();
  const auto serving = Serve(service_);
  EXPECT_EQ(Add("@Counter@One", 1), 1);
  EXPECT_TRUE(instances_->registry().Describe(instances_->Key("@Counter@One")));
  const absl::Status without =
      instances_->registry().Release({.tenant = "", .id = "room"});
  EXPECT_EQ(without.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(without.message()),
              HasSubstr("names no tenant; Instances::Key"));
}

}  // namespace
}  // namespace leasehold
