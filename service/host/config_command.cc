#include "service/host/config_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lease/base/variables.h"
#include "service/host/command_exit.h"

namespace leasehold {
namespace {

constexpr char kConfigDescription[] =
    "Prints which settings are in force, and where each comes from.\n"
    "It takes the options of the server, and reads the environment and the "
    "config file as the server does: what it prints is what a server that is "
    "started like this would use. An entry of the column FROM is a flag, a "
    "variable of the environment, a line of the config file, or `default`.";

// A URL without the password that it may have.
std::string WithoutPassword(std::string value) {
  constexpr char kScheme[] = "://";
  const size_t begin = value.find(kScheme);
  const size_t end = value.find('@');
  if (begin == std::string::npos || end == std::string::npos || end < begin) {
    return value;
  }
  const size_t colon = value.find(':', begin + sizeof(kScheme) - 1);
  if (colon < end) value.replace(colon + 1, end - colon - 1, "***");
  return value;
}

std::string Shown(const std::string& value) {
  return value.empty() ? "-" : WithoutPassword(value);
}

}  // namespace

std::string ConfigText(const ServerOptions& options) {
  std::vector<SettingInForce> rows = {{"SETTING", "VALUE", "FROM"}};
  for (const SettingInForce& setting : options.in_force) {
    rows.push_back({setting.name, Shown(setting.value), setting.from});
  }
  // One long value does not move all the others.
  constexpr size_t kValueWidthMax = 32;
  size_t name_width = 0;
  size_t value_width = 0;
  for (const SettingInForce& row : rows) {
    name_width = std::max(name_width, row.name.size());
    value_width =
        std::max(value_width, std::min(row.value.size(), kValueWidthMax));
  }
  std::string text;
  for (const SettingInForce& row : rows) {
    absl::StrAppend(
        &text,
        absl::StrFormat("%-*s  %-*s  ", static_cast<int>(name_width), row.name,
                        static_cast<int>(value_width), row.value),
        row.from, "\n");
  }
  return text;
}

int RunConfigCommand(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument != "--help" && argument != "-h") continue;
    CLI::App app(kConfigDescription, "leasehold-server config");
    std::fputs(app.help().c_str(), stdout);
    return 0;
  }
  std::vector<const char*> argv = {"leasehold-server"};
  for (const std::string& argument : arguments) {
    argv.push_back(argument.c_str());
  }
  const auto parsed =
      ParseServerOptions(static_cast<int>(argv.size()), argv.data());
  if (!parsed.ok())
    return FailCommand("config", kExitWrongUsage, parsed.status().message());
  if (const auto* help = std::get_if<ServerHelp>(&*parsed)) {
    std::fputs(help->text.c_str(), stdout);
    return 0;
  }
  std::fputs(ConfigText(std::get<ServerOptions>(*parsed)).c_str(), stdout);
  for (const std::string& name : UnknownVariables(LeaseholdVariables())) {
    const std::string nearest = NearestVariable(name);
    std::fprintf(stderr,
                 "leasehold-server config: nothing reads the environment "
                 "variable %s%s\n",
                 name.c_str(),
                 nearest.empty() ? "" : ("; is it " + nearest + "?").c_str());
  }
  return 0;
}

CommandText DescribeConfig() {
  const CLI::App app(kConfigDescription);
  return DescribeCommand(app, "leasehold-server config");
}

}  // namespace leasehold
