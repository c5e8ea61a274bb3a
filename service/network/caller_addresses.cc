#include "service/network/caller_addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"

namespace leasehold {

std::string PeerText(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text = {};
  const auto v4_text = [&text](const void* v4, in_port_t port) {
    inet_ntop(AF_INET, v4, text.data(), text.size());
    return absl::StrCat("ipv4:", text.data(), ":", ntohs(port));
  };
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return v4_text(&v4.sin_addr, v4.sin_port);
  }
  if (address.ss_family != AF_INET6) return "unix:";
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    return v4_text(&v6.sin6_addr.s6_addr[12], v6.sin6_port);
  }
  inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  // Of an address that is valid on one link only; a percent sign, escaped.
  const std::string scope =
      v6.sin6_scope_id == 0 ? "" : absl::StrCat("%25", v6.sin6_scope_id);
  return absl::StrCat("ipv6:%5B", text.data(), scope,
                      "%5D:", ntohs(v6.sin6_port));
}

std::string CallerAddresses::Find(const std::string& peer) const {
  if (empty_.load(std::memory_order_acquire)) return peer;
  MutexLock lock(mu_);
  const auto found = behind_.find(peer);
  if (found == behind_.end()) return peer;
  const std::string& caller = found->second.front().caller;
  for (const Behind& other : found->second) {
    if (other.caller != caller) return peer;
  }
  return caller;
}

void CallerAddresses::Add(const std::string& peer, uint64_t connection,
                          std::string caller) {
  MutexLock lock(mu_);
  behind_[peer].push_back({connection, std::move(caller)});
  empty_.store(false, std::memory_order_release);
}

void CallerAddresses::Remove(const std::string& peer, uint64_t connection) {
  MutexLock lock(mu_);
  const auto found = behind_.find(peer);
  if (found == behind_.end()) return;
  std::erase_if(found->second, [connection](const Behind& each) {
    return each.connection == connection;
  });
  if (found->second.empty()) behind_.erase(found);
  empty_.store(behind_.empty(), std::memory_order_release);
}

bool CallerAddresses::Has(const std::string& peer) const {
  MutexLock lock(mu_);
  return behind_.contains(peer);
}

}  // namespace leasehold
