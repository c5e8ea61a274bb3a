#include "client/cli/instance_view.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/printable.h"

namespace leasehold::client::cli {
namespace {

// An instance that its provider holds has no remaining time.
std::string LeaseText(const Instance& instance) {
  if (instance.held_by_provider) return "provider";
  return instance.lease_remaining.has_value()
             ? BriefDuration(*instance.lease_remaining)
             : "";
}

}  // namespace

std::string BriefDuration(absl::Duration duration) {
  duration = std::max(duration, absl::ZeroDuration());
  return absl::FormatDuration(absl::Trunc(duration, duration < absl::Minutes(1)
                                                        ? absl::Milliseconds(10)
                                                        : absl::Seconds(1)));
}

std::string PinsText(const Instance& instance) {
  return absl::StrJoin(
      instance.pins, ", ", [](std::string* text, const Instance::Pins& pin) {
        absl::StrAppend(text, Printable(pin.kind), " ", pin.count);
      });
}

Table::Heading InstanceHeading() {
  return {{"INSTANCE", Column::Kind::kId},
          {"STATE", Column::Kind::kState},
          "LEASE",
          "TIMEOUT",
          {"PINS", Column::Kind::kText},
          "GENERATION",
          "AGE",
          {"EXTENSIONS", Column::Kind::kExtra}};
}

Table::Row InstanceRow(const Instance& instance, absl::Time now) {
  return {Printable(instance.instance_id),
          std::string(InstanceStateName(instance.state)),
          LeaseText(instance),
          BriefDuration(instance.idle_timeout),
          PinsText(instance),
          absl::StrCat(instance.generation),
          BriefDuration(now - instance.create_time),
          Printable(absl::StrJoin(instance.extensions, ", "))};
}

JsonObject InstanceJson(const Instance& instance, absl::Time now) {
  JsonObject pins;
  for (const Instance::Pins& pin : instance.pins) {
    pins.Number(pin.kind, pin.count);
  }
  JsonObject object;
  object.Text("instance_id", instance.instance_id)
      .Number("generation", instance.generation)
      .Text("state", InstanceStateName(instance.state))
      .Milliseconds("idle_timeout_ms", instance.idle_timeout)
      .MillisecondsOrNull("lease_remaining_ms", instance.lease_remaining)
      .Flag("held_by_provider", instance.held_by_provider)
      .Object("pins", pins)
      .Texts("extensions", instance.extensions)
      .Time("create_time", instance.create_time)
      .TimeOrNull("last_use_time", instance.last_use_time)
      .Milliseconds("age_ms",
                    std::max(now - instance.create_time, absl::ZeroDuration()));
  return object;
}

JsonObject OpenedInstanceJson(const OpenedInstance& opened, absl::Time now) {
  JsonObject object = InstanceJson(opened.instance, now);
  object.Flag("created", opened.created);
  return object;
}

Table::Heading WatchEventHeading() {
  // As wide as the widest value, since rows are written one by one.
  return {{"EVENT        ", Column::Kind::kState},
          "GENERATION      ",
          "LEASE ",
          {"PINS  ", Column::Kind::kText},
          "REASON  ",
          {"INSTANCE", Column::Kind::kId}};
}

Table::Row WatchEventRow(const WatchEvent& event) {
  const Instance& instance = event.instance;
  return {std::string(WatchEventName(event.kind)),
          instance.generation == 0 ? "" : absl::StrCat(instance.generation),
          LeaseText(instance),
          PinsText(instance),
          Printable(event.reason),
          Printable(instance.instance_id)};
}

JsonObject WatchEventJson(const WatchEvent& event, absl::Time now) {
  JsonObject object;
  object.Text("event", WatchEventName(event.kind));
  if (!event.instance.instance_id.empty()) {
    object.Object("instance", InstanceJson(event.instance, now));
  }
  object.TextIfAny("reason", event.reason);
  return object;
}

}  // namespace leasehold::client::cli
