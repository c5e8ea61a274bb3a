#include "client/cli/orchestration_view.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/output.h"
#include "client/cli/paragraph.h"
#include "client/cli/printable.h"

namespace leasehold::client::cli {
namespace {

std::string BriefIfAny(const std::optional<std::string>& text) {
  return text.has_value() ? Brief(*text, kBriefBytes) : "";
}

// With the names used by Durable Functions.
std::vector<std::pair<const char*, std::string>> Named(
    const ManagementUrls& urls) {
  return {{"id", urls.id},
          {"statusQueryGetUri", urls.status_query_get_uri},
          {"sendEventPostUri", urls.send_event_post_uri},
          {"terminatePostUri", urls.terminate_post_uri},
          {"rewindPostUri", urls.rewind_post_uri},
          {"purgeHistoryDeleteUri", urls.purge_history_delete_uri},
          {"restartPostUri", urls.restart_post_uri},
          {"suspendPostUri", urls.suspend_post_uri},
          {"resumePostUri", urls.resume_post_uri}};
}

}  // namespace

std::string FailureText(const OrchestrationFailure& failure) {
  std::string text = absl::StrCat(
      failure.type, failure.type.empty() ? "" : ": ", failure.message);
  if (failure.cause == nullptr) return text;
  return absl::StrCat(text, ", because of ", FailureText(*failure.cause));
}

JsonObject FailureJson(const OrchestrationFailure& failure) {
  JsonObject object;
  object.Text("type", failure.type).Text("message", failure.message);
  object.TextIfAny("stack_trace", failure.stack_trace);
  if (failure.non_retriable) object.Flag("non_retriable", true);
  if (failure.cause != nullptr) {
    object.Object("cause", FailureJson(*failure.cause));
  }
  return object;
}

Table::Heading OrchestrationHeading() {
  return {{"INSTANCE", Column::Kind::kId},
          {"NAME", Column::Kind::kText},
          {"STATUS", Column::Kind::kState},
          "CREATED",
          {"UPDATED", Column::Kind::kExtra},
          {"CUSTOM STATUS", Column::Kind::kText}};
}

Table::Row OrchestrationRow(const OrchestrationState& state, const Look& look) {
  return {
      Printable(state.instance_id),          Printable(state.name),
      OrchestrationStatusName(state.status), TimeText(state.create_time, look),
      TimeText(state.update_time, look),     BriefIfAny(state.custom_status)};
}

std::string OrchestrationText(const OrchestrationState& state, const Look& look,
                              const std::string& why) {
  Paragraph lines(look);
  lines.Add("Instance", state.instance_id);
  lines.Add("Execution", state.execution_id);
  lines.Add("Name", state.name);
  lines.AddIfAny("Version", state.version);
  lines.AddState("Status", OrchestrationStatusName(state.status));
  lines.AddIfAny("Why", why);
  if (why.empty()) lines.AddIfAny("Waiting for", state.waiting_for);
  lines.AddIfAny("Custom status", state.custom_status);
  lines.AddTime("Created", state.create_time);
  lines.AddIfAny("Not before", state.scheduled_start_time);
  lines.AddTime("Updated", state.update_time);
  lines.AddIfAny("Ended", state.end_time);
  lines.AddIfAny("Parent", state.parent_instance_id);
  lines.AddIfAny("Tags",
                 absl::StrJoin(state.tags, ", ", absl::PairFormatter("=")));
  lines.AddIfAny("Input", state.input);
  lines.AddIfAny("Output", state.output);
  if (state.failure.has_value()) {
    lines.Add("Failure", FailureText(*state.failure));
    for (const std::string& line : std::vector<std::string>(absl::StrSplit(
             state.failure->stack_trace, '\n', absl::SkipEmpty()))) {
      lines.Add("", line);
    }
  }
  return lines.text();
}

JsonObject OrchestrationJson(const OrchestrationState& state,
                             Payloads payloads) {
  JsonObject object;
  object.Text("instance_id", state.instance_id)
      .Text("execution_id", state.execution_id)
      .Text("name", state.name)
      .TextIfAny("version", state.version)
      .Text("status", OrchestrationStatusName(state.status))
      .Time("create_time", state.create_time)
      .Time("update_time", state.update_time)
      .TimeIfAny("end_time", state.end_time)
      .TimeIfAny("scheduled_start_time", state.scheduled_start_time)
      .PayloadIfAny("custom_status", state.custom_status, payloads)
      .MapIfAny("tags", state.tags)
      .TextIfAny("parent_instance_id", state.parent_instance_id)
      .TextIfAny("waiting_for", state.waiting_for)
      .PayloadIfAny("input", state.input, payloads)
      .PayloadIfAny("output", state.output, payloads);
  if (state.failure.has_value()) {
    object.Object("failure", FailureJson(*state.failure));
  }
  return object;
}

Table::Heading StateHeading() {
  // As wide as the widest value, since rows are written one by one.
  return {"UPDATED                 ",
          {"STATUS    ", Column::Kind::kState},
          {"CUSTOM STATUS", Column::Kind::kText},
          {"RESULT", Column::Kind::kText}};
}

Table::Row StateRow(const OrchestrationState& state) {
  return {TimeText(state.update_time), OrchestrationStatusName(state.status),
          BriefIfAny(state.custom_status),
          state.failure.has_value()
              ? Brief(FailureText(*state.failure), kBriefBytes)
              : BriefIfAny(state.output)};
}

std::string ReceiptText(const OrchestrationReceipt& receipt, const Look& look) {
  std::string text = Table({{"INSTANCE", Column::Kind::kId},
                            "CREATED",
                            {"EXECUTION", Column::Kind::kId}},
                           look)
                         .Lines({{Printable(receipt.instance_id),
                                  receipt.created ? "yes" : "no",
                                  Printable(receipt.execution_id)}});
  if (!receipt.urls.has_value()) return text;
  for (const auto& [name, url] : Named(*receipt.urls)) {
    if (url.empty()) continue;
    absl::StrAppendFormat(&text, "%-23s%s\n", name, Printable(url));
  }
  return text;
}

JsonObject ReceiptJson(const OrchestrationReceipt& receipt) {
  JsonObject object;
  object.Text("instance_id", receipt.instance_id)
      .Text("execution_id", receipt.execution_id)
      .Flag("created", receipt.created);
  if (receipt.urls.has_value()) {
    JsonObject urls;
    for (const auto& [name, url] : Named(*receipt.urls)) {
      urls.TextIfAny(name, url);
    }
    object.Object("urls", urls);
  }
  return object;
}

}  // namespace leasehold::client::cli
