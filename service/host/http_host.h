// HttpHost: the listener for HTTP and what it needs, as one part of
// leasehold-server: sockets, door, certificates, capability URLs, audit.
//
// It serves /healthz (the process answers) and /readyz (it takes calls, and its
// store can be written) itself; others add what they serve.
//
// Thread-safety: one thread.   Lifetime: what the constructor is given outlives
// it; what handlers use lives until the server host has stopped.
#ifndef LEASEHOLD_SERVICE_HOST_HTTP_HOST_H_
#define LEASEHOLD_SERVICE_HOST_HTTP_HOST_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/host/line_budget.h"
#include "service/host/listening_socket.h"
#include "service/host/refused_files.h"
#include "service/host/server_guard.h"
#include "service/host/server_host.h"
#include "service/host/server_log.h"
#include "service/host/server_options.h"
#include "service/http/http_door.h"
#include "service/http/http_listener.h"
#include "service/http/http_route.h"
#include "service/rpc/served.h"
#include "service/security/capability.h"
#include "service/security/capability_keys.h"
#include "service/security/sessions.h"

namespace leasehold {

class HttpHost final : private ServerPart {
 public:
  // Construct it before the parts that its handlers call, so that it ends
  // before they do.
  HttpHost(const ServerOptions& options, Clock& clock, ServerLog& log,
           ServerHost& host, ServerGuard& guard);
  ~HttpHost() override;

  // Takes the addresses, and adds the capabilities' keys to the data directory,
  // which is locked by then. Before the server serves. `store_status`: why the
  // store cannot be written, if it cannot; safe to call on any thread.
  //   Unavailable: an address that was asked for cannot be used. The default
  //     one may be in use: then the log says so, and nothing is served here.
  //   InvalidArgument: the keys cannot be read.
  absl::Status Open(std::function<absl::Status()> store_status);

  // What signs URLs; null: nobody needs a credential. REQUIRES: Open.
  const Capabilities* capabilities() const { return capabilities_.get(); }

  // The browsers that are signed in; null: the same.
  Sessions* sessions() const { return sessions_.get(); }

  // Serves these too. REQUIRES: Open, and all services are added to the host.
  void Add(std::vector<HttpRoute> routes);

  // As HttpDoor::RunFor. REQUIRES: it listens, and serves.
  void RunFor(const std::shared_ptr<const Caller>& caller, HttpRequest request,
              HttpCall::Answer answer) {
    door_->RunFor(caller, std::move(request), std::move(answer));
  }

  // Serves. After Open.
  void Start();

  // What URLs begin with for those who have not come by HTTP: that of
  // --http-public-url, or the first address that it listens on by name. Empty:
  // there is none. REQUIRES: Open.
  const std::string& base_url() const { return base_url_; }

  // How requests were answered, and what there is of connections; nullopt: it
  // does not listen. Safe while it serves.
  std::optional<HttpDoor::Counts> requests() const;
  std::optional<HttpListener::Counts> connections() const;
  // When the certificate that it serves with now is valid no longer; nullopt:
  // it serves without one. The same.
  std::optional<absl::Time> certificate_expires() const;

  // Where it listens: `http://127.0.0.1:4002`.
  const std::vector<std::string>& urls() const { return urls_; }

 private:
  void OnDraining() override;
  void OnStopping() override;

  absl::Status OpenSockets();
  absl::Status OpenKeys();
  absl::StatusOr<CapabilityKeys> ReadKeys() const;
  // Reads the keys again.
  void LookAgain();
  HttpDoorOptions DoorOptions() const;
  std::string UrlOf(const ListeningSocket& socket) const;
  std::string BaseUrl() const;
  std::vector<HttpRoute> HealthRoutes();
  std::vector<MethodInfo> Methods() const;

  const ServerOptions& options_;
  Clock& clock_;
  ServerLog& log_;
  ServerHost& host_;
  ServerGuard& guard_;
  std::function<absl::Status()> store_status_;

  std::atomic<bool> draining_ = false;
  std::atomic<int64_t> certificate_expires_ = 0;  // Seconds; 0: none.
  std::vector<ListeningSocket> sockets_;
  std::string base_url_;
  std::vector<std::string> urls_;
  std::unique_ptr<Capabilities> capabilities_;
  std::unique_ptr<Sessions> sessions_;
  RefusedFiles refused_keys_;
  LineBudget refusal_lines_;
  // From Open on, if it listens.
  std::optional<HttpDoor> door_;
  std::optional<HttpListener> listener_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_HTTP_HOST_H_
