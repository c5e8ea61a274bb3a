// Whether an event of the history matches what the code does now, and a
// description of each.
//
// Thread-safety: safe.   Lifetime: values.
#ifndef LEASEHOLD_CLIENT_WORKER_ECHO_CHECK_H_
#define LEASEHOLD_CLIENT_WORKER_ECHO_CHECK_H_

#include <string>

#include "durabletask/orchestrator_service.pb.h"

namespace leasehold::worker::internal {

// Of the same kind and name; an event also to the same instance. Inputs and
// times may differ: those of the history count.
bool IsEchoOf(const HistoryEvent& event, const OrchestratorAction& action);

// `task 2: activity "Pay" was scheduled`, `event "x" was raised`, …
std::string EventText(const HistoryEvent& event);
// `calls activity "Pay"`, `creates a timer`, …
std::string ActionText(const OrchestratorAction& action);
// A task's name in failures: `activity "Pay"`, `a timer`, …
std::string TaskText(const OrchestratorAction& action);

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_ECHO_CHECK_H_
