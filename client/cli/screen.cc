#include "client/cli/screen.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace leasehold::client::cli {
namespace {

constexpr char kOtherScreen[] = "\x1b[?1049h\x1b[?25l\x1b[2J";
constexpr char kOwnScreen[] = "\x1b[?25h\x1b[?1049l";

// A line that is too long is cut instead of wrapped.
constexpr char kHome[] = "\x1b[?7l\x1b[H";
constexpr char kWrapAgain[] = "\x1b[?7h";
constexpr char kClearLine[] = "\x1b[K";
constexpr char kClearBelow[] = "\x1b[J";

}  // namespace

Screen::Screen(Output& output) : output_(output) {
  output_.Write(kOtherScreen);
}

Screen::~Screen() { output_.Write(kOwnScreen); }

std::string Screen::Text(const std::vector<std::string>& lines, int rows) {
  // The cursor stands on the last row.
  const size_t shown =
      std::min(lines.size(), static_cast<size_t>(std::max(rows - 1, 1)));
  std::string text = kHome;
  for (size_t i = 0; i < shown; ++i) {
    absl::StrAppend(&text, lines[i], kClearLine, "\n");
  }
  return absl::StrCat(text, kClearBelow, kWrapAgain);
}

void Scroll::Press(Key key) {
  const size_t back = key == Key::kUp ? 1 : page_;
  switch (key) {
    case Key::kUp:
    case Key::kPageUp:
      first_ -= std::min(first_, back);
      at_end_ = false;
      break;
    case Key::kDown:
      ++first_;
      break;
    case Key::kPageDown:
      first_ += page_;
      break;
    case Key::kHome:
      first_ = 0;
      at_end_ = false;
      break;
    case Key::kEnd:
      at_end_ = true;
      break;
    default:
      break;
  }
}

size_t Scroll::First(size_t all, size_t fit) {
  page_ = std::max<size_t>(fit, 1);
  const size_t last_first = all - std::min(all, fit);
  if (at_end_ || first_ > last_first) first_ = last_first;
  return first_;
}

}  // namespace leasehold::client::cli
