#include "service/network/accept_loop.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "service/network/counted_address.h"
#include "service/network/first_bytes.h"

namespace leasehold {
namespace {

constexpr absl::Duration kSweepEach = absl::Seconds(1);
// Minimum time between two sweeps for room.
constexpr absl::Duration kSweepAgain = absl::Milliseconds(10);
// After accept has failed for lack of a resource.
constexpr absl::Duration kPause = absl::Milliseconds(100);

// Per listener and round, so that the other listeners get their turn.
constexpr int kAcceptsMax = 64;

// How long it is known who was behind a proxy's connection that has ended, and
// for how many of them.
constexpr absl::Duration kDepartedKept = absl::Seconds(10);
constexpr size_t kDepartedMax = 10'000;

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

int MillisecondsUntil(absl::Duration duration) {
  // Rounded up: otherwise the last millisecond would be spent spinning.
  return static_cast<int>(std::clamp<int64_t>(
      absl::ToInt64Milliseconds(duration) + 1, 0, 3'600'000));
}

}  // namespace

AcceptLoop::AcceptLoop(const Clock& clock, std::vector<int> listeners,
                       AcceptLimits limits, ConnectionTaker& taker,
                       CallerAddresses& callers)
    : clock_(clock),
      listeners_(std::move(listeners)),
      limits_(std::move(limits)),
      taker_(taker),
      callers_(callers),
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
    ForgetDeparted();
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

bool AcceptLoop::IsProxy(const sockaddr_storage& peer) const {
  return std::any_of(
      limits_.proxies.begin(), limits_.proxies.end(),
      [&peer](const AddressRange& range) { return range.Contains(peer); });
}

void AcceptLoop::Add(int descriptor, const sockaddr_storage& peer) {
  const std::string address = CountedAddress(peer);
  const bool is_proxy = IsProxy(peer);
  const std::string group = is_proxy || address == kUnixAddress ? "" : address;
  if (!MakeRoom(group)) {
    const bool all = Full();
    Reset(descriptor);
    taker_.OnRefused(all ? Refusal::kTooMany : Refusal::kTooManyOfAddress,
                     address);
    return;
  }
  if (address != kUnixAddress) {
    const int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const unsigned timeout =
        static_cast<unsigned>(MillisecondsUntil(limits_.unsent_timeout));
    setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout,
               sizeof(timeout));
  }
  const Id id = next_id_++;
  Connection& connection = connections_[id];
  open_.store(connections_.size(), std::memory_order_relaxed);
  accepted_.Add();
  connection.descriptor = descriptor;
  connection.header_due = is_proxy;
  connection.cookie = CookieOf(descriptor);
  connection.address = address;
  if (is_proxy) connection.peer = PeerText(peer);
  connection.deadline = clock_.Now() + limits_.first_bytes_timeout;
  connection.in_waiting = waiting_.insert(waiting_.end(), id);
  JoinGroup(id, connection, group);
  AwaitGreeting(id);
  // Reports at once if there is already something to read.
  Watch(descriptor, id, EPOLLIN | EPOLLET | EPOLLRDHUP);
}

void AcceptLoop::JoinGroup(Id id, Connection& connection, std::string group) {
  connection.group = std::move(group);
  Group& joined = groups_[connection.group];
  ++joined.connections;
  connection.in_group_waiting = joined.waiting.insert(joined.waiting.end(), id);
}

// REQUIRES: it no longer waits there.
void AcceptLoop::LeaveGroup(const Connection& connection) {
  const auto group = groups_.find(connection.group);
  if (--group->second.connections == 0) groups_.erase(group);
}

void AcceptLoop::AwaitGreeting(Id id) {
  newcomers_.emplace_back(clock_.Now() + limits_.greeting_delay, id);
}

bool AcceptLoop::FullOf(const std::string& group) const {
  if (group.empty()) return false;
  const auto found = groups_.find(group);
  return found != groups_.end() &&
         found->second.connections >= limits_.connections_of_address_max;
}

bool AcceptLoop::HalfFull(const std::string& group) const {
  if (connections_.size() > limits_.connections_max / 2) return true;
  return !group.empty() &&
         groups_.at(group).connections > limits_.connections_of_address_max / 2;
}

bool AcceptLoop::MakeRoomInGroup(const std::string& group) {
  if (!FullOf(group)) return true;
  if (clock_.Now() >= swept_ + kSweepAgain) Sweep();
  if (!FullOf(group)) return true;
  const Ids& waiting = groups_[group].waiting;
  if (waiting.empty()) return false;
  Refuse(connections_.find(waiting.front()), Refusal::kTooManyOfAddress);
  return true;
}

bool AcceptLoop::MakeRoom(const std::string& group) {
  if (!MakeRoomInGroup(group)) return false;
  if (!Full()) return true;
  if (clock_.Now() >= swept_ + kSweepAgain) Sweep();
  if (!Full()) return true;
  if (waiting_.empty()) return false;
  Refuse(connections_.find(waiting_.front()), Refusal::kTooMany);
  return true;
}

std::string_view AcceptLoop::Peek(Connections::iterator found,
                                  std::span<char> bytes) {
  const ssize_t size =
      recv(found->second.descriptor, bytes.data(), bytes.size(), MSG_PEEK);
  if (size > 0) return {bytes.data(), static_cast<size_t>(size)};
  if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
    Reset(found->second.descriptor);  // Nobody is left to be refused.
    Forget(found);
  }
  return {};
}

void AcceptLoop::OnBytes(Id id) {
  const auto found = connections_.find(id);
  if (found == connections_.end() || found->second.handed) return;
  if (found->second.header_due && !TakeProxyHeader(found)) return;
  char bytes[kFirstBytesMax];
  const std::string_view begin = Peek(found, bytes);
  if (begin.empty()) return;
  found->second.spoke = true;
  const bool tls = BeginsWithTls(found->second);
  switch (ReadFirstBytes(begin, tls)) {
    case FirstBytes::kIncomplete:
      return;
    case FirstBytes::kExpected:
      return HandOn(found);
    case FirstBytes::kProxyHeader:
      return Refuse(found, Refusal::kProxyHeader);
    case FirstBytes::kOther:
      return Refuse(found, tls ? Refusal::kNotTls : Refusal::kNotHttp2);
  }
}

bool AcceptLoop::TakeProxyHeader(Connections::iterator found) {
  char bytes[kProxyHeaderBytesMax];
  const std::string_view begin = Peek(found, bytes);
  if (begin.empty()) return false;
  const ProxyHeader header = ReadProxyHeader(begin);
  switch (header.state) {
    case ProxyHeader::State::kIncomplete:
      return false;
    case ProxyHeader::State::kNone:
      Refuse(found, Refusal::kNoProxyHeader);
      return false;
    case ProxyHeader::State::kMalformed:
      Refuse(found, Refusal::kBadProxyHeader);
      return false;
    case ProxyHeader::State::kComplete:
      break;
  }
  // Now it is read, and the taker sees what follows.
  Connection& connection = found->second;
  if (recv(connection.descriptor, bytes, header.bytes, 0) !=
      static_cast<ssize_t>(header.bytes)) {
    Refuse(found, Refusal::kBadProxyHeader);
    return false;
  }
  connection.header_due = false;
  AwaitGreeting(found->first);
  return !header.caller.has_value() || CountFor(found, *header.caller);
}

bool AcceptLoop::CountFor(Connections::iterator found,
                          const sockaddr_storage& caller) {
  Connection& connection = found->second;
  const std::string address = CountedAddress(caller);
  const bool has_room = MakeRoomInGroup(address);
  groups_[connection.group].waiting.erase(connection.in_group_waiting);
  LeaveGroup(connection);
  connection.address = address;
  connection.caller = PeerText(caller);
  JoinGroup(found->first, connection, address);
  if (!has_room) Refuse(found, Refusal::kTooManyOfAddress);
  return has_room;
}

bool AcceptLoop::BeginsWithTls(const Connection& connection) const {
  return limits_.tls && connection.address != kUnixAddress;
}

void AcceptLoop::HandOn(Connections::iterator found) {
  Connection& connection = found->second;
  StopWaiting(connection);
  connection.handed = true;
  if (!connection.caller.empty()) TellCaller(found->first, connection);
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
  groups_[connection.group].waiting.erase(connection.in_group_waiting);
}

void AcceptLoop::Forget(Connections::iterator found) {
  Connection& connection = found->second;
  StopWaiting(connection);
  LeaveGroup(connection);
  if (connection.handed && !connection.caller.empty()) {
    departed_.push_back({clock_.Now() + kDepartedKept,
                         std::move(connection.peer), found->first});
  }
  connections_.erase(found);
  open_.store(connections_.size(), std::memory_order_relaxed);
}

void AcceptLoop::HandOnSilent() {
  const Instant now = clock_.Now();
  while (!newcomers_.empty() && newcomers_.front().first <= now) {
    const auto found = connections_.find(newcomers_.front().second);
    newcomers_.pop_front();
    if (found == connections_.end()) continue;
    const Connection& connection = found->second;
    if (!connection.handed && !connection.spoke && !connection.header_due &&
        !HalfFull(connection.group)) {
      HandOn(found);
    }
  }
}

void AcceptLoop::TellCaller(Id id, const Connection& connection) {
  if (callers_.Has(connection.peer)) {
    // A connection that had the same port before has ended by now.
    Sweep();
    for (Departed& departed : departed_) {
      if (departed.peer == connection.peer) {
        callers_.Remove(departed.peer, departed.id);
      }
    }
  }
  callers_.Add(connection.peer, id, connection.caller);
}

void AcceptLoop::ForgetDeparted() {
  const Instant now = clock_.Now();
  while (!departed_.empty() &&
         (departed_.front().until <= now || departed_.size() > kDepartedMax)) {
    callers_.Remove(departed_.front().peer, departed_.front().id);
    departed_.pop_front();
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
