#include "client/cli/table.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace leasehold::client::cli {
namespace {

// Characters, not bytes, of UTF-8.
size_t Width(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (c & 0xC0) != 0x80; });
}

}  // namespace

Table::Table(Row heading)
    : heading_(std::move(heading)), widths_(heading_.size(), 0) {
  Widen(heading_);
}

std::string Table::Lines(const std::vector<Row>& rows) {
  for (const Row& row : rows) Widen(row);
  std::string lines;
  if (!std::exchange(headed_, true)) lines = Line(heading_);
  for (const Row& row : rows) lines += Line(row);
  return lines;
}

void Table::Widen(const Row& row) {
  for (size_t i = 0; i < row.size(); ++i) {
    widths_[i] = std::max(widths_[i], Width(row[i]));
  }
}

std::string Table::Line(const Row& row) const {
  std::string line;
  for (size_t i = 0; i < row.size(); ++i) {
    const std::string text = row[i].empty() ? "-" : row[i];
    line += text;
    if (i + 1 == row.size()) break;
    line.append(widths_[i] - std::min(widths_[i], Width(text)) + 2, ' ');
  }
  return line + "\n";
}

}  // namespace leasehold::client::cli
