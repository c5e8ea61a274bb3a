// WorkerView: how the commands show a connected worker.
//
// Thread-safety: safe.   Lifetime: no state.
#ifndef LEASEHOLD_CLIENT_CLI_WORKER_VIEW_H_
#define LEASEHOLD_CLIENT_CLI_WORKER_VIEW_H_

#include "absl/time/time.h"
#include "client/admin/connected_worker.h"
#include "client/cli/json_object.h"
#include "client/cli/table.h"

namespace leasehold::client::cli {

// Times are shown as spans before `now`.
Table::Heading WorkerHeading();
Table::Row WorkerRow(const ConnectedWorker& worker, absl::Time now);

JsonObject WorkerJson(const ConnectedWorker& worker);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_WORKER_VIEW_H_
