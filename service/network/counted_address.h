// CountedAddress: the address by which connections are counted, so that one
// client does not take the room of all.
//
// Thread-safety: a pure function.
#ifndef LEASEHOLD_SERVICE_NETWORK_COUNTED_ADDRESS_H_
#define LEASEHOLD_SERVICE_NETWORK_COUNTED_ADDRESS_H_

#include <sys/socket.h>

#include <string>

namespace leasehold {

// What stands for all Unix sockets, which have no address.
inline constexpr char kUnixAddress[] = "unix";

// As text: an IPv4 address; of an IPv6 one the first 64 bits, since a client
// with one address of a /64 has all of them.
std::string CountedAddress(const sockaddr_storage& peer);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_NETWORK_COUNTED_ADDRESS_H_
