// OpenChannel: a gRPC channel to an address, with a connection of its own.
//
// gRPC lets channels with equal arguments share one connection, so that "two
// channels, one instance" would really be a single connection. Each channel
// made here has its own. A loopback address is never reached through a proxy,
// whatever `http_proxy` says.
//
// Thread-safety: safe.   Lifetime: the channel lives as long as its last
// shared_ptr or running call.
#ifndef LEASEHOLD_CLIENT_WIRE_CHANNEL_H_
#define LEASEHOLD_CLIENT_WIRE_CHANNEL_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "grpcpp/channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace leasehold::client {

// OK if `address` is HOST:PORT (an IPv6 host in brackets) or unix:PATH.
// INVALID_ARGUMENT otherwise; the message quotes it and shows a valid one.
// Does not resolve the name.
absl::Status CheckAddress(const std::string& address);

// Whether what is sent to `address` stays on this machine: a Unix socket, the
// name localhost, or a loopback address.
bool IsThisMachine(const std::string& address);

// A channel to `address`. Does not block and cannot fail: it connects with the
// first call, and a bad address, or a server that is not the right one, shows
// as that call's UNAVAILABLE. `arguments`: further settings of the channel.
// `credentials`: null: no TLS; TlsCredentials (tls.h) and TokenCredentials
// (token.h) read some from files.
std::shared_ptr<grpc::Channel> OpenChannel(
    const std::string& address, grpc::ChannelArguments arguments = {},
    std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WIRE_CHANNEL_H_
