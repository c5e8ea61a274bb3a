#include "client/cli/printable.h"

#include <cstdint>
#include <optional>

#include "absl/strings/str_format.h"
#include "lease/base/utf8.h"
#include "lease/base/visible.h"

namespace leasehold::client::cli {

std::string Printable(std::string_view text) {
  std::string printable;
  while (!text.empty()) {
    std::string_view rest = text;
    const std::optional<uint32_t> code = TakeCodePoint(rest);
    if (!code.has_value()) rest.remove_prefix(1);
    const std::string_view character =
        text.substr(0, text.size() - rest.size());
    text = rest;
    if (character == "\n") {
      printable += "\\n";
    } else if (character == "\t") {
      printable += "\\t";
    } else if (!code.has_value() || !IsVisible(*code)) {
      for (const char c : character) {
        printable += absl::StrFormat("\\x%02x", static_cast<unsigned char>(c));
      }
    } else {
      printable += character;
    }
  }
  return printable;
}

std::string Brief(std::string_view text, size_t most) {
  if (text.size() <= most) return Printable(text);
  return Printable(Utf8Front(text, most)) + "…";
}

}  // namespace leasehold::client::cli
