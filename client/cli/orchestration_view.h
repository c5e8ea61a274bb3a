// OrchestrationView: how the commands show an orchestration: as a row, as a
// paragraph, or as JSON.
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
#include "client/orchestrations/orchestration.h"

namespace leasehold::client::cli {

// `Oops: no, because of Deeper: none`.
std::string FailureText(const OrchestrationFailure& failure);
JsonObject FailureJson(const OrchestrationFailure& failure);

// The columns of a table of orchestrations, and an orchestration as a row.
Table::Heading OrchestrationHeading();
Table::Row OrchestrationRow(const OrchestrationState& state, const Look& look);

// One line for each known detail. `why`: why it does not go on; empty: unknown.
std::string OrchestrationText(const OrchestrationState& state, const Look& look,
                              const std::string& why = "");
JsonObject OrchestrationJson(const OrchestrationState& state,
                             Payloads payloads);

// A state of an orchestration, as a row in a table of its states.
Table::Heading StateHeading();
Table::Row StateRow(const OrchestrationState& state);

// A table for a receipt, followed by its URLs, if any.
std::string ReceiptText(const OrchestrationReceipt& receipt, const Look& look);
JsonObject ReceiptJson(const OrchestrationReceipt& receipt);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_ORCHESTRATION_VIEW_H_
