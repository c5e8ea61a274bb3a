// AdminClient: asks a server about its own work.
//
// Each method makes one call. Errors name the channel.
//
// Thread-safety: safe.   Lifetime: no bounds.
#ifndef LEASEHOLD_CLIENT_ADMIN_ADMIN_CLIENT_H_
#define LEASEHOLD_CLIENT_ADMIN_ADMIN_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/admin/connected_worker.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/security/credentials.h"
#include "leasehold/v1/admin.grpc.pb.h"

namespace leasehold::client {

struct WorkersPage {
  // In the order in which they connected.
  std::vector<ConnectedWorker> workers;
  // For the next page; empty after the last.
  std::string next_page_token;
};

// Every call may also end with UNAVAILABLE (no connection; names the address),
// DEADLINE_EXCEEDED, or another error of the server.
class AdminClient {
 public:
  // Over a new connection to `address` (see channel.h). Does not block.
  // `timeout` is how long a call may take. `credentials`: as for OpenChannel.
  // INVALID_ARGUMENT: `address` is not an address.
  static absl::StatusOr<std::unique_ptr<AdminClient>> Connect(
      const std::string& address, absl::Duration timeout = absl::Seconds(30),
      std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr);

  // Over a channel that the caller made; errors call it `name`.
  AdminClient(std::shared_ptr<grpc::Channel> channel, std::string name,
              absl::Duration timeout = absl::Seconds(30));
  AdminClient(const AdminClient&) = delete;
  AdminClient& operator=(const AdminClient&) = delete;

  // Why nothing happens with an instance. The facts are those of the contract
  // (admin.proto). NOT_FOUND: there is no context, orchestration or entity of
  // this ID; the message says if one could not be started.
  absl::StatusOr<leasehold::v1::Explanation> Explain(
      const std::string& instance_id);

  // The numbers that the server counts, as they are now; those whose names
  // begin with one of `name_prefixes`, or all. Of a caller who does not see the
  // whole server, those of its tenant.
  absl::StatusOr<leasehold::v1::StatsResponse> Stats(
      const std::vector<std::string>& name_prefixes = {});

  // One page of the connected workers; `page_token` is from the previous page,
  // or empty for the first. `page_size`: how many at most; 0: the server's
  // default.
  absl::StatusOr<WorkersPage> WorkersOnPage(const std::string& page_token = "",
                                            int page_size = 0);
  // All pages: calls `on_page` for each until it returns false. OK: there are
  // no more pages, or `on_page` returned false.
  absl::Status Workers(
      const std::function<bool(const std::vector<ConnectedWorker>&)>& on_page);

 private:
  // Makes a unary call within the timeout.
  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (leasehold::v1::Admin::Stub::*method)(
                        grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response);

  const std::shared_ptr<grpc::Channel> channel_;
  const std::string name_;
  const absl::Duration timeout_;
  const std::unique_ptr<leasehold::v1::Admin::Stub> stub_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_ADMIN_ADMIN_CLIENT_H_
