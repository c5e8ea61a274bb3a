// leasehold.v1.Admin without an engine: what each method asks of its ports, and
// what becomes of the answer.
#include "service/doors/admin_server.h"

#include <grpcpp/client_context.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "leasehold/v1/admin.grpc.pb.h"
#include "service/instance/executor.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "tests/doors/door_case.h"
#include "tests/doors/door_server.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::HasSubstr;
using Stub = v1::Admin::Stub;

// Both ports. It answers with what the test has set, or with `failure`.
class FakePorts final : public ConnectedWorkers,
                        public Explanations,
                        public StatsSource {
 public:
  std::vector<StatFamily> Collect(const StatsScope& scope) override {
    asked = scope.whole_server ? "whole server" : scope.tenant;
    return stats;
  }
  absl::StatusOr<WorkersPage> ListWorkers(
      const WorkersQuery& query) const override {
    asked = absl::StrCat(query.tenant, " ", query.count_max, " ",
                         query.page_token.text);
    if (!failure.ok()) return failure;
    return page;
  }
  void Explain(const InstanceKey& key, Done<Explanation> done) override {
    asked = absl::StrCat(key.tenant, "/", key.id);
    if (!failure.ok()) return done(failure);
    done(explanation);
  }

  absl::Status failure;
  WorkersPage page;
  Explanation explanation;
  std::vector<StatFamily> stats;
  mutable std::string asked;
};

class AdminServerTest : public testing::Test {
 protected:
  ~AdminServerTest() override {
    registry_.Shutdown([] {});
  }
  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                 const Request&, Response*),
                    const std::string& request, Response& response) {
    grpc::ClientContext context;
    return ((*stub_).*method)(&context, Parse<Request>(request), &response);
  }

  SimulatedClock clock_;
  ThreadExecutor executor_{1};
  SharedProvider provider_;
  InstanceRegistry registry_{clock_, executor_, provider_, {}, {}, {}};
  InstanceDoor door_{registry_, {}};
  FakePorts ports_;
  AdminServer service_{
      ports_, ports_,
      door_,  [](const std::string& peer) {
                         return "behind " + peer; },
      ports_, clock_};
  DoorServer server_{service_, clock_};
  std::unique_ptr<Stub> stub_ = v1::Admin::NewStub(server_.channel());
};

TEST_F(AdminServerTest, WorkersAreAskedForPageByPage) {
  ConnectedWorker& worker = ports_.page.workers.emplace_back();
  worker.status = {.id = 7,
                   .peer = "ipv4:1",
                   .identity = "shop",
                   .sdk = "sdk/1",
                   .user_agent = "grpc-go/1",
                   .silent = true,
                   .untaken = 5,
                   .disowned = 2};
  worker.status.kinds[0] = {
      .takes = {{"Greet", {"1"}}}, .names = 3, .used = 1, .slots = 4};
  worker.status.kinds[1].all = true;
  worker.connected = absl::FromUnixSeconds(10);
  worker.last_seen = absl::FromUnixSeconds(20);
  ports_.page.next_page_token = "next";
  v1::WorkersResponse response;
  EXPECT_TRUE(
      Call(&Stub::Workers, "page_size: 5 page_token: 't'", response).ok());
  EXPECT_EQ(ports_.asked, "default 5 t");
  EXPECT_EQ(response.ShortDebugString(),
            "workers { worker_id: 7 address: \"behind ipv4:1\" identity: "
            "\"shop\" sdk: \"sdk/1\" user_agent: \"grpc-go/1\" work { kind: "
            "\"orchestrator\" names { name: \"Greet\" versions: \"1\" } "
            "name_count: 3 slots_used: 1 slots: 4 } work { kind: \"activity\" "
            "all: true } work { kind: \"entity\" } connect_time { seconds: 10 "
            "} last_seen_time { seconds: 20 } silent: true unknown_name_count: "
            "2 unread_bytes: 5 } next_page_token: \"next\"");
  EXPECT_EQ(Call(&Stub::Workers, "page_size: -1", response).error_code(),
            grpc::INVALID_ARGUMENT);
  ports_.failure = absl::InvalidArgumentError("page_token: it is not ours");
  EXPECT_EQ(Call(&Stub::Workers, "", response).error_message(),
            "page_token: it is not ours");
}

TEST_F(AdminServerTest, AnExplanationHasItsFactsAndTheAddressesOfCallers) {
  ports_.explanation = {.key = {.tenant = "default", .id = "a"},
                        .subject = Explanation::Subject::kOrchestration,
                        .name = "Main",
                        .status = "Running",
                        .generation = 9,
                        .more = 3};
  ports_.explanation.causes = {{.kind = Cause::Kind::kWithWorker,
                                .who = {.peer = "ipv4:1"},
                                .work = WorkKind::kActivity,
                                .name = "Charge",
                                .failure = "Declined: no",
                                .worker = 7,
                                .attempt = 2,
                                .age = absl::Seconds(12)},
                               {.kind = Cause::Kind::kHeld,
                                .pin = PinKind::kJoin,
                                .who = {.method = "leasehold.v1.Echo/Join",
                                        .peer = "ipv4:2",
                                        .identity = "shop"},
                                .age = absl::Seconds(3)}};
  v1::Explanation response;
  EXPECT_TRUE(Call(&Stub::Explain, "instance_id: 'a'", response).ok());
  EXPECT_EQ(ports_.asked, "default/a");
  EXPECT_EQ(response.sentence(),
            "orchestration \"a\" (Main) is Running: the activity \"Charge\" "
            "(attempt 2; the last one failed: Declined: no) has been with "
            "worker 7 (behind ipv4:1) for 12s; a join by \"shop\" from behind "
            "ipv4:2 has kept it busy for 3s; and 3 more");
  EXPECT_EQ(response.causes(0).kind(), v1::Cause::WITH_WORKER);
  EXPECT_EQ(response.causes(0).work(), "activity");
  EXPECT_EQ(response.causes(0).holder().address(), "behind ipv4:1");
  EXPECT_EQ(response.causes(0).age().seconds(), 12);
  EXPECT_EQ(response.causes(1).pin(), "join");
  EXPECT_EQ(response.causes(1).holder().method(), "leasehold.v1.Echo/Join");
  EXPECT_EQ(response.subject(), v1::Explanation::ORCHESTRATION);
  EXPECT_EQ(response.generation(), 9u);
  EXPECT_EQ(response.more_causes(), 3);
  ports_.failure = absl::NotFoundError("there is nothing");
  EXPECT_EQ(Call(&Stub::Explain, "instance_id: 'a'", response).error_code(),
            grpc::NOT_FOUND);
}

TEST_F(AdminServerTest, AnExplanationIsOfTheInstanceThatIsNamed) {
  v1::Explanation response;
  EXPECT_EQ(Call(&Stub::Explain, "", response).error_code(),
            grpc::INVALID_ARGUMENT);
  EXPECT_TRUE(Call(&Stub::Explain, "instance_id: '@C@a'", response).ok());
  EXPECT_EQ(ports_.asked, "default/@c@a");
}

TEST_F(AdminServerTest, StatsHaveEachNumberWithItsLabels) {
  ports_.stats = {{.name = "leasehold_leases",
                   .help = "Leases.",
                   .samples = {{.labels = {{"tenant", "a"}}, .value = 3}}},
                  {.name = "leasehold_commit_seconds",
                   .help = "Time.",
                   .kind = StatKind::kHistogram,
                   .bounds = {0.5, 1},
                   .samples = {{.value = 7.5, .counts = {1, 0, 4}}}},
                  {.name = "leasehold_nothing", .help = "Not there."}};
  v1::StatsResponse response;
  ASSERT_TRUE(Call(&Stub::Stats, "", response).ok());
  EXPECT_EQ(ports_.asked, "whole server");  // Nobody asks who calls.
  EXPECT_TRUE(response.whole_server());
  EXPECT_EQ(response.time().seconds(), absl::ToUnixSeconds(clock_.WallNow()));
  ASSERT_EQ(response.metrics_size(), 2);
  EXPECT_EQ(response.metrics(0).kind(), v1::Metric::GAUGE);
  EXPECT_EQ(response.metrics(0).help(), "Leases.");
  EXPECT_EQ(response.metrics(0).samples(0).labels().at("tenant"), "a");
  EXPECT_EQ(response.metrics(0).samples(0).value(), 3);
  EXPECT_EQ(response.metrics(1).upper_bounds_size(), 2);
  EXPECT_EQ(response.metrics(1).samples(0).value(), 7.5);
  EXPECT_EQ(response.metrics(1).samples(0).bucket_counts(2), 4);
}

TEST_F(AdminServerTest, StatsAreThoseThatTheRequestNames) {
  ports_.stats = {{.name = "leasehold_leases", .help = "", .samples = {{}}},
                  {.name = "process_open_fds", .help = "", .samples = {{}}}};
  v1::StatsResponse response;
  ASSERT_TRUE(Call(&Stub::Stats, "name_prefixes: 'process_' name_prefixes: 'x'",
                   response)
                  .ok());
  ASSERT_EQ(response.metrics_size(), 1);
  EXPECT_EQ(response.metrics(0).name(), "process_open_fds");
}

}  // namespace
}  // namespace leasehold
