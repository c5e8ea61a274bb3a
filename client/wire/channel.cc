#include "client/wire/channel.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace leasehold::client {
namespace {

constexpr char kUnix[] = "unix:";

// How soon a channel tries again after a connection was refused or lost. gRPC's
// own bound is two minutes: far too long to notice that a server is back.
constexpr int kFirstBackoffMs = 100;
constexpr int kMaxBackoffMs = 2000;

// A connection with open calls that has been quiet for this long is pinged, and
// closed if no answer comes. Otherwise the client would notice that the
// server's machine has disappeared only when TCP gives up.
constexpr int kKeepaliveTimeMs = 20'000;
constexpr int kKeepaliveTimeoutMs = 10'000;

bool IsHostAndPort(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  const std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (!bracketed && host.find(':') != std::string::npos) return false;
  if (host.find_first_of("/ ") != std::string::npos || host == "[]") {
    return false;
  }
  if (port.find_first_not_of("0123456789") != std::string::npos) return false;
  int number = 0;
  return absl::SimpleAtoi(port, &number) && number >= 1 && number <= 65535;
}

bool IsLoopback(const std::string& address) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host == "localhost") return true;
  in_addr v4 = {};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    return ntohl(v4.s_addr) >> 24U == 127;
  }
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') {
    return false;
  }
  host = host.substr(1, host.size() - 2);
  in6_addr v6 = {};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 &&
         IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace

bool IsThisMachine(const std::string& address) {
  return absl::StartsWith(address, kUnix) || IsLoopback(address);
}

absl::Status CheckAddress(const std::string& address) {
  if (absl::StartsWith(address, kUnix)) {
    if (address.size() > sizeof(kUnix) - 1) return absl::OkStatus();
  } else if (IsHostAndPort(address)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::Utf8SafeCEscape(address),
                   "\" is not an address; write HOST:PORT, as in "
                   "localhost:4001, or unix:PATH"));
}

std::shared_ptr<grpc::Channel> OpenChannel(
    const std::string& address, grpc::ChannelArguments arguments,
    std::shared_ptr<grpc::ChannelCredentials> credentials) {
  if (credentials == nullptr) credentials = grpc::InsecureChannelCredentials();
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstBackoffMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxBackoffMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  // Otherwise gRPC pings only twice until data is sent.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // The server bounds what it sends: an orchestration's payloads may be larger
  // than gRPC's default of 4 MiB.
  arguments.SetMaxReceiveMessageSize(-1);
  if (IsLoopback(address)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

}  // namespace leasehold::client
