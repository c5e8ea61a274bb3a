#include "client/cli/command_line.h"

#include <algorithm>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/admin_command.h"
#include "client/cli/context_command.h"
#include "client/cli/demo_command.h"
#include "client/cli/echo_command.h"
#include "client/cli/entity_command.h"
#include "client/cli/error_text.h"
#include "client/cli/health_command.h"
#include "client/cli/help_command.h"
#include "client/cli/instances_command.h"
#include "client/cli/join_command.h"
#include "client/cli/orchestration_command.h"
#include "client/cli/pages_command.h"
#include "client/cli/printable.h"
#include "client/cli/settings.h"
#include "client/cli/top_command.h"
#include "client/cli/usage.h"
#include "client/cli/values.h"
#include "lease/base/variables.h"

namespace leasehold::client::cli {
namespace {

constexpr int kDone = 0;
constexpr int kCallFailed = 1;
constexpr int kWrongUsage = 2;
constexpr int kNotFound = 3;
constexpr int kUnavailable = 4;

int ExitCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kDone;
    case absl::StatusCode::kNotFound:
      return kNotFound;
    case absl::StatusCode::kUnavailable:
      return kUnavailable;
    default:
      return kCallFailed;
  }
}

// The parser, its options and its commands.
class CommandLine {
 public:
  explicit CommandLine(Surroundings& surroundings);

  int Run(int argc, const char* const* argv);

 private:
  void AddOutputOptions();
  void AddTlsOptions();
  void AddTokenOptions();
  // After everything else was read.
  void ReadCertificates();
  bool WantsTls() const;
  void ReadToken();
  // Says which variables of the environment nobody reads.
  void TellUnknownVariables() const;

  Surroundings& surroundings_;
  GlobalOptions global_;
  CLI::App parser_;
  Settings settings_;
  CLI::Option* tls_ = nullptr;
  std::vector<CLI::Option*> tls_files_;
  std::vector<Command> commands_;
};

CommandLine::CommandLine(Surroundings& surroundings)
    : surroundings_(surroundings),
      parser_("Calls shared instances on a Leasehold server.", "leasehold"),
      settings_(parser_, surroundings) {
  parser_.set_version_flag("--version",
                           std::string("leasehold ") + LEASEHOLD_VERSION);
  CLI::Option* address =
      AddValue(parser_, "--address", global_.address, ReadAddress,
               "server to call: HOST:PORT or unix:PATH (environment: "
               "LEASEHOLD_ADDRESS)");
  address->type_name("ADDRESS")->default_str(global_.address);
  CLI::Option* timeout =
      AddValue(parser_, "--timeout", global_.timeout, ReadDuration,
               "how long a call may take, as in 500ms, 30s or 1h30m (streams "
               "have no limit, and waits only have one if you set this) "
               "(environment: LEASEHOLD_TIMEOUT)");
  timeout->type_name("DURATION")
      ->default_str(absl::FormatDuration(global_.timeout));
  settings_.Add(address, "LEASEHOLD_ADDRESS");
  AddOutputOptions();
  settings_.Add(timeout, "LEASEHOLD_TIMEOUT");
  AddTlsOptions();
  AddTokenOptions();

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
  for (Command& command : AddAdminCommands(parser_)) {
    commands_.push_back(std::move(command));
  }
  commands_.push_back(AddTopCommand(parser_));
  commands_.push_back(AddHealthCommand(parser_));
  for (Command& command : AddContextCommands(parser_)) {
    commands_.push_back(std::move(command));
  }
  for (const Command& command : commands_) {
    command.app->footer(
        "You can also use --address, --output, --raw, --wide, --color, "
        "--timeout, --config, --context and the options for TLS and tokens "
        "here: see leasehold --help.");
  }
  for (Command& command : AddPagesCommands(parser_)) {
    commands_.push_back(std::move(command));
  }
  commands_.push_back(AddHelpCommand(parser_));
}

void CommandLine::AddOutputOptions() {
  CLI::Option* output =
      AddValue(parser_, "--output", global_.output, ReadOutputFormat,
               "a table, or JSON with one object a line (environment: "
               "LEASEHOLD_OUTPUT)");
  output->type_name("table|json")->default_str("table");
  CLI::Option* raw = parser_.add_flag_function(
      "--raw",
      [this](int64_t count) {
        global_.payloads = count > 0 ? Payloads::kStrings : Payloads::kValues;
      },
      "in JSON, payloads are strings, each as it came, instead of values "
      "(environment: LEASEHOLD_RAW)");
  CLI::Option* wide = parser_.add_flag(
      "--wide", global_.wide,
      "on a terminal, too, whole lines with all columns, and whole times "
      "(environment: LEASEHOLD_WIDE)");
  CLI::Option* color =
      AddValue(parser_, "--color", global_.color, ReadColorChoice,
               "colors: auto is on a terminal, unless NO_COLOR is set "
               "(environment: LEASEHOLD_COLOR)");
  color->type_name("auto|always|never")->default_str("auto");
  settings_.Add(output, "LEASEHOLD_OUTPUT");
  settings_.Add(raw, "LEASEHOLD_RAW");
  settings_.Add(wide, "LEASEHOLD_WIDE");
  settings_.Add(color, "LEASEHOLD_COLOR");
}

void CommandLine::TellUnknownVariables() const {
  if (!surroundings_.variables) return;
  for (const std::string& name : UnknownVariables(surroundings_.variables())) {
    const std::string nearest = NearestVariable(name);
    surroundings_.err << "leasehold: nothing reads the environment variable "
                      << Printable(name)
                      << (nearest.empty() ? "" : "; is it " + nearest + "?")
                      << "\n";
  }
}

void CommandLine::AddTlsOptions() {
  tls_ = parser_.add_flag(
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
  settings_.Add(tls_, "LEASEHOLD_TLS");
  tls_files_ = {ca, cert, key};
  settings_.Add(ca, "LEASEHOLD_CA", /*is_path=*/true);
  settings_.Add(cert, "LEASEHOLD_CERT", /*is_path=*/true);
  settings_.Add(key, "LEASEHOLD_KEY", /*is_path=*/true);
  for (CLI::Option* option : tls_files_) option->type_name("FILE");
}

bool CommandLine::WantsTls() const {
  if (global_.tls) return true;
  const TlsOptions& files = global_.tls_files;
  if (files.ca.empty() && files.cert.empty() && files.key.empty()) return false;
  // `tls=false` turns TLS off if nothing of its own rank, or above it, names a
  // file: as in a context, with a --ca of the whole config file.
  const Source off = settings_.SourceOf(tls_);
  return off == Source::kDefault ||
         std::any_of(tls_files_.begin(), tls_files_.end(),
                     [&](const CLI::Option* file) {
                       return settings_.SourceOf(file) <= off;
                     });
}

void CommandLine::ReadCertificates() {
  if (!WantsTls()) return;
  if (absl::StartsWith(global_.address, "unix:")) {
    throw UsageError(
        "--tls: Unix sockets are not encrypted; leave it out for a unix: "
        "address");
  }
  auto credentials = TlsCredentials(global_.tls_files);
  if (!credentials.ok()) {
    throw UsageError(
        absl::StrCat("--tls: ", std::string(credentials.status().message())));
  }
  global_.credentials = *std::move(credentials);
}

void CommandLine::AddTokenOptions() {
  CLI::Option* file =
      AddValue(parser_, "--token-file", global_.token.file, ReadText,
               "file with the token that says who calls, on one line; read "
               "again when it changes (environment: LEASEHOLD_TOKEN_FILE)");
  file->type_name("FILE");
  CLI::Option* plaintext = parser_.add_flag(
      "--allow-plaintext-token", global_.token.allow_plaintext,
      "send the token to another machine even without TLS, where whoever sees "
      "the network can read it (environment: LEASEHOLD_ALLOW_PLAINTEXT_TOKEN)");
  settings_.Add(file, "LEASEHOLD_TOKEN_FILE", /*is_path=*/true);
  settings_.Add(plaintext, "LEASEHOLD_ALLOW_PLAINTEXT_TOKEN");
}

void CommandLine::ReadToken() {
  if (global_.token.file.empty()) return;
  const absl::Status allowed = CheckTokenAddress(
      global_.token, global_.address, global_.credentials != nullptr);
  if (!allowed.ok()) {
    throw UsageError(absl::StrCat(
        "--token-file: ", std::string(allowed.message()),
        "; give --tls or --ca, or --allow-plaintext-token if nobody else sees "
        "that network"));
  }
  auto credentials = TokenCredentials(global_.token, global_.credentials);
  if (!credentials.ok()) {
    throw UsageError(absl::StrCat("--token-file: ",
                                  std::string(credentials.status().message())));
  }
  global_.credentials = *std::move(credentials);
}

int CommandLine::Run(int argc, const char* const* argv) {
  absl::Status status;
  try {
    parser_.parse(argc, argv);
    TellUnknownVariables();
    const Command& command = *GivenCommand(commands_);
    settings_.Read(command.calls);
    global_.contexts = settings_.contexts();
    if (command.calls) {
      ReadCertificates();
      ReadToken();
    }
    global_.timeout_given = parser_.get_option("--timeout")->count() > 0;
    status = command.run(global_, surroundings_);
  } catch (const CLI::CallForHelp&) {
    const Command* command = GivenCommand(commands_);
    const CLI::App& app =
        command != nullptr ? *command->app : GivenGroup(parser_);
    surroundings_.out << HelpText(parser_, app);
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
  surroundings_.err << absl::StatusCodeToString(status.code()) << ": "
                    << Printable(
                           ErrorText(status, *GivenCommand(commands_)->app))
                    << "\n";
  return ExitCode(status);
}

}  // namespace

int RunCommandLine(int argc, const char* const* argv,
                   Surroundings& surroundings) {
  return CommandLine(surroundings).Run(argc, argv);
}

}  // namespace leasehold::client::cli
