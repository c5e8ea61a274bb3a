// FakeEntityServer: the service Entities on a loopback port, which answers what
// a test says.
//
// What calls asked for is recorded, and a test can have the next one fail.
//
// Thread-safety: safe.   Lifetime: outlives its clients' calls.
#ifndef LEASEHOLD_TESTS_CLIENT_FAKE_ENTITY_SERVER_H_
#define LEASEHOLD_TESTS_CLIENT_FAKE_ENTITY_SERVER_H_

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "leasehold/v1/entities.grpc.pb.h"

namespace leasehold::client {

class FakeEntityServer final : public leasehold::v1::Entities::Service {
 public:
  FakeEntityServer() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~FakeEntityServer() override {
    server_->Shutdown(std::chrono::system_clock::time_point());
    // Shutdown has awaited the handlers; ThreadSanitizer sees it only here.
    std::lock_guard<std::mutex> lock(mu_);
  }

  // HOST:PORT.
  const std::string& address() const { return address_; }

  // What is known of the entity that calls ask for, and of its changes.
  void Show(const std::string& info) {
    leasehold::v1::EntityInfo message;
    google::protobuf::TextFormat::ParseFromString(info, &message);
    std::lock_guard<std::mutex> lock(mu_);
    infos_.push_back(std::move(message));
  }
  // Of each call.
  void Return(std::string output) {
    std::lock_guard<std::mutex> lock(mu_);
    output_ = std::move(output);
  }
  // The next call ends with `status`.
  void FailNext(grpc::Status status) {
    std::lock_guard<std::mutex> lock(mu_);
    failure_ = std::move(status);
  }
  // What the only call asked for, with the type of its request.
  std::string Asked() const {
    std::lock_guard<std::mutex> lock(mu_);
    std::string all;
    for (const std::string& one : asked_) absl::StrAppend(&all, one, "; ");
    return all;
  }

  grpc::Status Signal(grpc::ServerContext*,
                      const leasehold::v1::SignalEntityRequest* request,
                      leasehold::v1::SignalEntityResponse*) override {
    return Record(*request);
  }
  grpc::Status Call(grpc::ServerContext*,
                    const leasehold::v1::CallEntityRequest* request,
                    leasehold::v1::CallEntityResponse* response) override {
    const grpc::Status status = Record(*request);
    std::lock_guard<std::mutex> lock(mu_);
    if (output_.has_value()) response->set_output(*output_);
    return status;
  }
  grpc::Status Get(grpc::ServerContext*,
                   const leasehold::v1::GetEntityRequest* request,
                   leasehold::v1::EntityInfo* response) override {
    grpc::Status status = Record(*request);
    std::lock_guard<std::mutex> lock(mu_);
    if (!status.ok()) return status;
    if (infos_.empty()) return {grpc::StatusCode::NOT_FOUND, "nothing"};
    *response = infos_.back();
    return grpc::Status::OK;
  }
  // One entity a page.
  grpc::Status List(grpc::ServerContext*,
                    const leasehold::v1::ListEntitiesRequest* request,
                    leasehold::v1::ListEntitiesResponse* response) override {
    grpc::Status status = Record(*request);
    std::lock_guard<std::mutex> lock(mu_);
    const size_t index = request->page_token().size();
    if (index < infos_.size()) *response->add_entities() = infos_[index];
    if (index + 1 < infos_.size()) {
      response->set_next_page_token(std::string(index + 1, 't'));
    }
    return status;
  }
  grpc::Status Delete(grpc::ServerContext*,
                      const leasehold::v1::DeleteEntityRequest* request,
                      leasehold::v1::DeleteEntityResponse*) override {
    return Record(*request);
  }
  grpc::Status LimitLock(grpc::ServerContext*,
                         const leasehold::v1::LimitEntityLockRequest* request,
                         leasehold::v1::LimitEntityLockResponse*) override {
    return Record(*request);
  }
  // Shows all that is known, and then ends.
  grpc::Status Watch(
      grpc::ServerContext*, const leasehold::v1::GetEntityRequest* request,
      grpc::ServerWriter<leasehold::v1::EntityInfo>* writer) override {
    const grpc::Status status = Record(*request);
    std::lock_guard<std::mutex> lock(mu_);
    for (const auto& info : infos_) writer->Write(info);
    return status;
  }

 private:
  grpc::Status Record(const google::protobuf::Message& request) {
    std::lock_guard<std::mutex> lock(mu_);
    asked_.push_back(absl::StrCat(request.GetDescriptor()->name(), " ",
                                  request.ShortDebugString()));
    if (!failure_.has_value()) return grpc::Status::OK;
    return *std::exchange(failure_, std::nullopt);
  }

  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  mutable std::mutex mu_;
  std::vector<std::string> asked_;
  std::optional<grpc::Status> failure_;
  std::optional<std::string> output_;
  std::vector<leasehold::v1::EntityInfo> infos_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_TESTS_CLIENT_FAKE_ENTITY_SERVER_H_
