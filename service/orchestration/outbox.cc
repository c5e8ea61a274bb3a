#include "service/orchestration/outbox.h"

#include <utility>

#include "service/orchestration/wire.h"

namespace leasehold {
namespace {

// The body of a row.
struct Body {
  std::string tenant;
  std::string instance_id;
  std::string execution_id;
  std::string event;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.tenant);
    field(2, self.instance_id);
    field(3, self.execution_id);
    field(4, self.event);
  }
};

}  // namespace

void Outbox::Begin(const Fence& fence) {
  fence_ = fence;
  last_ = 0;
}

OutboxRow Outbox::MakeRow(PartitionId target, const OutboxMessage& message) {
  return {.source = fence_.partition,
          .ordinal = (fence_.epoch << 32) | ++last_,
          .target = target,
          .body = EncodeMessage(Body{message.to.tenant, message.to.id,
                                     message.execution_id,
                                     EncodeEvent(message.event)})};
}

std::optional<OutboxMessage> Outbox::Read(const OutboxRow& row) {
  if (row.damaged) return std::nullopt;
  std::optional<Body> body = DecodeMessage<Body>(row.body);
  if (!body.has_value() || body->event.empty()) return std::nullopt;
  std::optional<HistoryEvent> event = DecodeEvent(body->event);
  if (!event.has_value()) return std::nullopt;
  return OutboxMessage{{std::move(body->tenant), std::move(body->instance_id)},
                       std::move(body->execution_id),
                       *std::move(event)};
}

}  // namespace leasehold
