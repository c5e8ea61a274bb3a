// DashboardBatch: one verb for many orchestrations, in two requests to
// `POST /orchestrations:batch`.
//
// The first one only looks:
//
//   {"verb":"terminate","filter":{"status":"RUNNING","prefix":"a-",
//     "name":"...","tag":"KEY=VALUE","from":"TIME","to":"TIME"}}
//   {"verb":"purge","instance_ids":["a-1","a-2"]}
//   -> {"matched":2,"token":"...","first":["a-1","a-2"],"expires_in_ms":300000}
//
// The second one does it to those that matched, and answers with what
// BatchRun tells. `request`: what the body of the verb would be.
//
//   {"token":"...","request":{"reason":"..."}}
//
// A token is good once, for five minutes, for whoever was given it; if verb and
// filter are there again, they must be the same. `{"token":"...","stop":true}`
// ends what was begun with it.
//
// Each one is a request of its own, by the same caller, to the route of the
// verb: that says which role it needs, what it counts for, and what the audit
// log is told.
//
// Thread-safety: safe.   Lifetime: what the parts name outlives it; it outlives
// the listener that serves its route. Stop it before the engine.
#ifndef LEASEHOLD_SERVICE_HTTP_DASHBOARD_BATCH_H_
#define LEASEHOLD_SERVICE_HTTP_DASHBOARD_BATCH_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/http/batch_run.h"
#include "service/http/http_call.h"
#include "service/http/http_route.h"
#include "service/instance/alarm_clock.h"
#include "service/instance/executor.h"
#include "service/orchestration/orchestrations.h"
#include "service/rpc/caller.h"

namespace leasehold {

// Serves a request by somebody who is known, as HttpDoor::RunFor.
using RunRequestFor =
    std::function<void(const std::shared_ptr<const Caller>& caller,
                       HttpRequest request, HttpCall::Answer answer)>;

class DashboardBatch {
 public:
  static constexpr size_t kMatchesMax = 100'000;
  static constexpr size_t kIdBytesMax = 16 << 20;
  static constexpr size_t kIdsGivenMax = 10'000;
  static constexpr absl::Duration kTokenLifetime = absl::Minutes(5);
  // Of a tenant: tokens that are kept, of which the oldest gives way; and runs.
  static constexpr size_t kTokensMax = 8;
  static constexpr size_t kRunsMax = 4;

  DashboardBatch(Clock& clock, Orchestrations& orchestrations,
                 Executor& executor, RunRequestFor run);

  HttpRoute Route();

  void Start() { alarms_.Start(); }
  // Ends all runs. Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);
  // For tests: without Start, pauses end here.
  size_t EndPauses() { return alarms_.RunDue(); }

 private:
  using Ids = std::vector<std::string>;

  // What was asked for, and matched.
  struct Ticket {
    std::shared_ptr<const Caller> caller = {};
    std::string verb = {};
    nlohmann::json filter = {};  // Null: IDs were given.
    Ids ids = {};
    Instant expires = {};
  };
  struct Running {
    std::string tenant;
    std::weak_ptr<BatchRun> run;
  };
  struct Matching;

  absl::Status Serve(const HttpCallPtr& call);
  absl::Status Look(const HttpCallPtr& call, const nlohmann::json& body);
  absl::Status LookAtGiven(const HttpCallPtr& call, Ticket ticket,
                           const nlohmann::json& ids);
  void ReadPage(const std::shared_ptr<Matching>& matching);
  void AnswerLook(const HttpCallPtr& call, Ticket ticket);
  absl::Status Do(const HttpCallPtr& call, const nlohmann::json& body);
  absl::Status StopOne(const HttpCallPtr& call, const std::string& token);

  // A token for it.
  std::string Keep(Ticket ticket) ABSL_LOCKS_EXCLUDED(mu_);
  // Takes what a token stands for.
  absl::StatusOr<Ticket> Take(const std::string& token, const Caller& caller,
                              const nlohmann::json& body)
      ABSL_LOCKS_EXCLUDED(mu_);
  std::shared_ptr<BatchRun> MakeRun(const HttpCallPtr& call, Ticket ticket,
                                    std::string body);

  Clock& clock_;
  Orchestrations& orchestrations_;
  Executor& executor_;
  const RunRequestFor run_;
  AlarmClock alarms_;

  Mutex mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::map<std::string, Ticket> tickets_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Running> running_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DASHBOARD_BATCH_H_
