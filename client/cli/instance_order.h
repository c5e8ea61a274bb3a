// InstanceOrder: in which order a screen or a list shows instances.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_CLIENT_CLI_INSTANCE_ORDER_H_
#define LEASEHOLD_CLIENT_CLI_INSTANCE_ORDER_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/instances/instance.h"

namespace leasehold::client::cli {

enum class InstanceOrder {
  kId,     // Numbers in IDs count as such: `a-2` is before `a-10`.
  kAge,    // The newest first.
  kLease,  // That which ends first; those without one are last.
  kState,  // By state, and then by ID.
};

// `id`, `age`, `lease` or `state`.
const char* InstanceOrderName(InstanceOrder order);
absl::StatusOr<InstanceOrder> ReadInstanceOrder(const std::string& text);
// The one after it, and the first after the last.
InstanceOrder NextInstanceOrder(InstanceOrder order);

// Adds --sort to a command.
void AddSortOption(CLI::App& app, InstanceOrder& order);

void SortInstances(std::vector<Instance>& instances, InstanceOrder order);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_INSTANCE_ORDER_H_
