#include "client/cli/display_width.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "client/cli/character_widths.h"
#include "lease/base/utf8.h"

namespace leasehold::client::cli {
namespace {

template <size_t size>
bool IsIn(const CodePoints (&ranges)[size], uint32_t code_point) {
  const CodePoints* const after =
      std::upper_bound(std::begin(ranges), std::end(ranges), code_point,
                       [](uint32_t value, const CodePoints& range) {
                         return value < range.first;
                       });
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
  if (code_point < kZeroWidth[0].first) return 1;
  if (IsIn(kZeroWidth, code_point)) return 0;
  return IsIn(kTwoWide, code_point) ? 2 : 1;
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

std::string CutInTheMiddle(std::string_view text, size_t width) {
  std::vector<std::string_view> characters;
  size_t all = 0;
  for (std::string_view rest = text; !rest.empty();) {
    characters.push_back(FirstCharacter(rest));
    all += WidthOf(characters.back());
    rest.remove_prefix(characters.back().size());
  }
  if (all <= width) return std::string(text);
  const size_t end_width = (width - 1) / 2;
  size_t left = width - 1 - end_width;
  size_t front_bytes = 0;
  for (const std::string_view character : characters) {
    const size_t need = WidthOf(character);
    if (need > left) break;
    left -= need;
    front_bytes += character.size();
  }
  left = end_width;
  size_t end_bytes = 0;
  // What has no width of its own goes with the character before it.
  size_t marks_bytes = 0;
  for (auto it = characters.rbegin(); it != characters.rend(); ++it) {
    const size_t need = WidthOf(*it);
    if (need > left) break;
    left -= need;
    marks_bytes += it->size();
    if (need == 0) continue;
    end_bytes += std::exchange(marks_bytes, 0);
  }
  return std::string(text.substr(0, front_bytes)) + "…" +
         std::string(text.substr(text.size() - end_bytes));
}

}  // namespace leasehold::client::cli
