#include "service/instance/instance_key.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lease/base/utf8.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

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
  return {.tenant = std::string(tenant), .id = NormalId(std::string(id))};
}

std::string NewInstanceId() {
  thread_local absl::BitGen random;
  const uint64_t high = absl::Uniform<uint64_t>(random);
  const uint64_t low = absl::Uniform<uint64_t>(random);
  return absl::StrFormat(
      "%08x-%04x-4%03x-%04x-%012x", high >> 32, (high >> 16) & 0xFFFF,
      high & 0x0FFF, 0x8000 | ((low >> 48) & 0x3FFF), low & 0xFFFF'FFFF'FFFF);
}

}  // namespace leasehold
