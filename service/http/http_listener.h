// HttpListener: connections that speak HTTP/1.1, on one thread, which is nicer
// than those that serve gRPC: whoever looks at the server must not slow it
// down.
//
// A connection is a coroutine: it reads a head, has the door decide, reads the
// body, has the handler answer, writes the answer, and begins again. Nothing
// of it is unbounded: see HttpLimits. Requests that a parser cannot read, or
// that two parsers may read in different ways, get an answer, and the
// connection ends (request_check.h).
//
// Thread-safety: one thread, except for SetTls and Wake, which are safe.
// Lifetime: clock and door outlive it.
#ifndef LEASEHOLD_SERVICE_HTTP_HTTP_LISTENER_H_
#define LEASEHOLD_SERVICE_HTTP_HTTP_LISTENER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/http/http_door.h"
#include "service/network/address_range.h"
#include "service/network/tls_credentials.h"
#include "service/network/tls_material.h"

namespace leasehold {

struct HttpLimits {
  size_t connections_max = 10'000;
  // IPv4 addresses, or the /64 of IPv6 ones. Unix sockets have none.
  size_t connections_of_address_max = 256;
  // Connections from there begin with a PROXY header, and count for the client
  // that it names.
  std::vector<AddressRange> proxies = {};
  size_t head_bytes_max = 16 << 10;
  size_t body_bytes_max = (16 << 20) + (64 << 10);
  // Of all bodies that are being read or served.
  size_t total_body_bytes_max = size_t{512} << 20;
  // From the first byte to the end of a head; also for a TLS handshake.
  absl::Duration head_timeout = absl::Seconds(10);
  // Between requests.
  absl::Duration idle_timeout = absl::Seconds(75);
  // A body may take the first, and a second for so many of its bytes.
  absl::Duration body_timeout = absl::Seconds(10);
  size_t body_bytes_per_second_min = 4 << 10;
  // For each 64 KB of an answer.
  absl::Duration write_timeout = absl::Seconds(30);
};

// Why a connection ended before its first request.
enum class RefusedConnection {
  kTooMany,      // In all, or of its address.
  kTls,          // The handshake failed, or there was none where one is due.
  kProxyHeader,  // There was none, or a bad one, where one is due.
};
inline constexpr size_t kRefusedConnections = 3;

// Told on the listener's thread. `peer`: as in HttpRequest. `why`: for the log.
using OnRefusedConnection =
    std::function<void(RefusedConnection refusal, const std::string& peer,
                       const std::string& why)>;

class HttpListener {
 public:
  HttpListener(Clock& clock, HttpDoor& door, HttpLimits limits,
               OnRefusedConnection on_refusal = nullptr);
  ~HttpListener();  // Stops.
  HttpListener(const HttpListener&) = delete;
  HttpListener& operator=(const HttpListener&) = delete;

  // Connections over TCP begin with a TLS handshake, with this from now on.
  // The first time before Start.
  //   InvalidArgument: OpenSSL does not take it, and the last one stays.
  absl::Status SetTls(const TlsMaterial& material, ClientAuth client_auth);

  // Serves the connections to these listening sockets, which do not block. They
  // stay the caller's.
  void Start(const std::vector<int>& sockets);

  // Stops accepting; connections end with the answer that they wait for, or at
  // once if they wait for none. Streams and requests that wait for something
  // are cut. Idempotent.
  void Drain();
  // Waits until all have ended, for `timeout` at most; then closes what is left
  // and ends the thread. Idempotent.
  void Stop(absl::Duration timeout = absl::ZeroDuration());

  // What there is of connections and bodies. Safe.
  struct Counts {
    size_t open = 0;
    uint64_t accepted = 0;
    std::array<uint64_t, kRefusedConnections> refused =
        {};  // By RefusedConnection.
    // Bodies of requests: for which there was no room, and of tenants which had
    // as many bytes as they may have.
    uint64_t bodies_refused = 0;
    std::map<std::string, uint64_t> bodies_refused_of_tenants = {};
  };
  Counts counts() const;

  // Makes it look at the clock: for tests that advance it.
  void Wake();

 private:
  class Loop;
  const std::unique_ptr<Loop> loop_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_HTTP_LISTENER_H_
