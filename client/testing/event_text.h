// EventLine: an event of a history, for people.
//
// Thread-safety: safe.   Lifetime: values.
#ifndef LEASEHOLD_CLIENT_TESTING_EVENT_TEXT_H_
#define LEASEHOLD_CLIENT_TESTING_EVENT_TEXT_H_

#include <string>

#include "absl/time/time.h"
#include "client/worker/failure.h"
#include "durabletask/orchestrator_service.pb.h"

namespace leasehold::testkit {

// `+1m30s  task 2: activity "Pay" was scheduled, input 7`. `start`: when the
// test began.
std::string EventLine(const ::HistoryEvent& event, absl::Time start);

// `type: message, because of …`.
std::string FailureText(const worker::TaskFailure& failure);

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_EVENT_TEXT_H_
