// OrchestrationView: how the commands show an orchestration: as a row, as a
// paragraph of its own, or as JSON.
//
// Thread-safety: safe.   Lifetime: no state.
#ifndef LEASEHOLD_CLIENT_CLI_ORCHESTRATION_VIEW_H_
#define LEASEHOLD_CLIENT_CLI_ORCHESTRATION_VIEW_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "client/cli/json_object.h"
#include "client/cli/table.h"
#include "client/orchestration.h"

namespace leasehold::client::cli {

// As a person reads it, in UTC: 2024-10-04T17:46:40.000Z.
std::string TimeText(absl::Time time);

// `text`, printable, and no longer than about `most` bytes: the rest is "…".
std::string Brief(std::string_view text, size_t most);

// `Oops: no, because of Deeper: none`.
std::string FailureText(const OrchestrationFailure& failure);
std::string FailureJson(const OrchestrationFailure& failure);

// The columns of a table of orchestrations, and one as their row.
Table::Row OrchestrationHeading();
Table::Row OrchestrationRow(const OrchestrationState& state);

// A line for each thing that is known.
std::string OrchestrationText(const OrchestrationState& state);
JsonObject OrchestrationJson(const OrchestrationState& state);

// A state among others of the same orchestration, which come one by one.
Table::Row StateHeading();
Table::Row StateRow(const OrchestrationState& state);

// A table of its own, and the URLs that came along.
std::string ReceiptText(const OrchestrationReceipt& receipt);
JsonObject ReceiptJson(const OrchestrationReceipt& receipt);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_ORCHESTRATION_VIEW_H_
