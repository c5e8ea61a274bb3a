#include "service/orchestration/not_mine.h"

#include <algorithm>
#include <string>
#include <variant>

#include "absl/strings/str_replace.h"

namespace leasehold {
namespace {

// The error types of the SDKs. A bare class name could be a user's own: then
// the message must name the work.
struct NotRegisteredType {
  WorkKind kind;
  std::string_view type;
  bool bare;
};
constexpr NotRegisteredType kTypes[] = {
    // Python, as named before 1.0 and since; JavaScript.
    {WorkKind::kTurn, "durabletask.worker.OrchestratorNotRegisteredError",
     false},
    {WorkKind::kActivity, "durabletask.worker.ActivityNotRegisteredError",
     false},
    {WorkKind::kTurn, "OrchestratorNotRegisteredError", true},
    {WorkKind::kActivity, "ActivityNotRegisteredError", true},
    {WorkKind::kEntity, "EntityNotRegisteredError", true},
    // .NET and our own SDK.
    {WorkKind::kTurn, "OrchestratorTaskNotFound", false},
    {WorkKind::kActivity, "ActivityTaskNotFound", false},
    // .NET, for a whole batch.
    {WorkKind::kEntity, "EntityTaskNotFound", false},
    // Go, for activities.
    {WorkKind::kActivity, "TaskActivityNotRegistered", false},
};

// The messages of SDKs whose type says nothing; $0 is the name.
struct NotRegisteredText {
  WorkKind kind;
  std::string_view text;
};
constexpr NotRegisteredText kTexts[] = {
    // Java.
    {WorkKind::kTurn,
     "No orchestration factory registered for orchestration type '$0'. This "
     "usually means that a worker that doesn't support this orchestration type "
     "is connected to this task hub. Make sure the worker has a registered "
     "orchestration for '$0'."},
    {WorkKind::kActivity, "No activity task named '$0' is registered."},
    // Go.
    {WorkKind::kTurn, "orchestrator named '$0' is not registered"},
    {WorkKind::kActivity, "no task activity named '$0' was registered"},
};

// Whether the first quoted text is the name, with or without a version after a
// colon.
bool NamesFirst(std::string_view message, std::string_view name) {
  const size_t quote = message.find_first_of("'\"");
  if (quote == std::string_view::npos) return false;
  const std::string_view quoted = message.substr(quote + 1);
  if (!quoted.starts_with(name) || quoted.size() == name.size()) return false;
  const char after = quoted[name.size()];
  return after == message[quote] || after == ':';
}

}  // namespace

bool SaysNotMine(WorkKind kind, std::string_view name,
                 const OpaqueMessage& failure) {
  if (!failure.has_value()) return false;
  const auto details = DecodeMessage<FailureDetails>(*failure.bytes);
  if (!details.has_value()) return false;
  const std::string& message = details->message;
  for (const NotRegisteredType& one : kTypes) {
    if (one.kind != kind || one.type != details->type) continue;
    if (message.empty()) return !one.bare;
    return NamesFirst(message, name);
  }
  const absl::string_view with(name.data(), name.size());
  return std::any_of(
      std::begin(kTexts), std::end(kTexts), [&](const NotRegisteredText& one) {
        const absl::string_view text(one.text.data(), one.text.size());
        return one.kind == kind &&
               message == absl::StrReplaceAll(text, {{"$0", with}});
      });
}

bool SaysNotMine(std::string_view name, const TurnAnswer& answer) {
  if (answer.actions.size() != 1 || answer.partial) return false;
  const auto* end =
      std::get_if<CompleteExecution>(&answer.actions.front().what);
  return end != nullptr && end->status == OrchestrationStatus::kFailed &&
         SaysNotMine(WorkKind::kTurn, name, end->failure);
}

bool SaysNotMine(std::string_view name, const BatchAnswer& answer) {
  return !answer.results.empty() &&
         std::all_of(answer.results.begin(), answer.results.end(),
                     [name](const OperationResult& result) {
                       return SaysNotMine(WorkKind::kEntity, name,
                                          result.failure);
                     });
}

}  // namespace leasehold
