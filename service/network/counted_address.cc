#include "service/network/counted_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

namespace leasehold {

std::string CountedAddress(const sockaddr_storage& peer) {
  char text[INET6_ADDRSTRLEN] = "";
  if (peer.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(peer);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    return text;
  }
  if (peer.ss_family != AF_INET6) return kUnixAddress;
  in6_addr v6 = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    inet_ntop(AF_INET, &v6.s6_addr[12], text, sizeof(text));
    return text;
  }
  if (!IN6_IS_ADDR_LOOPBACK(&v6)) std::memset(&v6.s6_addr[8], 0, 8);
  inet_ntop(AF_INET6, &v6, text, sizeof(text));
  return text;
}

}  // namespace leasehold
