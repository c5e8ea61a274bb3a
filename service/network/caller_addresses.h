// CallerAddresses: who is behind the connections of trusted proxies.
//
// gRPC names a call's peer by asking the socket, so for a call through a proxy
// it names the proxy. The address that the proxy's PROXY header has named is
// kept here by that name, for as long as the connection lives and a while
// longer, since what is said of a connection's end is said after it.
//
// A name that two living connections have, to two of our listeners, stands for
// neither caller.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_SERVICE_NETWORK_CALLER_ADDRESSES_H_
#define LEASEHOLD_SERVICE_NETWORK_CALLER_ADDRESSES_H_

#include <sys/socket.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "lease/base/mutex.h"

namespace leasehold {

// An address as gRPC's ServerContext::peer() has it: `ipv4:10.0.0.1:4711`,
// `ipv6:%5B2001:db8::1%5D:4711`; `unix:` for anything else.
std::string PeerText(const sockaddr_storage& address);

class CallerAddresses {
 public:
  // Whom `peer` stands for, in the same form; `peer` itself if it is not a
  // connection of a trusted proxy, or is the proxy's own.
  std::string Find(const std::string& peer) const ABSL_LOCKS_EXCLUDED(mu_);

  // `connection` is the accept loop's name for it.
  void Add(const std::string& peer, uint64_t connection, std::string caller)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Remove(const std::string& peer, uint64_t connection)
      ABSL_LOCKS_EXCLUDED(mu_);
  bool Has(const std::string& peer) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Behind {
    uint64_t connection;
    std::string caller;
  };

  // Whether there are any; written under the lock.
  std::atomic<bool> empty_ = true;

  mutable Mutex mu_;
  // By the peer's name; almost always one each.
  std::unordered_map<std::string, std::vector<Behind>> behind_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_NETWORK_CALLER_ADDRESSES_H_
