#include "service/host/config_file.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"

namespace leasehold {
namespace {

// The settings of a config file that `source` names, by name.
absl::StatusOr<std::map<std::string, std::vector<std::string>>> ReadFile(
    const std::string& source, const std::string& path,
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
  std::istringstream file(std::move(text));
  std::map<std::string, std::vector<std::string>> values;
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
      std::vector<std::string>& all = values[item.name];
      all.insert(all.end(), item.inputs.begin(), item.inputs.end());
    }
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.what()));
  }
  return values;
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
  auto values = ReadFile(source, path, settings);
  if (!values.ok()) return values.status();
  return ConfigFile{std::move(path), *std::move(values)};
}

}  // namespace leasehold
