#include "service/network/tls_credentials.h"

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/network/test_certificates.h"

namespace leasehold {
namespace {

// From 2020 to 2100: gRPC asks the system for the time.
TestCertificate::Options Valid(bool is_ca = false) {
  return {.from = absl::FromUnixSeconds(1'577'836'800),
          .to = absl::FromUnixSeconds(4'102'444'800),
          .is_ca = is_ca};
}

class TlsCredentialsTest : public ::testing::Test {
 protected:
  static TlsMaterial MaterialOf(const TestCertificate& certificate) {
    return {.chain = certificate.certificate_pem(),
            .key = certificate.key_pem(),
            .client_ca = "",
            .expires = absl::InfiniteFuture()};
  }

  void Serve(const TlsCredentials& credentials) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", credentials.ForServer(), &port_);
    queue_ = builder.AddCompletionQueue();
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  void TearDown() override {
    if (server_ != nullptr) server_->Shutdown();
    queue_->Shutdown();
    void* tag;
    bool ok;
    while (queue_->Next(&tag, &ok)) {
    }
  }

  // Whether a client that trusts `ca` gets through.
  bool Connects(const TestCertificate& ca) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ca.certificate_pem();
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetSslTargetNameOverride("localhost");
    const auto channel =
        grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port_),
                                  grpc::SslCredentials(options), arguments);
    grpc_connectivity_state state = channel->GetState(true);
    while (state != GRPC_CHANNEL_READY &&
           state != GRPC_CHANNEL_TRANSIENT_FAILURE &&
           channel->WaitForStateChange(state,
                                       gpr_inf_future(GPR_CLOCK_REALTIME))) {
      state = channel->GetState(true);
    }
    return state == GRPC_CHANNEL_READY;
  }

  int port_ = 0;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  const TestCertificate ca_{"ca", Valid(/*is_ca=*/true)};
  const TestCertificate other_ca_{"other ca", Valid(/*is_ca=*/true)};
  const TestCertificate end_{"server", Valid(), &ca_};
};

TEST_F(TlsCredentialsTest, AClientThatTrustsTheAuthorityGetsThrough) {
  const TlsCredentials credentials(MaterialOf(end_), ClientAuth::kNone);
  Serve(credentials);
  EXPECT_TRUE(Connects(ca_));
  EXPECT_FALSE(Connects(other_ca_));
}

TEST_F(TlsCredentialsTest, NewMaterialIsForTheNextHandshake) {
  TlsCredentials credentials(MaterialOf(end_), ClientAuth::kNone);
  Serve(credentials);
  EXPECT_TRUE(Connects(ca_));
  const TestCertificate next("server", Valid(), &other_ca_);
  credentials.Set(MaterialOf(next));
  EXPECT_TRUE(Connects(other_ca_));
  EXPECT_FALSE(Connects(ca_));
}

}  // namespace
}  // namespace leasehold
