#include "client/cli/command_line.h"

#include <map>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/bounded_input.h"
#include "client/cli/demo_command.h"
#include "client/cli/echo_command.h"
#include "client/cli/entity_command.h"
#include "client/cli/instances_command.h"
#include "client/cli/join_command.h"
#include "client/cli/orchestration_command.h"
#include "client/cli/printable.h"
#include "client/cli/usage.h"
#include "client/cli/values.h"

namespace leasehold::client::cli {
namespace {

constexpr int kDone = 0;
constexpr int kCallFailed = 1;
constexpr int kWrongUsage = 2;

// The parser, its options and its commands.
class CommandLine {
 public:
  explicit CommandLine(Surroundings& surroundings);

  int Run(int argc, const char* const* argv);

 private:
  // Sets options that are not on the command line from the environment, or else
  // from the file.
  void ReadEnvironment();
  void ReadFile();
  void ReadFileItem(const CLI::ConfigItem& item);
  void AddTlsOptions();
  // After everything else was read.
  void ReadCertificates();

  Surroundings& surroundings_;
  GlobalOptions global_;
  std::string config_file_;
  CLI::App parser_;
  std::map<CLI::Option*, const char*> variables_;
  std::vector<Command> commands_;
};

CommandLine::CommandLine(Surroundings& surroundings)
    : surroundings_(surroundings),
      parser_("Calls shared instances on a Leasehold server.", "leasehold") {
  parser_.set_version_flag("--version",
                           std::string("leasehold ") + LEASEHOLD_VERSION);
  CLI::Option* address =
      AddValue(parser_, "--address", global_.address, ReadAddress,
               "server to call: HOST:PORT or unix:PATH (environment: "
               "LEASEHOLD_ADDRESS)");
  address->type_name("ADDRESS")->default_str(global_.address);
  CLI::Option* output =
      AddValue(parser_, "--output", global_.output, ReadOutputFormat,
               "a table, or JSON with one object a line (environment: "
               "LEASEHOLD_OUTPUT)");
  output->type_name("table|json")->default_str("table");
  CLI::Option* timeout =
      AddValue(parser_, "--timeout", global_.timeout, ReadDuration,
               "how long a call may take, as in 500ms, 30s or 1h30m (streams "
               "have no limit, and waits only have one if you set this) "
               "(environment: LEASEHOLD_TIMEOUT)");
  timeout->type_name("DURATION")
      ->default_str(absl::FormatDuration(global_.timeout));
  variables_ = {{address, "LEASEHOLD_ADDRESS"},
                {output, "LEASEHOLD_OUTPUT"},
                {timeout, "LEASEHOLD_TIMEOUT"}};
  AddTlsOptions();
  for (const auto& [option, variable] : variables_) option->take_last();
  parser_
      .add_option("--config", config_file_,
                  "file of option=value lines, those of a command under "
                  "[COMMAND]; command line and environment override it")
      ->type_name("FILE")
      ->configurable(false);

  parser_.fallthrough();
  parser_.require_subcommand(1);
  commands_ = {AddEchoCommand(parser_), AddDemoCommand(parser_)};
  for (Command& command : AddInstancesCommands(parser_)) {
    commands_.push_back(std::move(command));
  }
  commands_.push_back(AddJoinCommand(parser_));
  for (Command& command : AddOrchestrationCommands(parser_)) {
    commands_.push_back(std::move(command));
  }
  for (Command& command : AddEntityCommands(parser_)) {
    commands_.push_back(std::move(command));
  }
  for (const Command& command : commands_) {
    command.app->footer(
        "You can also use --address, --output, --timeout, --config and the "
        "options for TLS here: see leasehold --help.");
  }
}

void CommandLine::AddTlsOptions() {
  CLI::Option* tls = parser_.add_flag(
      "--tls", global_.tls,
      "encrypt, and check that the server's certificate is for its address; "
      "any of the next three means this, too (environment: LEASEHOLD_TLS)");
  CLI::Option* ca =
      AddValue(parser_, "--ca", global_.tls_files.ca, ReadText,
               "authorities that the server's certificate must come from, in "
               "PEM; without it, those that this system trusts (environment: "
               "LEASEHOLD_CA)");
  CLI::Option* cert =
      AddValue(parser_, "--cert", global_.tls_files.cert, ReadText,
               "certificate chain to show to the server, in PEM (environment: "
               "LEASEHOLD_CERT)");
  CLI::Option* key = AddValue(parser_, "--key", global_.tls_files.key, ReadText,
                              "its private key (environment: LEASEHOLD_KEY)");
  for (CLI::Option* option : {ca, cert, key}) option->type_name("FILE");
  variables_.insert({{tls, "LEASEHOLD_TLS"},
                     {ca, "LEASEHOLD_CA"},
                     {cert, "LEASEHOLD_CERT"},
                     {key, "LEASEHOLD_KEY"}});
}

void CommandLine::ReadCertificates() {
  const TlsOptions& files = global_.tls_files;
  if (!global_.tls && files.ca.empty() && files.cert.empty() &&
      files.key.empty()) {
    return;
  }
  if (absl::StartsWith(global_.address, "unix:")) {
    throw UsageError(
        "--tls: Unix sockets are not encrypted; leave it out for a unix: "
        "address");
  }
  auto credentials = TlsCredentials(files);
  if (!credentials.ok()) {
    throw UsageError(
        absl::StrCat("--tls: ", std::string(credentials.status().message())));
  }
  global_.credentials = *std::move(credentials);
}

int CommandLine::Run(int argc, const char* const* argv) {
  absl::Status status;
  try {
    parser_.parse(argc, argv);
    ReadEnvironment();
    ReadFile();
    ReadCertificates();
    global_.timeout_given = parser_.get_option("--timeout")->count() > 0;
    status = GivenCommand(commands_)->run(global_, surroundings_);
  } catch (const CLI::CallForHelp&) {
    const Command* command = GivenCommand(commands_);
    const CLI::App& app =
        command != nullptr ? *command->app : GivenGroup(parser_);
    std::string above = "leasehold";
    if (app.get_parent() != nullptr) {
      const std::string group = FullName(*app.get_parent());
      if (!group.empty()) absl::StrAppend(&above, " ", group);
    }
    surroundings_.out << (&app == &parser_ ? parser_.help() : app.help(above));
    return kDone;
  } catch (const CLI::CallForVersion& version) {
    surroundings_.out << version.what() << "\n";
    return kDone;
  } catch (const CLI::ParseError& error) {
    surroundings_.err << "leasehold: "
                      << Printable(ExplainUsage(error, parser_, commands_))
                      << "\n";
    return kWrongUsage;
  }
  if (status.ok()) return kDone;
  const std::string message(status.message());
  surroundings_.err << absl::StatusCodeToString(status.code()) << ": "
                    << Printable(message) << "\n";
  return kCallFailed;
}

void CommandLine::ReadEnvironment() {
  for (const auto& [option, name] : variables_) {
    const char* value = surroundings_.environment(name);
    if (value == nullptr || *value == '\0' || option->count() > 0) continue;
    try {
      option->add_result(value);
      option->run_callback();
    } catch (const CLI::ParseError& error) {
      throw UsageError(absl::StrCat(name, ": ", error.what()));
    }
  }
}

void CommandLine::ReadFile() {
  if (config_file_.empty()) return;
  constexpr size_t kBytesMax = size_t{1} << 20;
  std::istringstream file(ReadBoundedFile("--config", config_file_, kBytesMax));
  try {
    for (const CLI::ConfigItem& item : CLI::ConfigBase().from_config(file)) {
      ReadFileItem(item);
    }
  } catch (const CLI::ParseError& error) {
    throw UsageError(absl::StrCat(config_file_, ": ", error.what()));
  }
}

void CommandLine::ReadFileItem(const CLI::ConfigItem& item) {
  // The file's reader marks the beginning and the end of a section.
  if (item.name == "++" || item.name == "--") return;
  CLI::App* app = &parser_;
  for (const std::string& parent : item.parents) {
    try {
      app = app->get_subcommand(parent);
    } catch (const CLI::OptionNotFound&) {
      throw UsageError(absl::StrCat("[", parent, "] is not a command"));
    }
  }
  CLI::Option* option = app->get_option_no_throw("--" + item.name);
  if (option == nullptr || !option->get_configurable()) {
    throw UsageError(absl::StrCat("\"", item.fullname(),
                                  "\" is not an option that a file can set"));
  }
  if (option->count() > 0) return;
  if (option->get_expected_min() == 0) {  // A flag.
    option->add_result(item.inputs.empty() ? "true" : item.inputs.front());
  } else {
    option->add_result(item.inputs);
  }
  option->run_callback();
}

}  // namespace

int RunCommandLine(int argc, const char* const* argv,
                   Surroundings& surroundings) {
  return CommandLine(surroundings).Run(argc, argv);
}

}  // namespace leasehold::client::cli
