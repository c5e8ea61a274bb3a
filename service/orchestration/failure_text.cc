#include "service/orchestration/failure_text.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "lease/base/utf8.h"
#include "lease/base/view.h"
#include "service/orchestration/history.h"

namespace leasehold {

std::string FirstLineOf(const OpaqueMessage& failure) {
  constexpr size_t kBytesMax = 256;
  if (!failure.has_value()) return "";
  const auto details = DecodeMessage<FailureDetails>(*failure.bytes);
  if (!details.has_value()) return "";
  constexpr char kEnds[] = "\r\n";
  const std::string message =
      details->message.substr(0, details->message.find_first_of(kEnds));
  std::string line =
      details->type.substr(0, details->type.find_first_of(kEnds));
  absl::StrAppend(&line, line.empty() || message.empty() ? "" : ": ", message);
  if (line.size() <= kBytesMax) return line;
  return absl::StrCat(View(Utf8Front(line, kBytesMax)), "...");
}

}  // namespace leasehold
