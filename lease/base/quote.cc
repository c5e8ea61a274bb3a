#include "lease/base/quote.h"

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/str_format.h"
#include "lease/base/utf8.h"
#include "lease/base/visible.h"

namespace leasehold {
namespace {

constexpr size_t kQuotedBytesMax = 64;

}  // namespace

std::string QuoteForMessage(std::string_view value) {
  std::string quoted = "\"";
  while (!value.empty()) {
    std::string_view rest = value;
    const std::optional<uint32_t> code = TakeCodePoint(rest);
    std::string shown;
    if (code.has_value() && IsVisible(*code)) {
      if (*code == '"' || *code == '\\') shown += '\\';
      shown += value.substr(0, value.size() - rest.size());
    } else {
      // Byte by byte, as it may not be UTF-8 at all.
      shown = absl::StrFormat("\\x%02x", static_cast<uint8_t>(value[0]));
      rest = value.substr(1);
    }
    if (quoted.size() - 1 + shown.size() > kQuotedBytesMax) break;
    quoted += shown;
    value = rest;
  }
  return quoted + (value.empty() ? "\"" : "\"...");
}

}  // namespace leasehold
