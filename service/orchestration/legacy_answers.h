// Answers of entities as some workers of .NET expect them: events, whose name
// is the ID of the request and whose input is JSON text.
//
//   {"result":"7"}
//   {"exceptionType":"Bad","failureDetails":{"ErrorType":"Bad",...}}
//   {"result":"Lock Acquisition Completed"}
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_LEGACY_ANSWERS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_LEGACY_ANSWERS_H_

#include <string>

#include "service/orchestration/history.h"
#include "service/orchestration/wire.h"

namespace leasehold {

// The output of an operation; or its failure, if that is present.
EventRaised LegacyAnswer(std::string request_id, const Payload& output,
                         const OpaqueMessage& failure);
// A critical section has all its entities.
EventRaised LegacyGrant(std::string section_id);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_LEGACY_ANSWERS_H_
