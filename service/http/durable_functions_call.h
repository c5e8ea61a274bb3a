// What the handlers of the Durable Functions HTTP API have in common: which
// instance a call is about, and why it is refused.
//
// Thread-safety: safe.   Lifetime: the port outlives the calls.
#ifndef LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_CALL_H_
#define LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_CALL_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/http/http_call.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/orchestrations.h"
#include "service/orchestration/wire.h"

namespace leasehold {

// The instance that a call's `{id}` names. nullopt: it breaks a rule of IDs,
// and the call was refused.
std::optional<InstanceKey> KeyOf(HttpCall& call);

// Refuses a call about an instance. What is not there gets 404; what is in the
// wrong state, or taken, gets `wrong_state` and is told the state.
struct RefusedCall {
  HttpCallPtr call;
  InstanceKey key;
  int wrong_state = 409;
  // The message, if the state is wrong, by its name; empty: that of the status.
  std::function<std::string(std::string_view runtime_status)> message = {};
};
void Refuse(Orchestrations& orchestrations, const RefusedCall& refusal,
            const absl::Status& status);

// The JSON in the body; nullopt: there is none.
//   InvalidArgument: it is not JSON.
absl::StatusOr<Payload> JsonBodyOf(const HttpRequest& request);

// OK: the text of a segment may be the name of something.
//   InvalidArgument: it is not UTF-8, or too long; begins with `field`.
absl::Status CheckSegment(std::string_view field, std::string_view text);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_CALL_H_
