#include "service/host/listen_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

class Socket {
 public:
  explicit Socket(int family) : fd_(socket(family, SOCK_STREAM, 0)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  const int fd_;
};

absl::Status CannotListen(const ListenAddress& address, absl::string_view why) {
  return absl::UnavailableError(
      absl::StrCat("cannot listen on ", address.ToString(), ": ", why));
}

absl::Status CheckUnix(const ListenAddress& address) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, address.unix_path.data(),
              address.unix_path.size());
  const Socket probe(AF_UNIX);
  if (probe.fd() < 0) return CannotListen(address, std::strerror(errno));
  struct stat found = {};
  if (lstat(address.unix_path.c_str(), &found) == 0) {
    if (!S_ISSOCK(found.st_mode)) {
      return CannotListen(address, "the file exists and is not a socket");
    }
    if (connect(probe.fd(), reinterpret_cast<const sockaddr*>(&name),
                sizeof(name)) == 0) {
      return CannotListen(address, "another server listens there");
    }
    // Nobody has it open: it was left behind, and gRPC takes its place.
    if (errno == ECONNREFUSED) return absl::OkStatus();
    return CannotListen(address, std::strerror(errno));
  }
  if (bind(probe.fd(), reinterpret_cast<const sockaddr*>(&name),
           sizeof(name)) != 0) {
    return CannotListen(address, std::strerror(errno));
  }
  unlink(address.unix_path.c_str());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ListenAddress> ListenAddress::Parse(std::string_view text) {
  const auto broken = [text](absl::string_view rule) {
    return absl::InvalidArgumentError(absl::StrCat(
        QuoteForMessage(text), " ", rule, "; use HOST:PORT or unix:PATH"));
  };
  absl::string_view rest = View(text);
  ListenAddress address;
  if (absl::ConsumePrefix(&rest, "unix:")) {
    address.unix_path = std::string(rest);
    if (rest.empty()) return broken("names no path");
    if (rest.size() >= sizeof(sockaddr_un{}.sun_path)) {
      return broken(
          absl::StrCat("has a path of ", rest.size(), " bytes; at most ",
                       sizeof(sockaddr_un{}.sun_path) - 1, " are possible"));
    }
    return address;
  }
  const size_t colon = rest.rfind(':');
  if (colon == absl::string_view::npos || absl::EndsWith(rest, "]")) {
    return broken("has no port");
  }
  absl::string_view host = rest.substr(0, colon);
  const absl::string_view port = rest.substr(colon + 1);
  const bool bracketed = absl::ConsumePrefix(&host, "[");
  if (absl::ConsumeSuffix(&host, "]") != bracketed) {
    return broken("has one bracket without the other");
  }
  if (host.find_first_of("[]") != absl::string_view::npos) {
    return broken("has a bracket inside its host");
  }
  if (host.empty()) return broken("names no host");
  if (!bracketed && host.find(':') != absl::string_view::npos) {
    return broken("needs brackets around its IPv6 address, as in [::1]:4001");
  }
  address.host = std::string(host);
  if (!absl::SimpleAtoi(port, &address.port) || address.port < 0 ||
      address.port > 65535) {
    return broken("has a port that is not a number from 0 to 65535");
  }
  return address;
}

bool ListenAddress::IsLoopback() const {
  if (is_unix() || host == "localhost") return true;
  in_addr v4 = {};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24) == 127;
  }
  in6_addr v6 = {};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 &&
         IN6_IS_ADDR_LOOPBACK(&v6);
}

std::string ListenAddress::ToString() const {
  if (is_unix()) return absl::StrCat("unix:", unix_path);
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? absl::StrCat("[", host, "]:", port)
            : absl::StrCat(host, ":", port);
}

absl::Status CheckCanListen(const ListenAddress& address) {
  if (address.is_unix()) return CheckUnix(address);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(
      address.host.c_str(), absl::StrCat(address.port).c_str(), &hints, &found);
  if (failed != 0) {
    return CannotListen(address, absl::StrCat("the host is not known here (",
                                              gai_strerror(failed), ")"));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found,
                                                                 &freeaddrinfo);
  bool any = false;
  absl::Status missing;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    const Socket probe(info->ai_family);
    const int on = 1;
    if (probe.fd() >= 0 &&
        setsockopt(probe.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ==
            0 &&
        bind(probe.fd(), info->ai_addr, info->ai_addrlen) == 0 &&
        listen(probe.fd(), 1) == 0) {
      any = true;
      continue;
    }
    if (errno != EAFNOSUPPORT &&
        (errno != EADDRNOTAVAIL || info->ai_family != AF_INET6)) {
      return CannotListen(address, std::strerror(errno));
    }
    missing = absl::NotFoundError(absl::StrCat(
        "cannot listen on ", address.ToString(), ": ", std::strerror(errno)));
  }
  // A name may have addresses of a family that this machine does not have.
  return any ? absl::OkStatus() : missing;
}

}  // namespace leasehold
