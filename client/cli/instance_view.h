// InstanceView: how the commands show an instance context.
//
// Thread-safety: safe.   Lifetime: no state.
#ifndef LEASEHOLD_CLIENT_CLI_INSTANCE_VIEW_H_
#define LEASEHOLD_CLIENT_CLI_INSTANCE_VIEW_H_

#include <string>

#include "absl/time/time.h"
#include "client/cli/json_object.h"
#include "client/cli/table.h"
#include "client/instances/instance.h"
#include "client/instances/watch.h"

namespace leasehold::client::cli {

// The columns of a table of instances, and an instance as a row. Its age is as
// of `now`.
Table::Heading InstanceHeading();
Table::Row InstanceRow(const Instance& instance, absl::Time now);

// What keeps it busy: `hold 1, call 2`; empty if nothing does.
std::string PinsText(const Instance& instance);

// For people to read, rounded down: `19.48s`, `1m5s`.
std::string BriefDuration(absl::Duration duration);

// Durations are in whole milliseconds; `age_ms` is as of `now`.
JsonObject InstanceJson(const Instance& instance, absl::Time now);
// The same with `created`.
JsonObject OpenedInstanceJson(const OpenedInstance& opened, absl::Time now);

// An event as a row of its table, or as JSON.
Table::Heading WatchEventHeading();
Table::Row WatchEventRow(const WatchEvent& event);
JsonObject WatchEventJson(const WatchEvent& event, absl::Time now);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_INSTANCE_VIEW_H_
