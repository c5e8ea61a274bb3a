#include "service/orchestration/history.h"

namespace leasehold {
namespace {

// Reads the body of an event whose number is that of one of the variant's
// types.
template <size_t index = 1>
bool ReadBody(const WireReader& reader, EventBody& body) {
  if (!reader.has_bytes()) return true;  // Not a kind of event.
  if constexpr (index == std::variant_size_v<EventBody>) {
    // With a known kind present, this is an unknown field.
    if (!std::holds_alternative<OtherEvent>(body)) return true;
    body = OtherEvent{reader.field(), std::string(reader.bytes())};
    return true;
  } else {
    using Body = std::variant_alternative_t<index, EventBody>;
    if (reader.field() != Body::kNumber) {
      return ReadBody<index + 1>(reader, body);
    }
    return reader.Read(body.emplace<Body>());
  }
}

}  // namespace

std::string_view StatusName(OrchestrationStatus status) {
  switch (status) {
    case OrchestrationStatus::kRunning:
      return "Running";
    case OrchestrationStatus::kCompleted:
      return "Completed";
    case OrchestrationStatus::kContinuedAsNew:
      return "ContinuedAsNew";
    case OrchestrationStatus::kFailed:
      return "Failed";
    case OrchestrationStatus::kCanceled:
      return "Canceled";
    case OrchestrationStatus::kTerminated:
      return "Terminated";
    case OrchestrationStatus::kPending:
      return "Pending";
    case OrchestrationStatus::kSuspended:
      return "Suspended";
    case OrchestrationStatus::kDamaged:
      return "Damaged";
  }
  return "Unknown";
}

bool IsFinished(OrchestrationStatus status) {
  return status == OrchestrationStatus::kCompleted ||
         status == OrchestrationStatus::kFailed ||
         status == OrchestrationStatus::kTerminated ||
         status == OrchestrationStatus::kDamaged;
}

Timestamp ToTimestamp(absl::Time time) {
  const int64_t seconds = absl::ToUnixSeconds(time);
  return {seconds, static_cast<int32_t>(absl::ToInt64Nanoseconds(
                       time - absl::FromUnixSeconds(seconds)))};
}

absl::Time ToTime(const Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds) +
         absl::Nanoseconds(timestamp.nanos);
}

OpaqueMessage MakeFailure(std::string type, std::string message) {
  return {EncodeMessage(FailureDetails{std::move(type), std::move(message)})};
}

int NumberOf(const HistoryEvent& event) {
  return std::visit(
      [](const auto& body) {
        if constexpr (requires { body.kNumber; }) {
          return body.kNumber;
        } else {
          return body.number;
        }
      },
      event.body);
}

int NumberOf(std::string_view beginning) {
  WireReader reader(beginning);
  // ID and time come first; the field of the kind is cut off.
  while (reader.Next()) {
    if (reader.field() > 2 && reader.has_bytes()) return reader.field();
  }
  return reader.ok() || reader.field() <= 2 ? 0 : reader.field();
}

std::string EncodeEvent(const HistoryEvent& event) {
  std::string bytes;
  WireWriter writer(bytes);
  writer(1, event.id);
  writer(2, event.time);
  std::visit(
      [&writer](const auto& body) {
        if constexpr (requires { body.bytes; }) {
          if (body.number > 0) writer.Bytes(body.number, body.bytes);
        } else {
          writer(body.kNumber, body);
        }
      },
      event.body);
  return bytes;
}

std::optional<HistoryEvent> DecodeEvent(std::string_view bytes) {
  std::optional<HistoryEvent> event(std::in_place);
  event->id = 0;  // The value of an absent field.
  WireReader reader(bytes);
  bool good = true;
  while (good && reader.Next()) {
    if (reader.field() == 1) {
      good = reader.Read(event->id);
    } else if (reader.field() == 2) {
      good = reader.Read(event->time);
    } else {
      good = ReadBody(reader, event->body);
    }
  }
  if (!good || !reader.ok()) event.reset();
  return event;
}

void AppendFrame(std::string& frames, int field, std::string_view event) {
  WireWriter(frames).Bytes(field, event);
}

bool ForEachFrame(std::string_view frames,
                  const std::function<void(std::string_view event)>& each) {
  WireReader reader(frames);
  while (reader.Next()) each(reader.bytes());
  return reader.ok();
}

}  // namespace leasehold
