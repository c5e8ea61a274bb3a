// OpenChannel: a gRPC channel to an address, with a connection of its own.
//
// gRPC lets channels with equal arguments share one connection; that would make
// "two channels, one instance" a single connection in truth. So each channel
// from here has its own. A loopback address is never reached through a proxy,
// whatever `http_proxy` says.
//
// Thread-safety: safe.   Lifetime: the channel lives as long as its last
// shared_ptr or running call.
#ifndef LEASEHOLD_CLIENT_CHANNEL_H_
#define LEASEHOLD_CLIENT_CHANNEL_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "grpcpp/channel.h"
#include "grpcpp/support/channel_arguments.h"

namespace leasehold::client {

// OK if `address` is HOST:PORT (an IPv6 host in brackets) or unix:PATH.
// INVALID_ARGUMENT otherwise; the message quotes it and shows a right one.
// Looks nothing up.
absl::Status CheckAddress(const std::string& address);

// A channel without TLS to `address`. Does not block and cannot fail: it
// connects with the first call, and a bad address shows as that call's
// UNAVAILABLE. `arguments`: what else is wanted of it.
std::shared_ptr<grpc::Channel> OpenChannel(
    const std::string& address, grpc::ChannelArguments arguments = {});

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_CHANNEL_H_
