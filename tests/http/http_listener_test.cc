// The listener over real sockets: its room for connections, and answers that
// come from other threads while connections end. (What it takes and refuses is
// tested from outside: tests/acceptance/http_listener.py.)
#include "service/http/http_listener.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

// Things that one thread puts, and others take.
template <typename T>
class Queue {
 public:
  void Put(T one) {
    std::lock_guard lock(mu_);
    all_.push_back(std::move(one));
    changed_.notify_all();
  }
  // Waits for one. False: there will be none.
  bool Take(T& one) {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [this] { return closed_ || !all_.empty(); });
    if (all_.empty()) return false;
    one = std::move(all_.front());
    all_.pop_front();
    return true;
  }
  void Close() {
    std::lock_guard lock(mu_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::deque<T> all_;
  bool closed_ = false;
};

// A body whose parts another thread hands over.
class AskingBody final : public HttpBody {
 public:
  explicit AskingBody(Queue<Done>& asked) : asked_(asked) {}
  void Next(Done done) override { asked_.Put(std::move(done)); }

 private:
  Queue<Done>& asked_;
};

class Client {
 public:
  explicit Client(const sockaddr_in& server)
      : descriptor_(socket(AF_INET, SOCK_STREAM, 0)) {
    if (connect(descriptor_, reinterpret_cast<const sockaddr*>(&server),
                sizeof(server)) != 0) {
      std::abort();
    }
  }
  ~Client() { close(descriptor_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // If the connection has ended, ReadUntil says so.
  void Say(const std::string& text) const {
    (void)send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
  }
  void Ask(const std::string& path) const {
    Say(absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
  }
  // Reads until `end` was there. False: the connection has ended before.
  bool ReadUntil(const std::string& end) {
    while (read_.find(end) == std::string::npos) {
      char bytes[4096];
      const ssize_t size = recv(descriptor_, bytes, sizeof(bytes), 0);
      if (size <= 0) return false;
      read_.append(bytes, static_cast<size_t>(size));
    }
    return true;
  }
  const std::string& read() const { return read_; }

 private:
  const int descriptor_;
  std::string read_;
};

class HttpListenerTest : public testing::Test {
 protected:
  HttpListenerTest() : door_(clock_, Options()) {
    listening_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    name_.sin_family = AF_INET;
    name_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(name_);
    if (bind(listening_, reinterpret_cast<sockaddr*>(&name_), size) != 0 ||
        listen(listening_, 64) != 0 ||
        getsockname(listening_, reinterpret_cast<sockaddr*>(&name_), &size) !=
            0) {
      std::abort();
    }
    door_.Add(
        {Route("/now",
               [](const HttpCallPtr& call) {
                 call->Finish(JsonResponse(200, "{}"));
               }),
         Route("/held", [this](const HttpCallPtr& call) { calls_.Put(call); }),
         Route("/blocks",
               [this](const HttpCallPtr& call) {
                 call->Finish(JsonResponse(200, "{}"));
                 blocked_.Put(true);
                 bool go = false;
                 go_.Take(go);
               }),
         Route("/stream",
               [this](const HttpCallPtr& call) {
                 HttpResponse response;
                 response.source = std::make_unique<AskingBody>(asked_);
                 call->Finish(std::move(response));
               })},
        {{.service = "test.Any", .name = "Get", .role = Role::kAnyone}});
  }
  ~HttpListenerTest() override {
    go_.Close();
    listener_.reset();
    close(listening_);
  }

  static HttpDoorOptions Options() {
    HttpDoorOptions options;
    options.hosts = HostList({"127.0.0.1"}, false);
    return options;
  }
  static HttpRoute Route(std::string path, HttpHandler handler) {
    return {.method = "GET",
            .pattern = std::move(path),
            .row = "test.Any/Get",
            .handler = std::move(handler)};
  }
  void Start(HttpLimits limits = {}) {
    listener_ = std::make_unique<HttpListener>(clock_, door_, limits);
    listener_->Start({listening_});
  }
  std::unique_ptr<Client> Connect() const {
    return std::make_unique<Client>(name_);
  }

  SimulatedClock clock_;
  sockaddr_in name_ = {};
  int listening_ = -1;
  Queue<HttpCallPtr> calls_;
  Queue<bool> blocked_;  // `/blocks` has the listener's thread,
  Queue<bool> go_;       // until this.
  Queue<HttpBody::Done> asked_;
  HttpDoor door_;
  std::unique_ptr<HttpListener> listener_;
};

TEST_F(HttpListenerTest, AConnectionMakesRoomForOneOnly) {
  // Who comes by a proxy waits for nothing before the proxy has spoken.
  Start({.connections_max = 2, .proxies = {*AddressRange::Parse("127.0.0.1")}});
  const auto idle = Connect();
  idle->Say("PROXY UNKNOWN\r\n");
  idle->Ask("/now");
  ASSERT_TRUE(idle->ReadUntil("{}"));
  const auto blocks = Connect();
  blocks->Say("PROXY UNKNOWN\r\n");
  blocks->Ask("/blocks");
  bool blocked = false;
  ASSERT_TRUE(blocked_.Take(blocked));
  // These are accepted one after the other, before the idle one has ended.
  const auto a = Connect();
  const auto b = Connect();
  const auto c = Connect();
  go_.Put(true);
  while (listener_->counts().accepted < 5) std::this_thread::yield();
  listener_->Stop();  // What it has begun to refuse is counted then.
  // There was room for two at most.
  const auto refused = listener_->counts().refused;
  EXPECT_GE(refused[static_cast<size_t>(RefusedConnection::kTooMany)], 1u);
}

TEST_F(HttpListenerTest, AnswersMayComeWhileItStops) {
  constexpr size_t kClients = 16;
  Start();
  std::vector<std::unique_ptr<Client>> clients;
  for (size_t i = 0; i < kClients; ++i) {
    clients.push_back(Connect());
    clients.back()->Ask("/held");
  }
  std::vector<HttpCallPtr> calls(kClients);
  for (HttpCallPtr& call : calls) {
    ASSERT_TRUE(calls_.Take(call));
  }
  std::thread answers([&calls] {
    for (HttpCallPtr& call : calls) {
      call->Finish(JsonResponse(200, "{}"));
      call.reset();
    }
  });
  listener_->Stop();
  for (const auto& client : clients) {
    // Each had its answer, or none: nothing hangs.
    const bool answered = client->ReadUntil("{}");
    EXPECT_TRUE(answered || client->read().empty()) << client->read();
  }
  answers.join();
}

TEST_F(HttpListenerTest, StreamsMayBeToldMoreWhileTheirClientsGo) {
  constexpr int kClients = 16;
  Start();
  std::thread tells([this] {
    for (HttpBody::Done done; asked_.Take(done);) done(std::string("part"));
  });
  for (int i = 0; i < kClients; ++i) {
    const auto client = Connect();
    client->Ask("/stream");
    EXPECT_TRUE(client->ReadUntil("part\r\n4\r\npart"));
  }
  const auto last = Connect();
  last->Ask("/stream");
  EXPECT_TRUE(last->ReadUntil("part"));
  listener_->Stop();
  EXPECT_FALSE(last->ReadUntil("0\r\n\r\n"));
  asked_.Close();
  tells.join();
}

}  // namespace
}  // namespace leasehold
