// Table: rows of text in columns that line up.
//
// Rows come in portions and are written as they come, so a column is as wide as
// the widest text that it has had so far; the last column is never padded.
//
// Thread-safety: one thread.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_CLI_TABLE_H_
#define LEASEHOLD_CLIENT_CLI_TABLE_H_

#include <cstddef>
#include <string>
#include <vector>

namespace leasehold::client::cli {

class Table {
 public:
  using Row = std::vector<std::string>;

  explicit Table(Row heading);

  // Lines for `rows`, each with its end; the first time below the heading.
  // Every row has as many texts as the heading, printable ones; an empty text
  // shows as a dash.
  std::string Lines(const std::vector<Row>& rows);

 private:
  void Widen(const Row& row);
  std::string Line(const Row& row) const;

  const Row heading_;
  std::vector<size_t> widths_;
  bool headed_ = false;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_TABLE_H_
