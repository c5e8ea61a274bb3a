// Bytes that are written as hexadecimal digits, two a byte. (Abseil's own
// function for this is another one in each of its versions that we build with.)
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_LEASE_BASE_HEX_H_
#define LEASEHOLD_LEASE_BASE_HEX_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace leasehold {

// The bytes of `text`, in digits of either case. Empty if it has an odd number
// of characters, or one that is no digit.
inline std::optional<std::string> BytesFromHex(std::string_view text) {
  const auto value = [](char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
  };
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = value(text[i]);
    const int low = value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_HEX_H_
