#include "client/cli/orchestration_start_commands.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/orchestration_command.h"
#include "client/cli/orchestration_values.h"
#include "client/cli/orchestration_view.h"
#include "client/cli/orchestration_wait_commands.h"
#include "client/cli/output.h"
#include "client/cli/payload.h"
#include "client/cli/printable.h"
#include "client/cli/usage.h"
#include "client/cli/values.h"

namespace leasehold::client::cli {
namespace {

// The options of both commands.
struct Options {
  std::string name;
  std::string id;
  PayloadOption input{.name = "--input", .text = {}};
  std::string version;
  std::optional<Moment> at;
  std::vector<std::pair<std::string, std::string>> tags;
  std::optional<IfActive> if_active;
  std::optional<IfFinished> if_finished;
  std::string request_id;
  bool wait = false;
};

void AddOptions(CLI::App& app, Options& options, const char* id_description,
                const char* default_choice) {
  AddValue(app, "NAME", options.name, ReadName,
           "name of the orchestrator, as workers know it")
      ->type_name("")
      ->required();
  AddValue(app, "--id", options.id, ReadId, id_description)->type_name("ID");
  AddPayload(app, options.input, "its input");
  AddValue(app, "--version", options.version, ReadText,
           "version of the orchestrator")
      ->type_name("VERSION");
  AddValue(app, "--at", options.at, ReadMoment,
           "when to start it, as in 2024-10-04T17:46:40Z, or from now, as in "
           "+30s (default: now)")
      ->type_name("TIME");
  AddValues(app, "--tag", options.tags, ReadTag,
            "a tag, as in team=blue; may be repeated")
      ->type_name("KEY=VALUE");
  AddValue(app, "--if-active", options.if_active, ReadIfActive,
           "if one with this ID is active: fail, use it (attach), or end it "
           "and start a new one (terminate)")
      ->type_name("fail|attach|terminate")
      ->default_str(default_choice);
  AddValue(app, "--if-finished", options.if_finished, ReadIfFinished,
           "if one with this ID has ended: fail, use it (attach), or start a "
           "new one in its place (replace)")
      ->type_name("fail|attach|replace")
      ->default_str(default_choice);
  AddValue(app, "--request-id", options.request_id, ReadName,
           "makes the start idempotent: repeated with the same request ID, it "
           "starts nothing and shows the first receipt")
      ->type_name("ID");
  app.add_flag("--wait", options.wait,
               "wait until it has ended, and show the result");
}

// The start that the options mean. Throws UsageError.
StartOptions StartOf(const Options& options, Surroundings& around) {
  StartOptions start{.name = options.name};
  start.instance_id = options.id;
  start.input = ReadPayload(options.input, around);
  start.version = options.version;
  if (options.at.has_value()) {
    start.scheduled_start_time = options.at->At(around.now());
  }
  for (const auto& [key, value] : options.tags) {
    if (start.tags.emplace(key, value).second) continue;
    throw UsageError(
        absl::StrCat("--tag: \"", key, "\" is given more than once"));
  }
  start.request_id = options.request_id;
  return start;
}

// Shows the orchestration, and in JSON whether this call created it.
absl::Status WriteEnsured(OrchestrationClient& client,
                          const OrchestrationReceipt& receipt,
                          const GlobalOptions& global, Surroundings& around) {
  Output output(global.output, around.out);
  const bool json = output.format() == OutputFormat::kJson;
  if (receipt.created && !json) {
    output.SayLine(absl::StrCat("Creating singleton instance with ID = ",
                                Printable(receipt.instance_id)));
    return output.status();
  }
  const auto state = client.Get(receipt.instance_id);
  if (!state.ok()) return state.status();
  if (!state->has_value()) return NoOrchestration(receipt.instance_id);
  if (json) {
    output.Write(OrchestrationJson(**state, global.payloads)
                     .Flag("created", receipt.created)
                     .line());
    return output.status();
  }
  output.Write(OrchestrationText(**state, LookOf(global, around)));
  if (HasEnded((*state)->status)) {
    output.SayLine(absl::StrCat(
        "It has ended: it is ", OrchestrationStatusName((*state)->status),
        ". --if-finished=replace starts a new one in its place."));
  }
  return output.status();
}

// `ensure` attaches to an existing one, unless the options say otherwise.
absl::Status Run(OrchestrationClient& client, const Options& options,
                 bool ensure, const GlobalOptions& global,
                 Surroundings& around) {
  StartOptions start = StartOf(options, around);
  start.if_active =
      options.if_active.value_or(ensure ? IfActive::kAttach : IfActive::kFail);
  start.if_finished = options.if_finished.value_or(ensure ? IfFinished::kAttach
                                                          : IfFinished::kFail);
  const auto receipt = client.Start(start);
  if (!receipt.ok()) return receipt.status();
  absl::Status status = ensure ? WriteEnsured(client, *receipt, global, around)
                               : WriteReceipt(*receipt, global, around);
  if (!status.ok() || !options.wait) return status;
  return WaitAndShow(client, receipt->instance_id, Until::kEnded, global,
                     around);
}

}  // namespace

Command AddStartCommand(CLI::App& group) {
  const auto options = std::make_shared<Options>();
  CLI::App* app = group.add_subcommand("start", "Start an orchestration");
  AddOptions(*app, *options, "instance ID (default: the server makes one)",
             "fail");
  return CallingCommand(
      app, [options](OrchestrationClient& client, const GlobalOptions& global,
                     Surroundings& around) {
        return Run(client, *options, /*ensure=*/false, global, around);
      });
}

Command AddEnsureCommand(CLI::App& group) {
  const auto options = std::make_shared<Options>();
  CLI::App* app = group.add_subcommand(
      "ensure",
      "Start an orchestration unless one with this ID exists; shows the "
      "existing one (even if it has ended)");
  AddOptions(*app, *options, "instance ID; required", "attach");
  return CallingCommand(
      app, [options](OrchestrationClient& client, const GlobalOptions& global,
                     Surroundings& around) {
        if (options->id.empty()) {
          throw UsageError(
              "orchestration ensure: --id is required, to say which one should "
              "exist");
        }
        return Run(client, *options, /*ensure=*/true, global, around);
      });
}

absl::Status WriteReceipt(const OrchestrationReceipt& receipt,
                          const GlobalOptions& global,
                          Surroundings& surroundings) {
  Output output(global.output, surroundings.out);
  output.Write(output.format() == OutputFormat::kJson
                   ? ReceiptJson(receipt).line()
                   : ReceiptText(receipt, LookOf(global, surroundings)));
  return output.status();
}

}  // namespace leasehold::client::cli
