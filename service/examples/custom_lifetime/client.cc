// The client of WCF's sample "Custom Lifetime": two channels, one instance.
//
//   custom_lifetime_client ADDRESS
#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "custom_lifetime.grpc.pb.h"
#include "leasehold/client/session/shared_session.h"

namespace {

using custom_lifetime::v1::EchoService;
using leasehold::client::SharedSession;
using leasehold::client::SharedSessionOptions;

// With a channel of the session, and a stub of our own.
bool Echo(SharedSession& session, size_t channel) {
  const auto stub = EchoService::NewStub(*session.Channel(channel));
  grpc::ClientContext call;
  if (!session.Prepare(call).ok()) return false;
  custom_lifetime::v1::EchoRequest request;
  custom_lifetime::v1::EchoReply reply;
  request.set_text("Apple");
  const grpc::Status status = stub->Echo(&call, request, &reply);
  session.Observe(call);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.error_message().c_str());
    return false;
  }
  std::printf("Service returned: %s, %lld of %s\n", reply.text().c_str(),
              static_cast<long long>(reply.count()),
              session.instance_id().c_str());
  return true;
}

// The same with the header alone.
bool EchoByHeader(const std::string& address, const std::string& id) {
  const auto channel =
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  const auto stub = EchoService::NewStub(channel);
  grpc::ClientContext call;
  call.AddMetadata("instance-id", id);
  custom_lifetime::v1::EchoRequest request;
  custom_lifetime::v1::EchoReply reply;
  request.set_text("Apple");
  const grpc::Status status = stub->Echo(&call, request, &reply);
  std::printf("Service returned: %s, %lld\n", reply.text().c_str(),
              static_cast<long long>(reply.count()));
  return status.ok();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return EXIT_FAILURE;
  const std::string address = argv[1];
  SharedSessionOptions options;
  options.instance_id = "shared-1";
  auto session = SharedSession::Connect({address, address}, options);
  if (!session.ok()) return EXIT_FAILURE;
  const bool first = Echo(**session, 0);
  if (!(*session)->CloseChannel(0).ok()) return EXIT_FAILURE;
  const bool second = Echo(**session, 1);
  const bool third = EchoByHeader(address, "shared-1");
  return first && second && third ? EXIT_SUCCESS : EXIT_FAILURE;
}
