// FakeAdminServer: the service Admin on a loopback port, which answers what a
// test says.
//
// Thread-safety: the test sets the answers while no call is under way.
// Lifetime: outlives its clients' calls.
#ifndef LEASEHOLD_TESTS_CLIENT_FAKE_ADMIN_SERVER_H_
#define LEASEHOLD_TESTS_CLIENT_FAKE_ADMIN_SERVER_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "leasehold/v1/admin.grpc.pb.h"
#include "leasehold/v1/instances.grpc.pb.h"

namespace leasehold::client {

class FakeAdminServer final : public leasehold::v1::Admin::Service {
 public:
  FakeAdminServer() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(this);
    builder.RegisterService(&instances_);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~FakeAdminServer() override {
    server_->Shutdown(std::chrono::system_clock::time_point());
  }

  // HOST:PORT.
  const std::string& address() const { return address_; }

  void AddWorker(const std::string& text) {
    google::protobuf::TextFormat::ParseFromString(text,
                                                  &workers_.emplace_back());
  }
  void SetExplanation(const std::string& text) {
    google::protobuf::TextFormat::ParseFromString(text, &explanation_);
  }

  // The answer of each call of Stats, in that order; the last one stays.
  void AddStats(const std::string& text) {
    google::protobuf::TextFormat::ParseFromString(text, &stats_.emplace_back());
  }
  void SetInstances(const std::string& text) {
    google::protobuf::TextFormat::ParseFromString(text, &instances_.response);
  }
  // Calls fail from now on.
  void Break() { broken_ = true; }

  grpc::Status Stats(grpc::ServerContext*, const leasehold::v1::StatsRequest*,
                     leasehold::v1::StatsResponse* response) override {
    if (broken_) return {grpc::StatusCode::UNAVAILABLE, "it is down"};
    *response = stats_[std::min(stats_read_, stats_.size() - 1)];
    ++stats_read_;
    return grpc::Status::OK;
  }

  // One worker a page.
  grpc::Status Workers(grpc::ServerContext*,
                       const leasehold::v1::WorkersRequest* request,
                       leasehold::v1::WorkersResponse* response) override {
    const size_t index = request->page_token().size();
    if (index < workers_.size()) *response->add_workers() = workers_[index];
    if (index + 1 < workers_.size()) {
      response->set_next_page_token(std::string(index + 1, 't'));
    }
    return grpc::Status::OK;
  }
  grpc::Status Explain(grpc::ServerContext*,
                       const leasehold::v1::ExplainRequest* request,
                       leasehold::v1::Explanation* response) override {
    if (explanation_.instance_id() != request->instance_id()) {
      return {grpc::StatusCode::NOT_FOUND, "there is nothing"};
    }
    *response = explanation_;
    return grpc::Status::OK;
  }

 private:
  // What `leasehold top` asks beside the numbers.
  class Instances final : public leasehold::v1::Instances::Service {
   public:
    grpc::Status List(grpc::ServerContext*,
                      const leasehold::v1::ListInstancesRequest*,
                      leasehold::v1::ListInstancesResponse* list) override {
      *list = response;
      return grpc::Status::OK;
    }
    leasehold::v1::ListInstancesResponse response;
  };

  Instances instances_;
  std::atomic<bool> broken_ = false;
  size_t stats_read_ = 0;
  std::vector<leasehold::v1::StatsResponse> stats_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::vector<leasehold::v1::Worker> workers_;
  leasehold::v1::Explanation explanation_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_TESTS_CLIENT_FAKE_ADMIN_SERVER_H_
