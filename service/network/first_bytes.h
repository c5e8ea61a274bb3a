// What a connection begins with: perhaps a PROXY header, by which a proxy says
// who has connected to it, and then HTTP/2 or TLS.
//
// The header is one of HAProxy's PROXY protocol, version 1 (a line of text) or
// 2 (binary; what is in it beside the address is skipped). All of it must be in
// the first packets: it is read before anything else is.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_NETWORK_FIRST_BYTES_H_
#define LEASEHOLD_SERVICE_NETWORK_FIRST_BYTES_H_

#include <sys/socket.h>

#include <cstddef>
#include <optional>
#include <string_view>

namespace leasehold {

// Both functions take all that has arrived so far. More bytes never change an
// answer but kIncomplete.

struct ProxyHeader {
  enum class State {
    kIncomplete,
    kComplete,
    kNone,       // It begins with something else.
    kMalformed,  // Or it is longer than kProxyHeaderBytesMax.
  };

  State state = State::kIncomplete;
  size_t bytes = 0;  // If complete: what follows is not of the header.
  // Who has connected to the proxy, with the port. nullopt: the proxy itself
  // (LOCAL, UNKNOWN), or somebody without an IP address.
  std::optional<sockaddr_storage> caller = std::nullopt;
};

// Longer ones have more beside the address than any proxy sends.
inline constexpr size_t kProxyHeaderBytesMax = 2048;

ProxyHeader ReadProxyHeader(std::string_view begin);

enum class FirstBytes {
  kIncomplete,
  kExpected,
  kProxyHeader,  // Where none is due.
  kOther,
};

// As many bytes as ReadFirstBytes looks at.
inline constexpr size_t kFirstBytesMax = 24;

// Whether it is the beginning of HTTP/2, or of a TLS handshake if `tls`.
FirstBytes ReadFirstBytes(std::string_view begin, bool tls);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_NETWORK_FIRST_BYTES_H_
