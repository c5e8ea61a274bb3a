#include "service/host/listener.h"

#include <grpcpp/security/server_credentials.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/time/time.h"

namespace leasehold {
namespace {

// Log lines on connections that were refused.
constexpr uint64_t kLinesMax = 10;
constexpr absl::Duration kLinesSpan = absl::Seconds(10);

const char* ReasonOf(Refusal refusal) {
  switch (refusal) {
    case Refusal::kTooMany:
      return "there are --max-connections already";
    case Refusal::kTooManyOfAddress:
      return "there are --max-connections-per-address of this address already";
    case Refusal::kNoDescriptor:
      return "the process has no file descriptor left";
    case Refusal::kSilent:
      return "it said nothing in time";
    case Refusal::kNotHttp2:
      return "it does not speak HTTP/2 without TLS, which gRPC needs here";
    case Refusal::kNotTls:
      return "it does not speak TLS, which it must here (--tls-cert)";
    case Refusal::kProxyHeader:
      return "it sends a PROXY header, which only the proxies of "
             "--proxy-protocol may, and once";
    case Refusal::kNoProxyHeader:
      return "it sends no PROXY header, which the proxies of "
             "--proxy-protocol must";
    case Refusal::kBadProxyHeader:
      return "its PROXY header is malformed or too long";
  }
  return "unknown";
}

// How many descriptors the process may have, after raising its limit as far as
// it may.
rlim_t RaiseDescriptorLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  if (limit.rlim_cur < limit.rlim_max) {
    rlimit raised = limit;
    raised.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur;
}

}  // namespace

Listener::Listener(const Clock& clock, ServerLog& log, AcceptLimits limits,
                   mode_t unix_mode)
    : clock_(clock),
      log_(log),
      limits_(std::move(limits)),
      unix_mode_(unix_mode),
      lines_(clock, kLinesMax, kLinesSpan) {}

void Listener::UseTls(std::shared_ptr<grpc::ServerCredentials> tls) {
  tls_ = std::move(tls);
  limits_.tls = true;
}

absl::Status Listener::Open(std::vector<ListenAddress> addresses) {
  if (addresses.empty()) {
    addresses = {{.host = "127.0.0.1", .port = 4001, .unix_path = ""}};
    const ListenAddress v6 = {.host = "::1", .port = 4001, .unix_path = ""};
    const absl::Status can = CheckCanListen(v6);
    if (absl::IsNotFound(can)) {
      log_.Info("no_ipv6", {{"message", std::string(can.message())}});
    } else {
      addresses.push_back(v6);
    }
  }
  for (const ListenAddress& address : addresses) {
    if (const absl::Status can = CheckCanListen(address); !can.ok()) {
      return absl::UnavailableError(can.message());
    }
  }
  // All are closed if one of them cannot be opened.
  std::vector<ListeningSocket> sockets;
  for (const ListenAddress& address : addresses) {
    absl::StatusOr<ListeningSocket> opened =
        ListeningSocket::Open(address, unix_mode_);
    if (!opened.ok()) return opened.status();
    sockets.push_back(*std::move(opened));
  }
  sockets_.swap(sockets);
  FitToDescriptors();
  return absl::OkStatus();
}

void Listener::FitToDescriptors() {
  const rlim_t descriptors = RaiseDescriptorLimit();
  // A quarter is for everything that is not a connection.
  const size_t most =
      std::max<size_t>(1, static_cast<size_t>(descriptors / 4 * 3));
  if (limits_.connections_max <= most) return;
  log_.Warning(
      "connections_bounded",
      {{"connections_max", uint64_t{most}},
       {"descriptors", uint64_t{descriptors}},
       {"reason", "the limit of file descriptors (ulimit -n) allows no more"}});
  limits_.connections_max = most;
}

void Listener::Register(grpc::ServerBuilder& builder) {
  const auto take = [&builder](std::shared_ptr<grpc::ServerCredentials> as) {
    return builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        std::move(as));
  };
  plain_taker_ = take(grpc::InsecureServerCredentials());
  if (tls_ != nullptr) tls_taker_ = take(tls_);
}

void Listener::Start() {
  std::vector<int> descriptors;
  for (const ListeningSocket& socket : sockets_) {
    descriptors.insert(descriptors.end(), socket.descriptors().begin(),
                       socket.descriptors().end());
  }
  loop_.emplace(clock_, std::move(descriptors), limits_,
                static_cast<ConnectionTaker&>(*this), callers_);
  counted_.store(&*loop_);
}

void Listener::Stop() {
  // It stays, for whoever counts.
  if (loop_.has_value()) loop_->Stop();
  sockets_.clear();
}

Listener::Counts Listener::counts() const {
  Counts counts;
  if (const AcceptLoop* const loop = counted_.load(); loop != nullptr) {
    counts.open = loop->open();
    counts.accepted = loop->accepted();
  }
  for (size_t i = 0; i < kRefusals; ++i)
    counts.refused[i] = refused_[i].value();
  return counts;
}

std::vector<std::string> Listener::addresses() const {
  std::vector<std::string> addresses;
  for (const ListeningSocket& socket : sockets_) {
    addresses.push_back(socket.address().ToString());
  }
  return addresses;
}

void Listener::Take(int descriptor, bool tls) {
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters taken;
  taken.fd = descriptor;
  (tls ? tls_taker_ : plain_taker_)->HandleNewConnection(&taken);
}

void Listener::OnRefused(Refusal refusal, const std::string& address) {
  refused_[static_cast<size_t>(refusal)].Add();
  uint64_t left_out = 0;
  if (!lines_.Admit(left_out)) return;
  log_.Warning("connection_refused", {{"peer", address},
                                      {"reason", ReasonOf(refusal)},
                                      {"lines_left_out", left_out}});
}

}  // namespace leasehold
