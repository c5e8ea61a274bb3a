// What the Durable Functions HTTP API says of an orchestration or an entity, as
// JSON.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_STATUS_H_
#define LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_STATUS_H_

#include <optional>
#include <string>
#include <string_view>

#include "service/orchestration/entities.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/whole_failure.h"
#include "service/orchestration/wire.h"

namespace leasehold {

// As the API has it: it knows no damaged ones, which have failed for it.
std::string_view RuntimeStatusOf(OrchestrationStatus status);
// nullopt: the API has no status of that name, in any case.
std::optional<OrchestrationStatus> RuntimeStatusNamed(std::string_view name);

// The status of an instance, without the brace at its end, so that
// `historyEvents` can follow. REQUIRES: `info` has payloads.
std::string OpenStatusJson(const OrchestrationInfo& info, bool show_input);
inline std::string StatusJson(const OrchestrationInfo& info, bool show_input) {
  return OpenStatusJson(info, show_input) + "}";
}

// What ended one, as JSON: its output or, if it failed, the failure's message.
std::string OutputJson(const OrchestrationInfo& info);

WholeFailure ReadFailure(const OpaqueMessage& message);
// `{"ErrorType":…,"ErrorMessage":…,"StackTrace":…,"InnerFailure":…,
// "IsNonRetriable":…}`.
std::string FailureJson(const OpaqueMessage& message);

// An entity in a list. `@name@key` becomes `{"name":…,"key":…}`.
std::string EntityJson(const EntityInfo& info);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_STATUS_H_
