// WCF's sample "Custom Lifetime", part for part: instances that are shared by
// header, and live for a while after their last use, by a lease of one's own.
//
// The built-in lease does the same without a line of code. This shows where
// each class and attribute of the sample has its place.
//
//   custom_lifetime [ADDRESS [MILLISECONDS]]    default 127.0.0.1:50053 20000;
//                                               ends at SIGTERM or SIGINT
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "custom_lifetime.grpc.pb.h"
#include "leasehold/service/embed/instances.h"

namespace {

class ICustomLease {
 public:
  virtual ~ICustomLease() = default;
  virtual bool IsIdle() = 0;
  virtual void SetCallback(leasehold::IdleCallback callback) = 0;
};

// One thread at a time asks a provider about a context or runs its timers: so
// this needs no lock.
class CustomLeaseExtension final : public leasehold::Extension,
                                   public ICustomLease {
 public:
  explicit CustomLeaseExtension(absl::Duration timeout) : timeout_(timeout) {}

  void OnAttach(leasehold::InstanceContext& owner) override { owner_ = &owner; }
  void OnDetach(leasehold::InstanceContext& owner,
                leasehold::DetachReason reason,
                leasehold::HookDone done) override {
    std::puts(absl::StrCat("lease of ", owner.id(), " detached: ",
                           std::string(leasehold::DetachReasonName(reason)))
                  .c_str());
    std::fflush(stdout);
    done();
  }

  // Unlike the sample's, this lease is renewed by a use.
  bool IsIdle() override {
    if (elapsed_ && owner_->last_use() == last_use_) return true;
    elapsed_ = false;
    last_use_ = owner_->last_use();
    StartTimer();
    return false;
  }
  void SetCallback(leasehold::IdleCallback callback) override {
    callback_ = std::move(callback);
  }

 private:
  void StartTimer() {
    timer_.Cancel();
    auto timer = leasehold::SetTimer(*owner_, timeout_, [this] { Elapsed(); });
    if (timer.ok()) timer_ = *std::move(timer);
  }
  void Elapsed() {
    elapsed_ = true;
    callback_();
  }

  const absl::Duration timeout_;
  leasehold::InstanceContext* owner_ = nullptr;
  leasehold::IdleCallback callback_;
  leasehold::ContextTimer timer_;
  leasehold::Instant last_use_ = {};
  bool elapsed_ = false;
};

class CustomLifetimeLease final : public leasehold::InstanceContextProvider {
 public:
  bool Leased() const override { return false; }  // The lease is our own.
  void NotifyIdle(leasehold::IdleCallback callback,
                  leasehold::InstanceContext& context) override {
    context.Find<ICustomLease>()->SetCallback(std::move(callback));
  }
  bool IsIdle(leasehold::InstanceContext& context) override {
    return context.Find<ICustomLease>()->IsIdle();
  }
};

class CustomLeaseInitializer final : public leasehold::ContextInitializer {
 public:
  explicit CustomLeaseInitializer(absl::Duration timeout) : timeout_(timeout) {}
  void Initialize(leasehold::InstanceContext& context,
                  const leasehold::InitializerRequest& request,
                  leasehold::HookDone done) override {
    context.Attach<CustomLeaseExtension, ICustomLease>(timeout_);
    std::puts(absl::StrCat("lease of ", context.id(), " attached for ",
                           request.method)
                  .c_str());
    std::fflush(stdout);
    done();
  }

 private:
  const absl::Duration timeout_;
};

// What an instance of the service keeps: a member of the sample's EchoService.
class EchoState {
 public:
  static constexpr auto kConcurrency = leasehold::Concurrency::kMultiple;
  int64_t Count() { return ++count_; }

 private:
  std::atomic<int64_t> count_ = 0;
};

class EchoService final
    : public custom_lifetime::v1::EchoService::CallbackService {
 public:
  explicit EchoService(leasehold::InstanceBinder instances)
      : instances_(std::move(instances)) {}

  grpc::ServerUnaryReactor* Echo(
      grpc::CallbackServerContext* call,
      const custom_lifetime::v1::EchoRequest* request,
      custom_lifetime::v1::EchoReply* reply) override {
    return instances_.Bind<EchoState>(call, [=](EchoState& state) {
      reply->set_text(request->text());
      reply->set_count(state.Count());
      return grpc::Status::OK;
    });
  }

 private:
  const leasehold::InstanceBinder instances_;
};

}  // namespace

int main(int argc, char** argv) {
  sigset_t signals;  // Blocked in all threads started below.
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const absl::Duration timeout =
      absl::Milliseconds(argc > 2 ? std::atoi(argv[2]) : 20000);
  CustomLifetimeLease lease;
  CustomLeaseInitializer initializer(timeout);
  leasehold::Instances instances({.initializers = {&initializer}});
  EchoService service(instances.ForService(
      {.provider = &lease, .name = "custom_lifetime.v1.EchoService"}));
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(argc > 1 ? argv[1] : "127.0.0.1:50053",
                           grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  instances.RegisterInstances(builder);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  instances.Start();
  std::printf("port=%d\n", port);
  std::fflush(stdout);

  int signal = 0;
  sigwait(&signals, &signal);
  instances.Shutdown(*server, absl::Seconds(5));
  return 0;
}
