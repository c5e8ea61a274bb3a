#include "service/http/durable_functions_status.h"

#include <array>
#include <cstddef>

#include "absl/strings/match.h"
#include "lease/base/json_text.h"
#include "lease/base/view.h"
#include "service/http/durable_functions_json.h"
#include "service/orchestration/bounds.h"

namespace leasehold {
namespace {

// In the order of the reference's enumeration, without its `Unknown`.
constexpr std::array kNamedStatuses = {
    OrchestrationStatus::kRunning,        OrchestrationStatus::kCompleted,
    OrchestrationStatus::kContinuedAsNew, OrchestrationStatus::kFailed,
    OrchestrationStatus::kCanceled,       OrchestrationStatus::kTerminated,
    OrchestrationStatus::kPending,        OrchestrationStatus::kSuspended};

std::string FailureJson(const OpaqueMessage& message, int depth) {
  // Stored failures are less deep; what comes deeper is from nobody.
  if (!message.has_value() || depth == 0) return "null";
  const WholeFailure failure = ReadFailure(message);
  std::string json;
  JsonObject object(json);
  object.Text("ErrorType", failure.type);
  object.Text("ErrorMessage", failure.message);
  if (failure.stack_trace.has_value()) {
    object.Text("StackTrace", *failure.stack_trace);
  } else {
    object.Json("StackTrace", "null");
  }
  object.Json("InnerFailure", FailureJson(failure.cause, depth - 1));
  object.Json("IsNonRetriable", failure.non_retriable ? "true" : "false");
  object.End();
  return json;
}

}  // namespace

std::string_view RuntimeStatusOf(OrchestrationStatus status) {
  return StatusName(status == OrchestrationStatus::kDamaged
                        ? OrchestrationStatus::kFailed
                        : status);
}

std::optional<OrchestrationStatus> RuntimeStatusNamed(std::string_view name) {
  for (const OrchestrationStatus status : kNamedStatuses) {
    if (absl::EqualsIgnoreCase(View(name), View(StatusName(status)))) {
      return status;
    }
  }
  return std::nullopt;
}

std::string OutputJson(const OrchestrationInfo& info) {
  if (!info.failure.has_value()) return PayloadJson(info.output);
  return JsonString(ReadFailure(info.failure).message);
}

std::string OpenStatusJson(const OrchestrationInfo& info, bool show_input) {
  std::string json;
  JsonObject object(json);
  object.Text("name", info.summary.name);
  object.Text("instanceId", info.id);
  object.Text("runtimeStatus", RuntimeStatusOf(info.status));
  object.Json("input", show_input ? PayloadJson(info.input) : "null");
  object.Json("customStatus", PayloadJson(info.summary.custom_status));
  object.Json("output", OutputJson(info));
  object.Json("createdTime", SecondsJson(info.created));
  object.Json("lastUpdatedTime", SecondsJson(ToTime(info.summary.updated)));
  return json;
}

WholeFailure ReadFailure(const OpaqueMessage& message) {
  return DecodeMessage<WholeFailure>(message.bytes.value_or(""))
      .value_or(WholeFailure{});
}

std::string FailureJson(const OpaqueMessage& message) {
  return FailureJson(message, kFailureDepthMax + 1);
}

std::string EntityJson(const EntityInfo& info) {
  const size_t at = info.id.find('@', 1);
  std::string id;
  JsonObject name_and_key(id);
  name_and_key.Text("name", std::string_view(info.id).substr(1, at - 1));
  name_and_key.Text("key", std::string_view(info.id).substr(at + 1));
  name_and_key.End();

  std::string json;
  JsonObject object(json);
  object.Json("entityId", id);
  object.Json("lastOperationTime", TicksJson(ToTimestamp(info.modified)));
  object.Json("state", PayloadJson(info.state));
  object.End();
  return json;
}

}  // namespace leasehold
