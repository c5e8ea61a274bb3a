#include "lease/base/visible.h"

#include <algorithm>
#include <array>

#include "lease/base/utf8.h"

namespace leasehold {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

// Categories Cf, Zl and Zp, and the property Default_Ignorable_Code_Point; in
// order.
constexpr std::array kUnseen = {
    Range{0xAD, 0xAD},       Range{0x34F, 0x34F},     Range{0x600, 0x605},
    Range{0x61C, 0x61C},     Range{0x6DD, 0x6DD},     Range{0x70F, 0x70F},
    Range{0x890, 0x891},     Range{0x8E2, 0x8E2},     Range{0x115F, 0x1160},
    Range{0x17B4, 0x17B5},   Range{0x180B, 0x180F},   Range{0x200B, 0x200F},
    Range{0x2028, 0x202E},   Range{0x2060, 0x206F},   Range{0x3164, 0x3164},
    Range{0xFE00, 0xFE0F},   Range{0xFEFF, 0xFEFF},   Range{0xFFA0, 0xFFA0},
    Range{0xFFF0, 0xFFFB},   Range{0x110BD, 0x110BD}, Range{0x110CD, 0x110CD},
    Range{0x13430, 0x13438}, Range{0x1BCA0, 0x1BCA3}, Range{0x1D173, 0x1D17A},
    Range{0xE0000, 0xE0FFF},
};

}  // namespace

bool IsVisible(uint32_t code) {
  if (IsControl(code)) return false;
  if (code < kUnseen.front().first) return true;  // As nearly all are.
  const auto range = std::lower_bound(
      kUnseen.begin(), kUnseen.end(), code,
      [](const Range& each, uint32_t of) { return each.last < of; });
  return range == kUnseen.end() || code < range->first;
}

}  // namespace leasehold
