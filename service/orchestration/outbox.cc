#include "service/orchestration/outbox.h"

#include <utility>

#include "service/orchestration/wire.h"

namespace leasehold {
namespace {

using LetterKind = OutboxMessage::Kind;

// The body of a row.
struct Body {
  std::string tenant;
  std::string instance_id;
  std::string execution_id;
  std::string event;  // Of kEvent.
  // Programs that know only events find none in a row of another kind, and
  // leave it where it is.
  int32_t kind = 0;
  std::string detail;  // The event of another kind.

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.tenant);
    field(2, self.instance_id);
    field(3, self.execution_id);
    field(4, self.event);
    field(5, self.kind);
    field(6, self.detail);
  }
};

// Whether a message of that kind has such an event.
bool Fits(LetterKind kind, const HistoryEvent& event) {
  const auto* start = event.As<ExecutionStarted>();
  switch (kind) {
    case LetterKind::kEvent:
      return true;
    case LetterKind::kRewind:
      return start != nullptr && start->parent.has_value();
    case LetterKind::kTerminate:
      return event.As<ExecutionTerminated>() != nullptr;
    case LetterKind::kPurge:
      break;
  }
  return false;
}

}  // namespace

void Outbox::Begin(const Fence& fence) {
  fence_ = fence;
  last_ = 0;
}

OutboxRow Outbox::MakeRow(PartitionId target, const OutboxMessage& message) {
  Body body{.tenant = message.to.tenant,
            .instance_id = message.to.id,
            .execution_id = message.execution_id,
            .event = {},
            .kind = static_cast<int32_t>(message.kind),
            .detail = {}};
  if (message.kind != LetterKind::kPurge) {
    (message.kind == LetterKind::kEvent ? body.event : body.detail) =
        EncodeEvent(message.event);
  }
  return {.source = fence_.partition,
          .ordinal = (fence_.epoch << 32) | ++last_,
          .target = target,
          .body = EncodeMessage(body)};
}

std::optional<OutboxMessage> Outbox::Read(const OutboxRow& row) {
  if (row.damaged) return std::nullopt;
  std::optional<Body> body = DecodeMessage<Body>(row.body);
  if (!body.has_value()) return std::nullopt;
  const auto kind = static_cast<LetterKind>(body->kind);
  OutboxMessage message{{std::move(body->tenant), std::move(body->instance_id)},
                        std::move(body->execution_id),
                        {},
                        kind};
  if (kind == LetterKind::kPurge) return message;
  const std::string& bytes =
      kind == LetterKind::kEvent ? body->event : body->detail;
  if (bytes.empty()) return std::nullopt;
  std::optional<HistoryEvent> event = DecodeEvent(bytes);
  if (!event.has_value() || !Fits(kind, *event)) return std::nullopt;
  message.event = *std::move(event);
  return message;
}

}  // namespace leasehold
