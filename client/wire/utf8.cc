#include "client/wire/utf8.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace leasehold::client {
namespace {

// The length of a character whose first byte is `lead`; 0 if there is none.
size_t Length(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

// Whether `second` may follow `lead`. This excludes overlong forms, surrogates
// and everything above U+10FFFF.
bool MayFollow(uint8_t lead, uint8_t second) {
  switch (lead) {
    case 0xE0:
      return second >= 0xA0 && second <= 0xBF;
    case 0xED:
      return second >= 0x80 && second <= 0x9F;
    case 0xF0:
      return second >= 0x90 && second <= 0xBF;
    case 0xF4:
      return second >= 0x80 && second <= 0x8F;
    default:
      return second >= 0x80 && second <= 0xBF;
  }
}

// How many of the first bytes are UTF-8.
size_t GoodPrefix(std::string_view bytes) {
  size_t good = 0;
  while (good < bytes.size()) {
    // ASCII, which most text is, is checked eight bytes at a time.
    constexpr uint64_t kNotAscii = 0x8080808080808080;
    uint64_t eight = kNotAscii;
    if (bytes.size() - good >= sizeof(eight)) {
      std::memcpy(&eight, bytes.data() + good, sizeof(eight));
    }
    const size_t length = (eight & kNotAscii) == 0
                              ? sizeof(eight)
                              : Utf8Length(bytes.substr(good));
    if (length == 0) break;
    good += length;
  }
  return good;
}

}  // namespace

size_t Utf8Length(std::string_view bytes) {
  const auto lead = static_cast<uint8_t>(bytes[0]);
  const size_t length = Length(lead);
  if (bytes.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    const auto next = static_cast<uint8_t>(bytes[i]);
    if (!MayFollow(i == 1 ? lead : 0, next)) return 0;
  }
  return length;
}

bool IsUtf8(std::string_view bytes) {
  return GoodPrefix(bytes) == bytes.size();
}

absl::Status CheckUtf8(std::string_view what, std::string_view bytes) {
  if (IsUtf8(bytes)) return absl::OkStatus();
  constexpr size_t kShownBytes = 64;
  std::string shown;
  std::string_view rest = bytes.substr(0, kShownBytes);
  while (!rest.empty()) {
    const size_t length = Utf8Length(rest);
    if (length == 0) {
      absl::StrAppend(
          &shown, "\\x",
          absl::Hex(static_cast<uint8_t>(rest[0]), absl::kZeroPad2));
    } else {
      shown += rest.substr(0, length);
    }
    rest.remove_prefix(length == 0 ? 1 : length);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(what), " \"", shown,
                   bytes.size() > kShownBytes ? "…" : "", "\" is not UTF-8"));
}

std::string ToUtf8(std::string_view bytes) {
  size_t good = GoodPrefix(bytes);
  std::string text(bytes.substr(0, good));
  while (good < bytes.size()) {
    text += "\uFFFD";
    bytes.remove_prefix(good + 1);
    good = GoodPrefix(bytes);
    text += bytes.substr(0, good);
  }
  return text;
}

std::string_view Utf8Prefix(std::string_view text, size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (text[most] & 0xC0) == 0x80) --most;
  return text.substr(0, most);
}

}  // namespace leasehold::client
