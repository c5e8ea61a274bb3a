#include "client/cli/table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/cli/display_width.h"

namespace leasehold::client::cli {
namespace {

constexpr size_t kGap = 2;
// Columns are never cut below these, nor below their names.
constexpr size_t kIdWidthMin = 12;
constexpr size_t kTextWidthMin = 8;

bool MayBeCut(Column::Kind kind) {
  return kind == Column::Kind::kId || kind == Column::Kind::kText;
}

std::string CutAs(Column::Kind kind, const std::string& text, size_t width) {
  return kind == Column::Kind::kId ? CutInTheMiddle(text, width)
                                   : CutToWidth(text, width);
}

std::string Trimmed(const std::string& text) {
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

}  // namespace

Table::Table(Heading heading, const Look& look)
    : heading_(std::move(heading)),
      look_(look),
      natural_(heading_.size(), 0),
      shown_(heading_.size(), true) {
  for (size_t i = 0; i < heading_.size(); ++i) {
    natural_[i] = DisplayWidth(heading_[i].name);
  }
  widths_ = natural_;
}

std::string Table::Lines(std::vector<Row> rows) {
  for (const Row& row : rows) Widen(row);
  Fit();
  std::string lines;
  if (!std::exchange(headed_, true)) {
    Row names;
    for (const Column& column : heading_) names.push_back(column.name);
    lines = Line(names, /*heading=*/true);
  }
  for (const Row& row : rows) lines += Line(row, /*heading=*/false);
  return lines;
}

void Table::Widen(const Row& row) {
  for (size_t i = 0; i < row.size(); ++i) {
    // A text may take what a terminal has; an ID is told by its ends.
    const bool may_be_wide =
        look_.columns > 0 && heading_[i].kind != Column::Kind::kId;
    const size_t most = may_be_wide ? look_.columns : kCellWidthMax;
    natural_[i] = std::max(natural_[i], std::min(DisplayWidth(row[i]), most));
  }
}

void Table::Fit() {
  widths_ = natural_;
  if (look_.columns == 0) return;
  // Once the heading stands there, its columns stay.
  if (!headed_) LeaveOut();
  for (size_t width = LineWidth(); width > look_.columns; --width) {
    const size_t widest = WidestToCut();
    if (widest == heading_.size()) break;
    --widths_[widest];
  }
}

void Table::LeaveOut() {
  for (size_t i = heading_.size(); i > 0 && LineWidth() > look_.columns; --i) {
    if (heading_[i - 1].kind != Column::Kind::kExtra) continue;
    shown_[i - 1] = false;
    cut_ = true;
  }
}

size_t Table::LineWidth() const {
  size_t width = 0;
  for (size_t i = 0; i < heading_.size(); ++i) {
    if (shown_[i]) width += (width > 0 ? kGap : 0) + widths_[i];
  }
  return width;
}

size_t Table::LeastWidth(size_t column) const {
  return std::max(
      DisplayWidth(Trimmed(heading_[column].name)),
      heading_[column].kind == Column::Kind::kId ? kIdWidthMin : kTextWidthMin);
}

size_t Table::WidestToCut() const {
  size_t widest = heading_.size();
  for (size_t i = 0; i < heading_.size(); ++i) {
    if (!MayBeCut(heading_[i].kind) || widths_[i] <= LeastWidth(i)) continue;
    if (widest == heading_.size() || widths_[i] > widths_[widest]) widest = i;
  }
  return widest;
}

std::string Table::Line(const Row& row, bool heading) {
  std::string plain;
  std::string colored;
  size_t last = row.size();
  while (last > 0 && !shown_[last - 1]) --last;
  for (size_t i = 0; i < last; ++i) {
    if (!shown_[i]) continue;
    std::string text = row[i].empty() ? "-" : row[i];
    if (heading) text = Trimmed(text);
    if (look_.columns > 0 && DisplayWidth(text) > widths_[i]) {
      text = CutAs(heading_[i].kind, text, widths_[i]);
      cut_ = true;
    }
    std::string gap;
    if (i + 1 < last) {
      gap.assign(widths_[i] - std::min(widths_[i], DisplayWidth(text)) + kGap,
                 ' ');
    }
    const bool is_state = heading_[i].kind == Column::Kind::kState && !heading;
    absl::StrAppend(&plain, text, gap);
    absl::StrAppend(&colored, Colored(text, is_state ? text : "", look_), gap);
  }
  if (look_.columns > 0 && DisplayWidth(plain) > look_.columns) {
    cut_ = true;
    return CutToWidth(plain, look_.columns) + "\n";
  }
  return colored + "\n";
}

}  // namespace leasehold::client::cli
