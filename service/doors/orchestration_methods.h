// OrchestrationMethods: the methods of leasehold.v1.Orchestration on one
// orchestration, whatever door their requests come through.
//
// Each fills the response, then calls `done` with the status; both may happen
// on any thread. Errors are those of the port.
//
// Thread-safety: safe.   Lifetime: port, request and response outlive the call
// of `done`.
#ifndef LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_METHODS_H_
#define LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_METHODS_H_

#include "leasehold/v1/orchestration.pb.h"
#include "service/orchestration/orchestrations.h"

namespace leasehold {

struct OrchestrationMethods {
  static void Get(Orchestrations& orchestrations, const InstanceKey& key,
                  v1::GetOrchestrationRequest& request,
                  v1::OrchestrationState& response, DoneStatus done);
  static void RaiseEvent(Orchestrations& orchestrations, const InstanceKey& key,
                         v1::RaiseOrchestrationEventRequest& request,
                         v1::RaiseOrchestrationEventResponse& response,
                         DoneStatus done);
  static void Suspend(Orchestrations& orchestrations, const InstanceKey& key,
                      v1::SuspendOrchestrationRequest& request,
                      v1::SuspendOrchestrationResponse& response,
                      DoneStatus done);
  static void Resume(Orchestrations& orchestrations, const InstanceKey& key,
                     v1::ResumeOrchestrationRequest& request,
                     v1::ResumeOrchestrationResponse& response,
                     DoneStatus done);
  static void Terminate(Orchestrations& orchestrations, const InstanceKey& key,
                        v1::TerminateOrchestrationRequest& request,
                        v1::TerminateOrchestrationResponse& response,
                        DoneStatus done);
  static void Rewind(Orchestrations& orchestrations, const InstanceKey& key,
                     v1::RewindOrchestrationRequest& request,
                     v1::RewindOrchestrationResponse& response,
                     DoneStatus done);
  static void Purge(Orchestrations& orchestrations, const InstanceKey& key,
                    v1::PurgeOrchestrationRequest& request,
                    v1::PurgeOrchestrationResponse& response, DoneStatus done);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_METHODS_H_
