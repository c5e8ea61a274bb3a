#include "client/cli/instance_view.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/output.h"

namespace leasehold::client::cli {
namespace {

std::string Milliseconds(absl::Duration duration) {
  return absl::StrCat(absl::ToInt64Milliseconds(duration));
}

// The members of an instance's object, without the braces.
std::string Members(const Instance& instance, absl::Time now) {
  const auto pins = [](std::string* json, const Instance::Pins& pin) {
    absl::StrAppend(json, JsonString(pin.kind), ":", pin.count);
  };
  const auto extensions = [](std::string* json, const std::string& extension) {
    json->append(JsonString(extension));
  };
  return absl::StrCat(
      "\"instance_id\":", JsonString(instance.instance_id),
      ",\"generation\":", instance.generation,
      ",\"state\":", JsonString(InstanceStateName(instance.state)),
      ",\"idle_timeout_ms\":", Milliseconds(instance.idle_timeout),
      ",\"lease_remaining_ms\":",
      instance.lease_remaining.has_value()
          ? Milliseconds(*instance.lease_remaining)
          : "null",
      ",\"pins\":{", absl::StrJoin(instance.pins, ",", pins),
      "},\"extensions\":[", absl::StrJoin(instance.extensions, ",", extensions),
      "],\"create_time\":", JsonTime(instance.create_time),
      ",\"last_use_time\":",
      instance.last_use_time.has_value() ? JsonTime(*instance.last_use_time)
                                         : "null",
      ",\"age_ms\":",
      Milliseconds(std::max(now - instance.create_time, absl::ZeroDuration())));
}

std::string LeaseText(const Instance& instance) {
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

Table::Row InstanceHeading() {
  return {"INSTANCE", "STATE",      "LEASE", "TIMEOUT",
          "PINS",     "GENERATION", "AGE",   "EXTENSIONS"};
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

std::string InstanceJson(const Instance& instance, absl::Time now) {
  return absl::StrCat("{", Members(instance, now), "}");
}

std::string OpenedInstanceJson(const OpenedInstance& opened, absl::Time now) {
  return absl::StrCat("{", Members(opened.instance, now),
                      ",\"created\":", opened.created ? "true" : "false", "}");
}

Table::Row WatchEventHeading() {
  // As wide as the widest that comes, since they come one by one.
  return {"EVENT        ", "GENERATION      ", "LEASE ",
          "PINS  ",        "REASON  ",         "INSTANCE"};
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

std::string WatchEventJson(const WatchEvent& event, absl::Time now) {
  std::string json =
      absl::StrCat("{\"event\":", JsonString(WatchEventName(event.kind)));
  if (!event.instance.instance_id.empty()) {
    absl::StrAppend(&json, ",\"instance\":", InstanceJson(event.instance, now));
  }
  if (!event.reason.empty()) {
    absl::StrAppend(&json, ",\"reason\":", JsonString(event.reason));
  }
  return json + "}";
}

}  // namespace leasehold::client::cli
