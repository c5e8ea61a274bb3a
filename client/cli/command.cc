#include "client/cli/command.h"

#include <cstddef>
#include <string_view>

namespace leasehold::client::cli {
namespace {

bool WantsColors(ColorChoice choice, const Surroundings& around) {
  if (choice != ColorChoice::kAuto) return choice == ColorChoice::kAlways;
  const auto variable = [&around](const char* name) {
    const char* const value = around.environment(name);
    return std::string_view(value == nullptr ? "" : value);
  };
  return around.on_terminal() && variable("NO_COLOR").empty() &&
         variable("TERM") != "dumb";
}

}  // namespace

Look LookOf(const GlobalOptions& global, const Surroundings& around) {
  Look look;
  look.now = around.now();
  if (global.output == OutputFormat::kJson) return look;
  look.colors = WantsColors(global.color, around);
  if (global.wide || !around.on_terminal()) return look;
  look.columns = static_cast<size_t>(around.terminal_columns());
  look.relative_times = true;
  return look;
}

}  // namespace leasehold::client::cli
