// The table of methods against the contracts: of each service that the program
// has, every method stands in its table once, as the .proto says.
#include <fcntl.h>
#include <google/protobuf/descriptor.h>
#include <unistd.h>

#include <map>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "service/doors/health_server.h"
#include "service/doors/reflection_server.h"
#include "service/doors/service_names.h"
#include "service/host/line_writer.h"
#include "service/host/orchestration_host.h"
#include "service/host/server_host.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

MethodKind KindOf(const MethodDescriptor& method) {
  if (!method.server_streaming()) return MethodKind::kUnary;
  return method.client_streaming() ? MethodKind::kBidiStream
                                   : MethodKind::kServerStream;
}

class MethodTableTest : public ::testing::Test {
 protected:
  MethodTableTest() {
    host_.Add(health_);
    host_.Add(reflection_);
    host_.Add(reflection_alpha_);
  }
  ~MethodTableTest() override { close(null_); }

  static ServerOptions Options() {
    ServerOptions options;
    options.memory_store = true;
    return options;
  }

  SimulatedClock clock_;
  int null_ = open("/dev/null", O_WRONLY);
  LineWriter lines_{null_};
  ServerLog log_{clock_, lines_, LogFormat::kText};
  HealthServer health_;
  ReflectionServer<ReflectionV1> reflection_;
  ReflectionServer<ReflectionV1Alpha> reflection_alpha_;
  ServerHost host_{Options(), clock_, log_, nullptr};
  OrchestrationHost orchestrations_{Options(), clock_, log_, host_};
};

TEST_F(MethodTableTest, EveryMethodOfEveryServiceStandsThereOnceWithItsKind) {
  EXPECT_EQ(host_.services().size(), 9u);
  for (HostedService* served : host_.services()) {
    const std::string name(served->name());
    const ServiceDescriptor* const service =
        DescriptorPool::generated_pool()->FindServiceByName(name);
    ASSERT_NE(service, nullptr) << name;
    std::map<std::string, MethodKind> expected;
    for (int i = 0; i < service->method_count(); ++i) {
      const MethodDescriptor& method = *service->method(i);
      expected[method.name()] = KindOf(method);
    }
    std::map<std::string, MethodKind> found;
    for (const HostedService::Method& method : served->Methods()) {
      EXPECT_TRUE(found.emplace(method.name, method.kind).second)
          << name << " has " << method.name << " twice";
    }
    EXPECT_EQ(found, expected) << name;
  }
}

TEST_F(MethodTableTest, OnlyHealthIsThereForThoseOfWhomNothingIsKnown) {
  for (HostedService* served : host_.services()) {
    for (const HostedService::Method& method : served->Methods()) {
      EXPECT_EQ(method.role == Role::kAnyone,
                served->name() == "grpc.health.v1.Health")
          << served->name() << "/" << method.name;
    }
  }
}

// What an overload never refuses (service/rpc/overload.h).
TEST_F(MethodTableTest, AnswersOfWorkersKeptLeasesHealthAndNumbersAreNotShed) {
  std::set<std::string> found;
  for (HostedService* served : host_.services()) {
    for (const HostedService::Method& method : served->Methods()) {
      if (method.call_class != CallClass::kEssential && !method.keeps_lease) {
        continue;
      }
      found.insert(std::string(served->name()) + "/" +
                   std::string(method.name));
    }
  }
  const std::set<std::string> expected = {
      "TaskHubSidecarService/AbandonTaskActivityWorkItem",
      "TaskHubSidecarService/AbandonTaskEntityWorkItem",
      "TaskHubSidecarService/AbandonTaskOrchestratorWorkItem",
      "TaskHubSidecarService/CompleteActivityTask",
      "TaskHubSidecarService/CompleteEntityTask",
      "TaskHubSidecarService/CompleteOrchestratorTask",
      "TaskHubSidecarService/GetWorkItems",
      "TaskHubSidecarService/Hello",
      "TaskHubSidecarService/StreamInstanceHistory",
      "grpc.health.v1.Health/Check",
      "grpc.health.v1.Health/Watch",
      "leasehold.v1.Admin/Stats",  // Where an overload can be seen.
      "leasehold.v1.Instances/Hold",
      "leasehold.v1.Instances/KeepAlive"};
  EXPECT_EQ(found, expected);
}

TEST_F(MethodTableTest, ServicesThatOptionsNameAreServed) {
  for (const ServiceName& named : kServicesWithContexts) {
    int count = 0;
    for (const HostedService* served : host_.services()) {
      count += served->name() == named.full;
    }
    EXPECT_EQ(count, 1) << named.full;
  }
}

}  // namespace
}  // namespace leasehold
