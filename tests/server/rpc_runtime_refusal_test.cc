// Refusals that are told later (service/base/retry_after.h).
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "service/base/retry_after.h"
#include "service/rpc/gatekeeper.h"
#include "tests/server/echo_call.h"
#include "tests/server/rpc_fixture.h"

namespace leasehold {
namespace {

// Refuses each call, to be told after `delay`, and says that it was asked.
class RefusesLater final : public Gatekeeper {
 public:
  explicit RefusesLater(absl::Duration delay) : delay_(delay) {}

  absl::Status Admit(const grpc::ServerContextBase&, const MethodInfo&,
                     std::shared_ptr<const Caller>&) override {
    asked.Put(true);
    return ToldAfter(absl::ResourceExhaustedError("too often"), delay_);
  }
  absl::Status AdmitStill(const grpc::ServerContextBase&, const MethodInfo&,
                          const Caller&) override {
    return absl::OkStatus();
  }

  Mailbox<bool> asked;

 private:
  const absl::Duration delay_;
};

TEST(RefusalThatIsToldLater, ComesWhenItsTimeHasCome) {
  RefusesLater gatekeeper(absl::Milliseconds(20));
  TestServer server(EchoAtOnce, /*queues=*/1, &gatekeeper);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoCall call(*stub, "text");
  EXPECT_EQ(call.Await().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST(RefusalThatIsToldLater, EndsWithItsClient) {
  RefusesLater gatekeeper(absl::Hours(1));
  TestServer server(EchoAtOnce, /*queues=*/1, &gatekeeper);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  EchoCall call(*stub, "text");
  gatekeeper.asked.Take("the call to arrive");
  call.Cancel();
  EXPECT_EQ(call.Await().error_code(), grpc::StatusCode::CANCELLED);
  server.Stop();  // Waits for all calls.
}

// Beyond that they would need memory instead of time.
TEST(RefusalThatIsToldLater, OneOfManyIsToldAtOnce) {
  RefusesLater gatekeeper(absl::Hours(1));
  TestServer server(EchoAtOnce, /*queues=*/1, &gatekeeper);
  server.Start();
  const auto stub = v1::Echo::NewStub(Connect(server.address()));
  std::vector<std::unique_ptr<EchoCall>> calls;
  for (size_t i = 0; i < RpcQueue::kHeldMax; ++i) {
    calls.push_back(std::make_unique<EchoCall>(*stub, "text"));
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    gatekeeper.asked.Take("the calls to arrive");
  }
  {
    EchoCall one_more(*stub, "text");
    EXPECT_EQ(one_more.Await().error_code(),
              grpc::StatusCode::RESOURCE_EXHAUSTED);
  }
  // When one has gone, another one has its place.
  calls.back()->Cancel();
  calls.pop_back();
  gatekeeper.asked.Take("the one more");
  for (const std::unique_ptr<EchoCall>& call : calls) call->Cancel();
  calls.clear();
  calls.push_back(std::make_unique<EchoCall>(*stub, "text"));
  gatekeeper.asked.Take("the call to arrive");
  calls.back()->Cancel();
  EXPECT_EQ(calls.back()->Await().error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace leasehold
