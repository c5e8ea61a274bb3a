#include "service/network/accept_loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace leasehold {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
// A record of a handshake, of TLS 1.0 or later (RFC 8446, 5.1).
constexpr std::string_view kTlsHandshake = "\x16\x03";

constexpr absl::Duration kSweepEach = absl::Seconds(1);
// Minimum time between two sweeps for room.
constexpr absl::Duration kSweepAgain = absl::Milliseconds(10);
// After accept has failed for lack of a resource.
constexpr absl::Duration kPause = absl::Milliseconds(100);

// Per listener and round, so that the other listeners get their turn.
constexpr int kAcceptsMax = 64;

constexpr char kUnix[] = "unix";

uint64_t CookieOf(int descriptor) {
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  return getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0
             ? cookie
             : 0;
}

// Closes it with a RST: our side keeps no state of it.
void Reset(int descriptor) {
  const linger at_once = {.l_onoff = 1, .l_linger = 0};
  setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  close(descriptor);
}

int OpenReserve() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

// The address by which connections are counted, as text. For IPv6 the first 64
// bits: a client with one address of a /64 has all of them.
std::string AddressOf(const sockaddr_storage& peer) {
  char text[INET6_ADDRSTRLEN] = "";
  if (peer.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(peer);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    return text;
  }
  if (peer.ss_family != AF_INET6) return kUnix;
  in6_addr v6 = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    inet_ntop(AF_INET, &v6.s6_addr[12], text, sizeof(text));
    return text;
  }
  if (!IN6_IS_ADDR_LOOPBACK(&v6)) std::memset(&v6.s6_addr[8], 0, 8);
  inet_ntop(AF_INET6, &v6, text, sizeof(text));
  return text;
}

int MillisecondsUntil(absl::Duration duration) {
  // Rounded up: otherwise the last millisecond would be spent spinning.
  return static_cast<int>(std::clamp<int64_t>(
      absl::ToInt64Milliseconds(duration) + 1, 0, 3'600'000));
}

}  // namespace

AcceptLoop::AcceptLoop(const Clock& clock, std::vector<int> listeners,
                       AcceptLimits limits, ConnectionTaker& taker)
    : clock_(clock),
      listeners_(std::move(listeners)),
      limits_(limits),
      taker_(taker),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      reserve_(OpenReserve()),
      next_id_(listeners_.size() + 1),  // 0 is wake_, then listeners.
      swept_(clock.Now()) {
  Watch(wake_, 0, EPOLLIN);
  for (size_t i = 0; i < listeners_.size(); ++i) {
    Watch(listeners_[i], i + 1, EPOLLIN);
  }
  thread_ = std::thread([this] { Run(); });
}

AcceptLoop::~AcceptLoop() {
  Stop();
  close(epoll_);
  close(wake_);
}

void AcceptLoop::Stop() {
  if (stop_.exchange(true)) return;
  Wake();
  thread_.join();
  for (const auto& [id, connection] : connections_) {
    if (!connection.handed) Reset(connection.descriptor);
  }
  connections_.clear();
  if (reserve_ >= 0) close(reserve_);
}

void AcceptLoop::Wake() {
  const uint64_t one = 1;
  // Fails only if an earlier wake is still unread.
  if (write(wake_, &one, sizeof(one)) < 0) return;
}

void AcceptLoop::Watch(int descriptor, Id id, uint32_t events) const {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = id;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
}

void AcceptLoop::Run() {
  epoll_event events[64];
  while (!stop_) {
    const int count = epoll_wait(epoll_, events, 64, WaitMs());
    for (int i = 0; i < count; ++i) {
      const Id id = events[i].data.u64;
      if (id == 0) {
        uint64_t wakes;
        if (read(wake_, &wakes, sizeof(wakes)) < 0) continue;
      } else if (id <= listeners_.size()) {
        Accept(listeners_[id - 1]);
      } else {
        OnBytes(id);
      }
    }
    HandOnSilent();
    CloseLate();
    const Instant now = clock_.Now();
    if (now >= swept_ + kSweepEach) Sweep();
    if (paused_ && now >= paused_until_) {
      paused_ = false;
      for (size_t i = 0; i < listeners_.size(); ++i) {
        Watch(listeners_[i], i + 1, EPOLLIN);
      }
    }
  }
}

int AcceptLoop::WaitMs() const {
  if (connections_.empty() && !paused_) return -1;
  Instant until = Instant::Infinite();
  if (!connections_.empty()) until = swept_ + kSweepEach;
  if (paused_) until = std::min(until, paused_until_);
  if (!newcomers_.empty()) until = std::min(until, newcomers_.front().first);
  if (!waiting_.empty()) {
    until = std::min(until, connections_.at(waiting_.front()).deadline);
  }
  return MillisecondsUntil(until - clock_.Now());
}

void AcceptLoop::Accept(int listener) {
  for (int i = 0; i < kAcceptsMax && !paused_; ++i) {
    sockaddr_storage peer = {};
    socklen_t size = sizeof(peer);
    const int descriptor = accept4(listener, reinterpret_cast<sockaddr*>(&peer),
                                   &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      Add(descriptor, peer);
    } else if (errno == EMFILE || errno == ENFILE) {
      if (!TurnAway(listener)) return;
    } else if (errno == ENOBUFS || errno == ENOMEM) {
      Pause();
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    }  // Else that client is already gone: try the next.
  }
}

bool AcceptLoop::TurnAway(int listener) {
  if (reserve_ >= 0) close(std::exchange(reserve_, -1));
  const int descriptor = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  const int error = errno;
  if (descriptor >= 0) {
    Reset(descriptor);
    taker_.OnRefused(Refusal::kNoDescriptor, "");
  }
  reserve_ = OpenReserve();
  if (descriptor >= 0) return true;
  // Otherwise another thread was faster, or the queue is empty.
  if (error == EMFILE || error == ENFILE) Pause();
  return false;
}

void AcceptLoop::Pause() {
  paused_ = true;
  paused_until_ = clock_.Now() + kPause;
  for (const int listener : listeners_) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, listener, nullptr);
  }
}

void AcceptLoop::Add(int descriptor, const sockaddr_storage& peer) {
  const std::string address = AddressOf(peer);
  if (!MakeRoom(address)) {
    const bool all = Full();
    Reset(descriptor);
    taker_.OnRefused(all ? Refusal::kTooMany : Refusal::kTooManyOfAddress,
                     address);
    return;
  }
  if (address != kUnix) {
    const int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const unsigned timeout =
        static_cast<unsigned>(MillisecondsUntil(limits_.unsent_timeout));
    setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout,
               sizeof(timeout));
  }
  const Id id = next_id_++;
  Connection& connection = connections_[id];
  connection.descriptor = descriptor;
  connection.cookie = CookieOf(descriptor);
  connection.address = address;
  connection.deadline = clock_.Now() + limits_.first_bytes_timeout;
  Group& group = groups_[address];
  ++group.connections;
  connection.in_waiting = waiting_.insert(waiting_.end(), id);
  connection.in_group_waiting = group.waiting.insert(group.waiting.end(), id);
  newcomers_.emplace_back(clock_.Now() + limits_.greeting_delay, id);
  // Reports at once if there is already something to read.
  Watch(descriptor, id, EPOLLIN | EPOLLET | EPOLLRDHUP);
}

bool AcceptLoop::FullOf(const std::string& address) const {
  if (address == kUnix) return false;
  const auto group = groups_.find(address);
  return group != groups_.end() &&
         group->second.connections >= limits_.connections_of_address_max;
}

bool AcceptLoop::HalfFull(const std::string& address) const {
  if (connections_.size() > limits_.connections_max / 2) return true;
  return address != kUnix && groups_.at(address).connections >
                                 limits_.connections_of_address_max / 2;
}

bool AcceptLoop::MakeRoom(const std::string& address) {
  if (!Full() && !FullOf(address)) return true;
  if (clock_.Now() >= swept_ + kSweepAgain) Sweep();
  if (FullOf(address)) {
    const Ids& waiting = groups_[address].waiting;
    if (waiting.empty()) return false;
    Refuse(connections_.find(waiting.front()), Refusal::kTooManyOfAddress);
  }
  if (Full()) {
    if (waiting_.empty()) return false;
    Refuse(connections_.find(waiting_.front()), Refusal::kTooMany);
  }
  return true;
}

void AcceptLoop::OnBytes(Id id) {
  const auto found = connections_.find(id);
  if (found == connections_.end() || found->second.handed) return;
  char bytes[kPreface.size()];
  const ssize_t size =
      recv(found->second.descriptor, bytes, sizeof(bytes), MSG_PEEK);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {  // The client is gone: nobody to reject.
    Reset(found->second.descriptor);
    Forget(found);
    return;
  }
  found->second.spoke = true;
  const std::string_view begin(bytes, static_cast<size_t>(size));
  const bool tls = BeginsWithTls(found->second);
  const std::string_view due = tls ? kTlsHandshake : kPreface;
  if (begin.substr(0, due.size()) != due.substr(0, begin.size())) {
    Refuse(found, tls ? Refusal::kNotTls : Refusal::kNotHttp2);
  } else if (begin.size() >= due.size()) {
    HandOn(found);
  }
}

bool AcceptLoop::BeginsWithTls(const Connection& connection) const {
  return limits_.tls && connection.address != kUnix;
}

void AcceptLoop::HandOn(Connections::iterator found) {
  Connection& connection = found->second;
  StopWaiting(connection);
  connection.handed = true;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.descriptor, nullptr);
  taker_.Take(connection.descriptor, BeginsWithTls(connection));
}

void AcceptLoop::Refuse(Connections::iterator found, Refusal refusal) {
  Reset(found->second.descriptor);
  const std::string address = found->second.address;
  Forget(found);
  taker_.OnRefused(refusal, address);
}

void AcceptLoop::StopWaiting(Connection& connection) {
  if (connection.handed) return;
  waiting_.erase(connection.in_waiting);
  groups_[connection.address].waiting.erase(connection.in_group_waiting);
}

void AcceptLoop::Forget(Connections::iterator found) {
  StopWaiting(found->second);
  const auto group = groups_.find(found->second.address);
  if (--group->second.connections == 0) groups_.erase(group);
  connections_.erase(found);
}

void AcceptLoop::HandOnSilent() {
  const Instant now = clock_.Now();
  while (!newcomers_.empty() && newcomers_.front().first <= now) {
    const auto found = connections_.find(newcomers_.front().second);
    newcomers_.pop_front();
    if (found == connections_.end()) continue;
    const Connection& connection = found->second;
    if (!connection.handed && !connection.spoke &&
        !HalfFull(connection.address)) {
      HandOn(found);
    }
  }
}

void AcceptLoop::CloseLate() {
  const Instant now = clock_.Now();
  while (!waiting_.empty()) {
    const auto found = connections_.find(waiting_.front());
    if (found->second.deadline > now) return;
    Refuse(found, Refusal::kSilent);
  }
}

void AcceptLoop::Sweep() {
  swept_ = clock_.Now();
  for (auto it = connections_.begin(); it != connections_.end();) {
    const auto found = it++;
    if (found->second.handed &&
        CookieOf(found->second.descriptor) != found->second.cookie) {
      Forget(found);
    }
  }
}

}  // namespace leasehold
