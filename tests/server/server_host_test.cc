#include "service/host/server_host.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "service/doors/health_server.h"
#include "tests/server/echo_call.h"
#include "tests/server/events.h"
#include "tests/server/health.h"
#include "tests/server/pipe.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

using Kind = InstanceEventKind;

// Remembers what happened to contexts, and can hold one at its closing.
class Events final : public InstanceObserver {
 public:
  void OnEvent(const InstanceEvent& event) override {
    if (event.kind == Kind::kClosed) {
      std::lock_guard<std::mutex> lock(mu_);
      closed_.push_back(
          absl::StrCat(std::string(event.instance_id), " ",
                       std::string(DetachReasonName(event.reason))));
    }
    if (event.kind == Kind::kIdle) idle.Put(std::string(event.instance_id));
    if (event.kind == Kind::kClosing && event.instance_id == held_id) {
      if (held.set()) return;  // Only the first of its contexts.
      held.Set();
      go.Await("the test to let the context close");
    }
  }

  // `ID reason` of each context that closed.
  std::vector<std::string> closed() const {
    std::lock_guard<std::mutex> lock(mu_);
    return closed_;
  }

  std::string held_id;  // Constant while a server runs.
  Event held;           // It is there.
  Event go;             // It may go on.
  Mailbox<std::string> idle;

 private:
  mutable std::mutex mu_;
  std::vector<std::string> closed_;
};

class ServerHostTest : public testing::Test {
 protected:
  ServerHostTest() {
    std::string pattern = testing::TempDir() + "/hostXXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    folder_ = pattern;
    unix_path_ = folder_ + "/s";
  }
  ~ServerHostTest() override {
    unlink(unix_path_.c_str());
    rmdir(folder_.c_str());
  }

  static ListenAddress Loopback(int port) {
    return {.host = "127.0.0.1", .port = port, .unix_path = ""};
  }
  ListenAddress Unix() const {
    return {.host = "", .port = 0, .unix_path = unix_path_};
  }
  static int PortOf(const ServerHost& host) {
    return ListenAddress::Parse(host.addresses().at(0))->port;
  }
  static std::unique_ptr<v1::Echo::Stub> StubOf(const ServerHost& host,
                                                size_t address = 0) {
    return v1::Echo::NewStub(Connect(host.addresses().at(address)));
  }

  // A server on a free port of 127.0.0.1, if `listen` says nothing else.
  std::unique_ptr<ServerHost> Make(
      std::vector<ListenAddress> listen = {},
      absl::Duration drain_timeout = absl::Minutes(5)) {
    ServerOptions options;
    options.listen = std::move(listen);
    if (options.listen.empty()) options.listen = {Loopback(0)};
    options.drain_timeout = drain_timeout;
    auto host = std::make_unique<ServerHost>(
        std::move(options), clock_, log_, &console_,
        std::vector<InstanceObserver*>{&events_});
    host->Add(healths_.emplace_back());
    return host;
  }
  std::unique_ptr<ServerHost> MakeStarted(
      absl::Duration drain_timeout = absl::Minutes(5)) {
    std::unique_ptr<ServerHost> host = Make({}, drain_timeout);
    const absl::Status status = host->Start();
    EXPECT_TRUE(status.ok()) << status;
    return host;
  }

  // A call that waits in the server for the context `held_id` to close: it has
  // been opened, and its lease has run out.
  std::unique_ptr<EchoCall> BeginToWait(v1::Echo::Stub& stub) {
    const std::vector<EchoCall::Header> id = {{"instance-id", events_.held_id}};
    EchoCall first(stub, "first", id);
    EXPECT_TRUE(first.Await().ok());
    while (events_.idle.Take("the context to be idle") != events_.held_id) {
    }
    clock_.Advance(absl::Seconds(20));
    events_.held.Await("the context to close");
    auto waiting = std::make_unique<EchoCall>(stub, "waiting", id);
    AwaitConsole("Echo \"waiting\"");
    return waiting;
  }

  // Waits for a line that ends so.
  void AwaitConsole(const std::string& end) {
    while (!absl::EndsWith(console_pipe_.ReadLine().value_or(end), end)) {
    }
  }

  // Waits until the drain has begun: calls are UNAVAILABLE, and nothing else.
  static void AwaitUnavailable(v1::Echo::Stub& stub) {
    for (;;) {
      EchoCall call(stub, "", {{"instance-id", "b"}});
      const grpc::StatusCode code = call.Await().error_code();
      if (code == grpc::StatusCode::UNAVAILABLE) return;
      ASSERT_EQ(code, grpc::StatusCode::OK);
    }
  }

  // What was logged, without the time. Ends the log.
  std::vector<std::string> LogLines() {
    log_writer_.reset();
    log_pipe_.CloseWriter();
    std::vector<std::string> lines = log_pipe_.ReadAll();
    for (std::string& line : lines) line.erase(0, line.find(' ') + 1);
    return lines;
  }

  SimulatedClock clock_;
  Pipe log_pipe_;
  std::unique_ptr<LineWriter> log_writer_ =
      std::make_unique<LineWriter>(log_pipe_.writer());
  ServerLog log_{clock_, *log_writer_, LogFormat::kText};
  Events events_;
  std::deque<HealthServer> healths_;  // One a server.
  Pipe console_pipe_;
  LineWriter console_writer_{console_pipe_.writer()};
  Console console_{console_writer_};
  std::string folder_;
  std::string unix_path_;
};

// ---- Start

TEST_F(ServerHostTest, ServesOnAFreePortAndAUnixSocketAtOnce) {
  const std::unique_ptr<ServerHost> host = Make({Loopback(0), Unix()});
  const absl::Status status = host->Start();
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(host->addresses().size(), 2u);
  EXPECT_NE(PortOf(*host), 0);
  EXPECT_EQ(host->addresses()[1], "unix:" + unix_path_);
  for (size_t i = 0; i < 2; ++i) {
    const auto stub = StubOf(*host, i);
    EchoCall call(*stub, "hello", {{"instance-id", "a"}});
    ASSERT_TRUE(call.Await().ok()) << call.Await().error_message();
    EXPECT_EQ(call.response().sequence(), i + 1);  // One instance.
  }
}

TEST_F(ServerHostTest, HealthIsServing) {
  const std::unique_ptr<ServerHost> host = MakeStarted();
  EXPECT_EQ(CheckHealth(Connect(host->addresses()[0])), kServing);
}

TEST_F(ServerHostTest, SeveralQueuesServeManyCalls) {
  ServerOptions options;
  options.listen = {Loopback(0)};
  options.queue_threads = 3;
  ServerHost host(options, clock_, log_, &console_, {&events_});
  ASSERT_TRUE(host.Start().ok());
  const auto stub = StubOf(host);
  std::vector<std::unique_ptr<EchoCall>> calls;
  for (int i = 0; i < 100; ++i) {
    const EchoCall::Header id = {"instance-id", absl::StrCat(i % 7)};
    calls.push_back(std::make_unique<EchoCall>(*stub, "", std::vector{id}));
  }
  for (const auto& call : calls) EXPECT_TRUE(call->Await().ok());
  host.StopAndDrain();
  EXPECT_EQ(events_.closed().size(), 7u);
}

TEST_F(ServerHostTest, LeaseEndsByItself) {
  events_.held_id = "a";
  const std::unique_ptr<ServerHost> host = MakeStarted();
  const auto stub = StubOf(*host);
  const std::unique_ptr<EchoCall> waiting = BeginToWait(*stub);
  events_.go.Set();
  EXPECT_TRUE(waiting->Await().ok());
  EXPECT_THAT(events_.closed(), ElementsAre("a idle"));
}

TEST_F(ServerHostTest, PortInUseIsUnavailableAndTheFirstServesOn) {
  const std::unique_ptr<ServerHost> first = MakeStarted();
  const std::unique_ptr<ServerHost> second = Make({Loopback(PortOf(*first))});
  const absl::Status status = second->Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(std::string(status.message()),
            absl::StrCat("cannot listen on ", first->addresses()[0],
                         ": Address already in use"));
  EXPECT_THAT(second->addresses(), IsEmpty());
  second->StopAndDrain();  // Does nothing.
  const auto stub = StubOf(*first);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(EchoCall(*stub, "").Await().ok());
  }
}

TEST_F(ServerHostTest, UnixSocketInUseIsUnavailableAndTheFirstServesOn) {
  const std::unique_ptr<ServerHost> first = Make({Unix()});
  ASSERT_TRUE(first->Start().ok());
  const std::unique_ptr<ServerHost> second = Make({Unix()});
  const absl::Status status = second->Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(std::string(status.message()),
            absl::StrCat("cannot listen on unix:", unix_path_,
                         ": another server listens there"));
  const auto stub = StubOf(*first);
  EXPECT_TRUE(EchoCall(*stub, "").Await().ok());
}

TEST_F(ServerHostTest, UnixSocketThatWasLeftOverIsTaken) {
  const int left = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, unix_path_.c_str(), sizeof(name.sun_path) - 1);
  ASSERT_EQ(bind(left, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  close(left);
  const std::unique_ptr<ServerHost> host = Make({Unix()});
  const absl::Status status = host->Start();
  ASSERT_TRUE(status.ok()) << status;
  const auto stub = StubOf(*host);
  EXPECT_TRUE(EchoCall(*stub, "").Await().ok());
}

// The address is free when it is looked at, and taken when it is listened on.
TEST_F(ServerHostTest, AddressThatIsTakenMeanwhileIsUnavailable) {
  int port = 0;
  {
    const std::unique_ptr<ServerHost> first = MakeStarted();
    port = PortOf(*first);
  }
  const std::unique_ptr<ServerHost> host =
      Make({Loopback(port), Loopback(port)});
  const absl::Status status = host->Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("Address already in use"));
  EXPECT_THAT(host->addresses(), IsEmpty());
}

// ---- StopAndDrain

// A call waits in the server. While it does, the server stops: it takes no
// other call, on the same connection or a fresh one, and waits for this one.
TEST_F(ServerHostTest, DrainLetsCallsInFlightFinishAndRefusesOthers) {
  events_.held_id = "a";
  const std::unique_ptr<ServerHost> host = MakeStarted();
  const auto stub = StubOf(*host);
  EchoCall other(*stub, "", {{"instance-id", "b"}});
  EXPECT_TRUE(other.Await().ok());
  const std::unique_ptr<EchoCall> waiting = BeginToWait(*stub);

  Event stopped;
  std::thread stop([&host, &stopped] {
    host->StopAndDrain();
    stopped.Set();
  });
  AwaitUnavailable(*stub);
  const auto fresh = StubOf(*host);
  AwaitUnavailable(*fresh);
  EXPECT_FALSE(waiting->ended());
  EXPECT_FALSE(stopped.set());

  events_.go.Set();
  EXPECT_TRUE(waiting->Await().ok()) << waiting->Await().error_message();
  EXPECT_EQ(waiting->response().sequence(), 1u);  // Of a fresh context.
  stop.join();
  const std::vector<std::string> closed = events_.closed();
  // And "b", once or twice: the drain may have begun a moment later.
  EXPECT_THAT(closed, testing::Contains("a idle").Times(1));
  EXPECT_THAT(closed, testing::Contains("a shutdown").Times(1));
}

TEST_F(ServerHostTest, CallThatOutlastsTheDrainTimeoutIsCancelled) {
  events_.held_id = "a";
  const std::unique_ptr<ServerHost> host = MakeStarted(absl::Milliseconds(1));
  const auto stub = StubOf(*host);
  const std::unique_ptr<EchoCall> waiting = BeginToWait(*stub);
  std::thread stop([&host] { host->StopAndDrain(); });
  // Though its context still closes.
  EXPECT_THAT(waiting->Await().error_code(),
              testing::AnyOf(grpc::StatusCode::CANCELLED,
                             grpc::StatusCode::UNAVAILABLE));
  events_.go.Set();
  stop.join();
  // The client may learn of it before its call has left the wait, which then
  // ends with a fresh context.
  EXPECT_THAT(events_.closed(),
              testing::AnyOf(ElementsAre("a idle"),
                             ElementsAre("a idle", "a shutdown")));
}

TEST_F(ServerHostTest, DrainTimeoutMayBeLongerThanTimeIs) {
  const std::unique_ptr<ServerHost> host = MakeStarted(absl::Hours(1) * 5e9);
  const auto stub = StubOf(*host);
  EXPECT_TRUE(EchoCall(*stub, "").Await().ok());
  host->StopAndDrain();
}

TEST_F(ServerHostTest, DrainDetachesEveryContext) {
  const std::unique_ptr<ServerHost> host = MakeStarted();
  const auto stub = StubOf(*host);
  for (const char* id : {"a", "b", "c"}) {
    EXPECT_TRUE(EchoCall(*stub, "", {{"instance-id", id}}).Await().ok());
  }
  host->StopAndDrain();
  EXPECT_THAT(events_.closed(),
              UnorderedElementsAre("a shutdown", "b shutdown", "c shutdown"));
}

TEST_F(ServerHostTest, SecondStopDoesNothing) {
  const std::unique_ptr<ServerHost> host = MakeStarted();
  host->StopAndDrain();
  host->StopAndDrain();
  EXPECT_THAT(LogLines(),
              ElementsAre("INFO listening address=" + host->addresses()[0],
                          "INFO draining timeout=5m", "INFO stopped"));
}

TEST_F(ServerHostTest, DestructorDrains) {
  std::unique_ptr<ServerHost> host = MakeStarted();
  const auto stub = StubOf(*host);
  EXPECT_TRUE(EchoCall(*stub, "", {{"instance-id", "a"}}).Await().ok());
  host.reset();
  EXPECT_THAT(events_.closed(), ElementsAre("a shutdown"));
  EXPECT_THAT(LogLines().back(), EndsWith("stopped"));
}

TEST_F(ServerHostTest, HostThatWasNeverStartedEndsWithoutAWord) {
  std::unique_ptr<ServerHost> host = Make();
  host->StopAndDrain();
  host.reset();
  EXPECT_THAT(LogLines(), IsEmpty());
}

TEST_F(ServerHostTest, AddressIsFreeAgainAfterStop) {
  const std::unique_ptr<ServerHost> first = MakeStarted();
  const auto stub = StubOf(*first);
  EXPECT_TRUE(EchoCall(*stub, "").Await().ok());
  first->StopAndDrain();
  const std::unique_ptr<ServerHost> second = Make({Loopback(PortOf(*first))});
  const absl::Status status = second->Start();
  ASSERT_TRUE(status.ok()) << status;
  const auto again = StubOf(*second);
  EXPECT_TRUE(EchoCall(*again, "").Await().ok());
}

}  // namespace
}  // namespace leasehold
