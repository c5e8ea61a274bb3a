// AddressRange: the IP addresses that begin with the same bits, `10.0.0.0/8`.
//
// Thread-safety: values.
#ifndef LEASEHOLD_SERVICE_NETWORK_ADDRESS_RANGE_H_
#define LEASEHOLD_SERVICE_NETWORK_ADDRESS_RANGE_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace leasehold {

class AddressRange {
 public:
  // Reads ADDRESS/PREFIX, or an address that stands for itself alone.
  //   InvalidArgument: it is neither, or has bits set behind its prefix; the
  //     message says what is wrong.
  static absl::StatusOr<AddressRange> Parse(std::string_view text);

  // An IPv4 address is the same if it comes as an IPv6 one (::ffff:10.0.0.1).
  bool Contains(const sockaddr_storage& address) const;

 private:
  AddressRange(const in6_addr& first, int prefix)
      : first_(first), prefix_(prefix) {}

  in6_addr first_;  // IPv4 is mapped.
  int prefix_;      // Of 128.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_NETWORK_ADDRESS_RANGE_H_
