#include "tests/client/fake_echo_server.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/wire/channel.h"
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

// A Hold that is open.
class FakeEchoServer::HoldCall final
    : public grpc::ServerWriteReactor<leasehold::v1::HoldResponse> {
 public:
  explicit HoldCall(FakeEchoServer& server) : server_(server) {}

  void Answer() { StartWrite(&response); }
  void OnWriteDone(bool) override {}
  void OnCancel() override {
    {
      std::lock_guard<std::mutex> lock(server_.mu_);
      if (server_.holds_.erase(this) == 0) return;
      server_.changed_.notify_all();
    }
    Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

  leasehold::v1::HoldResponse response;

 private:
  FakeEchoServer& server_;
};

// A KeepAlive that is open.
class FakeEchoServer::KeepAliveCall final
    : public grpc::ServerBidiReactor<leasehold::v1::KeepAliveRequest,
                                     leasehold::v1::KeepAliveResponse> {
 public:
  explicit KeepAliveCall(FakeEchoServer& server) : server_(server) {
    {
      std::lock_guard<std::mutex> lock(server_.mu_);
      server_.keep_alives_.insert(this);
      server_.changed_.notify_all();
    }
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      End(grpc::Status::OK);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(server_.mu_);
      ++server_.renewals_;
      server_.changed_.notify_all();
      const std::string& id = request_.instance_id();
      const auto found = server_.instances_.find(id);
      response_.set_instance_id(id);
      response_.set_found(found != server_.instances_.end());
      if (response_.found()) {
        response_.set_generation(found->second.generation);
        response_.mutable_lease_remaining()->set_seconds(
            found->second.idle_timeout_ms / 1000);
      }
    }
    StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (ok) StartRead(&request_);
  }
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }

  void End(const grpc::Status& status) {
    {
      std::lock_guard<std::mutex> lock(server_.mu_);
      if (server_.keep_alives_.erase(this) == 0) return;
      server_.changed_.notify_all();
    }
    Finish(status);
  }

 private:
  FakeEchoServer& server_;
  leasehold::v1::KeepAliveRequest request_;
  leasehold::v1::KeepAliveResponse response_;
};

class FakeEchoServer::Instances final
    : public leasehold::v1::Instances::CallbackService {
 public:
  explicit Instances(FakeEchoServer& server) : server_(server) {}

  grpc::ServerWriteReactor<leasehold::v1::HoldResponse>* Hold(
      grpc::CallbackServerContext* context,
      const leasehold::v1::HoldRequest*) override {
    const Call call = ReadCall(*context);
    auto* hold = new HoldCall(server_);
    std::unique_lock<std::mutex> lock(server_.mu_);
    server_.hold_calls_.push_back(call);
    server_.changed_.notify_all();
    std::optional<grpc::Status> failure = server_.hold_failure_;
    if (!server_.hold_failure_lasts_) server_.hold_failure_ = std::nullopt;
    if (!failure.has_value() && !server_.stalled_) {
      const auto found = server_.FindOrMake(call, *context);
      if (const auto* status = std::get_if<grpc::Status>(&found)) {
        failure = *status;
      } else {
        const Found& instance = std::get<Found>(found);
        hold->response.set_created(instance.created);
        server_.Describe(instance.id, *hold->response.mutable_instance());
      }
    }
    if (failure.has_value()) {
      lock.unlock();
      hold->Finish(*failure);
      return hold;
    }
    server_.holds_.insert(hold);
    if (!server_.stalled_) hold->Answer();
    return hold;
  }

  grpc::ServerUnaryReactor* Get(
      grpc::CallbackServerContext* context,
      const leasehold::v1::GetInstanceContextRequest* request,
      leasehold::v1::Instance* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    std::lock_guard<std::mutex> lock(server_.mu_);
    const bool found = server_.instances_.contains(request->instance_id());
    if (found) server_.Describe(request->instance_id(), *response);
    reactor->Finish(found ? grpc::Status::OK
                          : grpc::Status(grpc::StatusCode::NOT_FOUND, "gone"));
    return reactor;
  }

  grpc::ServerBidiReactor<leasehold::v1::KeepAliveRequest,
                          leasehold::v1::KeepAliveResponse>*
  KeepAlive(grpc::CallbackServerContext*) override {
    return new KeepAliveCall(server_);
  }

 private:
  FakeEchoServer& server_;
};

FakeEchoServer::FakeEchoServer()
    : instances_service_(std::make_unique<Instances>(*this)) {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(this);
  builder.RegisterService(instances_service_.get());
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeEchoServer::~FakeEchoServer() {
  Release();
  // At once: streams that are open are cancelled.
  server_->Shutdown(std::chrono::system_clock::time_point());
  // Shutdown has awaited the handlers; ThreadSanitizer sees it only here.
  std::lock_guard<std::mutex> lock(mu_);
}

std::unique_ptr<SharedSession> FakeEchoServer::Connect(
    int channels, SharedSessionOptions options) const {
  auto session = std::make_unique<SharedSession>(
      std::vector<std::shared_ptr<grpc::Channel>>(), std::move(options));
  for (int i = 0; i < channels; ++i) {
    const auto channel = OpenChannel(address_);
    channel->WaitForConnected(gpr_inf_future(GPR_CLOCK_REALTIME));
    session->AddChannel(channel, address_);
  }
  return session;
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
  stalled_ = false;
  changed_.notify_all();
}

void FakeEchoServer::ForgetHolds() {
  std::lock_guard<std::mutex> lock(mu_);
  forgetful_ = true;
}

void FakeEchoServer::StallHolds() {
  std::lock_guard<std::mutex> lock(mu_);
  stalled_ = true;
}

void FakeEchoServer::FailNextHold(grpc::Status status) {
  std::lock_guard<std::mutex> lock(mu_);
  hold_failure_ = std::move(status);
  hold_failure_lasts_ = false;
}

void FakeEchoServer::FailHolds(grpc::Status status) {
  std::lock_guard<std::mutex> lock(mu_);
  hold_failure_ = std::move(status);
  hold_failure_lasts_ = true;
}

void FakeEchoServer::MendHolds() {
  std::lock_guard<std::mutex> lock(mu_);
  hold_failure_ = std::nullopt;
  hold_failure_lasts_ = false;
}

void FakeEchoServer::EndHolds(const grpc::Status& status) {
  std::set<HoldCall*> holds;
  {
    std::lock_guard<std::mutex> lock(mu_);
    holds = std::exchange(holds_, {});
    changed_.notify_all();
  }
  for (HoldCall* hold : holds) hold->Finish(status);
}

void FakeEchoServer::EndKeepAlives(const grpc::Status& status) {
  std::set<KeepAliveCall*> keep_alives;
  {
    std::lock_guard<std::mutex> lock(mu_);
    keep_alives = keep_alives_;
  }
  for (KeepAliveCall* keep_alive : keep_alives) keep_alive->End(status);
}

void FakeEchoServer::AwaitHolds(size_t count) {
  std::unique_lock<std::mutex> lock(mu_);
  changed_.wait(lock, [&] { return holds_.size() == count; });
}

void FakeEchoServer::AwaitHoldCalls(size_t count) {
  std::unique_lock<std::mutex> lock(mu_);
  changed_.wait(lock, [&] { return hold_calls_.size() >= count; });
}

void FakeEchoServer::AwaitRenewals(size_t count) {
  std::unique_lock<std::mutex> lock(mu_);
  changed_.wait(lock, [&] { return renewals_ >= count; });
}

void FakeEchoServer::AwaitKeepAlives(size_t count) {
  std::unique_lock<std::mutex> lock(mu_);
  changed_.wait(lock, [&] { return keep_alives_.size() == count; });
}

void FakeEchoServer::OnNextJoin(std::vector<leasehold::v1::JoinResponse> events,
                                grpc::Status status) {
  std::lock_guard<std::mutex> lock(mu_);
  join_scripts_.emplace_back(std::move(events), std::move(status));
}

std::vector<leasehold::v1::JoinRequest> FakeEchoServer::joins() const {
  std::lock_guard<std::mutex> lock(mu_);
  return joins_;
}

std::vector<FakeEchoServer::Call> FakeEchoServer::hold_calls() const {
  std::lock_guard<std::mutex> lock(mu_);
  return hold_calls_;
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

FakeEchoServer::Call FakeEchoServer::ReadCall(
    const grpc::ServerContextBase& context) {
  Call call;
  call.peer = context.peer();
  for (const auto& [key, value] : context.client_metadata()) {
    call.metadata.emplace(std::string(key.data(), key.size()),
                          std::string(value.data(), value.size()));
  }
  return call;
}

std::variant<FakeEchoServer::Found, grpc::Status> FakeEchoServer::FindOrMake(
    const Call& call, grpc::ServerContextBase& context) {
  const bool binary = call.Header("instance-id-bin").has_value();
  std::string id = call.Header("instance-id")
                       .value_or(call.Header("instance-id-bin").value_or(""));
  if (id.empty() || ignore_ids_) {
    id = absl::StrCat("made-by-server-", last_generation_);
  }
  const bool created = !instances_.contains(id);
  const std::string expect = call.Header("instance-expect").value_or("");
  if (expect == "new" && !created) {
    return grpc::Status(grpc::StatusCode::ALREADY_EXISTS, "it is there");
  }
  if (expect == "existing" && created) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "it is not there");
  }
  Instance& instance = instances_[id];
  if (created) {
    ++created_;
    instance.generation = ++last_generation_;
    instance.idle_timeout_ms =
        Milliseconds(call.Header("instance-idle-timeout").value_or("20s"));
    context.AddInitialMetadata(binary ? "instance-id-bin" : "instance-id", id);
    context.AddInitialMetadata("instance-created", "true");
    context.AddInitialMetadata("instance-idle-timeout-ms",
                               absl::StrCat(instance.idle_timeout_ms));
  }
  context.AddInitialMetadata("instance-generation",
                             absl::StrCat(instance.generation));
  return Found{id, created};
}

void FakeEchoServer::Describe(const std::string& id,
                              leasehold::v1::Instance& described) {
  const Instance& instance = instances_[id];
  described.set_instance_id(id);
  described.set_generation(instance.generation);
  google::protobuf::Duration timeout;
  timeout.set_seconds(instance.idle_timeout_ms / 1000);
  timeout.set_nanos(
      static_cast<int32_t>(instance.idle_timeout_ms % 1000 * 1000000));
  *described.mutable_idle_timeout() = timeout;
  if (holds_.empty() || forgetful_) {
    described.set_state(leasehold::v1::Instance::IDLE);
    *described.mutable_lease_remaining() = timeout;
  } else {
    described.set_state(leasehold::v1::Instance::BUSY);
    auto* pins = described.add_pins();
    pins->set_kind("hold");
    pins->set_count(holds_.size());
  }
}

grpc::Status FakeEchoServer::Echo(grpc::ServerContext* context,
                                  const leasehold::v1::EchoRequest* request,
                                  leasehold::v1::EchoResponse* response) {
  const Call call = ReadCall(*context);
  std::unique_lock<std::mutex> lock(mu_);
  calls_.push_back(call);
  changed_.notify_all();
  changed_.wait(lock, [&] { return !held_; });
  if (failure_.has_value()) return *std::exchange(failure_, std::nullopt);

  const auto found = FindOrMake(call, *context);
  if (const auto* status = std::get_if<grpc::Status>(&found)) return *status;
  const std::string& id = std::get<Found>(found).id;
  Instance& instance = instances_[id];
  ++instance.sequence;
  response->set_text(request->text());
  response->set_instance_id(id);
  response->set_generation(instance.generation);
  response->set_sequence(
      std::exchange(claim_, std::nullopt).value_or(instance.sequence));
  return grpc::Status::OK;
}

grpc::Status FakeEchoServer::Join(
    grpc::ServerContext*, const leasehold::v1::JoinRequest* request,
    grpc::ServerWriter<leasehold::v1::JoinResponse>* writer) {
  std::pair<std::vector<leasehold::v1::JoinResponse>, grpc::Status> script;
  {
    std::lock_guard<std::mutex> lock(mu_);
    joins_.push_back(*request);
    if (join_scripts_.empty()) {
      return {grpc::StatusCode::ABORTED, "nothing was said of this Join"};
    }
    script = std::move(join_scripts_.front());
    join_scripts_.pop_front();
  }
  for (const auto& event : script.first) writer->Write(event);
  return script.second;
}

}  // namespace leasehold::client
