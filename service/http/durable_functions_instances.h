// DurableFunctionsInstances: the calls of the Durable Functions HTTP API about
// orchestrations that are there.
//
// Each function serves a route (durable_functions_api.h), and answers the call
// on any thread.
//
// Thread-safety: safe.   Lifetime: the port outlives it and the calls.
#ifndef LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_INSTANCES_H_
#define LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_INSTANCES_H_

#include "service/http/durable_functions_call.h"
#include "service/orchestration/orchestrations.h"

namespace leasehold {

class DurableFunctionsInstances {
 public:
  explicit DurableFunctionsInstances(Orchestrations& orchestrations)
      : orchestrations_(orchestrations) {}

  void List(const HttpCallPtr& call);
  void PurgeMany(const HttpCallPtr& call);

  void Status(const HttpCallPtr& call);
  void Purge(const HttpCallPtr& call);
  void Terminate(const HttpCallPtr& call);
  void Suspend(const HttpCallPtr& call);
  void Resume(const HttpCallPtr& call);
  void Rewind(const HttpCallPtr& call);
  void RaiseEvent(const HttpCallPtr& call);

 private:
  // Answers with what a command has come to: 202, or why not.
  DoneStatus Told(const HttpCallPtr& call, const InstanceKey& key,
                  int wrong_state);

  Orchestrations& orchestrations_;
};

// The status code and the headers with which the status of an orchestration is
// answered. `failure_is_500`: the caller wants a failed one to be a 500.
HttpResponse StatusResponse(const HttpRequest& request,
                            OrchestrationStatus status, bool failure_is_500);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_INSTANCES_H_
