#include "service/doors/entity_messages.h"

#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "lease/base/instance_id.h"
#include "lease/base/utf8.h"
#include "service/doors/instance_messages.h"
#include "service/doors/message_values.h"
#include "service/doors/orchestration_messages.h"
#include "service/orchestration/bounds.h"

namespace leasehold {
namespace {

// Clients accept 8 KiB of headers with an answer. Of the failure's message in
// the status, and of each text in its details:
constexpr size_t kMessageBytesMax = 512;
constexpr size_t kDetailBytesMax = 1024;

absl::Status CheckOperation(std::string_view operation) {
  if (operation.empty()) {
    return absl::InvalidArgumentError(
        "operation: is required; it says what the entity is to do");
  }
  return CheckName("operation", operation);
}

}  // namespace

// ---- From messages ----------------------------------------------------------

absl::StatusOr<EntitySignal> FromMessage(v1::SignalEntityRequest& message,
                                         const InstanceKey& key) {
  if (absl::Status status = CheckOperation(message.operation()); !status.ok()) {
    return status;
  }
  EntitySignal signal{.key = key,
                      .operation = std::move(*message.mutable_operation())};
  if (message.has_input()) signal.input = std::move(*message.mutable_input());
  if (message.has_scheduled_time()) {
    const absl::StatusOr<Timestamp> at =
        FromMessage(message.scheduled_time(), "scheduled_time");
    if (!at.ok()) return at.status();
    signal.scheduled = *at;
  }
  return signal;
}

absl::StatusOr<EntityCall> FromMessage(v1::CallEntityRequest& message,
                                       const InstanceKey& key) {
  if (absl::Status status = CheckOperation(message.operation()); !status.ok()) {
    return status;
  }
  EntityCall call{.key = key,
                  .operation = std::move(*message.mutable_operation())};
  if (message.has_input()) call.input = std::move(*message.mutable_input());
  call.request_id = std::move(*message.mutable_request_id());
  return call;
}

absl::StatusOr<EntityListQuery> FromMessage(
    const v1::ListEntitiesRequest& message, const Caller& caller) {
  const v1::EntityFilter& filter = message.filter();
  const auto from = BoundFrom(filter.has_updated_from(), filter.updated_from(),
                              "updated_from");
  if (!from.ok()) return from.status();
  const auto to =
      BoundFrom(filter.has_updated_to(), filter.updated_to(), "updated_to");
  if (!to.ok()) return to.status();
  const absl::StatusOr<size_t> page_size = PageSizeFrom(message.page_size());
  if (!page_size.ok()) return page_size.status();
  return EntityListQuery{
      .tenant = caller.tenant,
      .id_prefix = NormalIdPrefix(filter.id_prefix()),
      .modified_from = *from,
      .modified_to = *to,
      .with_state = message.include_states(),
      .with_stateless = filter.include_stateless(),
      .page_token = {.text = message.page_token(), .field = "page_token"},
      .count_max = *page_size};
}

// ---- To messages ------------------------------------------------------------

absl::Status OperationFailed(const EntityCall& call,
                             const OpaqueMessage& failure) {
  v1::OrchestrationFailure details;
  ToMessage(failure, details);
  const auto cut = [](std::string& text) {
    if (text.size() <= kDetailBytesMax) return;
    text.resize(Utf8Front(text, kDetailBytesMax).size());
    text += "...";
  };
  cut(*details.mutable_type());
  cut(*details.mutable_message());
  cut(*details.mutable_stack_trace());
  if (details.cause().ByteSizeLong() > 2 * kDetailBytesMax) {
    details.clear_cause();
  }
  absl::Status status = absl::UnknownError(absl::StrCat(
      "operation ", QuoteForMessage(call.operation), " of entity ",
      QuoteForMessage(call.key.id), " failed: ", details.type(), ": ",
      std::string(Utf8Front(details.message(), kMessageBytesMax))));
  status.SetPayload("type.googleapis.com/leasehold.v1.OrchestrationFailure",
                    absl::Cord(details.SerializeAsString()));
  return status;
}

void ToMessage(const EntityInfo& info, v1::EntityInfo& message) {
  message.set_instance_id(info.id);
  message.set_exists(info.has_state);
  if (info.state.has_value()) message.set_state(*info.state);
  if (info.has_state) {
    ToMessage(info.modified, *message.mutable_update_time());
  }
  message.set_waiting_count(static_cast<int64_t>(info.waiting));
  message.set_waiting_for(info.waiting_for);
  if (!info.lock.has_value()) return;
  v1::EntityLock& lock = *message.mutable_lock();
  lock.set_holder(info.lock->holder);
  lock.set_section_id(info.lock->section_id);
  ToMessage(FromStored(info.lock->since), *lock.mutable_lock_time());
  if (info.lock->until != 0) {
    ToMessage(FromStored(info.lock->until), *lock.mutable_expire_time());
  }
}

void ToMessage(const EntityList& list, v1::ListEntitiesResponse& message) {
  for (const EntityInfo& info : list.entities) {
    ToMessage(info, *message.add_entities());
  }
  message.set_next_page_token(list.next_page_token);
}

}  // namespace leasehold
