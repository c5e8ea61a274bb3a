// DoorServer: a server of one service, on a free port, for tests of doors.
//
// Thread-safety: one thread, that of the test.   Lifetime: service and clock
// outlive it; it waits for its calls' ends.
#ifndef LEASEHOLD_TESTS_DOORS_DOOR_SERVER_H_
#define LEASEHOLD_TESTS_DOORS_DOOR_SERVER_H_

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lease/clock.h"
#include "service/rpc/byte_budget.h"
#include "service/rpc/rpc_runtime.h"
#include "service/rpc/served.h"

namespace leasehold {

class DoorServer {
 public:
  DoorServer(HostedService& service, const Clock& clock)
      : service_(service), budget_(clock, {}) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&service.service());
    runtime_ = std::make_unique<RpcRuntime>(builder, 1, budget_);
    server_ = builder.BuildAndStart();
    runtime_->Start([&service](RpcQueue& queue) { service.Serve(queue); });
    address_ = absl::StrCat("127.0.0.1:", port);
    channel_ =
        grpc::CreateChannel(address_, grpc::InsecureChannelCredentials());
  }
  ~DoorServer() {
    EndStreams();
    server_->Shutdown();
    runtime_->Stop();
  }

  // As a server that drains.
  void EndStreams() {
    service_.OnDraining();
    runtime_->EndStreams(absl::UnavailableError("the server is stopping"));
  }

  const std::shared_ptr<grpc::Channel>& channel() { return channel_; }
  // As that of a client in another language.
  std::shared_ptr<grpc::Channel> ChannelOf(const std::string& user_agent) {
    grpc::ChannelArguments arguments;
    arguments.SetUserAgentPrefix(user_agent);
    return grpc::CreateCustomChannel(
        address_, grpc::InsecureChannelCredentials(), arguments);
  }

 private:
  HostedService& service_;
  ByteBudget budget_;
  std::unique_ptr<RpcRuntime> runtime_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_DOORS_DOOR_SERVER_H_
