// EntityClient: signals, calls and looks at the entities of a server.
//
// Each method makes one call. A watch is an object and lasts as long as that
// object. The server decides which IDs are allowed: they have the form
// `@name@key`. Payloads are passed on unchanged. Errors name the channel.
//
// Callbacks of watches run on one thread of this client, one at a time. They
// may make calls of any client (blocking ones delay the other callbacks), start
// watches, and cancel or destroy any watch, including their own. They must not
// destroy the client.
//
// Thread-safety: safe.   Lifetime: outlives the watches that it started.
#ifndef LEASEHOLD_CLIENT_ENTITIES_ENTITY_CLIENT_H_
#define LEASEHOLD_CLIENT_ENTITIES_ENTITY_CLIENT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/entities/entity.h"
#include "client/entities/entity_watch.h"
#include "client/wire/event_loop.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/security/credentials.h"
#include "leasehold/v1/entities.grpc.pb.h"

namespace leasehold::client {

struct EntitySignalOptions {
  std::string instance_id;
  // Required.
  std::string operation;
  std::optional<std::string> input = {};
  // The earliest time at which it runs; if empty or in the past, at once.
  std::optional<absl::Time> scheduled_time = {};
};

struct EntityCallOptions {
  std::string instance_id;
  // Required.
  std::string operation;
  std::optional<std::string> input = {};
  // Makes the call idempotent: if it is made again, because its answer was
  // lost, the operation does not run again, and the caller gets that answer.
  std::string request_id = {};
  // How long to wait for the answer; may be infinite, and then the server has a
  // limit. The operation is not withdrawn.
  absl::Duration timeout = absl::Seconds(30);
};

// How long the lock of an entity lasts at most, from now on.
struct EntityLockOptions {
  std::string instance_id;
  // The critical section that is meant; empty: whichever has the entity.
  std::string section_id = {};
  // Zero: the lock ends at once. Empty: it has no limit any more.
  std::optional<absl::Duration> timeout;
};

// Conditions that all have to hold; an empty one holds for every entity.
struct EntityFilter {
  std::string id_prefix;
  std::optional<absl::Time> updated_from;  // Inclusive.
  std::optional<absl::Time> updated_to;    // Exclusive.
  // Also those without a state that something waits for or has locked.
  bool stateless = false;
};

struct ListEntitiesOptions {
  EntityFilter filter;
  // Entities per page; 0: the server's default. The server has a maximum.
  int page_size = 0;
  bool states = false;
};

struct EntityPage {
  // In the order of their IDs. May be empty even though more pages follow.
  std::vector<EntityInfo> entities;
  // For the next page; empty after the last.
  std::string next_page_token;
};

// Every call may also end with UNAVAILABLE (no connection; names the address),
// DEADLINE_EXCEEDED, or another error of the server. INVALID_ARGUMENT: a text
// is not UTF-8, or the server refuses it. RESOURCE_EXHAUSTED: a payload is too
// large for the server, or too much waits for the entity.
class EntityClient {
 public:
  // Over a new connection to `address` (see channel.h). Does not block.
  // `timeout` is how long a call of the server may take, except for Call, which
  // has its own, and for watches, which have none. `credentials`: as for
  // OpenChannel. INVALID_ARGUMENT: `address` is not an address.
  static absl::StatusOr<std::unique_ptr<EntityClient>> Connect(
      const std::string& address, absl::Duration timeout = absl::Seconds(30),
      std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr);

  // Over a channel that the caller made; errors call it `name`.
  EntityClient(std::shared_ptr<grpc::Channel> channel, std::string name,
               absl::Duration timeout = absl::Seconds(30));
  EntityClient(const EntityClient&) = delete;
  EntityClient& operator=(const EntityClient&) = delete;

  // Sends an operation. OK: it will run.
  absl::Status Signal(const EntitySignalOptions& options);

  // Sends an operation and returns its output, once it has run. Blocks.
  // UNKNOWN: it failed; the message says how. DEADLINE_EXCEEDED: no answer
  // within the timeout; it still runs.
  absl::StatusOr<std::optional<std::string>> Call(
      const EntityCallOptions& options);

  // What is known about one; empty if there is nothing with this ID, which is
  // not an error.
  absl::StatusOr<std::optional<EntityInfo>> Get(const std::string& id,
                                                bool state = true);

  // Takes its state away. NOT_FOUND: it has none.
  absl::Status Delete(const std::string& id);

  // Sets a limit in place of the one that its lock has: a renewal, or an end.
  // When the time is over, the next in line gets the lock, and those of all
  // other entities of that critical section end, too. NOT_FOUND: it is not
  // locked, or by another section. FAILED_PRECONDITION: the section still waits
  // for other entities.
  absl::Status LimitLock(const EntityLockOptions& options);

  // One page; `page_token` is from the previous page, or empty for the first.
  absl::StatusOr<EntityPage> ListPage(const ListEntitiesOptions& options,
                                      const std::string& page_token = "");
  // All pages: calls `on_page` for each until it returns false. OK: there are
  // no more pages, or `on_page` returned false.
  absl::Status List(
      const ListEntitiesOptions& options,
      const std::function<bool(const std::vector<EntityInfo>&)>& on_page);

  // Starts without blocking; callbacks report the outcome.
  absl::StatusOr<std::unique_ptr<EntityWatch>> StartWatch(
      EntityWatchOptions options);

 private:
  // A unary call of the stub.
  template <typename Request, typename Response>
  using Method = grpc::Status (leasehold::v1::Entities::Stub::*)(
      grpc::ClientContext*, const Request&, Response*);

  // Makes a call within `timeout`.
  template <typename Request, typename Response>
  absl::Status Make(Method<Request, Response> method, const Request& request,
                    Response& response, absl::Duration timeout);

  const std::shared_ptr<grpc::Channel> channel_;
  const std::string name_;
  const absl::Duration timeout_;
  const std::unique_ptr<leasehold::v1::Entities::Stub> stub_;
  EventLoop loop_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_ENTITIES_ENTITY_CLIENT_H_
