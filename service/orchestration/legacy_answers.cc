#include "service/orchestration/legacy_answers.h"

#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "service/orchestration/whole_failure.h"

namespace leasehold {
namespace {

// How deep causes are written; doors cut them at about the same depth.
constexpr int kCauseDepthMax = 100;

std::string JsonString(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&json, "\\u%04x", static_cast<int>(c));
    } else {
      json += c;
    }
  }
  return json + '"';
}

std::string JsonString(const Payload& payload) {
  return payload.has_value() ? JsonString(std::string_view(*payload)) : "null";
}

WholeFailure Read(const OpaqueMessage& failure) {
  return DecodeMessage<WholeFailure>(failure.bytes.value_or(""))
      .value_or(WholeFailure{
          "Unreadable", "the failure cannot be read", {}, {}, false});
}

std::string Details(const WholeFailure& failure, int depth) {
  return absl::StrCat(
      "{\"ErrorType\":", JsonString(std::string_view(failure.type)),
      ",\"ErrorMessage\":", JsonString(std::string_view(failure.message)),
      ",\"StackTrace\":", JsonString(failure.stack_trace), ",\"InnerFailure\":",
      failure.cause.has_value() && depth < kCauseDepthMax
          ? Details(Read(failure.cause), depth + 1)
          : "null",
      ",\"IsNonRetriable\":", failure.non_retriable ? "true" : "false", "}");
}

}  // namespace

EventRaised LegacyAnswer(std::string request_id, const Payload& output,
                         const OpaqueMessage& failure) {
  if (!failure.has_value()) {
    return {std::move(request_id),
            absl::StrCat("{\"result\":", JsonString(output), "}")};
  }
  const WholeFailure whole = Read(failure);
  return {std::move(request_id),
          absl::StrCat(
              "{\"exceptionType\":", JsonString(std::string_view(whole.type)),
              ",\"failureDetails\":", Details(whole, 1), "}")};
}

EventRaised LegacyGrant(std::string section_id) {
  return LegacyAnswer(std::move(section_id), "Lock Acquisition Completed", {});
}

}  // namespace leasehold
