#include "client/cli/orchestration_values.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/values.h"

namespace leasehold::client::cli {
absl::StatusOr<Moment> ReadMoment(const std::string& text) {
  const bool from_now = text.starts_with('+') || text.starts_with('-');
  absl::Duration duration;
  if (from_now && absl::ParseDuration(text, &duration) &&
      absl::AbsDuration(duration) != absl::InfiniteDuration()) {
    return Moment(duration);
  }
  absl::Time time;
  if (!from_now && absl::ParseTime(absl::RFC3339_full, text, &time, nullptr) &&
      time != absl::InfiniteFuture() && time != absl::InfinitePast()) {
    return Moment(time);
  }
  return WrongValue(
      text,
      "not a time; write a date, as in 2024-10-04T17:46:40Z, or a "
      "time from now, as in +30s or -1h");
}

absl::StatusOr<OrchestrationStatus> ReadStatus(const std::string& text) {
  for (const OrchestrationStatus status :
       {OrchestrationStatus::kPending, OrchestrationStatus::kRunning,
        OrchestrationStatus::kSuspended, OrchestrationStatus::kCompleted,
        OrchestrationStatus::kFailed, OrchestrationStatus::kTerminated}) {
    if (absl::EqualsIgnoreCase(text, OrchestrationStatusName(status))) {
      return status;
    }
  }
  return WrongValue(text,
                    "not a status; write pending, running, suspended, "
                    "completed, failed or terminated");
}

absl::StatusOr<IfActive> ReadIfActive(const std::string& text) {
  if (text == "fail") return IfActive::kFail;
  if (text == "attach") return IfActive::kAttach;
  if (text == "terminate") return IfActive::kTerminate;
  return WrongValue(text, "not a choice; write fail, attach or terminate");
}

absl::StatusOr<IfFinished> ReadIfFinished(const std::string& text) {
  if (text == "fail") return IfFinished::kFail;
  if (text == "attach") return IfFinished::kAttach;
  if (text == "replace") return IfFinished::kReplace;
  return WrongValue(text, "not a choice; write fail, attach or replace");
}

absl::StatusOr<ListOrder> ReadOrder(const std::string& text) {
  if (text == "oldest") return ListOrder::kOldestFirst;
  if (text == "newest") return ListOrder::kNewestFirst;
  return WrongValue(text, "not an order; write oldest or newest");
}

absl::StatusOr<std::pair<std::string, std::string>> ReadTag(
    const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) {
    return WrongValue(text, "not a tag; write KEY=VALUE, as in team=blue");
  }
  absl::StatusOr<std::string> checked = ReadText(text);
  if (!checked.ok()) return checked.status();
  return std::make_pair(text.substr(0, equals), text.substr(equals + 1));
}

bool FilterOptions::any() const {
  return !statuses.empty() || !id_prefix.empty() || created_from.has_value() ||
         created_to.has_value() || !name.empty() || !tags.empty();
}

OrchestrationFilter FilterOptions::At(absl::Time now) const {
  OrchestrationFilter filter;
  filter.statuses = statuses;
  filter.id_prefix = id_prefix;
  if (created_from.has_value()) filter.created_from = created_from->At(now);
  if (created_to.has_value()) filter.created_to = created_to->At(now);
  filter.name = name;
  filter.tags = tags;
  return filter;
}

void AddFilter(CLI::App& app, FilterOptions& options) {
  AddValues(app, "--status", options.statuses, ReadStatus,
            "only with this status: pending, running, suspended, completed, "
            "failed or terminated; may be a list with commas, or repeated")
      ->delimiter(',')
      ->type_name("STATUS");
  AddValue(app, "--id-prefix", options.id_prefix, ReadId,
           "only IDs with this prefix")
      ->type_name("PREFIX");
  AddValue(app, "--created-from", options.created_from, ReadMoment,
           "only those created at this time or later, as in "
           "2024-10-04T17:46:40Z, or from now, as in -1h")
      ->type_name("TIME");
  AddValue(app, "--created-to", options.created_to, ReadMoment,
           "only those created at this time or earlier")
      ->type_name("TIME");
  AddValue(app, "--name", options.name, ReadText,
           "only those of this orchestrator")
      ->type_name("NAME");
  AddValues(app, "--tag", options.tags, ReadText,
            "only those with this tag, and any value if it is KEY alone; may "
            "be repeated")
      ->type_name("KEY[=VALUE]");
}

}  // namespace leasehold::client::cli
