#include "service/base/utf8.h"

#include <algorithm>

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
  for (size_t i = 0; i < text.size();) {
    const size_t bytes = CodePointBytes(text.substr(i));
    if (bytes == 0) return i;
    i += bytes;
  }
  return std::string_view::npos;
}

std::string MakeUtf8(std::string_view text) {
  std::string good;
  good.reserve(text.size());
  while (!text.empty()) {
    const size_t bytes = CodePointBytes(text);
    good += bytes == 0 ? "\xEF\xBF\xBD" : text.substr(0, bytes);
    text.remove_prefix(std::max<size_t>(bytes, 1));
  }
  return good;
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
