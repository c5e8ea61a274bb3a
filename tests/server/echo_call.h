// EchoCall: one call of Echo from a client, under way while the test goes on.
//
// Thread-safety: one thread, that of the test.   Lifetime: the stub outlives
// it; it waits for its call's end.
#ifndef LEASEHOLD_TESTS_SERVER_ECHO_CALL_H_
#define LEASEHOLD_TESTS_SERVER_ECHO_CALL_H_

#include <grpc/support/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "leasehold/v1/echo.grpc.pb.h"
#include "tests/server/events.h"

namespace leasehold {

// A connection of its own, shared with no other channel of the process.
inline std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   arguments);
}

class EchoCall {
 public:
  struct Header {
    std::string name;
    std::string value;
  };

  // Starts the call. With a `deadline_ms` it ends by itself after that time.
  EchoCall(v1::Echo::Stub& stub, const std::string& text,
           const std::vector<Header>& headers = {},
           std::optional<int> deadline_ms = std::nullopt) {
    for (const Header& header : headers) {
      context_.AddMetadata(header.name, header.value);
    }
    if (deadline_ms.has_value()) {
      context_.set_deadline(gpr_time_from_millis(*deadline_ms, GPR_TIMESPAN));
    }
    request_.set_text(text);
    stub.async()->Echo(&context_, &request_, &response_,
                       [this](grpc::Status status) {
                         status_ = std::move(status);
                         ended_.Set();
                       });
  }
  EchoCall(const EchoCall&) = delete;
  EchoCall& operator=(const EchoCall&) = delete;
  ~EchoCall() { Await(); }

  void Cancel() { context_.TryCancel(); }

  bool ended() const { return ended_.set(); }

  // How the call ended; waits for that.
  const grpc::Status& Await() {
    ended_.Await("the end of a call");
    return status_;
  }

  // After Await.
  const v1::EchoResponse& response() const { return response_; }

  // After Await.
  const std::multimap<grpc::string_ref, grpc::string_ref>& response_headers()
      const {
    return context_.GetServerInitialMetadata();
  }

  // After Await: the value of a response header that was there once.
  std::optional<std::string> ResponseHeader(const std::string& name) const {
    const auto& headers = response_headers();
    if (headers.count(name) != 1) return std::nullopt;
    const grpc::string_ref value = headers.find(name)->second;
    return std::string(value.data(), value.size());
  }

 private:
  grpc::ClientContext context_;
  v1::EchoRequest request_;
  v1::EchoResponse response_;
  grpc::Status status_;
  Event ended_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SERVER_ECHO_CALL_H_
