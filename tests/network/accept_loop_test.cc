#include "service/network/accept_loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "service/network/caller_addresses.h"
#include "tests/network/proxy_headers.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

const std::string kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Records what the loop reports, and lets a test wait for it.
class Taker final : public ConnectionTaker {
 public:
  void Take(int descriptor, bool /*tls*/) override {
    std::lock_guard lock(mu_);
    taken_.push_back(descriptor);
    changed_.notify_all();
  }
  void OnRefused(Refusal refusal, const std::string& address) override {
    std::lock_guard lock(mu_);
    refused_.emplace_back(refusal, address);
    changed_.notify_all();
  }
  int AwaitTaken() { return Await(taken_); }
  std::pair<Refusal, std::string> AwaitRefused() { return Await(refused_); }

 private:
  template <typename T>
  T Await(std::deque<T>& queue) {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [&queue] { return !queue.empty(); });
    T first = std::move(queue.front());
    queue.pop_front();
    return first;
  }

  std::mutex mu_;
  std::condition_variable changed_;
  std::deque<int> taken_;
  std::deque<std::pair<Refusal, std::string>> refused_;
};

sockaddr_in Loopback(in_port_t port) {
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_port = port;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return name;
}

// A client's socket.
class Client {
 public:
  explicit Client(in_port_t port, bool connected = true)
      : port_(port), descriptor_(socket(AF_INET, SOCK_STREAM, 0)) {
    if (connected) Connect();
  }
  ~Client() { Close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // From this port, although connections of it have just ended.
  void BindTo(in_port_t port) {
    const int on = 1;
    setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const sockaddr_in name = Loopback(port);
    if (bind(descriptor_, reinterpret_cast<const sockaddr*>(&name),
             sizeof(name)) != 0) {
      std::abort();
    }
  }
  void Connect() {
    const sockaddr_in name = Loopback(port_);
    if (connect(descriptor_, reinterpret_cast<const sockaddr*>(&name),
                sizeof(name)) != 0) {
      std::abort();
    }
  }
  void Say(const std::string& text) {
    EXPECT_EQ(send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  // Its own port.
  in_port_t port() const {
    sockaddr_in name = {};
    socklen_t size = sizeof(name);
    getsockname(descriptor_, reinterpret_cast<sockaddr*>(&name), &size);
    return name.sin_port;
  }
  // As gRPC would call it.
  std::string peer() const {
    return "ipv4:127.0.0.1:" + std::to_string(ntohs(port()));
  }
  // Waits for the connection's end, and returns whether it was a reset.
  bool AwaitReset() {
    char byte;
    return recv(descriptor_, &byte, 1, 0) < 0 && errno == ECONNRESET;
  }
  void Close() {
    if (descriptor_ >= 0) close(std::exchange(descriptor_, -1));
  }

 private:
  const in_port_t port_;
  int descriptor_;
};

class AcceptLoopTest : public testing::Test {
 protected:
  AcceptLoopTest()
      : listener_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    sockaddr_in name = Loopback(0);
    socklen_t size = sizeof(name);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&name), size) != 0 ||
        listen(listener_, 64) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&name), &size) !=
            0) {
      std::abort();
    }
    port_ = name.sin_port;
  }
  ~AcceptLoopTest() override {
    loop_.reset();
    close(listener_);
  }

  void Start(AcceptLimits limits = {}) {
    loop_ = std::make_unique<AcceptLoop>(clock_, std::vector<int>{listener_},
                                         std::move(limits), taker_, callers_);
  }
  void Advance(absl::Duration duration) {
    clock_.Advance(duration);
    loop_->Wake();
  }
  // A client whose connection the taker has; and the descriptor on our side.
  std::pair<std::unique_ptr<Client>, int> MakeTaken() {
    auto client = std::make_unique<Client>(port_);
    client->Say(kPreface);
    return {std::move(client), taker_.AwaitTaken()};
  }

  SimulatedClock clock_;
  Taker taker_;
  CallerAddresses callers_;
  const int listener_;
  in_port_t port_ = 0;
  std::unique_ptr<AcceptLoop> loop_;
};

using Refused = std::pair<Refusal, std::string>;

TEST_F(AcceptLoopTest, ConnectionThatSpeaksHttp2IsHandedOnAsItCame) {
  Start();
  Client client(port_);
  client.Say(kPreface + "more");
  const int taken = taker_.AwaitTaken();
  char bytes[64];
  const ssize_t size = recv(taken, bytes, sizeof(bytes), 0);
  EXPECT_EQ(std::string(bytes, size), kPreface + "more");
  close(taken);
}

TEST_F(AcceptLoopTest, PrefaceMayComeInPieces) {
  Start();
  Client client(port_);
  for (const char c : kPreface) client.Say(std::string(1, c));
  close(taker_.AwaitTaken());
}

TEST_F(AcceptLoopTest, OtherBytesAreResetAtOnce) {
  Start();
  Client client(port_);
  client.Say("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(taker_.AwaitRefused(), Refused(Refusal::kNotHttp2, "127.0.0.1"));
  EXPECT_TRUE(client.AwaitReset());
}

TEST_F(AcceptLoopTest, WithTlsAConnectionBeginsWithAHandshake) {
  Start({.tls = true});
  Client client(port_);
  client.Say("\x16");
  client.Say("\x03\x01 and what follows");
  close(taker_.AwaitTaken());
  for (const std::string& first : {kPreface, std::string("\x16\x02")}) {
    Client other(port_);
    other.Say(first);
    EXPECT_EQ(taker_.AwaitRefused(), Refused(Refusal::kNotTls, "127.0.0.1"));
    EXPECT_TRUE(other.AwaitReset());
  }
}

// It waits for the taker's greeting, as long as half of the room is free.
TEST_F(AcceptLoopTest, SilentConnectionIsHandedOnWhileThereIsMuchRoom) {
  for (const AcceptLimits& limits :
       {AcceptLimits{.connections_max = 6},
        AcceptLimits{.connections_of_address_max = 6}}) {
    Start(limits);
    Client first(port_);
    Client second(port_);
    MakeTaken();  // The loop has seen those before.
    Advance(limits.greeting_delay);
    const int taken[] = {taker_.AwaitTaken(), taker_.AwaitTaken()};
    Client third(port_);
    Client half(port_);
    half.Say(kPreface.substr(0, 12));
    MakeTaken();
    Advance(limits.first_bytes_timeout);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(taker_.AwaitRefused(), Refused(Refusal::kSilent, "127.0.0.1"));
    }
    EXPECT_TRUE(third.AwaitReset());
    EXPECT_TRUE(half.AwaitReset());
    for (const int descriptor : taken) close(descriptor);
    loop_.reset();
  }
}

TEST_F(AcceptLoopTest, SilenceAndHalfAPrefaceEndAtTheDeadline) {
  Start({.connections_max = 4, .first_bytes_timeout = absl::Seconds(10)});
  Client silent(port_);
  Client half(port_);
  half.Say(kPreface.substr(0, 12));
  MakeTaken();  // The loop has seen those before.
  Advance(absl::Seconds(10));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(taker_.AwaitRefused(), Refused(Refusal::kSilent, "127.0.0.1"));
  }
  EXPECT_TRUE(silent.AwaitReset());
  EXPECT_TRUE(half.AwaitReset());
}

TEST_F(AcceptLoopTest, AtTheBoundOneIsRefusedUntilAnotherHasGone) {
  for (const AcceptLimits& limits :
       {AcceptLimits{.connections_max = 2},
        AcceptLimits{.connections_of_address_max = 2}}) {
    Start(limits);
    const auto [first, first_taken] = MakeTaken();
    const auto [second, second_taken] = MakeTaken();
    Client third(port_);
    EXPECT_EQ(taker_.AwaitRefused().first, limits.connections_max == 2
                                               ? Refusal::kTooMany
                                               : Refusal::kTooManyOfAddress);
    EXPECT_TRUE(third.AwaitReset());
    // The taker closes it, and its number now belongs to another socket.
    close(first_taken);
    Client other(port_, /*connected=*/false);
    Advance(absl::Milliseconds(10));
    const auto [fourth, fourth_taken] = MakeTaken();
    close(second_taken);
    close(fourth_taken);
    loop_.reset();
  }
}

TEST_F(AcceptLoopTest, SilentConnectionGivesWayToANewOne) {
  for (const AcceptLimits& limits :
       {AcceptLimits{.connections_max = 2},
        AcceptLimits{.connections_of_address_max = 2}}) {
    Start(limits);
    Client oldest(port_);
    Client newer(port_);
    const auto [polite, taken] = MakeTaken();
    EXPECT_TRUE(oldest.AwaitReset());
    newer.Say(kPreface);
    close(taker_.AwaitTaken());
    close(taken);
    loop_.reset();
  }
}

// All descriptors are in use while a client connects; then some are free again.
TEST_F(AcceptLoopTest, WithoutDescriptorsClientsAreTurnedAwayAndLaterServed) {
  Start();
  // One rejection now: the first one makes UBSan's type check open descriptors.
  Client(port_).Say("GET");
  EXPECT_EQ(taker_.AwaitRefused().first, Refusal::kNotHttp2);
  Client unlucky(port_, /*connected=*/false);
  Client next(port_, /*connected=*/false);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int free = dup(0);
  close(free);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(free);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  unlucky.Connect();
  EXPECT_EQ(taker_.AwaitRefused(), Refused(Refusal::kNoDescriptor, ""));
  EXPECT_TRUE(unlucky.AwaitReset());
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  next.Connect();
  next.Say(kPreface);
  close(taker_.AwaitTaken());
}

// ---- Behind proxies ---------------------------------------------------------

const char kVersion1[] = "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n";
const char kCaller[] = "ipv4:203.0.113.7:4711";

class AcceptLoopBehindProxyTest : public AcceptLoopTest {
 protected:
  // All clients are proxies.
  void StartBehind(AcceptLimits limits = {}) {
    limits.proxies = {AddressRange::Parse("127.0.0.1").value()};
    Start(std::move(limits));
  }
  // A proxy's connection that the taker has.
  std::pair<std::unique_ptr<Client>, int> MakeTakenFor(
      const std::string& header) {
    auto client = std::make_unique<Client>(port_);
    client->Say(header + kPreface);
    return {std::move(client), taker_.AwaitTaken()};
  }
  static std::string HeaderOf(const std::string& address) {
    return "PROXY TCP4 " + address + " 10.0.0.1 4711 443\r\n";
  }
};

TEST_F(AcceptLoopBehindProxyTest, HeaderIsCutOffAndSaysWhoCalls) {
  StartBehind();
  for (const std::string& header : {std::string(kVersion1), ProxyV2OfTcp4(),
                                    ProxyV2OfTcp4(std::string(1000, '\0'))}) {
    for (const bool in_pieces : {false, true}) {
      Client client(port_);
      if (in_pieces) {
        for (const char c : header) client.Say(std::string(1, c));
      } else {
        client.Say(header);
      }
      client.Say(kPreface + "more");
      const int taken = taker_.AwaitTaken();
      char bytes[64];
      const ssize_t size = recv(taken, bytes, sizeof(bytes), 0);
      EXPECT_EQ(std::string(bytes, size).substr(0, kPreface.size()), kPreface);
      EXPECT_EQ(callers_.Find(client.peer()), kCaller);
      close(taken);
    }
  }
}

TEST_F(AcceptLoopBehindProxyTest, HeaderComesBeforeTls) {
  StartBehind({.tls = true});
  Client client(port_);
  client.Say(kVersion1);
  client.Say("\x16\x03\x01");
  close(taker_.AwaitTaken());
  EXPECT_EQ(callers_.Find(client.peer()), kCaller);
  Client other(port_);
  other.Say(kVersion1 + kPreface);
  EXPECT_EQ(taker_.AwaitRefused(), Refused(Refusal::kNotTls, "203.0.113.7"));
}

TEST_F(AcceptLoopBehindProxyTest, ProxyMaySpeakForItself) {
  StartBehind({.connections_of_address_max = 1});
  std::vector<std::unique_ptr<Client>> clients;
  // Not even limited: it checks how we are.
  for (const std::string& header :
       {std::string("PROXY UNKNOWN\r\n"), ProxyV2(kV2Local, 0, "")}) {
    clients.push_back(std::make_unique<Client>(port_));
    clients.back()->Say(header + kPreface);
    taker_.AwaitTaken();
    EXPECT_EQ(callers_.Find(clients.back()->peer()), clients.back()->peer());
  }
}

TEST_F(AcceptLoopBehindProxyTest, OnlyGoodHeadersAreServed) {
  StartBehind();
  const std::string version1 = kVersion1;
  struct Case {
    std::string bytes;
    Refused refused;
  };
  for (const Case& c : std::vector<Case>{
           {kPreface, {Refusal::kNoProxyHeader, "127.0.0.1"}},
           {"GET / HTTP/1.1\r\n", {Refusal::kNoProxyHeader, "127.0.0.1"}},
           {"PROXY TCP4 nobody\r\n", {Refusal::kBadProxyHeader, "127.0.0.1"}},
           {"PROXY " + std::string(200, 'x'),
            {Refusal::kBadProxyHeader, "127.0.0.1"}},
           {ProxyV2OfTcp4(std::string(60'000, 'x')),
            {Refusal::kBadProxyHeader, "127.0.0.1"}},
           {version1 + version1, {Refusal::kProxyHeader, "203.0.113.7"}},
           {version1 + ProxyV2OfTcp4(), {Refusal::kProxyHeader, "203.0.113.7"}},
           {version1 + "GET /", {Refusal::kNotHttp2, "203.0.113.7"}}}) {
    Client client(port_);
    client.Say(c.bytes);
    EXPECT_EQ(taker_.AwaitRefused(), c.refused) << c.bytes.substr(0, 60);
    EXPECT_TRUE(client.AwaitReset());
    EXPECT_EQ(callers_.Find(client.peer()), client.peer());
  }
}

TEST_F(AcceptLoopBehindProxyTest, StrangersMayNotSendOne) {
  Start({.proxies = {AddressRange::Parse("10.0.0.0/8").value()}});
  for (const std::string& header : {std::string(kVersion1), ProxyV2OfTcp4()}) {
    Client client(port_);
    client.Say(header + kPreface);
    EXPECT_EQ(taker_.AwaitRefused(),
              Refused(Refusal::kProxyHeader, "127.0.0.1"));
    EXPECT_TRUE(client.AwaitReset());
  }
  const auto [client, taken] = MakeTaken();
  EXPECT_EQ(callers_.Find(client->peer()), client->peer());
  close(taken);
}

TEST_F(AcceptLoopBehindProxyTest, SilenceIsNoHeader) {
  StartBehind();
  Client silent(port_);
  Client half(port_);
  half.Say("PROXY TCP4");
  Client greeted(port_);
  greeted.Say(kVersion1);
  MakeTakenFor(kVersion1);  // The loop has seen those before.
  Advance(absl::Milliseconds(10));
  // Only the one whose header is complete may wait for our greeting.
  close(taker_.AwaitTaken());
  EXPECT_EQ(callers_.Find(greeted.peer()), kCaller);
  Advance(absl::Seconds(10));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(taker_.AwaitRefused(), Refused(Refusal::kSilent, "127.0.0.1"));
  }
  EXPECT_TRUE(silent.AwaitReset());
  EXPECT_TRUE(half.AwaitReset());
}

TEST_F(AcceptLoopBehindProxyTest, AddressesOfCallersAreLimited) {
  StartBehind({.connections_of_address_max = 2});
  const auto first = MakeTakenFor(HeaderOf("203.0.113.7"));
  Client waits(port_);
  waits.Say(HeaderOf("203.0.113.7"));
  const auto other = MakeTakenFor(HeaderOf("203.0.113.8"));
  // One that only waits gives way, as ever.
  const auto second = MakeTakenFor(HeaderOf("203.0.113.7"));
  EXPECT_EQ(taker_.AwaitRefused(),
            Refused(Refusal::kTooManyOfAddress, "203.0.113.7"));
  EXPECT_TRUE(waits.AwaitReset());
  Client third(port_);
  third.Say(HeaderOf("203.0.113.7") + kPreface);
  EXPECT_EQ(taker_.AwaitRefused(),
            Refused(Refusal::kTooManyOfAddress, "203.0.113.7"));
  EXPECT_TRUE(third.AwaitReset());
  close(first.second);
  Advance(absl::Seconds(1));
  const auto fourth = MakeTakenFor(HeaderOf("203.0.113.7"));
  for (const int taken : {other.second, second.second, fourth.second}) {
    close(taken);
  }
}

// What is said of a connection's end is said after it.
TEST_F(AcceptLoopBehindProxyTest, CallerIsKnownForAWhileAfterTheEnd) {
  StartBehind();
  const auto [client, taken] = MakeTakenFor(kVersion1);
  close(taken);
  Advance(absl::Seconds(1));
  const auto [other, other_taken] = MakeTakenFor(kVersion1);
  EXPECT_EQ(callers_.Find(client->peer()), kCaller);
  while (callers_.Has(client->peer())) Advance(absl::Seconds(1));
  EXPECT_EQ(callers_.Find(other->peer()), kCaller);
  close(other_taken);
}

TEST_F(AcceptLoopBehindProxyTest, PortThatIsUsedAgainStandsForItsNewCaller) {
  StartBehind();
  auto [client, taken] = MakeTakenFor(kVersion1);
  const in_port_t port = client->port();
  const std::string peer = client->peer();
  // Ours ends first, with a reset: the port is free at once.
  const linger at_once = {.l_onoff = 1, .l_linger = 0};
  setsockopt(taken, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  close(taken);
  EXPECT_TRUE(client->AwaitReset());
  client->Close();
  Client next(port_, /*connected=*/false);
  next.BindTo(port);
  next.Connect();
  next.Say(HeaderOf("203.0.113.8") + kPreface);
  const int next_taken = taker_.AwaitTaken();
  EXPECT_EQ(next.peer(), peer);
  EXPECT_EQ(callers_.Find(peer), "ipv4:203.0.113.8:4711");
  close(next_taken);
}

TEST_F(AcceptLoopTest, StopClosesWhatWaitsAndLeavesWhatWasHandedOn) {
  Start();
  Client silent(port_);
  const auto [client, taken] = MakeTaken();
  loop_->Stop();
  EXPECT_TRUE(silent.AwaitReset());
  client->Say("on");
  char bytes[64];
  EXPECT_EQ(recv(taken, bytes, sizeof(bytes), 0),
            static_cast<ssize_t>(kPreface.size() + 2));
  close(taken);
}

}  // namespace
}  // namespace leasehold
