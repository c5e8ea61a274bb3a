// What people are shown of a failure in one line.
//
// Thread-safety: a pure function.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_FAILURE_TEXT_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_FAILURE_TEXT_H_

#include <string>

#include "service/orchestration/wire.h"

namespace leasehold {

// The first line of a failure, as `Type: message`, cut: stack traces and texts
// of workers may be long, and a log has many lines of them. Empty: there is
// none.
std::string FirstLineOf(const OpaqueMessage& failure);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_FAILURE_TEXT_H_
