// Between the messages of admin.proto and the values of the rooms below.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_DOORS_ADMIN_MESSAGES_H_
#define LEASEHOLD_SERVICE_DOORS_ADMIN_MESSAGES_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "leasehold/v1/admin.pb.h"
#include "service/base/stats.h"
#include "service/orchestration/connected_workers.h"
#include "service/orchestration/explanation.h"
#include "service/rpc/caller.h"

namespace leasehold {

// Whom a peer, as gRPC names it, stands for: another one behind a proxy.
using AddressOf = std::function<std::string(const std::string& peer)>;

// Of the tenant of `caller`.
//   InvalidArgument: a field breaks a rule; the message says which.
absl::StatusOr<WorkersQuery> FromMessage(const v1::WorkersRequest& message,
                                         const Caller& caller);

void ToMessage(const WorkersPage& page, const AddressOf& address_of,
               v1::WorkersResponse& message);
// Those whose names begin as the request asks.
void ToMessage(const std::vector<StatFamily>& families,
               const v1::StatsRequest& request, v1::StatsResponse& message);
// With the sentence.
void ToMessage(Explanation explanation, const AddressOf& address_of,
               v1::Explanation& message);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_ADMIN_MESSAGES_H_
