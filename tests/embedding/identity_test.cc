// Who may call an embedder's service, by a policy of the embedder's.
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "leasehold/v1/echo.grpc.pb.h"
#include "service/security/access_control.h"
#include "service/security/token_table.h"
#include "tests/embedding/embedding_fixture.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {
namespace {

using ::testing::HasSubstr;

constexpr char kPolicy[] = R"json({
  "tenants": {"acme": {}, "globex": {}},
  "identities": {
    "shop":   {"tenant": "acme", "roles": ["user"]},
    "ops":    {"tenant": "acme", "roles": ["operator"]},
    "report": {"tenant": "acme", "roles": ["viewer"]},
    "other":  {"tenant": "globex", "roles": ["user"]}
  },
  "token_file": "tokens"
})json";

class Number {
 public:
  int64_t Add(int64_t amount) { return value_ += amount; }

 private:
  std::atomic<int64_t> value_{0};
};

class IdentityTest : public EmbeddingTest {
 protected:
  // The token of a new identity's entry in the token file.
  std::string NewToken(const std::string& identity) {
    const leasehold::NewToken made =
        MakeToken(identity, absl::InfiniteFuture());
    std::ofstream(folder_.path() + "/tokens", std::ios::app) << made.line;
    return made.token;
  }
  Serving ServePolicy(ServiceOptions service) {
    const std::string policy_path = folder_.path() + "/policy.json";
    std::ofstream(policy_path) << kPolicy;
    access_ = AccessControl::Open(policy_path, clock_);
    EXPECT_TRUE(access_.ok()) << access_.status();
    InstancesOptions options;
    options.gatekeeper = access_->get();
    Make(std::move(options));
    binder_.emplace(instances_->ForService(service));
    return Serve(service_);
  }
  // An Add to `room`, with that token, if it is not empty.
  std::unique_ptr<Call> AddWith(const std::string& token) {
    auto call = NewCall("room");
    if (!token.empty()) {
      call->context().AddMetadata("authorization", "Bearer " + token);
    }
    call->Run(1);
    return call;
  }

  TemporaryDirectory folder_;
  absl::StatusOr<std::unique_ptr<AccessControl>> access_;
  std::optional<InstanceBinder> binder_;
  ScriptedCounter service_{[this](auto* call, auto* request, auto* reply) {
    return binder_->Bind<Number>(call, [=](Number& number) {
      reply->set_value(number.Add(request->amount()));
      return grpc::Status::OK;
    });
  }};
};

TEST_F(IdentityTest, ACallOfAnEmbeddersMethodIsJudgedAsOneOfOurs) {
  const std::string shop = NewToken("shop"), report = NewToken("report");
  const auto serving = ServePolicy({.name = "counter.v1.Counter"});
  EXPECT_EQ(AddWith("")->status().error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(AddWith(shop + "x")->status().error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  const auto refused = AddWith(report);
  EXPECT_EQ(refused->status().error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(refused->status().error_message(),
              HasSubstr("counter.v1.Counter"));
  EXPECT_EQ(instances_->registry().size(), 0);
  EXPECT_EQ(AddWith(shop)->value(), 1);
  EXPECT_EQ(AddWith(shop)->value(), 2);
}

TEST_F(IdentityTest, EqualIdsOfTwoTenantsAreTwoInstances) {
  const std::string shop = NewToken("shop"), other = NewToken("other");
  const auto serving = ServePolicy({});
  EXPECT_EQ(AddWith(shop)->value(), 1);
  EXPECT_EQ(AddWith(other)->value(), 1);
  EXPECT_EQ(AddWith(shop)->value(), 2);
  EXPECT_EQ(instances_->registry().size(), 2);
  EXPECT_TRUE(instances_->registry()
                  .Describe(Instances::Key("room", "globex"))
                  .has_value());
  EXPECT_FALSE(
      instances_->registry().Describe(Instances::Key("room")).has_value());
}

TEST_F(IdentityTest, AServiceMayAskForAnotherRole) {
  const std::string shop = NewToken("shop"), ops = NewToken("ops");
  const auto serving = ServePolicy({.role = Role::kOperator});
  EXPECT_EQ(AddWith(shop)->status().error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(AddWith(ops)->value(), 1);
}

TEST_F(IdentityTest, RulesThatAreSetCountAtOnceAlsoForOpenStreams) {
  const std::string shop = NewToken("shop");
  const auto serving = ServePolicy({});
  const auto echo = v1::Echo::NewStub(Channel());
  grpc::ClientContext context;
  context.AddMetadata("instance-id", "room");
  context.AddMetadata("authorization", "Bearer " + shop);
  const auto stream = echo->Join(&context, v1::JoinRequest());
  v1::JoinResponse joined;
  ASSERT_TRUE(stream->Read(&joined));

  AccessRules rules;
  rules.policy = *ParsePolicy(kPolicy);
  (*access_)->Set(std::move(rules));  // With no token.
  instances_->AskAgain();
  EXPECT_FALSE(stream->Read(&joined));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(AddWith(shop)->status().error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
}

}  // namespace
}  // namespace leasehold
