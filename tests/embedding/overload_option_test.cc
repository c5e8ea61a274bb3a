// An embedder's server in an overload: InstancesOptions::overload_delay. The
// overload is one of commits, whose delay a test can set.
#include <grpcpp/client_context.h>

#include <memory>
#include <string>
#include <vector>

#include "leasehold/v1/echo.grpc.pb.h"
#include "leasehold/v1/instances.grpc.pb.h"
#include "tests/embedding/embedding_fixture.h"

namespace leasehold {
namespace {

using ::testing::HasSubstr;

// The delay of commits, and how often it was asked for: once a sample.
class CommitDelay {
 public:
  void Set(absl::Duration delay) {
    MutexLock lock(mu_);
    delay_ = delay;
  }
  absl::Duration Take() {
    MutexLock lock(mu_);
    ++samples_;
    sampled_.NotifyAll();
    return delay_;
  }
  int samples() {
    MutexLock lock(mu_);
    return samples_;
  }
  void AwaitMoreThan(int samples) {
    MutexLock lock(mu_);
    while (samples_ <= samples) sampled_.Wait(mu_);
  }

 private:
  Mutex mu_;
  CondVar sampled_;
  absl::Duration delay_ ABSL_GUARDED_BY(mu_);
  int samples_ ABSL_GUARDED_BY(mu_) = 0;
};

class OverloadOptionTest : public EmbeddingTest {
 protected:
  grpc::Status Echo(grpc::ClientContext& call) {
    v1::EchoRequest request;
    request.set_text("Apple");
    v1::EchoResponse response;
    return v1::Echo::NewStub(Channel())->Echo(&call, request, &response);
  }
  grpc::Status Echo() {
    grpc::ClientContext call;
    return Echo(call);
  }
  // Lets time pass until the next sample of the delay.
  void Pass() {
    const int before = delay_.samples();
    clock_.Advance(absl::Milliseconds(50));
    delay_.AwaitMoreThan(before);
  }
  size_t changes() {
    MutexLock lock(mu_);
    return changes_.size();
  }
  // Whether ten calls in a row came back with that code.
  bool TenEnd(grpc::StatusCode code) {
    for (int i = 0; i < 10; ++i) {
      if (Echo().error_code() != code) return false;
    }
    return true;
  }

  CommitDelay delay_;
  Mutex mu_;
  std::vector<Overload::Change> changes_ ABSL_GUARDED_BY(mu_);
  ScriptedCounter service_{[](auto* call, auto*, auto*) {
    auto* reactor = call->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }};
};

TEST_F(OverloadOptionTest, CallsAreRefusedWhileItLastsAndLeasesAreKept) {
  InstancesOptions options;
  options.idle_timeout = absl::Hours(1);
  // However slow this machine is while the clock goes on: only commits wait.
  options.overload_delay = absl::Hours(1);
  options.on_overload = [this](const Overload::Change& change) {
    MutexLock lock(mu_);
    changes_.push_back(change);
  };
  Make(std::move(options));
  instances_->WatchCommits([this] { return delay_.Take(); });
  const auto serving = Serve(service_);
  EXPECT_TRUE(Echo().ok());
  delay_.AwaitMoreThan(0);  // Somebody has called: the delay is watched.

  delay_.Set(absl::Seconds(3));
  while (!TenEnd(grpc::RESOURCE_EXHAUSTED)) Pass();
  grpc::ClientContext refused;
  const grpc::Status status = Echo(refused);
  EXPECT_THAT(status.error_message(), HasSubstr("longer than 250ms"));
  EXPECT_THAT(status.error_details(), HasSubstr("google.rpc.RetryInfo"));
  EXPECT_EQ(refused.GetServerTrailingMetadata().count("grpc-retry-pushback-ms"),
            1u);

  const auto contexts = v1::Instances::NewStub(Channel());
  grpc::ClientContext stream;
  EXPECT_EQ(
      v1::Echo::NewStub(Channel())->EchoStream(&stream)->Finish().error_code(),
      grpc::RESOURCE_EXHAUSTED);
  grpc::ClientContext hold_call;
  hold_call.AddMetadata("instance-id", "room");
  const auto hold = contexts->Hold(&hold_call, {});
  v1::HoldResponse held;
  EXPECT_TRUE(hold->Read(&held));
  grpc::ClientContext keep_alive_call;
  const auto keep_alive = contexts->KeepAlive(&keep_alive_call);
  v1::KeepAliveRequest kept;
  kept.set_instance_id("room");
  EXPECT_TRUE(keep_alive->Write(kept));
  v1::KeepAliveResponse answer;
  EXPECT_TRUE(keep_alive->Read(&answer));
  keep_alive->WritesDone();
  EXPECT_TRUE(keep_alive->Finish().ok());
  hold_call.TryCancel();
  while (hold->Read(&held)) {
  }
  hold->Finish();
  // Whose commits wait loses no reads by it.
  grpc::ClientContext list_call;
  v1::ListInstancesResponse listed;
  EXPECT_TRUE(contexts->List(&list_call, {}, &listed).ok());

  delay_.Set(absl::ZeroDuration());
  while (!TenEnd(grpc::OK)) Pass();
  while (changes() < 2) {
    Echo();  // Where nobody calls any more, the delay is not watched either.
    Pass();
  }
  MutexLock lock(mu_);
  EXPECT_TRUE(changes_[0].begins);
  EXPECT_EQ(changes_[0].cause, Overload::Cause::kCommits);
  EXPECT_FALSE(changes_[1].begins);
  EXPECT_GT(changes_[1].refused_calls, 10u);
}

TEST_F(OverloadOptionTest, ItIsOffUnlessAskedFor) {
  Make();
  instances_->WatchCommits([this] { return delay_.Take(); });
  const auto serving = Serve(service_);
  EXPECT_TRUE(Echo().ok());
  EXPECT_EQ(delay_.samples(), 0);
}

}  // namespace
}  // namespace leasehold
