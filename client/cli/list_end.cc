#include "client/cli/list_end.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace leasehold::client::cli {

std::string ListEndLine(const ListEnd& end) {
  std::vector<std::string> parts;
  if (!end.all.has_value()) {
    parts.push_back(absl::StrCat(end.shown, " ", end.what, ", ", end.which,
                                 "; there are more: --all shows them"));
  } else if (*end.all > end.shown) {
    parts.push_back(absl::StrCat(end.shown, " of ", *end.all, " ", end.what,
                                 ", ", end.which, "; --all shows all of them"));
  }
  if (end.cut) parts.emplace_back("--wide shows whole lines");
  if (parts.empty()) return "";
  return absl::StrJoin(parts, "; ") + "\n";
}

}  // namespace leasehold::client::cli
