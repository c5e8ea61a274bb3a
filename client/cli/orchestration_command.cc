#include "client/cli/orchestration_command.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/admin/admin_client.h"
#include "client/cli/orchestration_purge_command.h"
#include "client/cli/orchestration_query_commands.h"
#include "client/cli/orchestration_start_commands.h"
#include "client/cli/orchestration_view.h"
#include "client/cli/orchestration_wait_commands.h"
#include "client/cli/output.h"
#include "client/cli/payload.h"
#include "client/cli/printable.h"
#include "client/cli/values.h"

namespace leasehold::client::cli {
namespace {

// The outcome of a command for the orchestration `id`.
absl::Status WriteTold(const absl::Status& status, const std::string& done,
                       const char* command, const std::string& id,
                       const GlobalOptions& global, Surroundings& around) {
  if (!status.ok()) return status;
  JsonObject object;
  object.Text("instance_id", id).Text("done", command);
  return WriteDone(done, object, global, around);
}

// Why it does not go on, in a sentence. Empty: it has ended, or the server, an
// older one, does not say.
std::string WhyOf(const OrchestrationState& state,
                  const GlobalOptions& global) {
  if (state.end_time.has_value()) return "";
  const auto client =
      AdminClient::Connect(global.address, global.timeout, global.credentials);
  if (!client.ok()) return "";
  const auto explanation = (*client)->Explain(state.instance_id);
  return explanation.ok() ? explanation->sentence() : "";
}

Command AddStatus(CLI::App& group) {
  const auto id = std::make_shared<std::string>();
  CLI::App* app = group.add_subcommand("status", "Show an orchestration");
  AddId(*app, *id)->required();
  return CallingCommand(app, [id](OrchestrationClient& client,
                                  const GlobalOptions& global,
                                  Surroundings& around) {
    const auto state = client.Get(*id);
    if (!state.ok()) return state.status();
    if (!state->has_value()) return NoOrchestration(*id);
    Output output(global.output, around.out);
    const std::string why = WhyOf(**state, global);
    output.Write(output.format() == OutputFormat::kJson
                     ? OrchestrationJson(**state, global.payloads)
                           .TextIfAny("why", why)
                           .line()
                     : OrchestrationText(**state, LookOf(global, around), why));
    return output.status();
  });
}

Command AddRaiseEvent(CLI::App& group) {
  struct Options {
    std::string id;
    std::string name;
    PayloadOption input{.name = "--input", .text = {}};
  };
  const auto options = std::make_shared<Options>();
  CLI::App* app = group.add_subcommand(
      "raise-event",
      "Send an event to an orchestration (queued until it asks for one of that "
      "name)");
  AddId(*app, options->id)->required();
  AddValue(*app, "NAME", options->name, ReadName, "name of the event")
      ->type_name("")
      ->required();
  AddPayload(*app, options->input, "payload of the event");
  return CallingCommand(
      app, [options](OrchestrationClient& client, const GlobalOptions& global,
                     Surroundings& around) {
        const auto input = ReadPayload(options->input, around);
        return WriteTold(
            client.RaiseEvent(options->id, options->name, input),
            absl::StrCat("Raised ", options->name, " for ", options->id, "."),
            "raise-event", options->id, global, around);
      });
}

// `suspend`, `resume` and `rewind`.
Command AddHolding(CLI::App& group, const char* name, const char* description,
                   const char* done,
                   absl::Status (OrchestrationClient::*call)(
                       const std::string&, const std::string&)) {
  struct Options {
    std::string id;
    std::string reason;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* app = group.add_subcommand(name, description);
  AddId(*app, options->id)->required();
  AddValue(*app, "--reason", options->reason, ReadText,
           "reason, which its history records")
      ->type_name("TEXT");
  return CallingCommand(
      app, [options, name, done, call](OrchestrationClient& client,
                                       const GlobalOptions& global,
                                       Surroundings& around) {
        return WriteTold((client.*call)(options->id, options->reason),
                         absl::StrCat(done, " ", options->id, "."), name,
                         options->id, global, around);
      });
}

Command AddTerminate(CLI::App& group) {
  struct Options {
    std::string id;
    PayloadOption result{.name = "--result", .text = {}};
    bool recursive = false;
    bool force = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* app = group.add_subcommand(
      "terminate", "End an orchestration, whatever it is waiting for");
  AddId(*app, options->id)->required();
  AddPayload(*app, options->result, "its output");
  app->add_flag("--recursive", options->recursive,
                "also its sub-orchestrations, and theirs");
  app->add_flag(
      "--force", options->force,
      "at once, even if its worker does not answer; a later answer is "
      "refused");
  return CallingCommand(
      app, [options](OrchestrationClient& client, const GlobalOptions& global,
                     Surroundings& around) {
        TerminateOptions terminate;
        terminate.output = ReadPayload(options->result, around);
        terminate.recursive = options->recursive;
        terminate.force = options->force;
        return WriteTold(
            client.Terminate(options->id, terminate),
            absl::StrCat("Terminated ", options->id,
                         options->force ? "; it has ended."
                                        : "; it ends with its next turn."),
            "terminate", options->id, global, around);
      });
}

Command AddRestart(CLI::App& group) {
  struct Options {
    std::string id;
    bool new_id = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* app = group.add_subcommand(
      "restart",
      "Start an orchestration that has ended again, with the same name and "
      "input");
  AddId(*app, options->id)->required();
  app->add_flag("--new-id", options->new_id,
                "start a copy under an ID that the server makes, even if this "
                "one has not ended");
  return CallingCommand(
      app,
      [options](OrchestrationClient& client, const GlobalOptions& global,
                Surroundings& around) -> absl::Status {
        const auto receipt = client.Restart(options->id, options->new_id);
        if (!receipt.ok()) return receipt.status();
        return WriteReceipt(*receipt, global, around);
      });
}

}  // namespace

Command CallingCommand(
    CLI::App* app,
    std::function<absl::Status(OrchestrationClient&, const GlobalOptions&,
                               Surroundings&)>
        run) {
  return {app, [run = std::move(run)](const GlobalOptions& global,
                                      Surroundings& around) {
            const auto client = OrchestrationClient::Connect(
                global.address, global.timeout, global.credentials);
            if (!client.ok()) return client.status();
            return run(**client, global, around);
          }};
}

absl::Status NoOrchestration(const std::string& id) {
  return absl::NotFoundError(
      absl::StrCat("there is no orchestration \"", id, "\""));
}

absl::Status WriteOrchestration(const OrchestrationState& state,
                                const GlobalOptions& global,
                                Surroundings& surroundings) {
  Output output(global.output, surroundings.out);
  output.Write(output.format() == OutputFormat::kJson
                   ? OrchestrationJson(state, global.payloads).line()
                   : OrchestrationText(state, LookOf(global, surroundings)));
  return output.status();
}

absl::Status WriteDone(const std::string& done, const JsonObject& json,
                       const GlobalOptions& global,
                       Surroundings& surroundings) {
  Output output(global.output, surroundings.out);
  output.Write(output.format() == OutputFormat::kJson ? json.line()
                                                      : Printable(done) + "\n");
  return output.status();
}

std::vector<Command> AddOrchestrationCommands(CLI::App& parser) {
  CLI::App* group = parser.add_subcommand(
      "orchestration",
      "Start, inspect and manage the orchestrations of a server (for short: "
      "orch)");
  group->alias("orch");
  group->require_subcommand(1);
  return {
      AddStartCommand(*group),
      AddEnsureCommand(*group),
      AddStatus(*group),
      AddWaitCommand(*group),
      AddOrchestrationWatchCommand(*group),
      AddRaiseEvent(*group),
      AddHolding(*group, "suspend", "Pause an orchestration", "Suspended",
                 &OrchestrationClient::Suspend),
      AddHolding(*group, "resume", "Resume a paused orchestration", "Resumed",
                 &OrchestrationClient::Resume),
      AddTerminate(*group),
      AddRestart(*group),
      AddHolding(*group, "rewind",
                 "Retry a failed orchestration from its last successful step",
                 "Rewound", &OrchestrationClient::Rewind),
      AddPurgeCommand(*group),
      AddListCommand(*group),
      AddHistoryCommand(*group)};
}

}  // namespace leasehold::client::cli
