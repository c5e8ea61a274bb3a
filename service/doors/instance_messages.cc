#include "service/doors/instance_messages.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

// What an event says about an instance that is gone.
InstanceInfo InfoOfGone(const WatchHub::Event& event) {
  InstanceInfo info;
  info.key = event.key;
  info.generation = event.generation;
  info.state = InstanceState::kClosing;
  info.create_time = event.create_time;
  return info;
}

v1::Instance::State State(InstanceState state) {
  switch (state) {
    case InstanceState::kOpening:
      return v1::Instance::OPENING;
    case InstanceState::kBusy:
      return v1::Instance::BUSY;
    case InstanceState::kIdle:
      return v1::Instance::IDLE;
    case InstanceState::kClosing:
      return v1::Instance::CLOSING;
  }
  return v1::Instance::STATE_UNSPECIFIED;
}

}  // namespace

void ToMessage(absl::Duration duration, google::protobuf::Duration& message) {
  const int64_t seconds =
      absl::IDivDuration(duration, absl::Seconds(1), &duration);
  message.set_seconds(seconds);
  message.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
}

void ToMessage(absl::Time time, google::protobuf::Timestamp& message) {
  const int64_t seconds = absl::ToUnixSeconds(time);
  message.set_seconds(seconds);
  message.set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
}

void ToMessage(const InstanceInfo& info, v1::Instance& message) {
  message.set_instance_id(info.key.id);
  message.set_generation(info.generation);
  message.set_state(State(info.state));
  ToMessage(info.idle_timeout, *message.mutable_idle_timeout());
  if (info.lease_remaining.has_value()) {
    ToMessage(*info.lease_remaining, *message.mutable_lease_remaining());
  }
  message.set_held_by_provider(info.held_by_provider);
  for (const InstanceInfo::Pins& pins : info.pins) {
    v1::Instance::Pins& added = *message.add_pins();
    added.set_kind(std::string(PinKindName(pins.kind)));
    added.set_count(pins.count);
  }
  for (const std::string& extension : info.extensions) {
    message.add_extensions(extension);
  }
  ToMessage(info.create_time, *message.mutable_create_time());
  ToMessage(info.last_use_time, *message.mutable_last_use_time());
}

bool ToMessage(const WatchHub::Event& event, std::optional<InstanceInfo> info,
               v1::WatchInstancesResponse& message) {
  using Message = v1::WatchInstancesResponse;
  const bool there = info.has_value() && info->generation == event.generation;
  if (!there) info = InfoOfGone(event);
  info->idle_timeout = event.idle_timeout;
  bool used = there;
  // An idle one without a lease has a provider that gives none.
  const bool leased = !there || info->state != InstanceState::kIdle ||
                      info->lease_remaining.has_value();
  switch (event.kind) {
    case InstanceEventKind::kCreated:
      message.set_event(Message::CREATED);
      info->state = InstanceState::kBusy;
      break;
    case InstanceEventKind::kIdle:
      message.set_event(Message::IDLE);
      info->state = InstanceState::kIdle;
      info->pins.clear();
      info->held_by_provider = false;
      break;
    case InstanceEventKind::kHeldByProvider:
      message.set_event(Message::HELD_BY_PROVIDER);
      info->state = InstanceState::kIdle;
      info->pins.clear();
      info->held_by_provider = true;
      break;
    case InstanceEventKind::kPinsChanged:
      // Another event says that it is no longer busy.
      if (!there || info->state != InstanceState::kBusy) return false;
      message.set_event(Message::PINS_CHANGED);
      break;
    case InstanceEventKind::kBusy:
      message.set_event(Message::BUSY);
      info->state = InstanceState::kBusy;
      break;
    case InstanceEventKind::kRenewed:
      message.set_event(Message::RENEWED);
      break;
    case InstanceEventKind::kClosing:
    case InstanceEventKind::kClosed:
      message.set_event(event.kind == InstanceEventKind::kClosing
                            ? Message::CLOSING
                            : Message::CLOSED);
      info->state = InstanceState::kClosing;
      message.set_reason(std::string(DetachReasonName(event.reason)));
      used = false;
      break;
    case InstanceEventKind::kExpired:  // kClosing follows, with its reason.
    case InstanceEventKind::kDetachFailed:  // The log's.
    case InstanceEventKind::kThrew:
    case InstanceEventKind::kOpenFailed:  // It never was.
      return false;
  }
  // In both events after which it is idle, the lease begins with the event.
  info->lease_remaining.reset();
  if (info->state == InstanceState::kIdle && leased &&
      !info->held_by_provider) {
    info->lease_remaining = event.idle_timeout;
  }
  v1::Instance& instance = *message.mutable_instance();
  ToMessage(*info, instance);
  if (!used) instance.clear_last_use_time();
  return true;
}

absl::StatusOr<absl::Duration> FromMessage(
    const google::protobuf::Duration& message, std::string_view field) {
  // As duration.proto requires.
  constexpr int64_t kSecondsMax = 315'576'000'000;
  if (message.seconds() < 0 || message.nanos() < 0 ||
      message.seconds() > kSecondsMax || message.nanos() > 999'999'999) {
    return absl::InvalidArgumentError(absl::StrCat(
        View(field), ": must be zero or more, and at most 10,000 years: ",
        message.seconds(), " s ", message.nanos(), " ns"));
  }
  return absl::Seconds(message.seconds()) + absl::Nanoseconds(message.nanos());
}

absl::StatusOr<InstanceQuery> FromMessage(
    const v1::ListInstancesRequest& message) {
  InstanceQuery query;
  if (message.page_size() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size: must be zero or more: ", message.page_size()));
  }
  if (message.page_size() > 0) {
    query.page_size = static_cast<size_t>(message.page_size());
  }
  query.page_token = message.page_token();
  query.id_prefix = message.id_prefix();
  switch (message.state()) {
    case v1::Instance::STATE_UNSPECIFIED:
      break;
    case v1::Instance::OPENING:
      query.state = InstanceState::kOpening;
      break;
    case v1::Instance::BUSY:
      query.state = InstanceState::kBusy;
      break;
    case v1::Instance::IDLE:
      query.state = InstanceState::kIdle;
      break;
    case v1::Instance::CLOSING:
      query.state = InstanceState::kClosing;
      break;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("state: no known state: ", message.state()));
  }
  return query;
}

}  // namespace leasehold
