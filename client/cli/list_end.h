// ListEnd: how much of a long list a person at a terminal sees, and what the
// line below it says of the rest.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_CLIENT_CLI_LIST_END_H_
#define LEASEHOLD_CLIENT_CLI_LIST_END_H_

#include <cstdint>
#include <optional>
#include <string>

namespace leasehold::client::cli {

// How many a list shows on a terminal unless it is told.
inline constexpr int kShownOnTerminal = 20;

struct ListEnd {
  int64_t shown = 0;
  // Of how many; empty: of more, and nobody has counted them.
  std::optional<int64_t> all = 0;
  const char* what = "";   // `instances`
  const char* which = "";  // `the newest first`
  // Whether lines were cut.
  bool cut = false;
};

// `20 of 43 instances, the newest first; --all shows all of them`. Empty: the
// list has everything. With its end.
std::string ListEndLine(const ListEnd& end);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_LIST_END_H_
