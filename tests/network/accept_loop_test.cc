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
                                         limits, taker_);
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
