// The client of Orchestration: lists and counts, against a server that does as
// a test says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/orchestrations/orchestration_client.h"
#include "tests/client/fake_orchestration_server.h"
#include "tests/client/orchestration_client_fixture.h"

namespace leasehold::client {
namespace {

namespace v1 = leasehold::v1;

using testing::ElementsAre;
using testing::Pair;
using testing::SizeIs;

using Fake = FakeOrchestrationServer;
using State = v1::OrchestrationState;

class OrchestrationListTest : public OrchestrationClientFixture {};

TEST_F(OrchestrationListTest, CountTellsHowManyMatchByStatus) {
  server_.Put(Fake::StateOf("a-1", State::COMPLETED));
  server_.Put(Fake::StateOf("a-2", State::FAILED));
  server_.Put(Fake::StateOf("a-3", State::FAILED));
  server_.Put(Fake::StateOf("b", State::FAILED));
  OrchestrationFilter filter;
  filter.id_prefix = "a-";
  const absl::StatusOr<OrchestrationCounts> counts = client_->Count(filter);
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_THAT(counts->by_status,
              ElementsAre(Pair(OrchestrationStatus::kCompleted, 1),
                          Pair(OrchestrationStatus::kFailed, 2)));
  EXPECT_TRUE(counts->complete);
}

TEST_F(OrchestrationListTest, ListTellsEachOnceOverAllPages) {
  std::vector<std::string> made;
  for (int i = 10; i < 60; ++i) {
    made.push_back(absl::StrCat("a-", i));
    server_.Put(Fake::StateOf(made.back(), State::RUNNING));
    server_.Put(Fake::StateOf(absl::StrCat("b-", i), State::RUNNING));
  }
  std::vector<std::string> listed;
  ListOrchestrationsOptions options;
  options.filter.id_prefix = "a-";
  options.page_size = 7;
  ASSERT_TRUE(client_
                  ->List(options,
                         [&](const std::vector<OrchestrationState>& page) {
                           EXPECT_LE(page.size(), 7u);
                           for (const auto& state : page) {
                             listed.push_back(state.instance_id);
                           }
                           return true;
                         })
                  .ok());
  EXPECT_EQ(listed, made);
}

TEST_F(OrchestrationListTest, ListStopsWhenNoMoreIsWanted) {
  for (const char* id : {"a", "b", "c"}) {
    server_.Put(Fake::StateOf(id, State::RUNNING));
  }
  ListOrchestrationsOptions options;
  options.page_size = 1;
  ASSERT_TRUE(client_->List(options, [](const auto&) { return false; }).ok());
  EXPECT_THAT(server_.Asked<v1::ListOrchestrationsRequest>(), SizeIs(1));
}

TEST_F(OrchestrationListTest, ListHasPayloadsIfAskedFor) {
  State known = Fake::StateOf("a", State::COMPLETED);
  known.set_output("1");
  server_.Put(known);
  EXPECT_EQ(client_->ListPage({})->orchestrations.at(0).output, std::nullopt);
  ListOrchestrationsOptions options;
  options.payloads = true;
  EXPECT_EQ(client_->ListPage(options)->orchestrations.at(0).output, "1");
}

}  // namespace
}  // namespace leasehold::client
