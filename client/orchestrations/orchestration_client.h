// OrchestrationClient: starts, watches and manages the orchestrations of a
// server.
//
// Each method makes one call. A watch is an object and lasts as long as that
// object. The server decides which IDs are allowed. Payloads are passed on
// unchanged. Errors name the channel.
//
// Callbacks of watches run on one thread of this client, one at a time. They
// may make calls of any client (blocking ones delay the other callbacks), start
// watches, and cancel or destroy any watch, including their own. They must not
// destroy the client.
//
// Thread-safety: safe.   Lifetime: outlives the watches that it started.
#ifndef LEASEHOLD_CLIENT_ORCHESTRATIONS_ORCHESTRATION_CLIENT_H_
#define LEASEHOLD_CLIENT_ORCHESTRATIONS_ORCHESTRATION_CLIENT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/orchestrations/orchestration.h"
#include "client/orchestrations/orchestration_event.h"
#include "client/orchestrations/orchestration_watch.h"
#include "client/wire/event_loop.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/security/credentials.h"
#include "leasehold/v1/orchestration.grpc.pb.h"

namespace leasehold::client {

// What a start does if the ID has an orchestration that is PENDING, RUNNING or
// SUSPENDED.
enum class IfActive {
  // It fails with ALREADY_EXISTS.
  kFail,
  // It attaches to the existing one.
  kAttach,
  // It terminates the existing one and starts a new one.
  kTerminate,
};

// What a start does if that orchestration is COMPLETED, FAILED or TERMINATED.
enum class IfFinished {
  // It fails with ALREADY_EXISTS: an ID is taken until it is purged.
  kFail,
  // It attaches to the existing one.
  kAttach,
  // It starts a new one in its place.
  kReplace,
};

// Write `{.name = "Greet", .instance_id = "a"}`: the rest has defaults.
struct StartOptions {
  // The name of the orchestrator, as workers know it. Required.
  std::string name;
  // If empty, the server makes an ID.
  std::string instance_id = {};
  std::optional<std::string> input = {};
  std::string version = {};
  // The earliest time to start; if empty or in the past, immediately.
  std::optional<absl::Time> scheduled_start_time = {};
  std::map<std::string, std::string> tags = {};
  IfActive if_active = IfActive::kFail;
  IfFinished if_finished = IfFinished::kFail;
  // Makes the start idempotent: if a start with this ID is sent again because
  // its answer was lost, the caller gets the first receipt.
  std::string request_id = {};
};

struct TerminateOptions {
  // Its output.
  std::optional<std::string> output = {};
  // Also its sub-orchestrations, and theirs.
  bool recursive = false;
  // At once, without its worker, whose answer is then refused.
  bool force = false;
};

// Conditions that all have to hold; an empty one holds for every orchestration.
struct OrchestrationFilter {
  std::vector<OrchestrationStatus> statuses;
  std::string id_prefix;
  // Both inclusive.
  std::optional<absl::Time> created_from;
  std::optional<absl::Time> created_to;
  // The orchestrator's.
  std::string name = {};
  // Each is KEY=VALUE, or KEY with any value.
  std::vector<std::string> tags = {};
};

enum class ListOrder {
  kOldestFirst,  // In the order of their starts.
  kNewestFirst,  // By the time of their creation.
};

struct ListOrchestrationsOptions {
  OrchestrationFilter filter;
  ListOrder order = ListOrder::kOldestFirst;
  // Orchestrations per page; 0: the server's default. The server has a maximum.
  int page_size = 0;
  // With input, output and failure.
  bool payloads = false;
};

struct OrchestrationPage {
  // In the order that was asked for. May be empty even though more pages
  // follow.
  std::vector<OrchestrationState> orchestrations;
  // For the next page; empty after the last.
  std::string next_page_token;
};

struct OrchestrationCounts {
  // Without those that none has.
  std::map<OrchestrationStatus, int64_t> by_status;
  // False if time ran out: then there may be more.
  bool complete = true;
};

struct PurgeResult {
  // How many were erased, including sub-orchestrations.
  int64_t purged = 0;
  // False if time ran out; call again.
  bool complete = true;
};

// Every call may also end with UNAVAILABLE (no connection; names the address),
// DEADLINE_EXCEEDED, or another error of the server. INVALID_ARGUMENT: a text
// is not UTF-8, or the server refuses it. RESOURCE_EXHAUSTED: a payload is too
// large for the server. NOT_FOUND: there is no orchestration with this ID.
class OrchestrationClient {
 public:
  // Over a new connection to `address` (see channel.h). Does not block.
  // `timeout` is how long a call may take; waits have timeouts of their own,
  // streams have none. `credentials`: as for OpenChannel. INVALID_ARGUMENT:
  // `address` is not an address.
  static absl::StatusOr<std::unique_ptr<OrchestrationClient>> Connect(
      const std::string& address, absl::Duration timeout = absl::Seconds(30),
      std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr);

  // Over a channel that the caller made; errors call it `name`.
  OrchestrationClient(std::shared_ptr<grpc::Channel> channel, std::string name,
                      absl::Duration timeout = absl::Seconds(30));
  OrchestrationClient(const OrchestrationClient&) = delete;
  OrchestrationClient& operator=(const OrchestrationClient&) = delete;

  // Starts one, or attaches to the existing one, as the options say.
  // ALREADY_EXISTS: the ID is taken; the message says by what.
  absl::StatusOr<OrchestrationReceipt> Start(const StartOptions& options);

  // What is known about one; empty if there is none with this ID, which is not
  // an error.
  absl::StatusOr<std::optional<OrchestrationState>> Get(const std::string& id,
                                                        bool payloads = true);

  // Like Get, once it is no longer PENDING, or once it has ended. Both block
  // for up to `timeout`, which may be infinite. DEADLINE_EXCEEDED: it has not
  // happened yet. NOT_FOUND: there is none, or it was purged meanwhile.
  absl::StatusOr<OrchestrationState> WaitForStart(const std::string& id,
                                                  absl::Duration timeout,
                                                  bool payloads = true);
  absl::StatusOr<OrchestrationState> WaitForCompletion(const std::string& id,
                                                       absl::Duration timeout,
                                                       bool payloads = true);

  // Starts without blocking; callbacks report the outcome.
  absl::StatusOr<std::unique_ptr<OrchestrationWatch>> StartWatch(
      OrchestrationWatchOptions options);

  // These four fail with FAILED_PRECONDITION if it has ended.
  absl::Status RaiseEvent(const std::string& id, const std::string& name,
                          const std::optional<std::string>& input);
  absl::Status Suspend(const std::string& id, const std::string& reason = "");
  absl::Status Resume(const std::string& id, const std::string& reason = "");
  // OK: it ends with its next turn, or at once if no worker has its turn. By
  // force it has ended already.
  absl::Status Terminate(const std::string& id,
                         const TerminateOptions& options = {});

  // Retries one that has failed from its last successful step, and repeats what
  // failed. FAILED_PRECONDITION: it has not failed.
  absl::Status Rewind(const std::string& id, const std::string& reason = "");

  // Starts one that has ended again, with the name and input of its last run.
  // If `new_id`, starts a copy under an ID that the server makes, even if the
  // first has not ended. FAILED_PRECONDITION: it has not ended.
  absl::StatusOr<OrchestrationReceipt> Restart(const std::string& id,
                                               bool new_id = false);

  // Erases one that has ended, with all its runs; `recursive`: and with all its
  // sub-orchestrations. Returns how many. FAILED_PRECONDITION: it has not
  // ended.
  absl::StatusOr<int64_t> Purge(const std::string& id, bool recursive = false);
  // Erase those that have ended, among these IDs or among those that match. An
  // empty filter matches all.
  absl::StatusOr<PurgeResult> PurgeMany(const std::vector<std::string>& ids,
                                        bool recursive = false);
  absl::StatusOr<PurgeResult> PurgeMatching(const OrchestrationFilter& filter,
                                            bool recursive = false);

  // One page; `page_token` is from the previous page, or empty for the first.
  absl::StatusOr<OrchestrationPage> ListPage(
      const ListOrchestrationsOptions& options,
      const std::string& page_token = "");
  // All pages: calls `on_page` for each until it returns false. OK: there are
  // no more pages, or `on_page` returned false.
  absl::Status List(
      const ListOrchestrationsOptions& options,
      const std::function<bool(const std::vector<OrchestrationState>&)>&
          on_page);

  // How many match, by status.
  absl::StatusOr<OrchestrationCounts> Count(
      const OrchestrationFilter& filter = {});

  // Its history, in order: calls `on_event` on this thread for each event until
  // it returns false, and blocks until then. `execution_id` is one of its runs;
  // empty means the current one. OK: there are no more events, or `on_event`
  // returned false. NOT_FOUND: also if there is no such run.
  absl::Status GetHistory(
      const std::string& id, const std::string& execution_id,
      const std::function<bool(const OrchestrationEvent&)>& on_event);

 private:
  // A unary call of the stub.
  template <typename Request, typename Response>
  using Method = grpc::Status (leasehold::v1::Orchestration::Stub::*)(
      grpc::ClientContext*, const Request&, Response*);

  // Makes a call within `timeout`.
  template <typename Request, typename Response>
  absl::Status Call(Method<Request, Response> method, const Request& request,
                    Response& response, absl::Duration timeout);
  template <typename Request, typename Response>
  absl::Status Call(Method<Request, Response> method, const Request& request,
                    Response& response) {
    return Call(method, request, response, timeout_);
  }
  // `what` says what has not happened when time is up.
  absl::StatusOr<OrchestrationState> Wait(
      Method<leasehold::v1::GetOrchestrationRequest,
             leasehold::v1::OrchestrationState>
          method,
      const std::string& id, absl::Duration timeout, bool payloads,
      const char* what);
  absl::StatusOr<PurgeResult> Purge(
      const leasehold::v1::PurgeOrchestrationsRequest& request);

  const std::shared_ptr<grpc::Channel> channel_;
  const std::string name_;
  const absl::Duration timeout_;
  const std::unique_ptr<leasehold::v1::Orchestration::Stub> stub_;
  EventLoop loop_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_ORCHESTRATIONS_ORCHESTRATION_CLIENT_H_
