#include "client/cli/orchestration_command.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/orchestration_query_commands.h"
#include "client/cli/orchestration_start_commands.h"
#include "client/cli/orchestration_view.h"
#include "client/cli/orchestration_wait_commands.h"
#include "client/cli/output.h"
#include "client/cli/payload.h"
#include "client/cli/values.h"

namespace leasehold::client::cli {
namespace {

// What came of a command to the orchestration `id`.
absl::Status WriteTold(const absl::Status& status, const std::string& done,
                       const char* command, const std::string& id,
                       const GlobalOptions& global, Surroundings& around) {
  if (!status.ok()) return status;
  JsonObject object;
  object.Text("instance_id", id).Text("done", command);
  return WriteDone(done, object.text(), global, around);
}

Command AddStatus(CLI::App& group) {
  const auto id = std::make_shared<std::string>();
  CLI::App* app =
      group.add_subcommand("status", "Show what is known of an orchestration");
  AddId(*app, *id)->required();
  return CallingCommand(
      app, [id](OrchestrationClient& client, const GlobalOptions& global,
                Surroundings& around) {
        const auto state = client.Get(*id);
        if (!state.ok()) return state.status();
        if (!state->has_value()) return NoOrchestration(*id);
        return WriteOrchestration(**state, global, around);
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
      "Send an event to an orchestration; it waits there until asked for");
  AddId(*app, options->id)->required();
  AddValue(*app, "NAME", options->name, ReadName, "name of the event")
      ->type_name("")
      ->required();
  AddPayload(*app, options->input, "what the event brings");
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
           "why; its history will say so")
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
  };
  const auto options = std::make_shared<Options>();
  CLI::App* app = group.add_subcommand(
      "terminate", "End an orchestration, whatever it waits for");
  AddId(*app, options->id)->required();
  AddPayload(*app, options->result, "what it leaves as its output");
  app->add_flag("--recursive", options->recursive,
                "its sub-orchestrations too, and theirs");
  return CallingCommand(
      app, [options](OrchestrationClient& client, const GlobalOptions& global,
                     Surroundings& around) {
        TerminateOptions terminate;
        terminate.output = ReadPayload(options->result, around);
        terminate.recursive = options->recursive;
        return WriteTold(client.Terminate(options->id, terminate),
                         absl::StrCat("Terminated ", options->id,
                                      "; it ends with its next turn."),
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
      "Start an orchestration that has ended again, with what it was started "
      "with");
  AddId(*app, options->id)->required();
  app->add_flag("--new-id", options->new_id,
                "under an ID that the server makes; this one stays, and need "
                "not have ended");
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
            const auto client =
                OrchestrationClient::Connect(global.address, global.timeout);
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
                   ? OrchestrationJson(state).text() + "\n"
                   : OrchestrationText(state));
  return output.status();
}

absl::Status WriteDone(const std::string& done, const std::string& json,
                       const GlobalOptions& global,
                       Surroundings& surroundings) {
  Output output(global.output, surroundings.out);
  output.Write(
      (output.format() == OutputFormat::kJson ? json : Printable(done)) + "\n");
  return output.status();
}

std::vector<Command> AddOrchestrationCommands(CLI::App& parser) {
  CLI::App* group = parser.add_subcommand(
      "orchestration", "Start, see and handle the orchestrations of a server");
  group->require_subcommand(1);
  return {AddStartCommand(*group),
          AddEnsureCommand(*group),
          AddStatus(*group),
          AddWaitCommand(*group),
          AddOrchestrationWatchCommand(*group),
          AddRaiseEvent(*group),
          AddHolding(*group, "suspend",
                     "Hold the turns of an orchestration until it is resumed",
                     "Suspended", &OrchestrationClient::Suspend),
          AddHolding(*group, "resume",
                     "Let an orchestration that was suspended go on", "Resumed",
                     &OrchestrationClient::Resume),
          AddTerminate(*group),
          AddRestart(*group),
          AddHolding(*group, "rewind",
                     "Have an orchestration that failed go on from its last "
                     "good point",
                     "Rewound", &OrchestrationClient::Rewind),
          AddPurgeCommand(*group),
          AddListCommand(*group),
          AddHistoryCommand(*group)};
}

}  // namespace leasehold::client::cli
