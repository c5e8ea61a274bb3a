#include "service/http/durable_functions_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "lease/base/json_text.h"
#include "lease/base/quote.h"
#include "lease/base/utf8.h"
#include "lease/base/view.h"
#include "service/http/durable_functions_json.h"
#include "service/http/durable_functions_status.h"
#include "service/orchestration/bounds.h"

namespace leasehold {

std::optional<InstanceKey> KeyOf(HttpCall& call) {
  const HttpRequest& request = call.request();
  absl::StatusOr<InstanceKey> key = MakeInstanceKey(
      request.caller->tenant, request.params.Get("id"), "instanceId");
  if (key.ok()) return *std::move(key);
  call.Fail(key.status());
  return std::nullopt;
}

void Refuse(Orchestrations& orchestrations, const RefusedCall& refusal,
            const absl::Status& status) {
  if (!absl::IsFailedPrecondition(status) && !absl::IsAlreadyExists(status)) {
    return refusal.call->Fail(status, {.instance_id = refusal.key.id});
  }
  orchestrations.Get(
      refusal.key, /*payloads=*/false,
      [refusal,
       status](const absl::StatusOr<std::optional<OrchestrationInfo>>& info) {
        ErrorDetails details{.instance_id = refusal.key.id};
        absl::Status said = status;
        // It may be gone since; then the message alone says how it was.
        if (info.ok() && info->has_value()) {
          details.runtime_status = RuntimeStatusOf((*info)->status);
          if (refusal.message) {
            said = absl::Status(status.code(),
                                refusal.message(details.runtime_status));
          }
        }
        refusal.call->Finish(ErrorResponse(refusal.wrong_state, said, details));
      });
}

absl::StatusOr<Payload> JsonBodyOf(const HttpRequest& request) {
  if (IsBlank(request.body)) return std::nullopt;
  if (IsJson(std::string_view(request.body))) return request.body;
  return absl::InvalidArgumentError(
      absl::StrCat("the body is not valid JSON, or nested too deeply: ",
                   QuoteForMessage(request.body)));
}

absl::Status CheckSegment(std::string_view field, std::string_view text) {
  if (!IsUtf8(text)) {
    return absl::InvalidArgumentError(
        absl::StrCat(View(field), ": is not UTF-8: ", QuoteForMessage(text)));
  }
  return CheckName(field, text);
}

}  // namespace leasehold
