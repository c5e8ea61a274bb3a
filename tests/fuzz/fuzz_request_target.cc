// Fuzzes ParseTarget: what it takes apart can be put together again, and what
// it refuses, it refuses in one line.
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "service/http/request_target.h"
#include "tests/fuzz/property.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using leasehold::HttpRequest;
  using leasehold::Property;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  HttpRequest request;
  const absl::Status status = leasehold::ParseTarget(text, request);
  if (!status.ok()) {
    Property(status.code() == absl::StatusCode::kInvalidArgument,
             "a refusal is INVALID_ARGUMENT");
    Property(status.message().find('\n') == absl::string_view::npos,
             "a refusal is one line");
    return 0;
  }
  Property(request.target == text, "a target stays as it is");
  Property(text.starts_with(request.path), "the path is its beginning");
  Property(!request.segments.empty(), "a path has a segment");
  std::string written;
  for (const std::string& segment : request.segments) {
    Property(segment.find('\0') == std::string::npos, "a segment has no NUL");
    written += "/" + leasehold::PercentEncode(segment);
  }
  char separator = '?';
  for (const auto& [name, value] : request.query) {
    // A name and a value that are both empty are a bare `=`.
    written += separator + leasehold::PercentEncode(name) + "=" +
               leasehold::PercentEncode(value);
    separator = '&';
  }
  HttpRequest again;
  Property(leasehold::ParseTarget(written, again).ok(), "it can be written");
  Property(again.segments == request.segments, "segments read back");
  Property(again.query.size() == request.query.size(), "queries read back");
  auto other = again.query.begin();
  for (const auto& field : request.query) {
    Property(field == *other++, "a query reads back");
  }
  return 0;
}
