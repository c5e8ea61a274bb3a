// An embedder's server, in process, on a simulated clock.
//
// Thread-safety: EventLog, Latch and Call are safe; the rest is the test's.
// Lifetime: everything ends with the fixture, which shuts the server down and
// expects that this leaves nothing.
#ifndef LEASEHOLD_TESTS_EMBEDDING_EMBEDDING_FIXTURE_H_
#define LEASEHOLD_TESTS_EMBEDDING_EMBEDDING_FIXTURE_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "counter.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lease/base/mutex.h"
#include "service/embed/instances.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {

// Opened once; others wait for it.
class Latch {
 public:
  void Open() {
    MutexLock lock(mu_);
    open_ = true;
    opened_.NotifyAll();
  }
  void Await() {
    MutexLock lock(mu_);
    while (!open_) opened_.Wait(mu_);
  }
  bool open() {
    MutexLock lock(mu_);
    return open_;
  }

 private:
  Mutex mu_;
  CondVar opened_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
};

// Counts what happens to contexts; lets the test wait for it.
class EventLog final : public InstanceObserver {
 public:
  void OnEvent(const InstanceEvent& event) override {
    MutexLock lock(mu_);
    ++counts_[{event.kind, std::string(event.instance_id)}];
    if (event.kind == InstanceEventKind::kClosed)
      reasons_.push_back(event.reason);
    if (event.kind == InstanceEventKind::kThrew) {
      threw_.push_back(std::string(event.instance_id) + ", " +
                       std::string(event.code) + ": " +
                       std::string(event.status.message()));
    }
    changed_.NotifyAll();
  }
  int count(InstanceEventKind kind, const std::string& id) {
    MutexLock lock(mu_);
    return counts_[{kind, id}];
  }
  void Await(InstanceEventKind kind, const std::string& id, int count = 1) {
    MutexLock lock(mu_);
    while (counts_[{kind, id}] < count) changed_.Wait(mu_);
  }
  // `room, handler Add: oops`
  std::vector<std::string> threw() {
    MutexLock lock(mu_);
    return threw_;
  }
  std::vector<DetachReason> reasons() {
    MutexLock lock(mu_);
    return reasons_;
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::map<std::pair<InstanceEventKind, std::string>, int> counts_
      ABSL_GUARDED_BY(mu_);
  std::vector<DetachReason> reasons_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> threw_ ABSL_GUARDED_BY(mu_);
};

// A unary Add, made on a thread of its own or here.
class Call {
 public:
  Call(std::shared_ptr<grpc::Channel> channel, const std::string& id)
      : stub_(counter::v1::Counter::NewStub(std::move(channel))) {
    if (!id.empty()) context_.AddMetadata("instance-id", id);
    context_.set_wait_for_ready(false);
  }
  ~Call() {
    if (thread_.joinable()) thread_.join();
  }

  grpc::ClientContext& context() { return context_; }

  const grpc::Status& Run(int64_t amount) {
    counter::v1::AddRequest request;
    request.set_amount(amount);
    status_ = stub_->Add(&context_, request, &reply_);
    done_.Open();
    return status_;
  }
  void Begin(int64_t amount) {
    thread_ = std::thread([this, amount] { Run(amount); });
  }
  bool done() { return done_.open(); }
  const grpc::Status& Await() {
    done_.Await();
    return status_;
  }

  // REQUIRES: done.
  const grpc::Status& status() const { return status_; }
  int64_t value() const { return reply_.value(); }
  std::optional<std::string> header(const char* name) const {
    const auto& headers = context_.GetServerInitialMetadata();
    const auto found = headers.find(name);
    if (found == headers.end()) return std::nullopt;
    return std::string(found->second.data(), found->second.size());
  }

 private:
  std::unique_ptr<counter::v1::Counter::Stub> stub_;
  grpc::ClientContext context_;
  counter::v1::AddReply reply_;
  grpc::Status status_;
  Latch done_;
  std::thread thread_;
};

// A Counter service whose Add does what a test says.
class ScriptedCounter final : public counter::v1::Counter::CallbackService {
 public:
  using Body = std::function<grpc::ServerUnaryReactor*(
      grpc::CallbackServerContext*, const counter::v1::AddRequest*,
      counter::v1::AddReply*)>;

  explicit ScriptedCounter(Body body) : body_(std::move(body)) {}

  grpc::ServerUnaryReactor* Add(grpc::CallbackServerContext* call,
                                const counter::v1::AddRequest* request,
                                counter::v1::AddReply* reply) override {
    return body_(call, request, reply);
  }

 private:
  const Body body_;
};

// An initializer that does what a test says.
class ScriptedInitializer final : public ContextInitializer {
 public:
  using Body = std::function<void(InstanceContext&, const InitializerRequest&,
                                  HookDone)>;
  explicit ScriptedInitializer(Body body) : body_(std::move(body)) {}
  void Initialize(InstanceContext& context, const InitializerRequest& request,
                  HookDone done) override {
    body_(context, request, std::move(done));
  }

 private:
  const Body body_;
};

class EmbeddingTest : public ::testing::Test {
 protected:
  // Makes the Instances. `options` has clock and observer set here.
  void Make(InstancesOptions options = {}) {
    options.clock = &clock_;
    options.observers.push_back(&events_);
    instances_ = std::make_unique<Instances>(std::move(options));
    instances_->registry().WatchUse();
  }
  // Shuts the server down when it goes: before what a test's own body has made
  // for it, which is declared earlier.
  class [[nodiscard]] Serving {
   public:
    explicit Serving(EmbeddingTest& test) : test_(&test) {}
    Serving(Serving&& other) noexcept
        : test_(std::exchange(other.test_, nullptr)) {}
    ~Serving() {
      if (test_ != nullptr) test_->Shutdown();
    }

   private:
    EmbeddingTest* test_;
  };

  // Serves `service`, and Leasehold's own.
  Serving Serve(grpc::Service& service) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service);
    instances_->RegisterEcho(builder);
    instances_->RegisterInstances(builder);
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr);
    instances_->Start();
    return Serving(*this);
  }
  // A new channel to it.
  std::shared_ptr<grpc::Channel> Channel() {
    return server_->InProcessChannel(grpc::ChannelArguments());
  }
  std::unique_ptr<Call> NewCall(const std::string& id) {
    return std::make_unique<Call>(Channel(), id);
  }
  // The value after an Add that succeeds.
  int64_t Add(const std::string& id, int64_t amount) {
    const std::unique_ptr<Call> call = NewCall(id);
    const grpc::Status& status = call->Run(amount);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return call->value();
  }
  // Moves the clock until `call` is done.
  void AdvanceUntilDone(Call& call, absl::Duration step) {
    while (!call.done()) {
      clock_.Advance(step);
      std::this_thread::yield();
    }
  }
  void Shutdown() {
    if (server_ == nullptr) return;
    instances_->Shutdown(*server_, absl::Seconds(10));
    EXPECT_EQ(instances_->registry().size(), 0);
    server_ = nullptr;
  }
  SimulatedClock clock_;
  EventLog events_;
  std::unique_ptr<Instances> instances_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_EMBEDDING_EMBEDDING_FIXTURE_H_
