#include "lease/base/command_text.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace leasehold {
namespace {

bool IsWord(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) ||
           absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '-';
  });
}

OptionText Describe(const CLI::Option& option) {
  OptionText text;
  text.name = option.get_name();
  if (!option.get_snames().empty()) {
    text.short_name = absl::StrCat("-", option.get_snames().front());
  }
  // A switch takes no value, or may.
  if (option.get_expected_min() > 0) text.value = option.get_type_name();
  text.fallback = option.get_default_str();
  text.help = option.get_description();
  text.required = option.get_required();
  text.repeats = option.get_expected_max() > 1;
  if (!option.get_envname().empty()) {
    absl::StrAppend(&text.help, " (environment: ", option.get_envname(), ")");
  }
  return text;
}

}  // namespace

std::vector<std::string> OptionText::Choices() const {
  std::vector<std::string> choices = absl::StrSplit(value, '|');
  const bool listed = choices.size() > 1 &&
                      std::all_of(choices.begin(), choices.end(), &IsWord);
  return listed ? choices : std::vector<std::string>();
}

std::string CommandText::Summary() const {
  std::string summary = description;
  for (const char* end : {".\n", ". "}) {
    summary = summary.substr(0, summary.find(end));
  }
  std::replace(summary.begin(), summary.end(), '\n', ' ');
  if (!summary.empty() && summary.back() == '.') summary.pop_back();
  return summary;
}

std::string CommandText::LastName() const {
  const size_t space = name.rfind(' ');
  return space == std::string::npos ? name : name.substr(space + 1);
}

CommandText DescribeCommand(const CLI::App& app, const std::string& name) {
  CommandText text;
  text.name = name;
  text.description = app.get_description();
  text.footer = app.get_footer();
  text.falls_through = app.get_fallthrough();
  for (const CLI::Option* option : app.get_options()) {
    (option->nonpositional() ? text.options : text.arguments)
        .push_back(Describe(*option));
  }
  for (const CLI::App* command :
       app.get_subcommands(std::function<bool(const CLI::App*)>(
           [](const CLI::App*) { return true; }))) {
    text.commands.push_back(DescribeCommand(
        *command, absl::StrCat(name, " ", command->get_name())));
  }
  return text;
}

}  // namespace leasehold
