// InstancesClient: inspects and manages the instance contexts of a server.
//
// Each method makes one call. A stream is an object and lasts as long as that
// object. An ID is 1 to 1,024 bytes of UTF-8 without control characters; the
// server decides whether it is allowed. Errors call a channel by its address,
// or by the name that the caller gave to it.
//
// Callbacks of streams run on one thread of this client, one at a time. They
// may make calls of any client (blocking ones delay the other callbacks), start
// streams, and cancel or destroy any stream, including their own. They must not
// destroy the client.
//
// Thread-safety: safe.   Lifetime: outlives the streams that it started.
#ifndef LEASEHOLD_CLIENT_INSTANCES_INSTANCES_CLIENT_H_
#define LEASEHOLD_CLIENT_INSTANCES_INSTANCES_CLIENT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/instances/hold.h"
#include "client/instances/instance.h"
#include "client/instances/keep_alive.h"
#include "client/instances/watch.h"
#include "client/wire/event_loop.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/security/credentials.h"
#include "leasehold/v1/instances.grpc.pb.h"

namespace leasehold::client {

struct CreateOptions {
  // If empty, the server makes an ID.
  std::string instance_id;
  // Used if this call creates the context. If empty, the server's default.
  std::optional<absl::Duration> idle_timeout;
};

struct ListOptions {
  // Only IDs with this prefix.
  std::string id_prefix;
  // Only contexts in this state; kUnknown means any state.
  InstanceState state = InstanceState::kUnknown;
  // Contexts per page; 0 means the server's default. The server has a maximum.
  int page_size = 0;
};

struct InstancePage {
  // In no particular order. May be empty even though more pages follow.
  std::vector<Instance> instances;
  // For the next page; empty after the last.
  std::string next_page_token;
};

// Every call may also end with UNAVAILABLE (no connection; names the address),
// DEADLINE_EXCEEDED, or another error of the server. INVALID_ARGUMENT: an ID is
// not UTF-8, or the server refuses it.
class InstancesClient {
 public:
  // Over a new connection to `address` (see channel.h). Does not block.
  // `timeout` is how long a call may take; streams have no timeout.
  // `credentials`: as for OpenChannel.
  // INVALID_ARGUMENT: `address` is not an address.
  static absl::StatusOr<std::unique_ptr<InstancesClient>> Connect(
      const std::string& address, absl::Duration timeout = absl::Seconds(30),
      std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr);

  // Over a channel that the caller made; errors call it `name`.
  InstancesClient(std::shared_ptr<grpc::Channel> channel, std::string name,
                  absl::Duration timeout = absl::Seconds(30));
  InstancesClient(const InstancesClient&) = delete;
  InstancesClient& operator=(const InstancesClient&) = delete;

  // Finds or creates the context of an ID, and renews its lease.
  absl::StatusOr<OpenedInstance> Create(const CreateOptions& options);

  // One context; empty if none has this ID, which is not an error.
  absl::StatusOr<std::optional<Instance>> Get(const std::string& id);

  // One page; `page_token` is from the previous page, or empty for the first.
  absl::StatusOr<InstancePage> ListPage(const ListOptions& options,
                                        const std::string& page_token = "");
  // All pages: calls `on_page` for each until it returns false. OK: there are
  // no more pages, or `on_page` returned false.
  absl::Status List(
      const ListOptions& options,
      const std::function<bool(const std::vector<Instance>&)>& on_page);

  // Changes the idle timeout of a context and returns the new one, which the
  // server keeps within its bounds. NOT_FOUND: there is no context of this ID.
  absl::StatusOr<Instance> SetIdleTimeout(const std::string& id,
                                          absl::Duration timeout);

  // Closes a context and returns what it was. OK: it is gone. NOT_FOUND: there
  // is none of this ID. FAILED_PRECONDITION: it is busy and `force` is not set.
  // By force, the calls that keep it busy end with ABORTED.
  absl::StatusOr<Instance> Release(const std::string& id, bool force = false);

  // These start without blocking; callbacks report the outcome.
  // INVALID_ARGUMENT: an ID is not UTF-8, or there is no ID to keep alive.
  absl::StatusOr<std::unique_ptr<Hold>> StartHold(HoldOptions options);
  absl::StatusOr<std::unique_ptr<Watch>> StartWatch(WatchOptions options);
  absl::StatusOr<std::unique_ptr<KeepAlive>> StartKeepAlive(
      KeepAliveOptions options);

 private:
  // Makes a unary call within the timeout.
  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (leasehold::v1::Instances::Stub::*method)(
                        grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response);

  const std::shared_ptr<grpc::Channel> channel_;
  const std::string name_;
  const absl::Duration timeout_;
  const std::unique_ptr<leasehold::v1::Instances::Stub> stub_;
  EventLoop loop_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_INSTANCES_INSTANCES_CLIENT_H_
