// `leasehold health`, against a server that says what a test wants.
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "tests/client/leasehold_run.h"
#include "tests/client/streaming_run.h"

namespace leasehold::client::cli {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using testing::HasSubstr;

class FakeHealth final : public grpc::health::v1::Health::Service {
 public:
  FakeHealth() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~FakeHealth() override {
    server_->Shutdown(std::chrono::system_clock::time_point());
  }

  const std::string& address() const { return address_; }

  // Constant while a call is under way.
  HealthCheckResponse::ServingStatus status = HealthCheckResponse::SERVING;

 private:
  grpc::Status Check(grpc::ServerContext*, const HealthCheckRequest* request,
                     HealthCheckResponse* response) override {
    if (request->service() != "" && request->service() != "there") {
      return {grpc::StatusCode::NOT_FOUND, "unknown service"};
    }
    response->set_status(status);
    return grpc::Status::OK;
  }

  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

class HealthCommand : public testing::Test {
 protected:
  Outcome Execute(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "--address=" + server_.address());
    LeaseholdRun run;
    run.With(std::move(arguments));
    return {run.code, run.out, run.err};
  }

  FakeHealth server_;
};

TEST_F(HealthCommand, SaysThatTheServerServes) {
  const auto run = Execute({"health"});
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(run.out, "SERVING\n");
  EXPECT_EQ(run.err, "");
}

TEST_F(HealthCommand, AsksForOneService) {
  EXPECT_EQ(Execute({"health", "--service=there"}).code, 0);
  const auto run = Execute({"health", "--service=elsewhere"});
  EXPECT_EQ(run.code, 3);
  EXPECT_THAT(run.err, HasSubstr("the server has no service \"elsewhere\""));
}

TEST_F(HealthCommand, FailsIfTheServerDoesNotServe) {
  server_.status = HealthCheckResponse::NOT_SERVING;
  const auto run = Execute({"health"});
  EXPECT_EQ(run.code, 4);
  EXPECT_EQ(run.out, "NOT_SERVING\n");
  EXPECT_THAT(run.err, HasSubstr("says NOT_SERVING"));
}

TEST_F(HealthCommand, WritesJson) {
  EXPECT_EQ(Execute({"health", "--output=json"}).out,
            "{\"status\":\"SERVING\"}\n");
}

TEST(HealthCommandWithoutAServer, Fails) {
  LeaseholdRun run;
  run.With({"--address=127.0.0.1:1", "--timeout=5s", "health"});
  EXPECT_EQ(run.code, 4);
  EXPECT_THAT(run.err, HasSubstr("127.0.0.1:1"));
}

}  // namespace
}  // namespace leasehold::client::cli
