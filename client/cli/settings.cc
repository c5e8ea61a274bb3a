#include "client/cli/settings.h"

#include <filesystem>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/bounded_input.h"
#include "client/cli/usage.h"
#include "client/cli/values.h"

namespace leasehold::client::cli {
namespace {

constexpr char kSection[] = "contexts";
constexpr char kVariable[] = "LEASEHOLD_CONFIG";

// Reads a value as it stands there: neither "[::1]:4001" nor "a b" is a list.
class LineByLine : public CLI::ConfigBase {
 public:
  LineByLine() { arrayBounds('\x01', '\x02'); }
};

std::string Last(const CLI::ConfigItem& item) {
  return item.inputs.empty() ? "true" : item.inputs.back();
}

}  // namespace

Settings::Settings(CLI::App& parser, const Surroundings& surroundings)
    : parser_(parser), surroundings_(surroundings) {
  parser_
      .add_option("--config", file_,
                  "file of option=value lines, those of a command under "
                  "[COMMAND], of a context under [contexts.NAME]; command line "
                  "and environment override it (environment: LEASEHOLD_CONFIG; "
                  "default: ~/.config/leasehold/config, if there is one)")
      ->type_name("FILE")
      ->configurable(false);
  context_ =
      AddValue(parser_, "--context", current_, ReadName,
               "context of the config file whose options to use (environment: "
               "LEASEHOLD_CONTEXT)");
  context_->type_name("NAME");
  Add(context_, "LEASEHOLD_CONTEXT");
}

void Settings::Add(CLI::Option* option, const char* variable, bool is_path) {
  option->take_last();
  options_.push_back(option);
  variables_[option] = variable;
  if (is_path) paths_.insert(option);
}

Source Settings::SourceOf(const CLI::Option* option) const {
  const auto found = sources_.find(option);
  if (found != sources_.end()) return found->second;
  return option->count() > 0 ? Source::kCommandLine : Source::kDefault;
}

void Settings::Give(CLI::Option* option, std::string value, Source source) {
  if (option->count() > 0) return;
  sources_[option] = source;
  if (source != Source::kEnvironment && paths_.count(option) > 0 &&
      !value.empty()) {
    // An absolute one stays as it is.
    value = std::filesystem::path(contexts_.file).parent_path() / value;
  }
  option->add_result(std::move(value));
  option->run_callback();
}

void Settings::Read(bool called) {
  ReadEnvironment();
  FindFile();
  ReadFile(called);
}

void Settings::ReadEnvironment() {
  for (CLI::Option* option : options_) {
    const char* name = variables_[option];
    const char* value = surroundings_.environment(name);
    if (value == nullptr || *value == '\0') continue;
    try {
      Give(option, value, Source::kEnvironment);
    } catch (const CLI::ParseError& error) {
      throw UsageError(absl::StrCat(name, ": ", error.what()));
    }
  }
}

void Settings::FindFile() {
  const auto variable = [this](const char* name) {
    const char* value = surroundings_.environment(name);
    return std::string(value == nullptr ? "" : value);
  };
  contexts_.file = file_.empty() ? variable(kVariable) : file_;
  if (!contexts_.file.empty()) return;
  const std::string home = variable("HOME");
  std::filesystem::path folder = variable("XDG_CONFIG_HOME");
  if (folder.empty() && !home.empty()) {
    folder = std::filesystem::path(home) / ".config";
  }
  if (folder.empty()) return;
  const std::filesystem::path usual = folder / "leasehold" / "config";
  std::error_code error;
  if (std::filesystem::exists(usual, error)) contexts_.file = usual;
}

void Settings::ReadFile(bool called) {
  std::vector<CLI::ConfigItem> items;
  if (!contexts_.file.empty()) {
    constexpr size_t kBytesMax = size_t{1} << 20;
    std::istringstream text(
        ReadBoundedFile(file_.empty() ? "the config file" : "--config",
                        contexts_.file, kBytesMax));
    items = LineByLine().from_config(text);
  }
  std::vector<CLI::ConfigItem> others;
  try {
    for (const CLI::ConfigItem& item : items) {
      if (NoteContext(item)) continue;
      others.push_back(item);
      if (item.parents.empty() && "--" + item.name == context_->get_name()) {
        ReadItem(item);
      }
    }
  } catch (const CLI::ParseError& error) {
    throw UsageError(absl::StrCat(contexts_.file, ": ", error.what()));
  }
  contexts_.current = current_;
  if (called) CheckContext();
  try {
    ReadContext();
    for (const CLI::ConfigItem& item : others) ReadItem(item);
  } catch (const CLI::ParseError& error) {
    throw UsageError(absl::StrCat(contexts_.file, ": ", error.what()));
  }
}

bool Settings::NoteContext(const CLI::ConfigItem& item) {
  if (item.parents.empty() || item.parents.front() != kSection) return false;
  const bool is_mark = item.name == "++" || item.name == "--";
  if (item.parents.size() == 1) {
    if (is_mark) return true;
    throw UsageError(absl::StrCat("\"", item.fullname(),
                                  "\" is in no context; options of one stand "
                                  "under [contexts.NAME]"));
  }
  if (item.parents.size() > 2) {
    throw UsageError(absl::StrCat("[", absl::StrJoin(item.parents, "."),
                                  "] is no context; its name may have no "
                                  "dots"));
  }
  auto& context = contexts_.all[item.parents.back()];
  if (is_mark) return true;
  const CLI::Option* option = parser_.get_option_no_throw("--" + item.name);
  if (option == nullptr || option == context_ ||
      variables_.count(option) == 0) {
    std::vector<std::string> names;
    for (const CLI::Option* each : options_) {
      if (each != context_) names.push_back(each->get_name().substr(2));
    }
    throw UsageError(
        absl::StrCat("\"", item.fullname(),
                     "\" is not an option that a context can set; those are ",
                     absl::StrJoin(names, ", ")));
  }
  context[item.name] = Last(item);
  return true;
}

void Settings::CheckContext() const {
  if (current_.empty() || contexts_.all.count(current_) > 0) return;
  throw UsageError(absl::StrCat(NameOf(SourceOf(context_), context_),
                                ": there is no context \"", current_, "\"; ",
                                contexts_.Known()));
}

void Settings::ReadContext() {
  const auto found = contexts_.all.find(current_);
  if (found == contexts_.all.end()) return;
  for (const auto& [name, value] : found->second) {
    try {
      Give(parser_.get_option("--" + name), value, Source::kContext);
    } catch (const CLI::ParseError& error) {
      throw UsageError(
          absl::StrCat("[", kSection, ".", current_, "]: ", error.what()));
    }
  }
}

void Settings::ReadItem(const CLI::ConfigItem& item) {
  // The file's reader marks the beginning and the end of a section.
  if (item.name == "++" || item.name == "--") return;
  CLI::App* app = &parser_;
  for (const std::string& parent : item.parents) {
    try {
      app = app->get_subcommand(parent);
    } catch (const CLI::OptionNotFound&) {
      throw UsageError(
          absl::StrCat("[", absl::StrJoin(item.parents, "."),
                       "] is not a command; a context is [contexts.NAME]"));
    }
  }
  CLI::Option* option = app->get_option_no_throw("--" + item.name);
  if (option == nullptr || !option->get_configurable()) {
    throw UsageError(absl::StrCat("\"", item.fullname(),
                                  "\" is not an option that a file can set"));
  }
  if (option->count() > 0) return;
  if (variables_.count(option) > 0) {
    Give(option, Last(item), Source::kFile);
    return;
  }
  if (option->get_expected_min() == 0) {  // A flag.
    option->add_result(Last(item));
  } else {
    option->add_result(item.inputs);
  }
  option->run_callback();
}

std::string Settings::NameOf(Source source, const CLI::Option* option) const {
  switch (source) {
    case Source::kCommandLine:
      return option->get_name();
    case Source::kEnvironment:
      return absl::StrCat("environment ", variables_.at(option));
    case Source::kContext:
      return absl::StrCat("context ", contexts_.current);
    case Source::kFile:
      return contexts_.file;
    case Source::kDefault:
      break;
  }
  return "default";
}

Contexts Settings::contexts() const {
  Contexts made = contexts_;
  for (const CLI::Option* option : options_) {
    const Source source = SourceOf(option);
    Contexts::Setting setting;
    setting.option = option->get_name().substr(2);
    setting.value = source == Source::kDefault ? option->get_default_str()
                                               : option->results().back();
    setting.from = NameOf(source, option);
    made.in_force.push_back(std::move(setting));
  }
  return made;
}

}  // namespace leasehold::client::cli
