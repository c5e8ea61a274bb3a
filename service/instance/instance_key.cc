#include "service/instance/instance_key.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "service/instance/instance_headers.h"

namespace leasehold {
namespace {

constexpr size_t kQuotedBytesMax = 64;

// Which bytes a text header carries: printable ASCII without blank and comma.
constexpr std::array<bool, 256> kTextHeaderBytes = [] {
  std::array<bool, 256> bytes{};
  for (unsigned char c = 0x21; c <= 0x7E; ++c) bytes[c] = c != ',';
  return bytes;
}();

absl::string_view View(std::string_view s) { return {s.data(), s.size()}; }

// Decodes one UTF-8 code point at the front of `text` and takes it off. Empty
// for overlong forms, surrogates, anything past U+10FFFF, and broken sequences.
std::optional<uint32_t> TakeCodePoint(std::string_view& text) {
  const auto byte = [&text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) {
    text.remove_prefix(1);
    return lead;
  }
  size_t length = 0;
  uint32_t code = 0;
  uint32_t smallest = 0;
  if ((lead & 0xE0) == 0xC0) {
    length = 2, code = lead & 0x1F, smallest = 0x80;
  } else if ((lead & 0xF0) == 0xE0) {
    length = 3, code = lead & 0x0F, smallest = 0x800;
  } else if ((lead & 0xF8) == 0xF0) {
    length = 4, code = lead & 0x07, smallest = 0x10000;
  } else {
    return std::nullopt;
  }
  if (text.size() < length) return std::nullopt;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return std::nullopt;
    code = (code << 6) | (byte(i) & 0x3F);
  }
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < smallest || surrogate || code > 0x10FFFF) return std::nullopt;
  text.remove_prefix(length);
  return code;
}

bool IsControl(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F);
}

// The rule that `id` breaks, or empty.
std::string BrokenRule(std::string_view id) {
  if (id.empty()) return "the ID is empty; it needs at least 1 byte";
  if (id.size() > kInstanceIdBytesMax) {
    return absl::StrCat("the ID has ", id.size(), " bytes; at most ",
                        kInstanceIdBytesMax, " are allowed");
  }
  for (std::string_view rest = id; !rest.empty();) {
    const size_t offset = id.size() - rest.size();
    const std::optional<uint32_t> code = TakeCodePoint(rest);
    if (!code.has_value()) {
      return absl::StrCat("the ID is not valid UTF-8 at byte ", offset);
    }
    if (IsControl(*code)) {
      return absl::StrFormat(
          "the ID holds the control character U+%04X at byte %d; control "
          "characters are not allowed",
          *code, offset);
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<InstanceKey> MakeInstanceKey(std::string_view tenant,
                                            std::string_view id,
                                            std::string_view source) {
  if (const std::string rule = BrokenRule(id); !rule.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(View(source), ": ", rule, ": ", QuoteForMessage(id)));
  }
  return NormalKey(tenant, id);
}

InstanceKey NormalKey(std::string_view tenant, std::string_view id) {
  InstanceKey key{.tenant = std::string(tenant), .id = std::string(id)};
  if (key.id.front() == '@') {
    const size_t name_end = key.id.find('@', 1);
    if (name_end != std::string::npos) {
      std::transform(key.id.begin() + 1, key.id.begin() + name_end,
                     key.id.begin() + 1, absl::ascii_tolower);
    }
  }
  return key;
}

std::string NewInstanceId() {
  thread_local absl::BitGen random;
  const uint64_t high = absl::Uniform<uint64_t>(random);
  const uint64_t low = absl::Uniform<uint64_t>(random);
  return absl::StrFormat(
      "%08x-%04x-4%03x-%04x-%012x", high >> 32, (high >> 16) & 0xFFFF,
      high & 0x0FFF, 0x8000 | ((low >> 48) & 0x3FFF), low & 0xFFFF'FFFF'FFFF);
}

std::string QuoteForMessage(std::string_view value) {
  std::string quoted = "\"";
  while (!value.empty()) {
    std::string_view rest = value;
    const std::optional<uint32_t> code = TakeCodePoint(rest);
    std::string shown;
    if (code.has_value() && !IsControl(*code)) {
      if (*code == '"' || *code == '\\') shown = "\\";
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

bool IsTextHeaderId(std::string_view id) {
  if (id.empty() || id.size() > kTextHeaderIdBytesMax) return false;
  // Without a branch a byte: each call comes by here.
  bool all = true;
  for (const unsigned char c : id) all &= kTextHeaderBytes[c];
  return all;
}

}  // namespace leasehold
