// InstancesClient: the instance contexts of a server, seen and handled from
// outside.
//
// One call a method; streams are objects that last as long as they live. An ID
// is any UTF-8 of 1 to 1,024 bytes without control characters; whether it is
// allowed is for the server to say. Names in errors are the channel's.
//
// Callbacks of streams come on one thread of this client, one at a time. They
// may make calls of any client (blocking ones delay the other callbacks), start
// streams, and cancel or destroy any stream, their own included. They may not
// destroy the client.
//
// Thread-safety: safe.   Lifetime: outlives the streams that it started.
#ifndef LEASEHOLD_CLIENT_INSTANCES_CLIENT_H_
#define LEASEHOLD_CLIENT_INSTANCES_CLIENT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/event_loop.h"
#include "client/hold.h"
#include "client/instance.h"
#include "client/keep_alive.h"
#include "client/watch.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "leasehold/v1/instances.grpc.pb.h"

namespace leasehold::client {

struct CreateOptions {
  // Empty: the server makes one.
  std::string instance_id;
  // If this call creates the context. Empty: the server's own.
  std::optional<absl::Duration> idle_timeout;
};

struct ListOptions {
  // Only IDs that begin so.
  std::string id_prefix;
  // Only contexts in this state; kUnknown: in any.
  InstanceState state = InstanceState::kUnknown;
  // How many to a page; 0: the server's own. The server has a maximum.
  int page_size = 0;
};

struct InstancePage {
  // In no order. May be empty though more pages follow.
  std::vector<Instance> instances;
  // For the next page; empty: this was the last.
  std::string next_page_token;
};

// Every call may also end with UNAVAILABLE (no connection; names the address),
// DEADLINE_EXCEEDED, or what else the server says; INVALID_ARGUMENT: an ID is
// not UTF-8, or the server refuses it.
class InstancesClient {
 public:
  // Over a new connection to `address` (see channel.h). Blocks not. `timeout`
  // is how long a call may take; streams have none. INVALID_ARGUMENT: the
  // address is none.
  static absl::StatusOr<std::unique_ptr<InstancesClient>> Connect(
      const std::string& address, absl::Duration timeout = absl::Seconds(30));

  // Over a channel that the caller made. `name` is what errors call it.
  InstancesClient(std::shared_ptr<grpc::Channel> channel, std::string name,
                  absl::Duration timeout = absl::Seconds(30));
  InstancesClient(const InstancesClient&) = delete;
  InstancesClient& operator=(const InstancesClient&) = delete;

  // The context of an ID, found or made; its lease is renewed.
  absl::StatusOr<OpenedInstance> Create(const CreateOptions& options);

  // One context. Empty: there is none of this ID; that is not an error.
  absl::StatusOr<std::optional<Instance>> Get(const std::string& id);

  // One page; `page_token` is from the page before, or empty.
  absl::StatusOr<InstancePage> ListPage(const ListOptions& options,
                                        const std::string& page_token = "");
  // All pages: calls `on_page` for each until it gives false. OK: all was told,
  // or `on_page` wanted no more.
  absl::Status List(
      const ListOptions& options,
      const std::function<bool(const std::vector<Instance>&)>& on_page);

  // Changes the idle timeout of a context, and gives what came of it: the
  // server has bounds. NOT_FOUND: there is no context of this ID.
  absl::StatusOr<Instance> SetIdleTimeout(const std::string& id,
                                          absl::Duration timeout);

  // Closes a context, and gives what it was. OK: it is gone. NOT_FOUND: there
  // is none. FAILED_PRECONDITION: it is busy, and not by force. By force calls
  // that keep it busy end with ABORTED.
  absl::StatusOr<Instance> Release(const std::string& id, bool force = false);

  // These begin at once, without waiting; how it went comes as a callback.
  // INVALID_ARGUMENT: an ID is not UTF-8 or, to keep alive, none is given.
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

#endif  // LEASEHOLD_CLIENT_INSTANCES_CLIENT_H_
