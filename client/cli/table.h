// Table: rows of text in aligned columns.
//
// Rows are written as they come, so a column is as wide as the widest text that
// it has had so far, but no wider than kCellWidthMax: one very long text does
// not move all the others. On a terminal that text is cut (kCut). For a program
// that reads the lines it stays whole (kWhole), and only its own line is
// longer.
//
// Thread-safety: one thread.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_CLI_TABLE_H_
#define LEASEHOLD_CLIENT_CLI_TABLE_H_

#include <cstddef>
#include <string>
#include <vector>

namespace leasehold::client::cli {

// Columns of a terminal.
inline constexpr size_t kCellWidthMax = 64;

enum class Cells { kWhole, kCut };

class Table {
 public:
  using Row = std::vector<std::string>;

  explicit Table(Row heading, Cells cells = Cells::kWhole);
  // The same, and the first column is cut so that the whole line fits into
  // `line_width`; it always keeps some characters.
  Table(Row heading, size_t line_width);

  // Lines for `rows`, each with its end; the first time with the heading.
  // Every row has as many texts as the heading. Texts are printable; an empty
  // one shows as a dash. The last column is neither padded nor cut.
  std::string Lines(std::vector<Row> rows);

 private:
  void Widen(const Row& row);
  void CutFirst(std::vector<Row>& rows);
  std::string Line(const Row& row) const;

  const Row heading_;
  const Cells cells_;
  const size_t line_width_ = 0;
  std::vector<size_t> widths_;
  bool headed_ = false;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_TABLE_H_
