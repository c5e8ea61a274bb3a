// ListenAddress: where the server listens, `HOST:PORT` or `unix:PATH`.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_HOST_LISTEN_ADDRESS_H_
#define LEASEHOLD_SERVICE_HOST_LISTEN_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace leasehold {

struct ListenAddress {
  std::string host;       // Without brackets; empty for a Unix socket.
  int port = 0;           // 0: any free one.
  std::string unix_path;  // Empty for TCP.

  bool is_unix() const { return !unix_path.empty(); }
  // Whether only this machine can reach it: 127.0.0.0/8, ::1, `localhost`, or a
  // Unix socket.
  bool IsLoopback() const;
  // As in the flag: `127.0.0.1:4001`, `[::1]:4001`, `unix:/run/x.sock`.
  std::string ToString() const;

  //   InvalidArgument: it has neither form; the message says what is wrong.
  static absl::StatusOr<ListenAddress> Parse(std::string_view text);
};

// Whether the server can listen on the address now. gRPC itself says only that
// it failed, and would take a Unix socket from a running server.
//   Unavailable: no; the message says why.
//   NotFound: this machine has no addresses of this kind (no IPv6).
absl::Status CheckCanListen(const ListenAddress& address);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_LISTEN_ADDRESS_H_
