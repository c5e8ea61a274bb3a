#include "service/orchestration/orchestration_info.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/instance/instance_key.h"

namespace leasehold {

StoredTime ToStored(absl::Time time) { return absl::ToUnixMicros(time); }
absl::Time FromStored(StoredTime time) { return absl::FromUnixMicros(time); }

namespace {

// Without status and summary.
OrchestrationInfo OfRow(const RunRow& row) {
  OrchestrationInfo info;
  info.id = row.id;
  info.created = FromStored(row.created);
  if (row.finished.has_value()) info.finished = FromStored(*row.finished);
  return info;
}

}  // namespace

absl::StatusOr<OrchestrationInfo> InfoOf(const RunRow& row) {
  if (row.damaged) {
    return absl::DataLossError(absl::StrCat("the row of orchestration ",
                                            QuoteForMessage(row.id),
                                            " does not have its checksum"));
  }
  std::optional<Summary> summary = DecodeMessage<Summary>(row.summary);
  if (!summary.has_value()) {
    return absl::DataLossError(
        absl::StrCat("the stored summary of orchestration ",
                     QuoteForMessage(row.id), " cannot be read"));
  }
  OrchestrationInfo info = OfRow(row);
  info.status = static_cast<OrchestrationStatus>(row.status);
  info.summary = *std::move(summary);
  // An end without a worker does not update the summary.
  if (info.finished.has_value()) {
    info.summary.updated =
        std::max(info.summary.updated, ToTimestamp(*info.finished));
  }
  return info;
}

OrchestrationInfo DamagedInfoOf(const RunRow& row, const std::string& why) {
  OrchestrationInfo info = OfRow(row);
  info.status = OrchestrationStatus::kDamaged;
  auto summary = DecodeMessage<Summary>(row.summary);
  if (summary.has_value() && !row.damaged) info.summary = *std::move(summary);
  info.summary.updated = std::max(
      info.summary.updated, ToTimestamp(info.finished.value_or(info.created)));
  info.has_payloads = true;
  info.failure = MakeFailure("Damaged", why);
  return info;
}

absl::Status IsDamaged(std::string_view id, const std::string& why) {
  return absl::DataLossError(absl::StrCat(
      "orchestration ", QuoteForMessage(id), " is damaged: ", why,
      "; `leasehold-server check --export` saves what is left of it, and a "
      "purge frees its ID"));
}

absl::Status NoSuchOrchestration(const InstanceKey& key) {
  return absl::NotFoundError(
      absl::StrCat("there is no orchestration ", QuoteForMessage(key.id)));
}

absl::Status AddPayloads(const HistoryEnds& ends, OrchestrationInfo& info) {
  info.has_payloads = true;
  if (ends.first.empty() && info.summary.chunks > 0) {
    return absl::DataLossError("its history is missing");
  }
  bool good = true;
  const auto look = [&](std::string_view bytes) {
    std::optional<HistoryEvent> event = DecodeEvent(bytes);
    good = good && event.has_value();
    if (!good) return;
    if (auto* started = std::get_if<ExecutionStarted>(&event->body)) {
      info.input = std::move(started->input);
    }
    // During a rewind the history has an end, but the orchestration continues.
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

size_t SizeOf(const OrchestrationInfo& info) {
  constexpr size_t kTimesAndTags = 200;  // Of the fields.
  const auto size = [](const auto& text) {
    return text.has_value() ? text->size() : 0;
  };
  const Summary& summary = info.summary;
  size_t bytes = kTimesAndTags + info.id.size() + summary.name.size() +
                 size(summary.version) + summary.execution_id.size() +
                 size(summary.parent_id) + size(summary.custom_status) +
                 size(info.input) + size(info.output) +
                 size(info.failure.bytes);
  for (const auto& [key, value] : summary.tags) {
    bytes += key.size() + value.size() + 12;
  }
  return bytes;
}

void FitIntoPage(OrchestrationInfo& info, size_t bytes_max) {
  // Shorter payloads are not replaced.
  constexpr size_t kKept = 1024;
  while (SizeOf(info) > bytes_max) {
    struct {
      Payload* payload;
      const char* name;
    } all[] = {{&info.input, "input"},
               {&info.output, "output"},
               {&info.summary.custom_status, "custom status"}};
    const auto largest = std::max_element(
        std::begin(all), std::end(all), [](const auto& a, const auto& b) {
          return a.payload->value_or("").size() <
                 b.payload->value_or("").size();
        });
    const size_t size = largest->payload->value_or("").size();
    if (size > kKept) {
      *largest->payload = absl::StrCat(
          "\"(the ", largest->name, " has ", size,
          " bytes, too many for a page: ask for this orchestration alone)\"");
      continue;
    }
    // Stored before these fields had limits.
    Summary& summary = info.summary;
    summary.name.resize(std::min(summary.name.size(), kKept));
    if (summary.version.has_value()) {
      summary.version->resize(std::min(summary.version->size(), kKept));
    }
    summary.tags.clear();
    if (info.failure.has_value() && info.failure.bytes->size() > kKept) {
      info.failure = MakeFailure(
          "LeftOut",
          "the failure is too large for a page: ask for this orchestration "
          "alone");
    }
    break;
  }
}

}  // namespace leasehold
