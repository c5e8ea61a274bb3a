#include "lease/base/utf8.h"

#include <cstring>

namespace leasehold {

size_t CodePointBytes(std::string_view text) {
  const auto byte = [text](size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  const unsigned char lead = byte(0);
  const size_t bytes = lead < 0x80   ? 1
                       : lead < 0xC2 ? 0
                       : lead < 0xE0 ? 2
                       : lead < 0xF0 ? 3
                       : lead < 0xF5 ? 4
                                     : 0;
  if (text.size() < bytes) return 0;
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong, a surrogate, or past U+10FFFF.
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) ||
      (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) {
    return 0;
  }
  return bytes;
}

std::optional<uint32_t> TakeCodePoint(std::string_view& text) {
  const size_t bytes = CodePointBytes(text);
  if (bytes == 0) return std::nullopt;
  // The lead byte of a sequence has as many leading ones as the sequence has
  // bytes.
  uint32_t code = static_cast<uint8_t>(text[0]);
  if (bytes > 1) code &= 0x7F >> bytes;
  for (size_t i = 1; i < bytes; ++i) {
    code = (code << 6) | (static_cast<uint8_t>(text[i]) & 0x3F);
  }
  text.remove_prefix(bytes);
  return code;
}

bool IsControl(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F);
}

size_t FindNotUtf8(std::string_view text) {
  // ASCII, which most text is, is checked eight bytes at a time.
  constexpr uint64_t kNotAscii = 0x8080808080808080;
  for (size_t i = 0; i < text.size();) {
    uint64_t eight = kNotAscii;
    if (text.size() - i >= sizeof(eight)) {
      std::memcpy(&eight, text.data() + i, sizeof(eight));
    }
    const size_t bytes = (eight & kNotAscii) == 0
                             ? sizeof(eight)
                             : CodePointBytes(text.substr(i));
    if (bytes == 0) return i;
    i += bytes;
  }
  return std::string_view::npos;
}

std::string MakeUtf8(std::string_view text) {
  std::string good;
  good.reserve(text.size());
  for (;;) {
    const size_t end = FindNotUtf8(text);
    good += text.substr(0, end);
    if (end == std::string_view::npos) return good;
    good += "\uFFFD";
    text.remove_prefix(end + 1);
  }
}

std::string_view Utf8Front(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
    --end;
  }
  return text.substr(0, end);
}

}  // namespace leasehold
