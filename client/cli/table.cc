#include "client/cli/table.h"

#include <algorithm>
#include <utility>

#include "client/cli/display_width.h"

namespace leasehold::client::cli {
namespace {

constexpr size_t kGap = 2;
// The first column is never cut below this.
constexpr size_t kFirstWidthMin = 12;

}  // namespace

Table::Table(Row heading, Cells cells)
    : heading_(std::move(heading)), cells_(cells), widths_(heading_.size(), 0) {
  Widen(heading_);
}

Table::Table(Row heading, size_t line_width)
    : heading_(std::move(heading)),
      cells_(Cells::kCut),
      line_width_(line_width),
      widths_(heading_.size(), 0) {
  Widen(heading_);
}

std::string Table::Lines(std::vector<Row> rows) {
  if (cells_ == Cells::kCut) {
    for (Row& row : rows) {
      for (size_t i = 0; i + 1 < row.size(); ++i) {
        row[i] = CutToWidth(row[i], kCellWidthMax);
      }
    }
  }
  if (line_width_ > 0) CutFirst(rows);
  for (const Row& row : rows) Widen(row);
  std::string lines;
  if (!std::exchange(headed_, true)) lines = Line(heading_);
  for (const Row& row : rows) lines += Line(row);
  return lines;
}

void Table::CutFirst(std::vector<Row>& rows) {
  size_t others = 0;
  for (size_t i = 1; i < heading_.size(); ++i) {
    size_t width = widths_[i];
    for (const Row& row : rows) width = std::max(width, DisplayWidth(row[i]));
    others += kGap + width;
  }
  const size_t left =
      std::max(line_width_ - std::min(line_width_, others), kFirstWidthMin);
  for (Row& row : rows) row[0] = CutToWidth(row[0], left);
}

void Table::Widen(const Row& row) {
  for (size_t i = 0; i < row.size(); ++i) {
    widths_[i] =
        std::max(widths_[i], std::min(DisplayWidth(row[i]), kCellWidthMax));
  }
}

std::string Table::Line(const Row& row) const {
  std::string line;
  for (size_t i = 0; i < row.size(); ++i) {
    const std::string text = row[i].empty() ? "-" : row[i];
    line += text;
    if (i + 1 == row.size()) break;
    line.append(widths_[i] - std::min(widths_[i], DisplayWidth(text)) + kGap,
                ' ');
  }
  return line + "\n";
}

}  // namespace leasehold::client::cli
