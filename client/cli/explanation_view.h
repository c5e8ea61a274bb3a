// ExplanationView: how the commands show why nothing happens.
//
// Thread-safety: safe.   Lifetime: no state.
#ifndef LEASEHOLD_CLIENT_CLI_EXPLANATION_VIEW_H_
#define LEASEHOLD_CLIENT_CLI_EXPLANATION_VIEW_H_

#include <string>

#include "client/cli/json_object.h"
#include "client/cli/table.h"
#include "leasehold/v1/admin.pb.h"

namespace leasehold::client::cli {

// The sentence; and a row for each cause, if it does not name them all.
std::string ExplanationText(const leasehold::v1::Explanation& explanation,
                            const Look& look);
// With the names of the contract; what is not set is left out.
JsonObject ExplanationJson(const leasehold::v1::Explanation& explanation);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_EXPLANATION_VIEW_H_
