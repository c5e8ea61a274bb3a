#include "client/cli/instances_command.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/instance_stream_commands.h"
#include "client/cli/instance_view.h"
#include "client/cli/list_end.h"
#include "client/cli/output.h"
#include "client/cli/usage.h"
#include "client/cli/values.h"
#include "client/instances/instances_client.h"

namespace leasehold::client::cli {
namespace {

// Writes instances as they come, in the global format.
class InstanceOutput {
 public:
  InstanceOutput(const GlobalOptions& global, Surroundings& surroundings)
      : output_(global.output, surroundings.out),
        table_(InstanceHeading(), LookOf(global, surroundings)),
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

  // The line below a list for a person.
  void End(int64_t shown, int64_t all) {
    output_.Write(ListEndLine({.shown = shown,
                               .all = all,
                               .what = "instances",
                               .which = "the newest first",
                               .cut = table_.cut()}));
  }

  absl::Status status() const { return output_.status(); }

 private:
  Output output_;
  Table table_;
  const absl::Time now_;
};

using Client = absl::StatusOr<std::unique_ptr<InstancesClient>>;

struct ListCommandOptions {
  ListOptions list;
  std::optional<int> last;
  bool all = false;
};

bool IsNewer(const Instance& a, const Instance& b) {
  if (a.create_time != b.create_time) return a.create_time > b.create_time;
  return a.instance_id < b.instance_id;
}

// The newest of many, of which no more are kept than that.
class Newest {
 public:
  explicit Newest(size_t most) : most_(most) {}

  void Add(const std::vector<Instance>& page) {
    all_ += page.size();
    kept_.insert(kept_.end(), page.begin(), page.end());
    if (kept_.size() > 2 * most_) Trim();
  }
  // The newest first.
  std::vector<Instance> Take() {
    Trim();
    return std::move(kept_);
  }
  size_t all() const { return all_; }

 private:
  void Trim() {
    std::sort(kept_.begin(), kept_.end(), IsNewer);
    kept_.resize(std::min(kept_.size(), most_));
  }

  const size_t most_;
  std::vector<Instance> kept_;
  size_t all_ = 0;
};

// The server lists instances in no order. So that the oldest can be the first,
// all are read before one is written; if there are more than so many, each part
// of so many has its own order.
constexpr size_t kSortedMax = 10'000;

absl::Status ListOldestFirst(InstancesClient& client,
                             const ListOptions& options,
                             InstanceOutput& output) {
  std::vector<Instance> read;
  const auto write_all = [&] {
    std::sort(
        read.begin(), read.end(), [](const Instance& a, const Instance& b) {
          return a.create_time != b.create_time ? a.create_time < b.create_time
                                                : a.instance_id < b.instance_id;
        });
    return output.Write(std::exchange(read, {}));
  };
  const absl::Status status =
      client.List(options, [&](const std::vector<Instance>& page) {
        read.insert(read.end(), page.begin(), page.end());
        return read.size() <= kSortedMax || write_all();
      });
  if (!status.ok()) return status;
  write_all();
  return output.status();
}

absl::Status RunList(InstancesClient& client, const ListCommandOptions& options,
                     const GlobalOptions& global, Surroundings& around) {
  if (options.last.has_value() && options.all) {
    throw UsageError("instances list: give --last or --all, not both");
  }
  const bool for_person =
      global.output == OutputFormat::kTable && around.on_terminal();
  InstanceOutput output(global, around);
  if (!for_person && !options.last.has_value()) {
    return ListOldestFirst(client, options.list, output);
  }
  Newest newest(options.all ? std::numeric_limits<size_t>::max() / 2
                            : options.last.value_or(kShownOnTerminal));
  const absl::Status status =
      client.List(options.list, [&newest](const std::vector<Instance>& page) {
        newest.Add(page);
        return true;
      });
  if (!status.ok()) return status;
  const std::vector<Instance> shown = newest.Take();
  output.Write(shown);
  if (for_person) {
    output.End(static_cast<int64_t>(shown.size()),
               static_cast<int64_t>(newest.all()));
  }
  return output.status();
}

Command AddList(CLI::App& group) {
  const auto options = std::make_shared<ListCommandOptions>();
  CLI::App* app = group.add_subcommand(
      "list",
      "Show instances; on a terminal the newest 20 first, elsewhere all, the "
      "oldest first");
  AddValue(*app, "--prefix", options->list.id_prefix, ReadId,
           "only IDs with this prefix")
      ->type_name("PREFIX");
  AddValue(*app, "--state", options->list.state, ReadInstanceState,
           "only instances in this state")
      ->type_name("opening|busy|idle|closing");
  AddValue(*app, "--last", options->last, ReadCount,
           "show this many of the newest, the newest first")
      ->type_name("N");
  app->add_flag("--all", options->all, "show all, on a terminal too");
  return {app, [options](const GlobalOptions& global, Surroundings& around) {
            const Client client = InstancesClient::Connect(
                global.address, global.timeout, global.credentials);
            if (!client.ok()) return client.status();
            return RunList(**client, *options, global, around);
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
