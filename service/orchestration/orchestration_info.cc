#include "service/orchestration/orchestration_info.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/instance/instance_key.h"

namespace leasehold {

StoredTime ToStored(absl::Time time) { return absl::ToUnixMicros(time); }
absl::Time FromStored(StoredTime time) { return absl::FromUnixMicros(time); }

absl::StatusOr<OrchestrationInfo> InfoOf(const InstanceRow& row) {
  std::optional<Summary> summary = DecodeMessage<Summary>(row.summary);
  if (!summary.has_value()) {
    return absl::DataLossError(
        absl::StrCat("the stored summary of orchestration ",
                     QuoteForMessage(row.id), " cannot be read"));
  }
  OrchestrationInfo info;
  info.id = row.id;
  info.status = static_cast<OrchestrationStatus>(row.status);
  info.created = FromStored(row.created);
  if (row.finished.has_value()) info.finished = FromStored(*row.finished);
  info.summary = *std::move(summary);
  // Who is ended without a worker keeps the summary of before.
  if (info.finished.has_value()) {
    info.summary.updated =
        std::max(info.summary.updated, ToTimestamp(*info.finished));
  }
  return info;
}

absl::Status NoSuchOrchestration(const InstanceKey& key) {
  return absl::NotFoundError(
      absl::StrCat("there is no orchestration ", QuoteForMessage(key.id)));
}

absl::Status AddPayloads(const HistoryEnds& ends, OrchestrationInfo& info) {
  info.has_payloads = true;
  bool good = true;
  const auto look = [&](std::string_view bytes) {
    std::optional<HistoryEvent> event = DecodeEvent(bytes);
    good = good && event.has_value();
    if (!good) return;
    if (auto* started = std::get_if<ExecutionStarted>(&event->body)) {
      info.input = std::move(started->input);
    }
    // One that is being rewound has an end in its history, and goes on.
    auto* completed = std::get_if<ExecutionCompleted>(&event->body);
    if (completed != nullptr && info.finished.has_value()) {
      info.output = std::move(completed->result);
      info.failure = std::move(completed->failure);
    }
  };
  good = ForEachFrame(ends.first, look) && good;
  good = ForEachFrame(ends.last, look) && good;
  if (good) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("the stored history of orchestration ",
                   QuoteForMessage(info.id), " cannot be read"));
}

}  // namespace leasehold
