// Listener: the sockets on which a server listens. Connections reach gRPC
// through an AcceptLoop, which limits them.
//
// Thread-safety: one thread.   Lifetime: clock and log outlive it; it outlives
// the grpc::Server.
#ifndef LEASEHOLD_SERVICE_HOST_LISTENER_H_
#define LEASEHOLD_SERVICE_HOST_LISTENER_H_

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lease/base/cells.h"
#include "lease/clock.h"
#include "service/host/line_budget.h"
#include "service/host/listen_address.h"
#include "service/host/listening_socket.h"
#include "service/host/server_log.h"
#include "service/network/accept_loop.h"
#include "service/network/caller_addresses.h"

namespace leasehold {

class Listener final : private ConnectionTaker {
 public:
  // `unix_mode`: the permissions of Unix sockets.
  Listener(const Clock& clock, ServerLog& log, AcceptLimits limits,
           mode_t unix_mode);
  ~Listener() { Stop(); }

  // TCP connections are encrypted. Call it before Register.
  void UseTls(std::shared_ptr<grpc::ServerCredentials> tls);
  // Listens on all addresses or on none; without addresses, on the defaults.
  // Raises the process's soft limit of descriptors to the hard one.
  //   Unavailable: one address cannot be used; the message says why.
  absl::Status Open(std::vector<ListenAddress> addresses);
  // Connections go to the server of `builder`. Call it before BuildAndStart.
  void Register(grpc::ServerBuilder& builder);
  // Starts accepting. Call it after BuildAndStart.
  void Start();
  // Stops listening; open connections go on. Call it before
  // grpc::Server::Shutdown. Idempotent.
  void Stop();

  // Who is behind the connections of trusted proxies.
  const CallerAddresses& callers() const { return callers_; }
  // What there is of connections. Safe.
  struct Counts {
    size_t open = 0;
    uint64_t accepted = 0;
    std::array<uint64_t, kRefusals> refused = {};  // By Refusal.
  };
  Counts counts() const;
  // With the ports that were taken for port 0.
  std::vector<std::string> addresses() const;

 private:
  void Take(int descriptor, bool tls) override;
  void OnRefused(Refusal refusal, const std::string& address) override;
  // Lowers the limit on connections so that it leaves descriptors for the rest.
  void FitToDescriptors();

  const Clock& clock_;
  ServerLog& log_;
  AcceptLimits limits_;
  const mode_t unix_mode_;
  LineBudget lines_;
  CallerAddresses callers_;
  std::vector<ListeningSocket> sockets_;
  std::shared_ptr<grpc::ServerCredentials> tls_;  // Null: no TLS.
  // For connections without TLS, and with it.
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> plain_taker_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> tls_taker_;
  std::array<SharedCell, kRefusals> refused_ = {};
  std::optional<AcceptLoop> loop_;
  std::atomic<const AcceptLoop*> counted_ = nullptr;  // That, once it is there.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_LISTENER_H_
