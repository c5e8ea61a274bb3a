#include "tests/client/fake_echo_server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"

namespace leasehold::client {
namespace {

// What the fake says of every idle timeout that it accepts.
int64_t Milliseconds(const std::string& text) {
  const int64_t number = std::stoll(text);
  return text.ends_with("ms") ? number : number * 1000;
}

}  // namespace

std::optional<std::string> FakeEchoServer::Call::Header(
    const std::string& key) const {
  if (metadata.count(key) != 1) return std::nullopt;
  return metadata.find(key)->second;
}

FakeEchoServer::FakeEchoServer() {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeEchoServer::~FakeEchoServer() {
  Release();
  server_->Shutdown();
  // Shutdown has awaited the handlers; ThreadSanitizer sees it only here.
  std::lock_guard<std::mutex> lock(mu_);
}

void FakeEchoServer::ExpireAll() {
  std::lock_guard<std::mutex> lock(mu_);
  instances_.clear();
}

void FakeEchoServer::FailNext(grpc::Status status) {
  std::lock_guard<std::mutex> lock(mu_);
  failure_ = std::move(status);
}

void FakeEchoServer::ClaimNext(uint64_t sequence) {
  std::lock_guard<std::mutex> lock(mu_);
  claim_ = sequence;
}

void FakeEchoServer::IgnoreIds() {
  std::lock_guard<std::mutex> lock(mu_);
  ignore_ids_ = true;
}

void FakeEchoServer::Hold() {
  std::lock_guard<std::mutex> lock(mu_);
  held_ = true;
}

void FakeEchoServer::Release() {
  std::lock_guard<std::mutex> lock(mu_);
  held_ = false;
  changed_.notify_all();
}

void FakeEchoServer::AwaitCalls(size_t count) {
  std::unique_lock<std::mutex> lock(mu_);
  changed_.wait(lock, [&] { return calls_.size() >= count; });
}

std::vector<FakeEchoServer::Call> FakeEchoServer::calls() const {
  std::lock_guard<std::mutex> lock(mu_);
  return calls_;
}

int FakeEchoServer::created() const {
  std::lock_guard<std::mutex> lock(mu_);
  return created_;
}

grpc::Status FakeEchoServer::Echo(grpc::ServerContext* context,
                                  const leasehold::v1::EchoRequest* request,
                                  leasehold::v1::EchoResponse* response) {
  Call call;
  call.peer = context->peer();
  for (const auto& [key, value] : context->client_metadata()) {
    call.metadata.emplace(std::string(key.data(), key.size()),
                          std::string(value.data(), value.size()));
  }

  std::unique_lock<std::mutex> lock(mu_);
  calls_.push_back(call);
  changed_.notify_all();
  changed_.wait(lock, [&] { return !held_; });
  if (failure_.has_value()) return *std::exchange(failure_, std::nullopt);

  const bool binary = call.Header("instance-id-bin").has_value();
  std::string id = call.Header("instance-id")
                       .value_or(call.Header("instance-id-bin").value_or(""));
  if (id.empty() || ignore_ids_)
    id = absl::StrCat("made-by-server-", last_generation_);
  const bool created = !instances_.contains(id);
  const std::string expect = call.Header("instance-expect").value_or("");
  if (expect == "new" && !created) {
    return {grpc::StatusCode::ALREADY_EXISTS, "it is there"};
  }
  if (expect == "existing" && created) {
    return {grpc::StatusCode::NOT_FOUND, "it is not there"};
  }
  Instance& instance = instances_[id];
  if (created) {
    ++created_;
    instance.generation = ++last_generation_;
    const std::string timeout =
        call.Header("instance-idle-timeout").value_or("20s");
    context->AddInitialMetadata(binary ? "instance-id-bin" : "instance-id", id);
    context->AddInitialMetadata("instance-created", "true");
    context->AddInitialMetadata("instance-idle-timeout-ms",
                                absl::StrCat(Milliseconds(timeout)));
  }
  context->AddInitialMetadata("instance-generation",
                              absl::StrCat(instance.generation));
  ++instance.sequence;
  response->set_text(request->text());
  response->set_instance_id(id);
  response->set_generation(instance.generation);
  response->set_sequence(
      std::exchange(claim_, std::nullopt).value_or(instance.sequence));
  return grpc::Status::OK;
}

}  // namespace leasehold::client
