#include "client/cli/instances_command.h"

#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/instance_stream_commands.h"
#include "client/cli/instance_view.h"
#include "client/cli/output.h"
#include "client/cli/values.h"
#include "client/instances/instances_client.h"

namespace leasehold::client::cli {
namespace {

// Writes instances as they come, in the global format.
class InstanceOutput {
 public:
  InstanceOutput(const GlobalOptions& global, Surroundings& surroundings)
      : output_(global.output, surroundings.out),
        table_(InstanceHeading(), surroundings.cells()),
        now_(surroundings.now()) {}

  bool Write(const std::vector<Instance>& instances) {
    if (output_.format() == OutputFormat::kTable) {
      std::vector<Table::Row> rows;
      rows.reserve(instances.size());
      for (const Instance& instance : instances) {
        rows.push_back(InstanceRow(instance, now_));
      }
      return output_.Write(table_.Lines(std::move(rows)));
    }
    for (const Instance& instance : instances) {
      if (!output_.Write(InstanceJson(instance, now_).line())) return false;
    }
    return true;
  }

  absl::Status WriteOne(const absl::StatusOr<Instance>& instance) {
    if (!instance.ok()) return instance.status();
    Write({*instance});
    return status();
  }

  absl::Status status() const { return output_.status(); }

 private:
  Output output_;
  Table table_;
  const absl::Time now_;
};

using Client = absl::StatusOr<std::unique_ptr<InstancesClient>>;

Command AddList(CLI::App& group) {
  const auto options = std::make_shared<ListOptions>();
  CLI::App* app = group.add_subcommand("list", "Show all instances");
  AddValue(*app, "--prefix", options->id_prefix, ReadId,
           "only IDs with this prefix")
      ->type_name("PREFIX");
  AddValue(*app, "--state", options->state, ReadInstanceState,
           "only instances in this state")
      ->type_name("opening|busy|idle|closing");
  return {app, [options](const GlobalOptions& global, Surroundings& around) {
            const Client client = InstancesClient::Connect(
                global.address, global.timeout, global.credentials);
            if (!client.ok()) return client.status();
            InstanceOutput output(global, around);
            const absl::Status status = (*client)->List(
                *options, [&output](const std::vector<Instance>& page) {
                  return output.Write(page);
                });
            return status.ok() ? output.status() : status;
          }};
}

Command AddGet(CLI::App& group) {
  const auto id = std::make_shared<std::string>();
  CLI::App* app = group.add_subcommand("get", "Show one instance");
  AddId(*app, *id)->required();
  return {app, [id](const GlobalOptions& global, Surroundings& around) {
            const Client client = InstancesClient::Connect(
                global.address, global.timeout, global.credentials);
            if (!client.ok()) return client.status();
            const auto instance = (*client)->Get(*id);
            if (!instance.ok()) return instance.status();
            if (!instance->has_value()) return NoInstance(*id);
            return InstanceOutput(global, around).WriteOne(**instance);
          }};
}

Command AddCreate(CLI::App& group) {
  const auto options = std::make_shared<CreateOptions>();
  CLI::App* app = group.add_subcommand(
      "create", "Create an instance, or renew the lease of an existing one");
  AddId(*app, options->instance_id)
      ->description("instance ID (default: the server makes one)");
  AddIdleTimeoutOption(*app, options->idle_timeout);
  return {app, [options](const GlobalOptions& global, Surroundings& around) {
            const Client client = InstancesClient::Connect(
                global.address, global.timeout, global.credentials);
            if (!client.ok()) return client.status();
            const auto opened = (*client)->Create(*options);
            if (!opened.ok()) return opened.status();
            return WriteOpened(*opened, global, around);
          }};
}

Command AddSetTimeout(CLI::App& group) {
  struct Options {
    std::string id;
    absl::Duration timeout;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* app = group.add_subcommand(
      "set-timeout", "Change how long an instance is kept once it is idle");
  AddId(*app, options->id)->required();
  AddValue(*app, "DURATION", options->timeout, ReadDuration,
           "new idle timeout, as in 500ms or 20s; the server may limit it")
      ->type_name("")
      ->required();
  return {
      app, [options](const GlobalOptions& global, Surroundings& around) {
        const Client client = InstancesClient::Connect(
            global.address, global.timeout, global.credentials);
        if (!client.ok()) return client.status();
        return InstanceOutput(global, around)
            .WriteOne((*client)->SetIdleTimeout(options->id, options->timeout));
      }};
}

Command AddRelease(CLI::App& group) {
  struct Options {
    std::string id;
    bool force = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* app = group.add_subcommand(
      "release", "Close an instance now, and show its last state");
  AddId(*app, options->id)->required();
  app->add_flag("--force", options->force,
                "even if it is busy; ends the calls that keep it busy");
  return {app, [options](const GlobalOptions& global, Surroundings& around) {
            const Client client = InstancesClient::Connect(
                global.address, global.timeout, global.credentials);
            if (!client.ok()) return client.status();
            return InstanceOutput(global, around)
                .WriteOne((*client)->Release(options->id, options->force));
          }};
}

}  // namespace

std::vector<Command> AddInstancesCommands(CLI::App& parser) {
  CLI::App* group = parser.add_subcommand(
      "instances", "Inspect and manage the instances of a server");
  group->require_subcommand(1);
  return {AddList(*group),
          AddGet(*group),
          AddCreate(*group),
          AddWatchCommand(*group),
          AddKeepAliveCommand(*group),
          AddHoldCommand(*group),
          AddSetTimeout(*group),
          AddRelease(*group)};
}

}  // namespace leasehold::client::cli
