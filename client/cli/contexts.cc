#include "client/cli/contexts.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace leasehold::client::cli {

std::string Contexts::Known() const {
  if (file.empty()) {
    return "there is no config file to look in: give --config=FILE";
  }
  if (all.empty()) {
    return absl::StrCat(file,
                        " has no contexts; one is a section [contexts.NAME]");
  }
  return absl::StrCat(
      "the contexts of ", file, " are ",
      absl::StrJoin(all, ", ", [](std::string* names, const auto& context) {
        names->append(context.first);
      }));
}

std::string WithContext(const std::string& config, const std::string& name) {
  const std::string line = absl::StrCat("context=", name);
  std::vector<std::string> lines = absl::StrSplit(config, '\n');
  size_t top = 0;  // Lines of the top level.
  while (
      top < lines.size() &&
      !absl::StartsWith(absl::StripLeadingAsciiWhitespace(lines[top]), "[")) {
    ++top;
  }
  bool written = false;
  for (size_t i = 0; i < top; ++i) {
    const absl::string_view option =
        absl::string_view(lines[i]).substr(0, lines[i].find('='));
    if (absl::StripAsciiWhitespace(option) != "context") continue;
    lines[i] = line;
    written = true;
  }
  if (!written) lines.insert(lines.begin(), line);
  return absl::StrJoin(lines, "\n");
}

}  // namespace leasehold::client::cli
