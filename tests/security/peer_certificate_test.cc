// Certificates that expire while the connections live that they have opened.
#include "service/security/peer_certificate.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "service/rpc/status_mapping.h"
#include "service/security/access_control.h"
#include "tests/network/test_certificates.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

// Answers with who has called, as the policy sees it.
class WhoCalls final : public v1::Echo::Service {
 public:
  explicit WhoCalls(AccessControl& access) : access_(access) {}

  grpc::Status Echo(grpc::ServerContext* context, const v1::EchoRequest*,
                    v1::EchoResponse* response) override {
    constexpr MethodInfo kMethod = {
        .service = "leasehold.v1.Echo", .name = "Echo", .role = Role::kUser};
    std::shared_ptr<const Caller> caller;
    const absl::Status allowed = access_.Admit(*context, kMethod, caller);
    if (!allowed.ok()) return ToGrpcStatus(allowed);
    response->set_text(caller->name.empty() ? "nobody" : caller->name);
    // An open stream is asked about again.
    const absl::Status still = access_.AdmitStill(*context, kMethod, *caller);
    return ToGrpcStatus(still);
  }

 private:
  AccessControl& access_;
};

class PeerCertificateTest : public testing::Test {
 protected:
  // Valid by the system's clock, which gRPC asks. The policy asks the test's.
  static TestCertificate::Options Valid(std::string host, bool is_ca = false) {
    return {.from = absl::FromUnixSeconds(1'577'836'800 - 86400),
            .to = kEnd,
            .is_ca = is_ca,
            .host = std::move(host)};
  }

  void Serve(const std::string& policy_text) {
    absl::StatusOr<Policy> policy = ParsePolicy(policy_text);
    ASSERT_TRUE(policy.ok()) << policy.status();
    AccessRules rules;
    rules.policy = *std::move(policy);
    access_ = std::make_unique<AccessControl>(std::move(rules), clock_);
    service_ = std::make_unique<WhoCalls>(*access_);
    grpc::SslServerCredentialsOptions options(
        GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_root_certs = ca_.certificate_pem();
    options.pem_key_cert_pairs = {
        {server_.key_pem(), server_.certificate_pem()}};
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(options),
                             &port);
    builder.RegisterService(service_.get());
    serving_ = builder.BuildAndStart();
    ASSERT_NE(serving_, nullptr);
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  void TearDown() override {
    if (serving_ != nullptr) serving_->Shutdown();
  }

  // A connection with that certificate; nullptr: with none.
  std::unique_ptr<v1::Echo::Stub> Connect(const TestCertificate* certificate) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ca_.certificate_pem();
    if (certificate != nullptr) {
      options.pem_private_key = certificate->key_pem();
      options.pem_cert_chain = certificate->certificate_pem();
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetSslTargetNameOverride("localhost");
    return v1::Echo::NewStub(grpc::CreateCustomChannel(
        address_, grpc::SslCredentials(options), arguments));
  }
  // Who that is; or why not.
  static std::string Call(v1::Echo::Stub& stub) {
    grpc::ClientContext context;
    v1::EchoResponse response;
    const grpc::Status status = stub.Echo(&context, {}, &response);
    if (status.ok()) return response.text();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED)
        << status.error_message();
    return status.error_message();
  }

  static constexpr absl::Time kEnd = absl::FromUnixSeconds(4'102'444'800);

  SimulatedClock clock_;
  const TestCertificate ca_{"ca", Valid("", /*is_ca=*/true)};
  const TestCertificate server_{"server", Valid("localhost"), &ca_};
  const TestCertificate shop_{"shop", Valid("shop.example"), &ca_};
  std::unique_ptr<AccessControl> access_;
  std::unique_ptr<WhoCalls> service_;
  std::unique_ptr<grpc::Server> serving_;
  std::string address_;
};

constexpr char kShop[] =
    R"({"identities": {"shop": {"tenant": "default", "roles": ["user"],
                                "certificates": ["dns:shop.example"]}})";

TEST_F(PeerCertificateTest, CountsUntilItExpires) {
  Serve(absl::StrCat(kShop, "}"));
  const auto shop = Connect(&shop_);
  const auto nobody = Connect(nullptr);
  EXPECT_EQ(Call(*shop), "shop");
  EXPECT_EQ(Call(*shop), "shop");
  EXPECT_THAT(Call(*nobody), HasSubstr("connect with a client certificate"));
  clock_.Advance(kEnd - clock_.WallNow() - absl::Seconds(1));
  EXPECT_EQ(Call(*shop), "shop");
  // On the same connection.
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Call(*shop),
            "the client certificate of this connection has expired at "
            "2100-01-01T00:00:00+00:00; connect again, with one that is valid");
  EXPECT_THAT(Call(*nobody), HasSubstr("connect with a client certificate"));
}

TEST_F(PeerCertificateTest, WhoeverShowsOneOfNobodyIsToldSo) {
  Serve(absl::StrCat(kShop, "}"));
  const TestCertificate stranger("stranger", Valid("stranger.example"), &ca_);
  EXPECT_THAT(Call(*Connect(&stranger)),
              EndsWith("connect with a client certificate that has a name of "
                       "its policy (this connection's has none)"));
  EXPECT_THAT(Call(*Connect(nullptr)), EndsWith("a client certificate"));
}

TEST_F(PeerCertificateTest, OneThatHasExpiredIsNotWhoeverShowsNothing) {
  Serve(absl::StrCat(
      kShop, R"(, "anonymous": {"tenant": "default", "roles": ["user"]}})"));
  const auto shop = Connect(&shop_);
  const auto nobody = Connect(nullptr);
  const TestCertificate unknown("x", Valid("unknown.example"), &ca_);
  const auto stranger = Connect(&unknown);
  EXPECT_EQ(Call(*shop), "shop");
  EXPECT_EQ(Call(*nobody), "nobody");
  EXPECT_EQ(Call(*stranger), "nobody");
  clock_.Advance(kEnd - clock_.WallNow());
  EXPECT_THAT(Call(*shop), HasSubstr("has expired"));
  EXPECT_EQ(Call(*nobody), "nobody");
}

TEST_F(PeerCertificateTest, EachConnectionHasItsOwn) {
  Serve(absl::StrCat(kShop, "}"));
  TestCertificate::Options longer = Valid("shop.example");
  longer.to = kEnd + absl::Hours(24);
  const TestCertificate next("shop", longer, &ca_);
  const auto before = Connect(&shop_);
  const auto after = Connect(&next);
  EXPECT_EQ(Call(*before), "shop");
  EXPECT_EQ(Call(*after), "shop");
  clock_.Advance(kEnd - clock_.WallNow());
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(Call(*before), HasSubstr("has expired"));
    EXPECT_EQ(Call(*after), "shop");
  }
}

}  // namespace
}  // namespace leasehold
