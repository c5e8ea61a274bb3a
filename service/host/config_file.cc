#include "service/host/config_file.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "lease/base/quote.h"

namespace leasehold {
namespace {

// The lines that begin with `name =`.
std::map<std::string, int> FindLines(const std::string& text) {
  std::map<std::string, int> lines;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    const size_t equals = line.find('=');
    if (equals == absl::string_view::npos) continue;
    lines[std::string(absl::StripAsciiWhitespace(line.substr(0, equals)))] =
        number;
  }
  return lines;
}

// The settings of a config file that `source` names.
absl::StatusOr<ConfigFile> ReadFile(const std::string& source,
                                    const std::string& path,
                                    const std::vector<Setting>& settings) {
  std::ifstream opened(path);
  // A directory can be opened, but not read.
  if (!opened || (opened.peek(), opened.bad())) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": cannot read the file ", QuoteForMessage(path)));
  }
  // Such as /dev/zero, which never ends.
  constexpr size_t kBytesMax = size_t{1} << 20;
  std::string text(kBytesMax + 1, '\0');
  opened.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(opened.gcount()));
  if (text.size() > kBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": the file ", QuoteForMessage(path), " is larger than 1 MiB"));
  }
  ConfigFile read{.path = path, .values = {}, .lines = FindLines(text)};
  std::istringstream file(std::move(text));
  try {
    for (const CLI::ConfigItem& item : CLI::ConfigBase().from_config(file)) {
      // The reader marks where a section begins and ends.
      if (item.name == "++" || item.name == "--") continue;
      const bool known =
          item.parents.empty() && std::any_of(settings.begin(), settings.end(),
                                              [&item](const Setting& s) {
                                                return s.name == item.name;
                                              });
      if (!known) {
        return absl::InvalidArgumentError(absl::StrCat(
            path, ": unknown setting ", QuoteForMessage(item.fullname()),
            "; the settings are the flags of --help, without dashes"));
      }
      // A setting that is given twice is read twice.
      std::vector<std::string>& all = read.values[item.name];
      all.insert(all.end(), item.inputs.begin(), item.inputs.end());
    }
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.what()));
  }
  return read;
}

}  // namespace

absl::StatusOr<ConfigFile> ReadConfigFile(
    std::string path, const std::vector<Setting>& settings) {
  std::string source = "--config";
  if (const char* named = std::getenv("LEASEHOLD_CONFIG");
      path.empty() && named != nullptr) {
    path = named;
    source = "LEASEHOLD_CONFIG";
  }
  if (path.empty()) return ConfigFile();
  return ReadFile(source, path, settings);
}

}  // namespace leasehold
