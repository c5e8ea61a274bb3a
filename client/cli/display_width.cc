#include "client/cli/display_width.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "lease/base/utf8.h"

namespace leasehold::client::cli {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

// Combining marks, and the characters that join emoji.
constexpr Range kNarrowest[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x0610, 0x061A},
    {0x064B, 0x065F}, {0x093A, 0x093C}, {0x0941, 0x0948}, {0x0E31, 0x0E31},
    {0x0E34, 0x0E3A}, {0x0E47, 0x0E4E}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF},
    {0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x2064}, {0x20D0, 0x20FF},
    {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}, {0xE0100, 0xE01EF}};

// Full-width East Asian characters, and emoji.
constexpr Range kWidest[] = {
    {0x1100, 0x115F},   {0x231A, 0x231B},   {0x23E9, 0x23EC},
    {0x2E80, 0x303E},   {0x3041, 0x4DBF},   {0x4E00, 0xA4CF},
    {0xA960, 0xA97F},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},
    {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},
    {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF},
    {0x1FA70, 0x1FAFF}, {0x20000, 0x3FFFD}};

template <size_t size>
bool IsIn(const Range (&ranges)[size], uint32_t code_point) {
  const Range* const after = std::upper_bound(
      std::begin(ranges), std::end(ranges), code_point,
      [](uint32_t value, const Range& range) { return value < range.first; });
  return after != std::begin(ranges) && code_point <= std::prev(after)->last;
}

// The code point of one character of UTF-8.
uint32_t CodePoint(std::string_view character) {
  const auto lead = static_cast<uint8_t>(character[0]);
  if (character.size() == 1) return lead;
  uint32_t code_point = lead & (0x7Fu >> character.size());
  for (const char c : character.substr(1)) {
    code_point = code_point << 6 | (static_cast<uint8_t>(c) & 0x3Fu);
  }
  return code_point;
}

size_t WidthOf(std::string_view character) {
  const uint32_t code_point = CodePoint(character);
  if (code_point < 0x0300 || IsIn(kNarrowest, code_point)) {
    return code_point < 0x0300 ? 1 : 0;
  }
  return IsIn(kWidest, code_point) ? 2 : 1;
}

// The first character of `text`; a byte that is not UTF-8 counts as one.
std::string_view FirstCharacter(std::string_view text) {
  return text.substr(0, std::max<size_t>(CodePointBytes(text), 1));
}

}  // namespace

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const std::string_view character = FirstCharacter(text);
    width += WidthOf(character);
    text.remove_prefix(character.size());
  }
  return width;
}

std::string CutToWidth(std::string_view text, size_t width) {
  size_t taken = 0;
  size_t bytes = 0;
  // Where to cut the text if it turns out to be too wide.
  size_t bytes_before_mark = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view character = FirstCharacter(rest);
    taken += WidthOf(character);
    if (taken > width) {
      return std::string(text.substr(0, bytes_before_mark)) + "…";
    }
    bytes += character.size();
    if (taken < width) bytes_before_mark = bytes;
    rest.remove_prefix(character.size());
  }
  return std::string(text);
}

}  // namespace leasehold::client::cli
