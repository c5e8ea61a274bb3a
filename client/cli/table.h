// Table: rows of text in aligned columns.
//
// Rows are written as they come, so a column is as wide as the widest text that
// it has had so far, but no wider than kCellWidthMax: one very long text does
// not move all the others; it stays whole, and only its own line is longer.
//
// On a terminal each line fits into its width. For that, as far as needed,
// columns that say less than the others are left out (kExtra), IDs are cut in
// the middle and texts at their end, the widest of them first, and at last the
// line itself is cut.
//
// Thread-safety: one thread.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_CLI_TABLE_H_
#define LEASEHOLD_CLIENT_CLI_TABLE_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/look.h"

namespace leasehold::client::cli {

// Columns of a terminal.
inline constexpr size_t kCellWidthMax = 64;

// A column of a table, and what becomes of it on a narrow terminal.
struct Column {
  enum class Kind {
    kPlain,  // Is never cut by itself.
    kId,     // Is cut in the middle: both ends tell IDs apart.
    kText,   // Is cut at its end.
    kExtra,  // Is left out, the last one first.
    kState,  // Has the color of the state that it says.
  };
  // NOLINTNEXTLINE(google-explicit-constructor): most are plain.
  Column(const char* name) : name(name) {}
  Column(const char* name, Kind kind) : name(name), kind(kind) {}

  std::string name;  // Spaces at its end make the column as wide as it is.
  Kind kind = Kind::kPlain;
};

class Table {
 public:
  using Row = std::vector<std::string>;
  using Heading = std::vector<Column>;

  explicit Table(Heading heading, const Look& look = {});

  // Lines for `rows`, each with its end; the first time with the heading.
  // Every row has as many texts as the heading. Texts are printable; an empty
  // one shows as a dash. The last column is not padded.
  std::string Lines(std::vector<Row> rows);

  // Whether anything was cut or left out so far.
  bool cut() const { return cut_; }

 private:
  void Widen(const Row& row);
  // Fits the columns into the terminal.
  void Fit();
  void LeaveOut();
  size_t LineWidth() const;
  size_t LeastWidth(size_t column) const;
  // The column that is to lose a place, or that of none.
  size_t WidestToCut() const;
  std::string Line(const Row& row, bool heading);

  const Heading heading_;
  const Look look_;
  // Of the texts so far; and as they are shown.
  std::vector<size_t> natural_;
  std::vector<size_t> widths_;
  std::vector<bool> shown_;
  bool headed_ = false;
  bool cut_ = false;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_TABLE_H_
