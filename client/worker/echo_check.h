// Whether an event of the history is the echo of what the code does now, and
// words for both.
//
// Thread-safety: safe.   Lifetime: values.
#ifndef LEASEHOLD_CLIENT_WORKER_ECHO_CHECK_H_
#define LEASEHOLD_CLIENT_WORKER_ECHO_CHECK_H_

#include <string>

#include "durabletask/orchestrator_service.pb.h"

namespace leasehold::worker::internal {

// The same kind, and under the same name; an event also to the same instance.
// Inputs and times may differ: the history's hold.
bool IsEchoOf(const HistoryEvent& event, const OrchestratorAction& action);

// `task 2: activity "Pay" was scheduled`, `event "x" was raised`, …
std::string EventText(const HistoryEvent& event);
// `calls activity "Pay"`, `creates a timer`, …
std::string ActionText(const OrchestratorAction& action);
// What a failure calls a task: `activity "Pay"`, `a timer`, …
std::string TaskText(const OrchestratorAction& action);

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_ECHO_CHECK_H_
