// Which calls bring the token of a channel, and where it does not go.
#include "client/wire/token.h"

#include <gmock/gmock.h>
#include <grpc/grpc.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "client/entities/entity_client.h"
#include "client/instances/instances_client.h"
#include "client/orchestrations/orchestration_client.h"
#include "client/session/join_reader.h"
#include "client/session/shared_session.h"
#include "client/wire/channel.h"
#include "client/worker/worker.h"
#include "grpcpp/create_channel.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "tests/client/any_method_server.h"
#include "tests/client/manual_timers.h"
#include "tests/server/events.h"
#include "tests/support/temporary_directory.h"

namespace leasehold::client {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const grpc::Status kRefused(grpc::StatusCode::UNAUTHENTICATED, "who?");

template <typename Options>
Options Of(const std::string& id) {
  Options options;
  options.instance_id = id;
  return options;
}

class TokenTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { grpc_init(); }

  TokenTest() { Replace("one"); }

  void Replace(const std::string& token) {
    std::ofstream(path_ + ".new") << token << "\n";
    std::filesystem::rename(path_ + ".new", path_);
  }
  std::shared_ptr<grpc::ChannelCredentials> Credentials(
      bool allow_plaintext = false,
      std::shared_ptr<grpc::ChannelCredentials> under = nullptr) {
    auto credentials = TokenCredentials(
        {.file = path_, .allow_plaintext = allow_plaintext}, std::move(under));
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    return *credentials;
  }
  std::shared_ptr<grpc::Channel> Channel() {
    return OpenChannel(server_.address(), {}, Credentials());
  }
  // The next call is of this method, and brings this token.
  void ExpectCall(const std::string& method, const std::string& token = "one") {
    const AnyMethodServer::Call call = server_.Await();
    EXPECT_EQ(call.method, method);
    EXPECT_EQ(call.authorization, "Bearer " + token + ";");
  }
  // How a call ends over a channel to `address`.
  static grpc::Status Echo(const std::string& address,
                           std::shared_ptr<grpc::ChannelCredentials> with) {
    grpc::ClientContext context;
    leasehold::v1::EchoResponse response;
    return leasehold::v1::Echo::NewStub(
               OpenChannel(address, {}, std::move(with)))
        ->Echo(&context, {}, &response);
  }

  const TemporaryDirectory folder_;
  const std::string path_ = folder_.path() + "/token";
  AnyMethodServer server_;
};

TEST_F(TokenTest, UnaryCallsBringIt) {
  OrchestrationClient orchestrations(Channel(), "server");
  orchestrations.Suspend("o").IgnoreError();
  ExpectCall("Suspend");
  EntityClient entities(Channel(), "server");
  entities.Signal({.instance_id = "@counter@a", .operation = "Add"})
      .IgnoreError();
  ExpectCall("Signal");
  InstancesClient instances(Channel(), "server");
  instances.Get("i").status().IgnoreError();
  ExpectCall("Get");
}

TEST_F(TokenTest, StreamsBringIt) {
  OrchestrationClient orchestrations(Channel(), "server");
  orchestrations.GetHistory("o", "", [](const auto&) { return true; })
      .IgnoreError();
  ExpectCall("GetHistory");
  const auto orchestration =
      orchestrations.StartWatch(Of<OrchestrationWatchOptions>("o"));
  ExpectCall("Watch");
  EntityClient entities(Channel(), "server");
  const auto entity = entities.StartWatch(Of<EntityWatchOptions>("@counter@a"));
  ExpectCall("Watch");
  InstancesClient instances(Channel(), "server");
  const auto watch = instances.StartWatch({});
  ExpectCall("Watch");
  const auto hold = instances.StartHold(Of<HoldOptions>("i"));
  ExpectCall("Hold");
  KeepAliveOptions keep_alive;
  keep_alive.instance_ids = {"i"};
  const auto kept = instances.StartKeepAlive(std::move(keep_alive));
  ExpectCall("KeepAlive");
  const JoinReader reader(Channel(), "server", Of<JoinOptions>("i"));
  ExpectCall("Join");
}

TEST_F(TokenTest, SessionsBringIt) {
  SharedSessionOptions options;
  options.hold = false;
  options.credentials = Credentials();
  const auto session = SharedSession::Connect({server_.address()}, options);
  ASSERT_TRUE(session.ok()) << session.status();
  (*session)->Echo("x", 0).status().IgnoreError();
  ExpectCall("Echo");
}

TEST_F(TokenTest, ConnectTakesIt) {
  const auto client = OrchestrationClient::Connect(
      server_.address(), absl::Seconds(30), Credentials());
  ASSERT_TRUE(client.ok());
  (*client)->Suspend("o").IgnoreError();
  ExpectCall("Suspend");
}

TEST_F(TokenTest, ChannelsThatGrpcMakesBringIt) {
  const auto channel = grpc::CreateChannel(server_.address(), Credentials());
  OrchestrationClient(channel, "server").Suspend("o").IgnoreError();
  ExpectCall("Suspend");
}

TEST_F(TokenTest, EachCallHasTheTokenOfItsStart) {
  OrchestrationClient client(Channel(), "server");
  client.Suspend("o").IgnoreError();
  ExpectCall("Suspend", "one");
  Replace("two");
  client.Suspend("o").IgnoreError();
  ExpectCall("Suspend", "two");
}

TEST_F(TokenTest, ACallsOwnAuthorizationIsLeftAlone) {
  const auto stub = leasehold::v1::Echo::NewStub(Channel());
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer mine");
  leasehold::v1::EchoResponse response;
  EXPECT_TRUE(stub->Echo(&context, {}, &response).ok());
  ExpectCall("Echo", "mine");
}

TEST_F(TokenTest, ARefusalSaysWhatIsWrongWithTheFile) {
  OrchestrationClient client(Channel(), "server");
  server_.AnswerWith(kRefused);
  EXPECT_EQ(client.Suspend("o").message(), "who?");
  std::filesystem::remove(path_);
  const absl::Status status = client.Suspend("o");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(status.message(),
            "who? (" + path_ +
                ": is not a file any more; the last token that was good was "
                "sent)");
  ExpectCall("Suspend", "one");
  ExpectCall("Suspend", "one");
  server_.AnswerWith({grpc::StatusCode::PERMISSION_DENIED, "no"});
  EXPECT_EQ(client.Suspend("o").message(), "no");
}

TEST_F(TokenTest, AWatchWhoseTokenEndedTriesOnceWithTheNext) {
  ManualTimers timers;
  Mailbox<absl::Status> ended;
  server_.AnswerWith(kRefused, /*message=*/true);
  OrchestrationClient client(Channel(), "server");
  auto options = Of<OrchestrationWatchOptions>("o");
  options.reconnect = true;
  options.on_end = [&](const absl::Status& why) { ended.Put(why); };
  options.run_after = timers.run_after();
  const auto watch = client.StartWatch(std::move(options));
  ExpectCall("Watch", "one");
  timers.Await();
  Replace("two");
  timers.Fire();
  ExpectCall("Watch", "two");
  timers.Await();
  server_.AnswerWith(kRefused);
  timers.Fire();
  ExpectCall("Watch", "two");
  EXPECT_TRUE(absl::IsUnauthenticated(ended.Take("the end")));
  EXPECT_EQ(timers.pending(), 0u);
}

TEST_F(TokenTest, AKeepAliveWhoseTokenEndedTriesOnceWithTheNext) {
  ManualTimers pauses;
  ManualTimers timers;
  Mailbox<absl::Status> ended;
  server_.AnswerWith(kRefused, /*message=*/true);
  InstancesClient client(Channel(), "server");
  KeepAliveOptions options;
  options.instance_ids = {"i"};
  options.interval = absl::Hours(1);
  options.reconnect = true;
  options.on_end = [&](const absl::Status& why) { ended.Put(why); };
  options.run_after = [&](absl::Duration delay, std::function<void()> then) {
    (delay > absl::Seconds(1) ? pauses : timers)
        .run_after()(delay, std::move(then));
  };
  const auto keep_alive = client.StartKeepAlive(std::move(options));
  ExpectCall("KeepAlive", "one");
  timers.Await();
  Replace("two");
  server_.AnswerWith(kRefused);
  timers.Fire();
  ExpectCall("KeepAlive", "two");
  EXPECT_TRUE(absl::IsUnauthenticated(ended.Take("the end")));
  EXPECT_EQ(timers.pending(), 0u);
}

TEST_F(TokenTest, WithoutTlsItStaysOnThisMachine) {
  for (const char* address :
       {"localhost:4001", "127.0.0.1:4001", "127.255.0.1:1", "[::1]:4001",
        "[0:0:0:0:0:0:0:1]:1", "unix:/tmp/x", "unix:x"}) {
    EXPECT_TRUE(IsThisMachine(address)) << address;
    EXPECT_TRUE(CheckTokenAddress({}, address, false).ok()) << address;
  }
  for (const char* address :
       {"10.0.0.1:4001", "example.com:4001", "127.0.0.1.example.com:4001",
        "localhost.example.com:4001", "127.example.com:1", "[::2]:4001",
        "[::ffff:10.0.0.1]:1", "0.0.0.0:4001", "[::]:4001", "dns:///a:4001",
        "ipv4:127.0.0.1:1,10.0.0.1:1", "::1:4001", "", ":4001"}) {
    EXPECT_FALSE(IsThisMachine(address)) << address;
    EXPECT_THAT(
        std::string(CheckTokenAddress({.file = "t"}, address, false).message()),
        AllOf(HasSubstr("the token of t is not sent to"), HasSubstr(address)));
    EXPECT_TRUE(CheckTokenAddress({}, address, true).ok());
    EXPECT_TRUE(
        CheckTokenAddress({.allow_plaintext = true}, address, false).ok());
  }
}

TEST_F(TokenTest, AChannelWhereItMayNotGoSendsNothing) {
  // gRPC takes this for the server's address; we do not.
  const std::string address = "ipv4:127.0.0.1:" + server_.port();
  const auto plain = grpc::InsecureChannelCredentials();
  for (const auto& credentials : {Credentials(), Credentials(false, plain)}) {
    const grpc::Status status = Echo(address, credentials);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(),
                AllOf(HasSubstr("is not sent to " + address),
                      HasSubstr("TokenOptions::allow_plaintext"),
                      Not(HasSubstr("one"))));
  }
  EXPECT_EQ(server_.waiting(), 0u);
  EXPECT_TRUE(Echo(address, Credentials(/*allow_plaintext=*/true)).ok());
  ExpectCall("Echo");
}

TEST_F(TokenTest, AProxyOfTheEnvironmentDoesNotGetIt) {
  ASSERT_EQ(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
  const auto channel = grpc::CreateChannel(server_.address(), Credentials());
  OrchestrationClient(channel, "server").Suspend("o").IgnoreError();
  unsetenv("http_proxy");
  ExpectCall("Suspend");
}

TEST_F(TokenTest, AWorkerThatIsRefusedComesBackWithTheNextToken) {
  ManualTimers timers;
  std::atomic<bool> told = false;
  server_.AnswerWith(kRefused);
  worker::WorkerOptions options;
  options.log = [&](const worker::LogLine& line) {
    if (line.message.find("the server refuses this worker") == 0) told = true;
  };
  options.silence_timeout = absl::InfiniteDuration();
  options.run_after = [&](absl::Duration delay, std::function<void()> then) {
    if (delay != absl::InfiniteDuration()) {
      timers.run_after()(delay, std::move(then));
    }
  };
  worker::Worker worker(Channel(), options);
  worker.AddActivity("Seven", [] { return 7; });
  ASSERT_TRUE(worker.Start().ok());
  ExpectCall("GetWorkItems", "one");
  timers.Await();
  EXPECT_TRUE(told);
  Replace("two");
  timers.Fire();
  ExpectCall("GetWorkItems", "two");
}

}  // namespace
}  // namespace leasehold::client
