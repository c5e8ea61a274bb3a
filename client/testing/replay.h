// ReplayHistory: whether orchestrator code still does what a history says that
// it did.
//
// Thread-safety: pure.
#ifndef LEASEHOLD_CLIENT_TESTING_REPLAY_H_
#define LEASEHOLD_CLIENT_TESTING_REPLAY_H_

#include "absl/status/status.h"
#include "client/testing/exported_history.h"
#include "client/testing/test_code.h"

namespace leasehold::testkit {

//   FailedPrecondition: it does not; the message says what the history has, and
//     where, and what the code does instead.
//   NotFound: `code` has no such orchestrator.
//   InvalidArgument: the history does not say which orchestrator it is of.
absl::Status ReplayHistory(const TestCode& code,
                           const ExportedHistory& history);

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_REPLAY_H_
