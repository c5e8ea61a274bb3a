// OrchestrationClient: the orchestrations of a server, started, watched and
// ended from outside.
//
// One call a method; a watch is an object that lasts as long as it lives. Which
// IDs are allowed is for the server to say. Payloads are sent and told as they
// are. Names in errors are the channel's.
//
// Callbacks of watches come on one thread of this client, one at a time. They
// may make calls of any client (blocking ones delay the other callbacks), start
// watches, and cancel or destroy any watch, their own included. They may not
// destroy the client.
//
// Thread-safety: safe.   Lifetime: outlives the watches that it started.
#ifndef LEASEHOLD_CLIENT_ORCHESTRATION_CLIENT_H_
#define LEASEHOLD_CLIENT_ORCHESTRATION_CLIENT_H_

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
#include "client/event_loop.h"
#include "client/orchestration.h"
#include "client/orchestration_event.h"
#include "client/orchestration_watch.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "leasehold/v1/orchestration.grpc.pb.h"

namespace leasehold::client {

// What a start does if one of its ID is PENDING, RUNNING or SUSPENDED.
enum class IfActive {
  // ALREADY_EXISTS.
  kFail,
  // It will do.
  kAttach,
  // It is recorded as TERMINATED, and one is started.
  kTerminate,
};

// What a start does if one of its ID is COMPLETED, FAILED or TERMINATED.
enum class IfFinished {
  // ALREADY_EXISTS: an ID is taken until it is purged.
  kFail,
  // It will do.
  kAttach,
  // One is started in its place.
  kReplace,
};

// Written as `{.name = "Greet", .instance_id = "a"}`: the rest has defaults.
struct StartOptions {
  // Of the orchestrator, as workers know it. Required.
  std::string name;
  // Empty: the server makes one.
  std::string instance_id = {};
  std::optional<std::string> input = {};
  std::string version = {};
  // Not before. Empty, or past: at once.
  std::optional<absl::Time> scheduled_start_time = {};
  std::map<std::string, std::string> tags = {};
  IfActive if_active = IfActive::kFail;
  IfFinished if_finished = IfFinished::kFail;
  // A name of the caller's for this very start, so that it can be sent again
  // when its answer was lost: the receipt is then the first one's.
  std::string request_id = {};
};

struct TerminateOptions {
  // What it leaves as its output.
  std::optional<std::string> output = {};
  // Its sub-orchestrations too, and theirs.
  bool recursive = false;
};

// Conditions, which all hold at once; what is empty holds for any.
struct OrchestrationFilter {
  std::vector<OrchestrationStatus> statuses;
  std::string id_prefix;
  // Both inclusive.
  std::optional<absl::Time> created_from;
  std::optional<absl::Time> created_to;
};

struct ListOrchestrationsOptions {
  OrchestrationFilter filter;
  // How many to a page; 0: the server's own. The server has a maximum.
  int page_size = 0;
  // With input, output and failure.
  bool payloads = false;
};

struct OrchestrationPage {
  // In the order of their starts. May be empty though more pages follow.
  std::vector<OrchestrationState> orchestrations;
  // For the next page; empty: this was the last.
  std::string next_page_token;
};

struct PurgeResult {
  // How many are erased, with sub-orchestrations.
  int64_t purged = 0;
  // False: time ran out; call again.
  bool complete = true;
};

// Every call may also end with UNAVAILABLE (no connection; names the address),
// DEADLINE_EXCEEDED, or what else the server says; INVALID_ARGUMENT: a text is
// not UTF-8, or the server refuses it; RESOURCE_EXHAUSTED: a payload is larger
// than the server takes. NOT_FOUND: there is none of this ID.
class OrchestrationClient {
 public:
  // Over a new connection to `address` (see channel.h). Blocks not. `timeout`
  // is how long a call may take; waits bring their own, and streams have none.
  // INVALID_ARGUMENT: the address is none.
  static absl::StatusOr<std::unique_ptr<OrchestrationClient>> Connect(
      const std::string& address, absl::Duration timeout = absl::Seconds(30));

  // Over a channel that the caller made. `name` is what errors call it.
  OrchestrationClient(std::shared_ptr<grpc::Channel> channel, std::string name,
                      absl::Duration timeout = absl::Seconds(30));
  OrchestrationClient(const OrchestrationClient&) = delete;
  OrchestrationClient& operator=(const OrchestrationClient&) = delete;

  // Starts one, or attaches to the one that is there, as the options say.
  // ALREADY_EXISTS: the ID is taken; the message says by what.
  absl::StatusOr<OrchestrationReceipt> Start(const StartOptions& options);

  // What is known of one. Empty: there is none of this ID; that is not an
  // error.
  absl::StatusOr<std::optional<OrchestrationState>> Get(const std::string& id,
                                                        bool payloads = true);

  // As Get, once it is no longer PENDING, or once it has ended. They block for
  // up to `timeout`, which may be infinite. DEADLINE_EXCEEDED: it has not
  // happened. NOT_FOUND: there is none, or it was purged meanwhile.
  absl::StatusOr<OrchestrationState> WaitForStart(const std::string& id,
                                                  absl::Duration timeout,
                                                  bool payloads = true);
  absl::StatusOr<OrchestrationState> WaitForCompletion(const std::string& id,
                                                       absl::Duration timeout,
                                                       bool payloads = true);

  // Begins at once, without waiting; how it went comes as a callback.
  absl::StatusOr<std::unique_ptr<OrchestrationWatch>> StartWatch(
      OrchestrationWatchOptions options);

  // These four: FAILED_PRECONDITION: it has ended.
  absl::Status RaiseEvent(const std::string& id, const std::string& name,
                          const std::optional<std::string>& input);
  absl::Status Suspend(const std::string& id, const std::string& reason = "");
  absl::Status Resume(const std::string& id, const std::string& reason = "");
  // OK: it will end with its next turn.
  absl::Status Terminate(const std::string& id,
                         const TerminateOptions& options = {});

  // Has one that failed go on from its last good point, with what failed done
  // again. FAILED_PRECONDITION: it has not failed.
  absl::Status Rewind(const std::string& id, const std::string& reason = "");

  // Starts one that has ended again, with what its last run had; or, if
  // `new_id`, another one under an ID that the server makes: then it need not
  // have ended. FAILED_PRECONDITION: it has not.
  absl::StatusOr<OrchestrationReceipt> Restart(const std::string& id,
                                               bool new_id = false);

  // Erases one that has ended, with all its runs: how many, with
  // sub-orchestrations if `recursive`. FAILED_PRECONDITION: it has not ended.
  absl::StatusOr<int64_t> Purge(const std::string& id, bool recursive = false);
  // Erase of these, or of those that match, all that have ended. An empty
  // filter matches every one.
  absl::StatusOr<PurgeResult> PurgeMany(const std::vector<std::string>& ids,
                                        bool recursive = false);
  absl::StatusOr<PurgeResult> PurgeMatching(const OrchestrationFilter& filter,
                                            bool recursive = false);

  // One page; `page_token` is from the page before, or empty.
  absl::StatusOr<OrchestrationPage> ListPage(
      const ListOrchestrationsOptions& options,
      const std::string& page_token = "");
  // All pages: calls `on_page` for each until it gives false. OK: all was told,
  // or `on_page` wanted no more.
  absl::Status List(
      const ListOrchestrationsOptions& options,
      const std::function<bool(const std::vector<OrchestrationState>&)>&
          on_page);

  // What has happened to it, in order: calls `on_event`, on this thread, for
  // each event until it gives false, and blocks until then. `execution_id` is
  // one of its runs; empty: the present one. OK: all was told, or `on_event`
  // wanted no more. NOT_FOUND: also if there is no such run.
  absl::Status GetHistory(
      const std::string& id, const std::string& execution_id,
      const std::function<bool(const OrchestrationEvent&)>& on_event);

 private:
  // A unary call of the stub.
  template <typename Request, typename Response>
  using Method = grpc::Status (leasehold::v1::Orchestration::Stub::*)(
      grpc::ClientContext*, const Request&, Response*);

  // Makes one within `timeout`.
  template <typename Request, typename Response>
  absl::Status Call(Method<Request, Response> method, const Request& request,
                    Response& response, absl::Duration timeout);
  template <typename Request, typename Response>
  absl::Status Call(Method<Request, Response> method, const Request& request,
                    Response& response) {
    return Call(method, request, response, timeout_);
  }
  // `what` is what it has not done once time is up.
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

#endif  // LEASEHOLD_CLIENT_ORCHESTRATION_CLIENT_H_
