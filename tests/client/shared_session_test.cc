#include "client/session/shared_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/wire/channel.h"
#include "grpcpp/create_channel.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "tests/client/fake_echo_server.h"

namespace leasehold::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

// A session with `channels` channels to the fake, connected. None here holds:
// that is shared_session_hold_test's.
std::unique_ptr<SharedSession> Session(const FakeEchoServer& server,
                                       int channels,
                                       SharedSessionOptions options = {}) {
  options.hold = false;
  return server.Connect(channels, std::move(options));
}

SharedSessionOptions WithId(const std::string& id) {
  SharedSessionOptions options;
  options.instance_id = id;
  return options;
}

TEST(SharedSession, ChannelsMeetInOneInstance) {
  FakeEchoServer server;
  const auto session = Session(server, 2, WithId("room-1"));
  const EchoReply first = *session->Echo("Apple", 0);
  const EchoReply second = *session->Echo("Pear", 1);
  EXPECT_EQ(first.text, "Apple");
  EXPECT_EQ(second.text, "Pear");
  EXPECT_EQ(first.instance_id, "room-1");
  EXPECT_EQ(first.generation, second.generation);
  EXPECT_EQ(first.sequence, 1u);
  EXPECT_EQ(second.sequence, 2u);
  EXPECT_EQ(second.channel, 1u);
}

TEST(SharedSession, EachChannelIsAConnectionOfItsOwn) {
  FakeEchoServer server;
  const auto session = Session(server, 3, WithId("a"));
  for (const size_t channel : {0, 1, 2, 0}) {
    ASSERT_TRUE(session->Echo("x", channel).ok());
  }
  std::set<std::string> peers;
  for (const auto& call : server.calls()) peers.insert(call.peer);
  EXPECT_EQ(peers.size(), 3u);
}

TEST(SharedSession, KeepsTheIdThatTheServerMade) {
  FakeEchoServer server;
  const auto session = Session(server, 2);
  EXPECT_EQ(session->instance_id(), "");
  const EchoReply reply = *session->Echo("x", 0);
  EXPECT_EQ(session->instance_id(), reply.instance_id);
  EXPECT_EQ(session->Echo("x", 1)->sequence, 2u);
  EXPECT_EQ(server.calls()[0].Header("instance-id"), std::nullopt);
  EXPECT_EQ(server.calls()[1].Header("instance-id"), reply.instance_id);
}

TEST(SharedSession, CallsAtOnceWithoutAnIdMeetInOneInstance) {
  FakeEchoServer server;
  const auto session = Session(server, 8);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      EXPECT_EQ(session->Echo("x", i).status(), absl::OkStatus());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server.created(), 1);
}

TEST(SharedSession, AFirstCallThatFailsLeavesTheNextToBeTheFirst) {
  FakeEchoServer server;
  const auto session = Session(server, 1);
  server.FailNext({grpc::StatusCode::RESOURCE_EXHAUSTED, "full"});
  EXPECT_EQ(session->Echo("x", 0).status(),
            absl::ResourceExhaustedError("full"));
  EXPECT_TRUE(session->Echo("x", 0).ok());
  EXPECT_NE(session->instance_id(), "");
}

TEST(SharedSession, OnlyTheFirstCallSaysWhatItExpects) {
  FakeEchoServer server;
  SharedSessionOptions options = WithId("a");
  options.expect = Expect::kNew;
  const auto session = Session(server, 1, options);
  EXPECT_TRUE(session->Echo("x", 0).ok());
  EXPECT_TRUE(session->Echo("x", 0).ok());
  EXPECT_EQ(server.calls()[0].Header("instance-expect"), "new");
  EXPECT_EQ(server.calls()[1].Header("instance-expect"), std::nullopt);
}

TEST(SharedSession, ExpectingANewInstanceFailsIfItIsThere) {
  FakeEchoServer server;
  ASSERT_TRUE(Session(server, 1, WithId("a"))->Echo("x", 0).ok());
  SharedSessionOptions options = WithId("a");
  options.expect = Expect::kNew;
  const auto session = Session(server, 1, options);
  EXPECT_TRUE(absl::IsAlreadyExists(session->Echo("x", 0).status()));
  EXPECT_TRUE(absl::IsAlreadyExists(session->Echo("x", 0).status()));
}

TEST(SharedSession, ExpectingAnExistingInstanceFailsIfItIsNotThere) {
  FakeEchoServer server;
  SharedSessionOptions options = WithId("a");
  options.expect = Expect::kExisting;
  EXPECT_TRUE(
      absl::IsNotFound(Session(server, 1, options)->Echo("x", 0).status()));
}

TEST(SharedSession, CallsAtOnceThatExpectANewInstanceAllMeetInIt) {
  FakeEchoServer server;
  SharedSessionOptions options = WithId("a");
  options.expect = Expect::kNew;
  const auto session = Session(server, 8, options);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      EXPECT_EQ(session->Echo("x", i).status(), absl::OkStatus());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server.created(), 1);
}

TEST(SharedSession, TellsWhenTheGenerationChanges) {
  FakeEchoServer server;
  std::vector<std::pair<uint64_t, uint64_t>> changes;
  SharedSessionOptions options = WithId("a");
  options.on_generation_change = [&](uint64_t before, uint64_t after) {
    changes.emplace_back(before, after);
  };
  const auto session = Session(server, 1, options);
  const uint64_t before = session->Echo("x", 0)->generation;
  ASSERT_TRUE(session->Echo("x", 0).ok());
  EXPECT_THAT(changes, ElementsAre());
  server.ExpireAll();
  const uint64_t after = session->Echo("x", 0)->generation;
  EXPECT_GT(after, before);
  EXPECT_THAT(changes, ElementsAre(Pair(before, after)));
  EXPECT_EQ(session->generation(), after);
}

TEST(SharedSession, AnIdOutsideTheHeaderAlphabetTravelsAsBytes) {
  for (const std::string& id :
       {std::string("Gr\u00fc\u00dfe"), std::string("a b"), std::string("a,b"),
        std::string(257, 'x')}) {
    FakeEchoServer server;
    const auto session = Session(server, 1, WithId(id));
    EXPECT_EQ(session->Echo("x", 0)->instance_id, id);
    EXPECT_EQ(server.calls()[0].Header("instance-id-bin"), id);
    EXPECT_EQ(server.calls()[0].Header("instance-id"), std::nullopt);
  }
}

TEST(SharedSession, AnIdOf256PrintableBytesTravelsAsText) {
  FakeEchoServer server;
  const std::string id(256, '~');
  ASSERT_TRUE(Session(server, 1, WithId(id))->Echo("x", 0).ok());
  EXPECT_EQ(server.calls()[0].Header("instance-id"), id);
}

TEST(SharedSession, AsksForItsIdleTimeoutAndReadsWhatItGot) {
  for (const auto& [timeout, header] :
       {std::pair(absl::Seconds(90), "90s"),
        std::pair(absl::Milliseconds(1500), "1500ms"),
        std::pair(absl::Microseconds(300), "1ms")}) {
    FakeEchoServer server;
    SharedSessionOptions options = WithId("a");
    options.idle_timeout = timeout;
    const auto session = Session(server, 1, options);
    const EchoReply first = *session->Echo("x", 0);
    EXPECT_TRUE(first.created);
    EXPECT_EQ(first.idle_timeout, absl::Ceil(timeout, absl::Milliseconds(1)));
    EXPECT_EQ(server.calls()[0].Header("instance-idle-timeout"), header);
    const EchoReply second = *session->Echo("x", 0);
    EXPECT_FALSE(second.created);
    EXPECT_EQ(second.idle_timeout, std::nullopt);
  }
}

TEST(SharedSession, AClosedChannelRefusesCallsAndTheOthersKeepTheirIndex) {
  FakeEchoServer server;
  const auto session = Session(server, 2, WithId("a"));
  EXPECT_TRUE(session->CloseChannel(0).ok());
  EXPECT_TRUE(session->CloseChannel(0).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(session->Echo("x", 0).status()));
  EXPECT_EQ(session->Echo("x", 1)->sequence, 1u);
  EXPECT_EQ(*session->AddChannel(server.address()), 2u);
  EXPECT_EQ(session->Echo("x", 2)->sequence, 2u);
}

TEST(SharedSession, AChannelThatIsNotThereIsOutOfRange) {
  SharedSession session({}, WithId("a"));
  EXPECT_TRUE(absl::IsOutOfRange(session.Echo("x", 0).status()));
  EXPECT_TRUE(absl::IsOutOfRange(session.CloseChannel(0)));
}

TEST(SharedSession, GivesItsChannelsForStubsOfTheCallersOwn) {
  FakeEchoServer server;
  const auto session = Session(server, 2, WithId("a"));
  const auto stub = leasehold::v1::Echo::NewStub(*session->Channel(1));
  grpc::ClientContext context;
  ASSERT_TRUE(session->Prepare(context).ok());
  leasehold::v1::EchoRequest request;
  leasehold::v1::EchoResponse response;
  ASSERT_TRUE(stub->Echo(&context, request, &response).ok());
  session->Observe(context);
  EXPECT_EQ(response.instance_id(), "a");
  EXPECT_EQ(session->generation(), response.generation());
  // It is the session's own connection, not another one.
  EXPECT_TRUE(session->Echo("x", 1).ok());
  EXPECT_EQ(server.calls()[0].peer, server.calls()[1].peer);

  EXPECT_TRUE(absl::IsOutOfRange(session->Channel(2).status()));
  ASSERT_TRUE(session->CloseChannel(1).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(session->Channel(1).status()));
}

TEST(SharedSession, RefusesAnInvalidAddress) {
  for (const std::string address :
       {"", "localhost", ":4001", "localhost:0", "localhost:65536",
        "localhost:http", "::1:4001", "[]:4001", "unix:", "http://a:80"}) {
    EXPECT_TRUE(
        absl::IsInvalidArgument(SharedSession::Connect({address}, {}).status()))
        << address;
  }
}

TEST(SharedSession, TakesHostsAndSocketsAsAddress) {
  for (const std::string address :
       {"localhost:4001", "127.0.0.1:1", "[::1]:4001", "unix:/run/a b.sock",
        "unix:relative.sock"}) {
    EXPECT_TRUE(SharedSession::Connect({address}, {}).ok()) << address;
  }
}

TEST(SharedSession, AServerThatIsNotThereIsUnavailableByName) {
  const std::string address = "unix:/nowhere/leasehold.sock";
  const auto session = *SharedSession::Connect({address}, WithId("a"));
  const absl::Status status = session->Echo("x", 0).status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr(address));
}

TEST(SharedSession, ACallThatTakesTooLongEndsAtItsTimeout) {
  FakeEchoServer server;
  server.Hold();
  const auto channel = OpenChannel(server.address());
  ASSERT_TRUE(channel->WaitForConnected(gpr_inf_future(GPR_CLOCK_REALTIME)));
  SharedSessionOptions options = WithId("a");
  options.call_timeout = absl::Milliseconds(1);
  options.hold = false;
  SharedSession session({channel}, options);
  EXPECT_TRUE(absl::IsDeadlineExceeded(session.Echo("x", 0).status()));
}

TEST(SharedSession, AServerThatTakesTooLongToConnectIsUnavailableByName) {
  // A socket that listens and says nothing: connected, but no gRPC.
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(listen(listener, 1), 0);
  sockaddr_in bound = {};
  socklen_t size = sizeof(bound);
  getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &size);
  const std::string address = absl::StrCat("127.0.0.1:", ntohs(bound.sin_port));

  SharedSessionOptions options = WithId("a");
  options.call_timeout = absl::Milliseconds(1);
  const auto session = *SharedSession::Connect({address}, options);
  const absl::Status status = session->Echo("x", 0).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(address));
  close(listener);
}

TEST(SharedSession, ACallThatWaitsForTheFirstEndsAtItsDeadline) {
  FakeEchoServer server;
  const auto session = Session(server, 2);
  server.Hold();
  std::thread first([&] { EXPECT_TRUE(session->Echo("x", 0).ok()); });
  server.AwaitCalls(1);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::time_point());  // Past.
  EXPECT_TRUE(absl::IsDeadlineExceeded(session->Prepare(context)));
  server.Release();
  first.join();
  EXPECT_EQ(server.calls().size(), 1u);
}

TEST(SharedSession, TextThatIsNotUtf8IsRefusedBeforeTheCall) {
  FakeEchoServer server;
  const auto session = Session(server, 1);
  for (const char* text : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82",
                           "\xf4\x90\x80\x80", "a\x80"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(session->Echo(text, 0).status()));
  }
  EXPECT_TRUE(session->Echo("\u20ac \U0001f34e", 0).ok());
  EXPECT_EQ(server.calls().size(), 1u);
}

TEST(SharedSession, AnAnswerOfAnotherInstanceIsAnError) {
  FakeEchoServer server;
  server.IgnoreIds();
  const auto session = Session(server, 1, WithId("mine"));
  const absl::Status status = session->Echo("x", 0).status();
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"mine\""));
}

TEST(SharedSession, ServesStubsOfTheCallersOwn) {
  FakeEchoServer server;
  const auto session = Session(server, 1);
  const auto stub = leasehold::v1::Echo::NewStub(grpc::CreateChannel(
      server.address(), grpc::InsecureChannelCredentials()));
  leasehold::v1::EchoResponse response;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(session->Prepare(context).ok());
    ASSERT_TRUE(stub->Echo(&context, {}, &response).ok());
    session->Observe(context);
  }
  EXPECT_EQ(session->instance_id(), response.instance_id());
  EXPECT_EQ(session->generation(), response.generation());
  EXPECT_EQ(session->Echo("x", 0)->sequence, 2u);
}

}  // namespace
}  // namespace leasehold::client
