// AnyMethodServer: a server on a loopback port that answers every method the
// same way, and remembers what its calls brought along.
//
// Thread-safety: safe.   Lifetime: outlives its clients' calls.
#ifndef LEASEHOLD_TESTS_CLIENT_ANY_METHOD_SERVER_H_
#define LEASEHOLD_TESTS_CLIENT_ANY_METHOD_SERVER_H_

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/support/byte_buffer.h"
#include "tests/server/events.h"

namespace leasehold::client {

class AnyMethodServer final : private grpc::CallbackGenericService {
 public:
  struct Call {
    // Without its service.
    std::string method;
    // The values of `authorization`, each followed by a semicolon.
    std::string authorization;
  };

  AnyMethodServer() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
    port_ = std::to_string(port);
  }

  std::string address() const { return "127.0.0.1:" + port_; }
  const std::string& port() const { return port_; }

  // How the calls from now on end, and whether after an empty message. At
  // first: with one, and OK.
  void AnswerWith(grpc::Status status, bool message = false) {
    const std::lock_guard<std::mutex> lock(mu_);
    answer_ = std::move(status);
    message_ = message;
  }

  // Blocks until there is a call that has not been given yet.
  Call Await() { return calls_.Take("a call"); }
  size_t waiting() { return calls_.size(); }

 private:
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    Reactor(const grpc::Status& answer, bool message) {
      const grpc::Slice nothing("");
      message_ = grpc::ByteBuffer(&nothing, 1);
      if (message) {
        StartWriteAndFinish(&message_, {}, answer);
      } else {
        Finish(answer);
      }
    }
    void OnDone() override { delete this; }

   private:
    grpc::ByteBuffer message_;
  };

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    Call call;
    call.method = context->method().substr(context->method().rfind('/') + 1);
    const auto [begin, end] =
        context->client_metadata().equal_range("authorization");
    for (auto value = begin; value != end; ++value) {
      call.authorization.append(value->second.data(), value->second.size());
      call.authorization += ';';
    }
    const std::lock_guard<std::mutex> lock(mu_);
    calls_.Put(std::move(call));
    return new Reactor(answer_, message_);
  }

  std::string port_;
  Mailbox<Call> calls_;
  std::mutex mu_;
  grpc::Status answer_;
  bool message_ = true;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_TESTS_CLIENT_ANY_METHOD_SERVER_H_
