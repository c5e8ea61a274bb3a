// Functions that the linker puts around those by which gRPC 1.51.1 waits for
// its connections and reads them (`ld --wrap`, frame_wraps.cmake): they keep
// turns (read_turns.h).
#ifdef LEASEHOLD_FRAME_WRAPS

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "lease/base/mutex.h"
#include "service/network/read_turns.h"

namespace leasehold {
namespace {

// As gRPC, and nobody else in this program, asks for news of a connection:
// edges, which it is told of once.
constexpr uint32_t kEdges = uint32_t{EPOLLIN} | EPOLLOUT | EPOLLET;

struct Watched {
  int epoll;
  epoll_event event;
};

// By their descriptors. An entry lasts until another connection has that
// descriptor: gRPC closes them without a word to epoll.
class Watches {
 public:
  void Set(int descriptor, Watched watched) {
    MutexLock lock(mu_);
    watched_[descriptor] = watched;
  }
  std::optional<Watched> Find(int descriptor) {
    MutexLock lock(mu_);
    const auto found = watched_.find(descriptor);
    if (found == watched_.end()) return std::nullopt;
    return found->second;
  }

 private:
  Mutex mu_;
  absl::flat_hash_map<int, Watched> watched_ ABSL_GUARDED_BY(mu_);
};

Watches& TheWatches() {
  static auto& watches = *new Watches();
  return watches;
}

}  // namespace

extern "C" {

int __real_epoll_ctl(int epoll, int what, int descriptor, epoll_event* event);
int __real_epoll_wait(int epoll, epoll_event* events, int most, int wait_ms);
ssize_t __real_recvmsg(int descriptor, msghdr* message, int flags);

int __wrap_epoll_ctl(int epoll, int what, int descriptor, epoll_event* event) {
  if (what == EPOLL_CTL_ADD && event->events == kEdges) {
    TheWatches().Set(descriptor, {epoll, *event});
  }
  return __real_epoll_ctl(epoll, what, descriptor, event);
}

int __wrap_epoll_wait(int epoll, epoll_event* events, int most, int wait_ms) {
  ThisThreadsReadTurn().Begin();
  return __real_epoll_wait(epoll, events, most, wait_ms);
}

ssize_t __wrap_recvmsg(int descriptor, msghdr* message, int flags) {
  constexpr size_t kParts = 16;  // gRPC has up to four.
  ReadTurn& turn = ThisThreadsReadTurn();
  size_t room = turn.Room();
  if (!turn.limited() || flags != 0 || message->msg_iovlen > kParts) {
    return __real_recvmsg(descriptor, message, flags);
  }
  if (room == 0) {
    // Whoever waits for connections next is told of this one, behind others.
    std::optional<Watched> watched = TheWatches().Find(descriptor);
    if (watched.has_value() &&
        __real_epoll_ctl(watched->epoll, EPOLL_CTL_MOD, descriptor,
                         &watched->event) == 0) {
      errno = EAGAIN;
      return -1;
    }
    return __real_recvmsg(descriptor, message, flags);
  }
  std::array<iovec, kParts> parts;
  msghdr smaller = *message;
  smaller.msg_iov = parts.data();
  smaller.msg_iovlen = 0;
  while (room > 0 && smaller.msg_iovlen < message->msg_iovlen) {
    iovec& part = parts[smaller.msg_iovlen];
    part = message->msg_iov[smaller.msg_iovlen++];
    part.iov_len = std::min(part.iov_len, room);
    room -= part.iov_len;
  }
  const ssize_t bytes = __real_recvmsg(descriptor, &smaller, flags);
  if (bytes > 0) turn.OnRead(static_cast<size_t>(bytes));
  message->msg_namelen = smaller.msg_namelen;
  message->msg_controllen = smaller.msg_controllen;
  message->msg_flags = smaller.msg_flags;
  return bytes;
}

}  // extern "C"

}  // namespace leasehold

#endif  // LEASEHOLD_FRAME_WRAPS
