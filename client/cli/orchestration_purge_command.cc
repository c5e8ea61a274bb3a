#include "client/cli/orchestration_purge_command.h"

#include <algorithm>
#include <cstdint>
#include <istream>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/cli/json_object.h"
#include "client/cli/orchestration_command.h"
#include "client/cli/orchestration_values.h"
#include "client/cli/output.h"
#include "client/cli/printable.h"
#include "client/cli/usage.h"
#include "client/cli/values.h"
#include "lease/base/quote.h"

namespace leasehold::client::cli {
namespace {

// How many IDs a dry run shows.
constexpr size_t kShownMax = 10;
// How many are counted before somebody is asked.
constexpr int64_t kAskedMax = 10'000;

constexpr char kAndChildren[] = ", with all sub-orchestrations";

struct PurgeOptions {
  std::string id;
  FilterOptions filter;
  bool all = false;
  bool recursive = false;
  bool dry_run = false;
  bool yes = false;
};

// A number of them, for people.
std::string Orchestrations(int64_t count) {
  return absl::StrCat(count, count == 1 ? " orchestration" : " orchestrations");
}

// Throws UsageError unless the options say clearly what to purge.
void CheckWays(const PurgeOptions& options) {
  const int ways =
      !options.id.empty() + options.filter.any() + (options.all ? 1 : 0);
  if (ways == 1) return;
  throw UsageError(absl::StrCat(
      "orchestration purge: ", ways == 0 ? "say what to purge" : "say one",
      ": an ID, or a filter (--status, --id-prefix, --name, --tag, "
      "--created-from, --created-to), or --all"));
}

// Throws UsageError if nothing can match: that is a mistake, and not to be
// taken for "nothing was there".
void CheckCanMatch(const OrchestrationFilter& filter) {
  const auto& statuses = filter.statuses;
  if (!statuses.empty() &&
      std::none_of(statuses.begin(), statuses.end(), HasEnded)) {
    throw UsageError(
        "orchestration purge: nothing can match: only completed, failed and "
        "terminated orchestrations are purged, and --status names none of "
        "these");
  }
  if (filter.created_from.has_value() && filter.created_to.has_value() &&
      *filter.created_from > *filter.created_to) {
    throw UsageError(
        "orchestration purge: nothing can match: --created-from is later than "
        "--created-to");
  }
}

// Those that a purge would erase.
struct Matches {
  int64_t count = 0;
  bool more = false;  // It was not counted further.
  std::vector<std::string> first_ids;
};

absl::StatusOr<Matches> Count(OrchestrationClient& client,
                              OrchestrationFilter filter, int64_t count_max) {
  if (filter.statuses.empty()) {
    filter.statuses = {OrchestrationStatus::kCompleted,
                       OrchestrationStatus::kFailed,
                       OrchestrationStatus::kTerminated};
  }
  Matches matches;
  const auto on_page = [&](const std::vector<OrchestrationState>& page) {
    for (const OrchestrationState& state : page) {
      if (!HasEnded(state.status)) continue;
      if (matches.count == count_max) {
        matches.more = true;
        return false;
      }
      ++matches.count;
      if (matches.first_ids.size() < kShownMax) {
        matches.first_ids.push_back(state.instance_id);
      }
    }
    return true;
  };
  ListOrchestrationsOptions list;
  list.filter = std::move(filter);
  list.page_size = kPageMax;
  const absl::Status status = client.List(list, on_page);
  if (!status.ok()) return status;
  return matches;
}

absl::StatusOr<Matches> CountOne(OrchestrationClient& client,
                                 const std::string& id) {
  const auto state = client.Get(id, /*payloads=*/false);
  if (!state.ok()) return state.status();
  if (!state->has_value()) {
    return absl::NotFoundError(
        absl::StrCat("there is no orchestration ", QuoteForMessage(id)));
  }
  if (!HasEnded((*state)->status)) {
    return absl::FailedPreconditionError(
        absl::StrCat("orchestration ", QuoteForMessage(id), " is ",
                     OrchestrationStatusName((*state)->status),
                     "; only one that has ended can be purged"));
  }
  return Matches{.count = 1, .first_ids = {id}};
}

absl::Status ShowDryRun(const Matches& matches, bool recursive,
                        const GlobalOptions& global, Surroundings& around) {
  const size_t shown = matches.first_ids.size();
  std::string text =
      absl::StrCat("Would purge ", Orchestrations(matches.count),
                   recursive && matches.count > 0 ? kAndChildren : "");
  if (matches.count == 0) {
    text += ".";
  } else {
    absl::StrAppend(&text, static_cast<int64_t>(shown) < matches.count
                               ? ". The first of them:"
                               : ":");
    for (const std::string& id : matches.first_ids) {
      absl::StrAppend(&text, "\n", Printable(id));
    }
  }
  JsonObject json;
  json.Number("would_purge", matches.count);
  json.Texts("first_ids", matches.first_ids);
  Output output(global.output, around.out);
  if (output.format() == OutputFormat::kJson) {
    output.Write(json.line());
  } else {
    output.SayLine(text);
  }
  return output.status();
}

// Asks a person. OK: yes.
absl::Status Ask(OrchestrationClient& client, const PurgeOptions& options,
                 Surroundings& around) {
  const absl::StatusOr<Matches> matches = Count(client, {}, kAskedMax);
  if (!matches.ok()) return matches.status();
  around.err << "Purge " << (matches->more ? "more than " : "all ")
             << Orchestrations(matches->count) << " that have ended"
             << (options.recursive ? kAndChildren : "") << "? [y/N] "
             << std::flush;
  std::string answer;
  std::getline(around.in, answer);
  absl::AsciiStrToLower(&answer);
  absl::StripAsciiWhitespace(&answer);
  if (answer == "y" || answer == "yes") return absl::OkStatus();
  return absl::CancelledError("nothing was purged");
}

absl::StatusOr<int64_t> PurgeAll(OrchestrationClient& client,
                                 const OrchestrationFilter& filter,
                                 bool recursive) {
  int64_t purged = 0;
  while (true) {
    const auto result = client.PurgeMatching(filter, recursive);
    if (!result.ok()) return result.status();
    purged += result->purged;
    if (result->complete) return purged;
    if (result->purged == 0) {
      return absl::UnavailableError(
          absl::StrCat("the server purged ", purged,
                       " but cannot purge the rest now; try again later"));
    }
  }
}

absl::Status RunPurge(OrchestrationClient& client, const PurgeOptions& options,
                      const GlobalOptions& global, Surroundings& around) {
  CheckWays(options);
  const OrchestrationFilter filter = options.filter.At(around.now());
  CheckCanMatch(filter);
  if (options.dry_run) {
    const absl::StatusOr<Matches> matches =
        options.id.empty() ? Count(client, filter, INT64_MAX)
                           : CountOne(client, options.id);
    if (!matches.ok()) return matches.status();
    return ShowDryRun(*matches, options.recursive, global, around);
  }
  if (options.all && around.interactive && !options.yes) {
    const absl::Status agreed = Ask(client, options, around);
    if (!agreed.ok()) return agreed;
  }
  const auto purged = options.id.empty()
                          ? PurgeAll(client, filter, options.recursive)
                          : client.Purge(options.id, options.recursive);
  if (!purged.ok()) return purged.status();
  return WriteDone(absl::StrCat("Purged ", Orchestrations(*purged), "."),
                   JsonObject().Number("purged", *purged), global, around);
}

}  // namespace

Command AddPurgeCommand(CLI::App& group) {
  const auto options = std::make_shared<PurgeOptions>();
  CLI::App* app = group.add_subcommand(
      "purge",
      "Erase an orchestration that has ended, or all that have ended and match "
      "a filter");
  AddId(*app, options->id);
  AddFilter(*app, options->filter);
  app->add_flag("--all", options->all,
                "all that have ended; on a terminal it asks first");
  app->add_flag("--recursive", options->recursive,
                "also their sub-orchestrations, and theirs");
  app->add_flag("--dry-run", options->dry_run,
                "erase nothing: show how many it would be, and the first IDs");
  app->add_flag("--yes", options->yes, "do not ask");
  return CallingCommand(
      app, [options](OrchestrationClient& client, const GlobalOptions& global,
                     Surroundings& around) {
        return RunPurge(client, *options, global, around);
      });
}

}  // namespace leasehold::client::cli
