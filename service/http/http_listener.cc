#include "service/http/http_listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lease/base/cells.h"
#include "lease/base/mutex.h"
#include "service/http/http_connection.h"
#include "service/http/http_inbox.h"
#include "service/network/caller_addresses.h"
#include "service/network/counted_address.h"

namespace leasehold {
namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;
using TlsContext = HttpConnection::TlsContext;

constexpr int kNicer = 5;
// How often deadlines are looked at.
constexpr std::chrono::milliseconds kSweepEach(250);
// After accept has failed for lack of a resource.
constexpr std::chrono::milliseconds kPause(100);
// Per socket and round, so that the others get their turn.
constexpr int kAcceptsMax = 64;

// HTTP/1.1, for clients that ask by ALPN; those that want only something else,
// such as gRPC's, are told so in the handshake.
int SelectProtocol(SSL*, const unsigned char** chosen, unsigned char* length,
                   const unsigned char* offered, unsigned offered_bytes,
                   void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  unsigned char* found = nullptr;
  const int result = SSL_select_next_proto(
      &found, length, kOurs, sizeof(kOurs) - 1, offered, offered_bytes);
  *chosen = found;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK
                                          : SSL_TLSEXT_ERR_ALERT_FATAL;
}

absl::StatusOr<std::shared_ptr<TlsContext>> MakeTlsContext(
    const TlsMaterial& material, ClientAuth client_auth) {
  auto context = std::make_shared<TlsContext>(TlsContext::tls_server);
  Error error;
  const auto check = [&error](const char* what) -> absl::Status {
    if (!error) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(what, " does not suit TLS: ", error.message()));
  };
  context->use_certificate_chain(asio::buffer(material.chain), error);
  if (absl::Status status = check("the certificate"); !status.ok()) {
    return status;
  }
  context->use_private_key(asio::buffer(material.key), TlsContext::pem, error);
  if (absl::Status status = check("the private key"); !status.ok()) {
    return status;
  }
  SSL_CTX* const ssl = context->native_handle();
  SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
  // A session that goes on would outlive what it was opened with.
  SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_alpn_select_cb(ssl, &SelectProtocol, nullptr);
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  if (client_auth == ClientAuth::kNone) return context;
  context->add_certificate_authority(asio::buffer(material.client_ca), error);
  if (absl::Status status = check("the clients' authorities"); !status.ok()) {
    return status;
  }
  context->set_verify_mode(client_auth == ClientAuth::kRequire
                               ? asio::ssl::verify_peer |
                                     asio::ssl::verify_fail_if_no_peer_cert
                               : asio::ssl::verify_peer);
  return context;
}

void SetOption(int descriptor, int level, int option, int value) {
  setsockopt(descriptor, level, option, &value, sizeof(value));
}

constexpr char kTooManyText[] =
    "there are too many connections already, in all or of its address";

}  // namespace

class HttpListener::Loop {
 public:
  Loop(Clock& clock, HttpDoor& door, HttpLimits limits,
       OnRefusedConnection on_refusal)
      : clock_(clock),
        shared_{.clock = clock,
                .door = door,
                .limits = limits,
                .inbox = std::make_shared<HttpInbox>([this] {
                  asio::post(io_, [this] { shared_.inbox->Run(); });
                }),
                .on_refusal = std::move(on_refusal)},
        timer_(io_),
        work_(asio::make_work_guard(io_)) {}

  void SetTls(std::shared_ptr<TlsContext> context) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    tls_.swap(context);
  }

  void Start(const std::vector<int>& sockets) {
    for (const int socket : sockets) {
      const int own = fcntl(socket, F_DUPFD_CLOEXEC, 0);
      if (own < 0) continue;
      sockets_.push_back(
          std::make_unique<asio::posix::stream_descriptor>(io_, own));
      AwaitConnections(*sockets_.back());
    }
    AwaitSweep();
    thread_ = std::thread([this] {
      setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNicer);
      io_.run();
    });
  }

  void Drain() {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] {
      shared_.draining = true;
      for (const auto& socket : sockets_) {
        Error ignored;
        socket->close(ignored);
      }
      ForEach([](HttpConnection& connection) { connection.Drain(); });
    });
  }

  void Stop(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_) {
    if (!thread_.joinable()) return;
    Drain();
    AwaitEnd(timeout);
    shared_.inbox->Close();
    asio::post(io_, [this] {
      ForEach([](HttpConnection& connection) { connection.Close(); });
      timer_.cancel();
      stopping_ = true;
      work_.reset();
    });
    thread_.join();
  }

  Counts counts() const {
    Counts counts{
        .open = open_.value(),
        .accepted = accepted_.value(),
        .bodies_refused = shared_.bodies.refused(),
        .bodies_refused_of_tenants = shared_.bodies.refused_of_tenants()};
    for (size_t i = 0; i < kRefusedConnections; ++i) {
      counts.refused[i] = shared_.refused[i].value();
    }
    return counts;
  }

  void Wake() {
    asio::post(io_, [this] { Sweep(); });
  }

 private:
  // Connections may end while it goes on.
  void ForEach(const std::function<void(HttpConnection&)>& visit) {
    const std::vector<std::shared_ptr<HttpConnection>> all(connections_.begin(),
                                                           connections_.end());
    for (const auto& connection : all) visit(*connection);
  }

  void AwaitEnd(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_) {
    const Instant deadline = clock_.Now() + timeout;
    asio::post(io_, [this] {
      MutexLock lock(mu_);
      ended_ = connections_.empty();
    });
    MutexLock lock(mu_);
    while (!ended_ && clock_.Now() < deadline) {
      clock_.WaitUntil(ended_cv_, mu_, deadline);
    }
  }

  void AwaitSweep() {
    timer_.expires_after(kSweepEach);
    timer_.async_wait([this](const Error& error) {
      if (error || stopping_) return;
      Sweep();
      AwaitSweep();
    });
  }

  void Sweep() {
    const Instant now = shared_.clock.Now();
    ForEach(
        [now](HttpConnection& connection) { connection.CheckDeadline(now); });
  }

  void AwaitConnections(asio::posix::stream_descriptor& socket) {
    socket.async_wait(asio::posix::stream_descriptor::wait_read,
                      [this, &socket](const Error& error) {
                        if (error) return;
                        if (Accept(socket.native_handle())) {
                          AwaitConnections(socket);
                        } else {
                          Pause(socket);
                        }
                      });
  }

  // There is no descriptor left: those who wait, wait a little longer.
  void Pause(asio::posix::stream_descriptor& socket) {
    const auto timer = std::make_shared<asio::steady_timer>(io_, kPause);
    timer->async_wait([this, &socket, timer](const Error&) {
      if (socket.is_open()) AwaitConnections(socket);
    });
  }

  // False: it has failed for lack of a resource.
  bool Accept(int socket) {
    for (int i = 0; i < kAcceptsMax; ++i) {
      sockaddr_storage peer = {};
      socklen_t size = sizeof(peer);
      const int accepted = accept4(socket, reinterpret_cast<sockaddr*>(&peer),
                                   &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (accepted < 0) {
        return errno != EMFILE && errno != ENFILE && errno != ENOBUFS &&
               errno != ENOMEM;
      }
      Add(accepted, peer);
    }
    return true;
  }

  void Add(int descriptor, const sockaddr_storage& peer) {
    const std::string address = CountedAddress(peer);
    const bool is_unix = address == kUnixAddress;
    const bool is_proxy = IsProxy(peer);
    accepted_.Add();
    if ((!is_unix && !is_proxy && IsFull(address)) || !MakeRoom()) {
      shared_.Refuse(RefusedConnection::kTooMany, PeerText(peer), kTooManyText);
      const linger at_once = {.l_onoff = 1, .l_linger = 0};
      setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
      close(descriptor);
      return;
    }
    if (!is_unix) {
      SetOption(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
      SetOption(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
      SetOption(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT,
                static_cast<int>(
                    absl::ToInt64Milliseconds(shared_.limits.write_timeout)));
    }
    HttpConnection::Socket socket(io_);
    Error error;
    socket.assign(asio::generic::stream_protocol(peer.ss_family, 0), descriptor,
                  error);
    if (error) {
      close(descriptor);
      return;
    }
    const auto counted = std::make_shared<Counted>(*this);
    HttpConnection::CountFor count_for;
    if (is_proxy) {
      count_for = [this, counted](const sockaddr_storage& caller) {
        const std::string named = CountedAddress(caller);
        if (IsFull(named)) {
          shared_.Refuse(RefusedConnection::kTooMany, PeerText(caller),
                         kTooManyText);
          return false;
        }
        counted->Set(named);
        return true;
      };
    } else if (!is_unix) {
      counted->Set(address);
    }
    const auto connection = std::make_shared<HttpConnection>(
        shared_, std::move(socket), is_unix ? nullptr : tls(), PeerText(peer),
        std::move(count_for));
    connections_.insert(connection);
    open_.Add();
    connection->Start([this, counted, weak = std::weak_ptr(connection)] {
      counted->Clear();
      connections_.erase(weak.lock());
      open_.Subtract();
      if (!connections_.empty() || !shared_.draining) return;
      MutexLock lock(mu_);
      ended_ = true;
      ended_cv_.NotifyAll();
    });
  }

  // The address that a connection counts for.
  class Counted {
   public:
    explicit Counted(Loop& loop) : loop_(loop) {}
    // REQUIRES: it counts for none.
    void Set(std::string address) {
      ++loop_.of_address_[address];
      address_ = std::move(address);
    }
    void Clear() {
      const auto found = loop_.of_address_.find(address_);
      if (found == loop_.of_address_.end()) return;
      if (--found->second == 0) loop_.of_address_.erase(found);
      address_.clear();
    }

   private:
    Loop& loop_;
    std::string address_;  // Empty: none.
  };

  bool IsProxy(const sockaddr_storage& peer) const {
    const auto& proxies = shared_.limits.proxies;
    return std::any_of(
        proxies.begin(), proxies.end(),
        [&peer](const AddressRange& range) { return range.Contains(peer); });
  }

  bool IsFull(const std::string& address) const {
    const auto found = of_address_.find(address);
    return found != of_address_.end() &&
           found->second >= shared_.limits.connections_of_address_max;
  }

  // Whether there is room for one more; ends one that waits for nothing, if
  // that makes room.
  bool MakeRoom() {
    if (connections_.size() < shared_.limits.connections_max) return true;
    for (const auto& connection : connections_) {
      if (!connection->idle()) continue;
      connection->Close();
      return true;
    }
    return false;
  }

  std::shared_ptr<TlsContext> tls() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    return tls_;
  }

  Clock& clock_;
  asio::io_context io_{1};
  HttpShared shared_;
  asio::steady_timer timer_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  bool stopping_ = false;
  std::vector<std::unique_ptr<asio::posix::stream_descriptor>> sockets_;
  std::unordered_set<std::shared_ptr<HttpConnection>> connections_;
  std::unordered_map<std::string, size_t> of_address_;
  SharedCell open_;
  Cell accepted_;

  Mutex mu_;
  CondVar ended_cv_;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  // Null: no TLS.
  std::shared_ptr<TlsContext> tls_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;
};

HttpListener::HttpListener(Clock& clock, HttpDoor& door, HttpLimits limits,
                           OnRefusedConnection on_refusal)
    : loop_(
          std::make_unique<Loop>(clock, door, limits, std::move(on_refusal))) {}

HttpListener::~HttpListener() { Stop(); }

absl::Status HttpListener::SetTls(const TlsMaterial& material,
                                  ClientAuth client_auth) {
  auto context = MakeTlsContext(material, client_auth);
  if (!context.ok()) return context.status();
  loop_->SetTls(*std::move(context));
  return absl::OkStatus();
}

void HttpListener::Start(const std::vector<int>& sockets) {
  loop_->Start(sockets);
}

void HttpListener::Drain() { loop_->Drain(); }

void HttpListener::Stop(absl::Duration timeout) { loop_->Stop(timeout); }

HttpListener::Counts HttpListener::counts() const { return loop_->counts(); }

void HttpListener::Wake() { loop_->Wake(); }

}  // namespace leasehold
