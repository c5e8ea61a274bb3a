#include "service/host/listening_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

constexpr int kBacklog = 4096;  // The system's own limit is usually lower.
constexpr int kPortsTried = 10;

absl::Status CannotListen(const ListenAddress& address, int error) {
  return absl::UnavailableError(absl::StrCat(
      "cannot listen on ", address.ToString(), ": ", std::strerror(error)));
}

int NewSocket(int family) {
  return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

void SetOption(int descriptor, int level, int option, int value) {
  setsockopt(descriptor, level, option, &value, sizeof(value));
}

in_port_t& PortOf(sockaddr_storage& name) {
  return name.ss_family == AF_INET
             ? reinterpret_cast<sockaddr_in&>(name).sin_port
             : reinterpret_cast<sockaddr_in6&>(name).sin6_port;
}

// Whether `info` is in the list already, as `localhost` may be.
bool StandsBefore(const addrinfo* found, const addrinfo* info) {
  for (const addrinfo* other = found; other != info; other = other->ai_next) {
    if (other->ai_addrlen == info->ai_addrlen &&
        std::memcmp(other->ai_addr, info->ai_addr, info->ai_addrlen) == 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

absl::StatusOr<ListeningSocket> ListeningSocket::Open(
    const ListenAddress& address, mode_t unix_mode) {
  ListeningSocket opened(address);
  const absl::Status status =
      address.is_unix() ? opened.OpenUnix(unix_mode) : opened.OpenTcp();
  if (!status.ok()) return status;
  return opened;
}

void ListeningSocket::Close() {
  if (descriptors_.empty()) return;
  for (const int descriptor : descriptors_) close(descriptor);
  descriptors_.clear();
  struct stat found = {};
  const char* path = address_.unix_path.c_str();
  // Another server may have taken its place.
  if (address_.is_unix() && lstat(path, &found) == 0 &&
      found.st_dev == device_ && found.st_ino == inode_) {
    unlink(path);
  }
}

absl::Status ListeningSocket::OpenUnix(mode_t mode) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, address_.unix_path.data(),
              address_.unix_path.size());
  const char* path = address_.unix_path.c_str();
  const int descriptor = NewSocket(AF_UNIX);
  if (descriptor < 0) return CannotListen(address_, errno);
  struct stat file = {};
  if (lstat(path, &file) == 0 && S_ISSOCK(file.st_mode)) unlink(path);
  // Nobody can connect before listen, whatever the file's mode is until then.
  if (bind(descriptor, reinterpret_cast<const sockaddr*>(&name),
           sizeof(name)) != 0) {
    const int error = errno;
    close(descriptor);
    return CannotListen(address_, error);
  }
  descriptors_.push_back(descriptor);
  if (lstat(path, &file) == 0) {
    device_ = file.st_dev;
    inode_ = file.st_ino;
  }
  if (chmod(path, mode) != 0 || listen(descriptor, kBacklog) != 0) {
    return CannotListen(address_, errno);
  }
  return absl::OkStatus();
}

absl::Status ListeningSocket::OpenTcp() {
  absl::Status status;
  for (int i = 0; i < kPortsTried; ++i) {
    status = OpenTcpOnce();
    if (!absl::IsAborted(status)) return status;
    for (const int descriptor : descriptors_) close(descriptor);
    descriptors_.clear();
    address_.port = 0;
  }
  return absl::UnavailableError(status.message());
}

absl::Status ListeningSocket::OpenTcpOnce() {
  const bool any_port = address_.port == 0;
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(address_.host.c_str(), absl::StrCat(address_.port).c_str(),
                  &hints, &found) != 0) {
    return CannotListen(address_, EADDRNOTAVAIL);
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found,
                                                                 &freeaddrinfo);
  int missing = EADDRNOTAVAIL;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    if (StandsBefore(found, info)) continue;
    sockaddr_storage name = {};
    std::memcpy(&name, info->ai_addr, info->ai_addrlen);
    PortOf(name) = htons(static_cast<in_port_t>(address_.port));
    const int descriptor = NewSocket(info->ai_family);
    if (descriptor >= 0) {
      SetOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
      // `[::]` accepts IPv4 clients too.
      if (info->ai_family == AF_INET6) {
        SetOption(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 0);
      }
    }
    socklen_t size = info->ai_addrlen;
    if (descriptor >= 0 &&
        bind(descriptor, reinterpret_cast<sockaddr*>(&name), size) == 0 &&
        listen(descriptor, kBacklog) == 0 &&
        getsockname(descriptor, reinterpret_cast<sockaddr*>(&name), &size) ==
            0) {
      descriptors_.push_back(descriptor);
      address_.port = ntohs(PortOf(name));  // The others', too.
      continue;
    }
    const int error = errno;
    if (descriptor >= 0) close(descriptor);
    if (error == EADDRINUSE && any_port && !descriptors_.empty()) {
      return absl::AbortedError(CannotListen(address_, error).message());
    }
    // A name may have addresses of a family that this machine does not have.
    if (error != EAFNOSUPPORT &&
        (error != EADDRNOTAVAIL || info->ai_family != AF_INET6)) {
      return CannotListen(address_, error);
    }
    missing = error;
  }
  return descriptors_.empty() ? CannotListen(address_, missing)
                              : absl::OkStatus();
}

}  // namespace leasehold
