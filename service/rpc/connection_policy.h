// ConnectionPolicy: how a server treats its clients' connections, where gRPC's
// defaults do not fit.
//
// An instance that is busy for as long as a call is open needs calls that say
// nothing for hours. So clients may ping as often as they like, and the server
// pings connections that are quiet: a client whose machine is gone lets go of
// its instances after `keepalive_time` + `keepalive_timeout`.
//
// It works for any grpc::ServerBuilder: see Apply.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_RPC_CONNECTION_POLICY_H_
#define LEASEHOLD_SERVICE_RPC_CONNECTION_POLICY_H_

#include <grpcpp/server_builder.h>

#include "absl/time/time.h"

namespace leasehold {

struct ConnectionPolicy {
  // A connection that was quiet for this long is pinged, and closed if no
  // answer comes within the timeout.
  absl::Duration keepalive_time = absl::Seconds(30);
  absl::Duration keepalive_timeout = absl::Seconds(10);

  // From the first byte to the end of the TLS and HTTP/2 handshakes.
  absl::Duration handshake_timeout = absl::Seconds(10);

  // Whether clients may send compressed messages. If not, a call that does so
  // gets UNIMPLEMENTED, and nothing is decompressed. If they may, gRPC
  // decompresses a whole message before its size is checked: a megabyte can
  // become a gigabyte.
  bool compression = false;

  // Applies the policy. Call it before `builder` starts its server.
  void Apply(grpc::ServerBuilder& builder) const;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_CONNECTION_POLICY_H_
