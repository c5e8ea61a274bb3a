#include "client/cli/printable.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "client/wire/utf8.h"

namespace leasehold::client::cli {
namespace {

// U+0000-1F, U+007F-9F; `character` is one in UTF-8. The upper ones control
// terminals just as well.
bool IsControl(std::string_view character) {
  const auto byte = [character](size_t i) {
    return static_cast<unsigned char>(character[i]);
  };
  return byte(0) < 0x20 || byte(0) == 0x7F ||
         (byte(0) == 0xC2 && byte(1) < 0xA0);
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string printable;
  while (!text.empty()) {
    const size_t length = Utf8Length(text);  // 0: the byte is not UTF-8.
    const std::string_view character =
        text.substr(0, std::max<size_t>(length, 1));
    text.remove_prefix(character.size());
    if (character == "\n") {
      printable += "\\n";
    } else if (character == "\t") {
      printable += "\\t";
    } else if (length == 0 || IsControl(character)) {
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
  return Printable(Utf8Prefix(text, most)) + "…";
}

}  // namespace leasehold::client::cli
