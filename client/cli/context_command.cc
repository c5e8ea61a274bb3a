#include "client/cli/context_command.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/contexts.h"
#include "client/cli/json_object.h"
#include "client/cli/output.h"
#include "client/cli/printable.h"
#include "client/cli/table.h"
#include "client/cli/values.h"
#include "lease/base/small_file.h"

namespace leasehold::client::cli {
namespace {

absl::Status List(const GlobalOptions& global, Surroundings& around) {
  const Contexts& contexts = global.contexts;
  Output output(global.output, around.out);
  Table table({"CONTEXT", "CURRENT", {"OPTIONS", Column::Kind::kText}},
              LookOf(global, around));
  for (const auto& [name, options] : contexts.all) {
    const bool current = name == contexts.current;
    if (global.output == OutputFormat::kJson) {
      output.Write(JsonObject()
                       .Text("context", name)
                       .Flag("current", current)
                       .MapIfAny("options", options)
                       .line());
      continue;
    }
    output.Write(table.Lines(
        {{Printable(name), current ? "yes" : "no",
          Printable(absl::StrJoin(options, " ", absl::PairFormatter("=")))}}));
  }
  if (contexts.all.empty()) {
    return absl::NotFoundError(contexts.Known());
  }
  return output.status();
}

absl::Status Show(const GlobalOptions& global, Surroundings& around) {
  const Contexts& contexts = global.contexts;
  if (!contexts.current.empty() && contexts.all.count(contexts.current) == 0) {
    return absl::NotFoundError(absl::StrCat(
        "there is no context \"", contexts.current, "\"; ", contexts.Known()));
  }
  Output output(global.output, around.out);
  Table table(
      {"OPTION", {"FROM", Column::Kind::kText}, {"VALUE", Column::Kind::kText}},
      LookOf(global, around));
  for (const Contexts::Setting& setting : contexts.in_force) {
    if (global.output == OutputFormat::kJson) {
      output.Write(JsonObject()
                       .Text("option", setting.option)
                       .Text("value", setting.value)
                       .Text("from", setting.from)
                       .line());
    } else {
      output.Write(table.Lines({{setting.option, Printable(setting.from),
                                 Printable(setting.value)}}));
    }
  }
  return output.status();
}

// Writes all of it or nothing: into a new file, which takes the place of `path`
// and its permissions.
absl::Status Rewrite(const std::string& path, const std::string& text) {
  std::error_code error;
  // Of a link the file that it points to.
  const std::filesystem::path target = std::filesystem::canonical(path, error);
  const std::filesystem::path written = target.string() + ".new";
  if (!error) {
    std::filesystem::copy_file(
        target, written, std::filesystem::copy_options::overwrite_existing,
        error);
  }
  if (!error) {
    std::ofstream file(written, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) error = std::make_error_code(std::errc::io_error);
  }
  if (!error) std::filesystem::rename(written, target, error);
  if (!error) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path, ": cannot be written: ", error.message()));
}

absl::Status Use(const std::string& name, const GlobalOptions& global,
                 Surroundings& around) {
  const Contexts& contexts = global.contexts;
  if (contexts.all.count(name) == 0) {
    return absl::NotFoundError(
        absl::StrCat("there is no context \"", name, "\"; ", contexts.Known()));
  }
  const absl::StatusOr<std::string> text = ReadSmallFile(contexts.file);
  if (!text.ok()) return text.status();
  absl::Status status = Rewrite(contexts.file, WithContext(*text, name));
  if (!status.ok()) return status;
  Output output(global.output, around.out);
  output.Write(global.output == OutputFormat::kJson
                   ? JsonObject().Text("context", name).line()
                   : absl::StrCat("From now on ", Printable(contexts.file),
                                  " says context=", Printable(name), ".\n"));
  return output.status();
}

}  // namespace

std::vector<Command> AddContextCommands(CLI::App& parser) {
  CLI::App* group = parser.add_subcommand(
      "context", "Look at the contexts of the config file, and choose one");
  group->require_subcommand(1);
  CLI::App* list = group->add_subcommand(
      "list", "Show all contexts: their options, and which is in use");
  CLI::App* show = group->add_subcommand(
      "show",
      "Show which value each global option has, and what gave it that value");
  const auto name = std::make_shared<std::string>();
  CLI::App* use = group->add_subcommand(
      "use", "Write into the config file which context to use");
  AddValue(*use, "NAME", *name, ReadName, "name of the context")
      ->type_name("")
      ->required();
  return {{.app = list, .run = List, .calls = false},
          {.app = show, .run = Show, .calls = false},
          {.app = use,
           .run =
               [name](const GlobalOptions& global, Surroundings& around) {
                 return Use(*name, global, around);
               },
           .calls = false}};
}

}  // namespace leasehold::client::cli
