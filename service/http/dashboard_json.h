// How the dashboard's API writes values: the messages of leasehold.v1 as JSON.
//
//   names             as in the protos
//   64-bit numbers    texts, as browsers have no such numbers
//   times             RFC 3339, UTC, milliseconds: `2026-11-30T05:00:00.123Z`
//   durations         milliseconds, as a number; the name ends in `_ms`
//   enums             by name
//   long texts        {"$truncated":true,"bytes":70000,"head":"..."}
//   what is not set, and empty texts: absent
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_HTTP_DASHBOARD_JSON_H_
#define LEASEHOLD_SERVICE_HTTP_DASHBOARD_JSON_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "lease/clock.h"
#include "service/http/http_message.h"
#include "service/instance/instance_info.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration_info.h"

namespace leasehold {

// Texts up to this many bytes are written whole.
inline constexpr size_t kWholeTextMax = 4096;

nlohmann::json ToJson(const google::protobuf::Message& message);

// A context, as leasehold.v1.Instance, but with the end of its lease on the
// monotonic clock (`lease_deadline_ms`) for what remains of it: it stays the
// same while the lease runs. `now`: when `info` was read.
nlohmann::json ToJson(const InstanceInfo& info, Instant now);
// As `server_now_ms` and `lease_deadline_ms` have it.
int64_t MillisecondsOf(Instant instant);

// As above: RFC 3339, UTC, milliseconds.
std::string TimeText(absl::Time time);

// As leasehold.v1.OrchestrationState.
nlohmann::json ToJson(const OrchestrationInfo& info);
// As leasehold.v1.OrchestrationEvent, but with the members of what happened
// beside the others, and its name as `kind`.
nlohmann::json ToJson(const HistoryEvent& event);

// Reads the body of a request, a message as protobuf's JSON has it, in addition
// to what the path says; an empty body sets nothing.
//   InvalidArgument: it is not JSON, or not of that message; says what is
//   wrong.
absl::Status FromBody(const HttpRequest& request,
                      google::protobuf::Message& message);

// The answer that has it as its body.
HttpResponse Answer(int status, const nlohmann::json& body);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DASHBOARD_JSON_H_
