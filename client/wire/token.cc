#include "client/wire/token.h"

#include <typeinfo>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/wire/channel.h"
#include "client/wire/token_file.h"
#include "grpc/grpc.h"
#include "grpcpp/channel.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/support/channel_arguments.h"
#include "grpcpp/support/client_interceptor.h"

namespace leasehold::client {
namespace {

using grpc::experimental::ClientInterceptorFactoryInterface;
using grpc::experimental::ClientRpcInfo;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;
using Interceptors =
    std::vector<std::unique_ptr<ClientInterceptorFactoryInterface>>;

constexpr char kAuthorization[] = "authorization";

// Of one call.
class TokenSender final : public Interceptor {
 public:
  explicit TokenSender(std::shared_ptr<TokenFile> file)
      : file_(std::move(file)) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      auto& metadata = *methods->GetSendInitialMetadata();
      sent_ = metadata.count(kAuthorization) == 0;
      if (sent_) {
        metadata.emplace(kAuthorization,
                         absl::StrCat("Bearer ", file_->Current()));
      }
    }
    if (sent_ && methods->QueryInterceptionHookPoint(
                     InterceptionHookPoints::POST_RECV_STATUS)) {
      Explain(*methods->GetRecvStatus());
    }
    methods->Proceed();
  }

 private:
  void Explain(grpc::Status& end) const {
    if (end.error_code() != grpc::StatusCode::UNAUTHENTICATED) return;
    const absl::Status file = file_->status();
    if (file.ok()) return;
    end = grpc::Status(end.error_code(),
                       absl::StrCat(end.error_message(), " (", file.message(),
                                    "; the last token that was good was sent)"),
                       end.error_details());
  }

  const std::shared_ptr<TokenFile> file_;
  bool sent_ = false;
};

class TokenSenders final : public ClientInterceptorFactoryInterface {
 public:
  explicit TokenSenders(std::shared_ptr<TokenFile> file)
      : file_(std::move(file)) {}

  Interceptor* CreateClientInterceptor(ClientRpcInfo*) override {
    return new TokenSender(file_);
  }

 private:
  const std::shared_ptr<TokenFile> file_;
};

// A channel that never connects: its calls end with INVALID_ARGUMENT.
std::shared_ptr<grpc::Channel> RefusingChannel(const std::string& why) {
  return grpc::CreateChannelInternal(
      "",
      grpc_lame_client_channel_create(nullptr, GRPC_STATUS_INVALID_ARGUMENT,
                                      why.c_str()),
      {});
}

bool Encrypts(const grpc::ChannelCredentials& credentials) {
  const auto none = grpc::InsecureChannelCredentials();
  const grpc::ChannelCredentials& plain = *none;
  return typeid(credentials) != typeid(plain);
}

class BearerCredentials final : public grpc::ChannelCredentials {
 public:
  BearerCredentials(TokenOptions options, std::shared_ptr<TokenFile> file,
                    std::shared_ptr<grpc::ChannelCredentials> under)
      : options_(std::move(options)),
        file_(std::move(file)),
        under_(std::move(under)),
        encrypted_(Encrypts(*under_)) {}

 private:
  // Only for gRPC's own composites.
  grpc::SecureChannelCredentials* AsSecureCredentials() override {
    return nullptr;
  }

  std::shared_ptr<grpc::Channel> CreateChannelImpl(
      const std::string& target,
      const grpc::ChannelArguments& arguments) override {
    return CreateChannelWithInterceptors(target, arguments, {});
  }

  std::shared_ptr<grpc::Channel> CreateChannelWithInterceptors(
      const std::string& target, const grpc::ChannelArguments& arguments,
      Interceptors interceptors) override {
    const absl::Status allowed =
        CheckTokenAddress(options_, target, encrypted_);
    if (!allowed.ok()) {
      return RefusingChannel(absl::StrCat(
          std::string(allowed.message()),
          "; give TLS credentials, or set TokenOptions::allow_plaintext"));
    }
    grpc::ChannelArguments used = arguments;
    // Nor may it go to another machine by way of a proxy.
    if (!encrypted_ && IsThisMachine(target)) {
      used.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    }
    interceptors.push_back(std::make_unique<TokenSenders>(file_));
    return grpc::experimental::CreateCustomChannelWithInterceptors(
        target, under_, used, std::move(interceptors));
  }

  const TokenOptions options_;
  const std::shared_ptr<TokenFile> file_;
  const std::shared_ptr<grpc::ChannelCredentials> under_;
  const bool encrypted_;
};

}  // namespace

absl::Status CheckTokenAddress(const TokenOptions& options,
                               const std::string& address, bool encrypted) {
  if (encrypted || options.allow_plaintext || IsThisMachine(address)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the token of ", options.file, " is not sent to ", address,
                   ", which is another machine, without TLS"));
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TokenCredentials(
    const TokenOptions& options,
    std::shared_ptr<grpc::ChannelCredentials> under) {
  auto file = TokenFile::Open(options.file);
  if (!file.ok()) return file.status();
  if (under == nullptr) under = grpc::InsecureChannelCredentials();
  return std::make_shared<BearerCredentials>(options, *std::move(file),
                                             std::move(under));
}

}  // namespace leasehold::client
