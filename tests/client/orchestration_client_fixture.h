// A client of Orchestration, connected to a server that does as a test says.
//
// Thread-safety: one thread, that of the test.
#ifndef LEASEHOLD_TESTS_CLIENT_ORCHESTRATION_CLIENT_FIXTURE_H_
#define LEASEHOLD_TESTS_CLIENT_ORCHESTRATION_CLIENT_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>

#include "client/orchestrations/orchestration_client.h"
#include "client/wire/channel.h"
#include "tests/client/fake_orchestration_server.h"

namespace leasehold::client {

class OrchestrationClientFixture : public testing::Test {
 protected:
  OrchestrationClientFixture() {
    // As in FakeEchoServer::Connect.
    const auto channel = OpenChannel(server_.address());
    channel->WaitForConnected(gpr_inf_future(GPR_CLOCK_REALTIME));
    client_ = std::make_unique<OrchestrationClient>(channel, server_.address());
  }

  FakeOrchestrationServer server_;
  std::unique_ptr<OrchestrationClient> client_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_TESTS_CLIENT_ORCHESTRATION_CLIENT_FIXTURE_H_
