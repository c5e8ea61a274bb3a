#include "service/http/http_message.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lease/base/json.h"
#include "lease/base/view.h"
#include "service/base/retry_after.h"

namespace leasehold {
namespace {

constexpr char kJson[] = "application/json";

bool AreSameName(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase(View(a), View(b));
}

// Whole seconds, at least one: what the field can say.
std::string SecondsOf(absl::Duration delay) {
  const int64_t seconds =
      absl::ToInt64Seconds(absl::Ceil(delay, absl::Seconds(1)));
  return absl::StrCat(std::max<int64_t>(1, seconds));
}

}  // namespace

void HttpFields::Add(std::string name, std::string value) {
  fields_.emplace_back(std::move(name), std::move(value));
}

void HttpFields::Set(std::string_view name, std::string value) {
  std::erase_if(fields_, [&](const Field& field) {
    return AreSameName(field.first, name);
  });
  fields_.emplace_back(name, std::move(value));
}

std::optional<std::string_view> HttpFields::Find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (AreSameName(field.first, name)) return field.second;
  }
  return std::nullopt;
}

std::vector<std::string_view> HttpFields::All(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const Field& field : fields_) {
    if (AreSameName(field.first, name)) values.push_back(field.second);
  }
  return values;
}

HttpResponse EmptyResponse(int status) { return {.status = status}; }

HttpResponse JsonResponse(int status, std::string json) {
  return {.status = status,
          .headers = {{"Content-Type", kJson}},
          .body = std::move(json)};
}

int HttpStatusOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kCancelled:
      return 499;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

HttpResponse ErrorResponse(const absl::Status& status,
                           const ErrorDetails& details) {
  return ErrorResponse(HttpStatusOf(status), status, details);
}

HttpResponse ErrorResponse(int http_status, const absl::Status& status,
                           const ErrorDetails& details) {
  nlohmann::json body = {{"Message", std::string(status.message())},
                         {"code", absl::StatusCodeToString(status.code())}};
  if (!details.instance_id.empty()) body["instanceId"] = details.instance_id;
  if (!details.runtime_status.empty()) {
    body["runtimeStatus"] = details.runtime_status;
  }
  HttpResponse response = JsonResponse(http_status, WriteJson(body));
  response.code = status.code();
  response.instance_id = details.instance_id;
  if (const auto delay = RetryAfter(status); delay.has_value()) {
    response.headers.Add("Retry-After", SecondsOf(*delay));
  }
  if (http_status == 401) response.headers.Add("WWW-Authenticate", "Bearer");
  return response;
}

bool IsJson(const HttpRequest& request) {
  const absl::string_view type = View(request.headers.Get("Content-Type"));
  return absl::EqualsIgnoreCase(
      absl::StripAsciiWhitespace(type.substr(0, type.find(';'))), kJson);
}

}  // namespace leasehold
