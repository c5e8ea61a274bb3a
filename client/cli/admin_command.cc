#include "client/cli/admin_command.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "client/admin/admin_client.h"
#include "client/cli/explanation_view.h"
#include "client/cli/output.h"
#include "client/cli/table.h"
#include "client/cli/values.h"
#include "client/cli/worker_view.h"

namespace leasehold::client::cli {
namespace {

// A command that makes calls: `run` gets a client for the server that --address
// names.
Command Calling(CLI::App* app,
                std::function<absl::Status(AdminClient&, const GlobalOptions&,
                                           Surroundings&)>
                    run) {
  return {app, [run = std::move(run)](const GlobalOptions& global,
                                      Surroundings& around) {
            const auto client = AdminClient::Connect(
                global.address, global.timeout, global.credentials);
            if (!client.ok()) return client.status();
            return run(**client, global, around);
          }};
}

absl::Status RunWorkers(AdminClient& client, const GlobalOptions& global,
                        Surroundings& around) {
  Output output(global.output, around.out);
  Table table(WorkerHeading(), LookOf(global, around));
  const absl::Time now = around.now();
  const auto on_page = [&](const std::vector<ConnectedWorker>& page) {
    std::vector<Table::Row> rows;
    for (const ConnectedWorker& worker : page) {
      if (output.format() == OutputFormat::kTable) {
        rows.push_back(WorkerRow(worker, now));
      } else if (!output.Write(WorkerJson(worker).line())) {
        return false;
      }
    }
    return output.Say(table.Lines(std::move(rows)));
  };
  const absl::Status status = client.Workers(on_page);
  return status.ok() ? output.status() : status;
}

Command AddWorkers(CLI::App& parser) {
  return Calling(
      parser.add_subcommand(
          "workers",
          "Show the connected workers: what they take, and how busy they are"),
      &RunWorkers);
}

Command AddWhy(CLI::App& parser) {
  const auto id = std::make_shared<std::string>();
  CLI::App* app = parser.add_subcommand(
      "why",
      "Say why nothing happens with an instance: why its orchestration or "
      "entity does not go on, or why it is not idle");
  AddId(*app, *id)->required();
  return Calling(app, [id](AdminClient& client, const GlobalOptions& global,
                           Surroundings& around) {
    const auto explanation = client.Explain(*id);
    if (!explanation.ok()) return explanation.status();
    Output output(global.output, around.out);
    output.Write(output.format() == OutputFormat::kJson
                     ? ExplanationJson(*explanation).line()
                     : ExplanationText(*explanation, LookOf(global, around)));
    return output.status();
  });
}

}  // namespace

std::vector<Command> AddAdminCommands(CLI::App& parser) {
  return {AddWhy(parser), AddWorkers(parser)};
}

}  // namespace leasehold::client::cli
