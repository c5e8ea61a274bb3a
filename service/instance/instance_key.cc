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
#include "service/base/utf8.h"
#include "service/instance/instance_headers.h"

namespace leasehold {
namespace {

// Which bytes a text header carries: printable ASCII without blank and comma.
constexpr std::array<bool, 256> kTextHeaderBytes = [] {
  std::array<bool, 256> bytes{};
  for (unsigned char c = 0x21; c <= 0x7E; ++c) bytes[c] = c != ',';
  return bytes;
}();

absl::string_view View(std::string_view s) { return {s.data(), s.size()}; }

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
          "the ID contains the control character U+%04X at byte %d; control "
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
  if (key.id.starts_with('@')) {
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

bool IsTextHeaderId(std::string_view id) {
  if (id.empty() || id.size() > kTextHeaderIdBytesMax) return false;
  // Without a branch a byte: each call comes by here.
  bool all = true;
  for (const unsigned char c : id) all &= kTextHeaderBytes[c];
  return all;
}

}  // namespace leasehold
