#include "service/http/durable_functions_json.h"

#include "absl/strings/str_cat.h"
#include "lease/base/json_text.h"

namespace leasehold {
bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

std::string PayloadJson(const Payload& payload) {
  if (!payload.has_value()) return "null";
  if (IsBlank(*payload)) return "\"\"";
  return IsJson(*payload) ? *payload : JsonString(*payload);
}

std::string SecondsJson(absl::Time time) {
  return absl::FormatTime("\"%E4Y-%m-%dT%H:%M:%SZ\"", time,
                          absl::UTCTimeZone());
}

std::string TicksJson(const Timestamp& time) {
  return absl::FormatTime(
      "\"%E4Y-%m-%dT%H:%M:%E7SZ\"",
      absl::FromUnixSeconds(time.seconds) + absl::Nanoseconds(time.nanos),
      absl::UTCTimeZone());
}

void JsonObject::Name(std::string_view name) {
  if (!empty_) out_ += ',';
  empty_ = false;
  out_ += '"';
  out_ += name;
  out_ += "\":";
}

void JsonObject::Text(std::string_view name, std::string_view text) {
  Json(name, JsonString(text));
}

void JsonObject::Json(std::string_view name, std::string_view json) {
  Name(name);
  out_ += json;
}

void JsonObject::Integer(std::string_view name, int64_t value) {
  Json(name, absl::StrCat(value));
}

}  // namespace leasehold
