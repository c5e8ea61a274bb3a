#include "service/doors/orchestration_methods.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"
#include "service/doors/orchestration_messages.h"
#include "service/orchestration/bounds.h"

namespace leasehold {
namespace {

using Info = std::optional<OrchestrationInfo>;

// The status of one that must exist.
absl::Status StatusOf(const absl::StatusOr<Info>& info,
                      const InstanceKey& key) {
  if (info.ok() && !info->has_value()) return NoSuchOrchestration(key);
  return info.status();
}

Payload ToPayload(std::string& text) {
  if (text.empty()) return std::nullopt;
  return std::move(text);
}

}  // namespace

void OrchestrationMethods::Get(Orchestrations& orchestrations,
                               const InstanceKey& key,
                               v1::GetOrchestrationRequest& request,
                               v1::OrchestrationState& response,
                               DoneStatus done) {
  orchestrations.Get(key, !request.omit_payloads(),
                     [key, &response, done](const absl::StatusOr<Info>& info) {
                       const absl::Status status = StatusOf(info, key);
                       if (status.ok()) ToMessage(**info, response);
                       done(status);
                     });
}

void OrchestrationMethods::RaiseEvent(
    Orchestrations& orchestrations, const InstanceKey& key,
    v1::RaiseOrchestrationEventRequest& request,
    v1::RaiseOrchestrationEventResponse&, DoneStatus done) {
  if (request.name().empty()) {
    return done(absl::InvalidArgumentError(
        "name: is required; it says which event to raise"));
  }
  if (absl::Status status = CheckName("name", request.name()); !status.ok()) {
    return done(status);
  }
  Payload input;
  if (request.has_input()) input = std::move(*request.mutable_input());
  orchestrations.RaiseEvent(key, request.name(), std::move(input),
                            std::move(done));
}

void OrchestrationMethods::Suspend(Orchestrations& orchestrations,
                                   const InstanceKey& key,
                                   v1::SuspendOrchestrationRequest& request,
                                   v1::SuspendOrchestrationResponse&,
                                   DoneStatus done) {
  orchestrations.Suspend(key, ToPayload(*request.mutable_reason()),
                         std::move(done));
}

void OrchestrationMethods::Resume(Orchestrations& orchestrations,
                                  const InstanceKey& key,
                                  v1::ResumeOrchestrationRequest& request,
                                  v1::ResumeOrchestrationResponse&,
                                  DoneStatus done) {
  orchestrations.Resume(key, ToPayload(*request.mutable_reason()),
                        std::move(done));
}

void OrchestrationMethods::Terminate(Orchestrations& orchestrations,
                                     const InstanceKey& key,
                                     v1::TerminateOrchestrationRequest& request,
                                     v1::TerminateOrchestrationResponse&,
                                     DoneStatus done) {
  Payload output;
  if (request.has_output()) output = std::move(*request.mutable_output());
  if (request.force()) {
    orchestrations.TerminateByForce(key, std::move(output), request.recursive(),
                                    std::move(done));
  } else {
    orchestrations.Terminate(key, std::move(output), request.recursive(),
                             std::move(done));
  }
}

void OrchestrationMethods::Rewind(Orchestrations& orchestrations,
                                  const InstanceKey& key,
                                  v1::RewindOrchestrationRequest& request,
                                  v1::RewindOrchestrationResponse&,
                                  DoneStatus done) {
  orchestrations.Rewind(key, ToPayload(*request.mutable_reason()),
                        std::move(done));
}

void OrchestrationMethods::Purge(Orchestrations& orchestrations,
                                 const InstanceKey& key,
                                 v1::PurgeOrchestrationRequest& request,
                                 v1::PurgeOrchestrationResponse& response,
                                 DoneStatus done) {
  orchestrations.Purge(
      {key}, request.recursive(),
      [&orchestrations, key, &request, &response,
       done](const absl::StatusOr<PurgeResult>& result) {
        if (!result.ok() || result->erased > 0) {
          if (result.ok()) response.set_purged(result->erased);
          return done(result.status());
        }
        orchestrations.Get(
            key, /*payloads=*/false,
            [&orchestrations, key, &request, &response,
             done](const absl::StatusOr<Info>& info) {
              const absl::Status status = StatusOf(info, key);
              if (!status.ok()) return done(status);
              if (IsFinished((*info)->status)) {  // Just now.
                return Purge(orchestrations, key, request, response, done);
              }
              done(absl::FailedPreconditionError(
                  absl::StrCat("orchestration ", QuoteForMessage(key.id),
                               " is ", std::string(StatusName((*info)->status)),
                               "; only one that has ended can be purged")));
            });
      });
}

}  // namespace leasehold
