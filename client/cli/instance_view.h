// InstanceView: how the commands show an instance context.
//
// Thread-safety: safe.   Lifetime: no state.
#ifndef LEASEHOLD_CLIENT_CLI_INSTANCE_VIEW_H_
#define LEASEHOLD_CLIENT_CLI_INSTANCE_VIEW_H_

#include <string>

#include "absl/time/time.h"
#include "client/cli/table.h"
#include "client/instance.h"
#include "client/watch.h"

namespace leasehold::client::cli {

// The columns of a table of instances, and an instance as their row: `age` is
// told from `now`.
Table::Row InstanceHeading();
Table::Row InstanceRow(const Instance& instance, absl::Time now);

// What keeps it busy: `hold 1, call 2`; empty: nothing.
std::string PinsText(const Instance& instance);

// As a person reads it, rounded down: `19.48s`, `1m5s`.
std::string BriefDuration(absl::Duration duration);

// An object, without a line's end. Durations are in whole milliseconds.
std::string InstanceJson(const Instance& instance, absl::Time now);
// The same with `created`.
std::string OpenedInstanceJson(const OpenedInstance& opened, absl::Time now);

// An event as a row of its table, or as an object.
Table::Row WatchEventHeading();
Table::Row WatchEventRow(const WatchEvent& event);
std::string WatchEventJson(const WatchEvent& event, absl::Time now);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_INSTANCE_VIEW_H_
