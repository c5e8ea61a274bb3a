// Not mine: whether a failure says only that the worker does not know the name,
// so that another worker should get the work.
//
// Workers without filters receive work of any name, and the SDKs answer names
// that they have not registered with a failure. Each SDK has its own types or
// texts for that, listed in the source. Any other failure counts as one: also a
// user's own error with a similar name, and an orchestrator that passes on the
// failure of what it called, whose message has another name.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_NOT_MINE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_NOT_MINE_H_

#include <string_view>

#include "service/dispatch/worker.h"
#include "service/orchestration/entity_batch.h"
#include "service/orchestration/history.h"
#include "service/orchestration/turn.h"

namespace leasehold {

// `name`: of the orchestrator or activity that was handed out.
bool SaysNotMine(WorkKind kind, std::string_view name,
                 const OpaqueMessage& failure);

// Same, for the answer to a turn: it does nothing but fail in this way.
bool SaysNotMine(std::string_view name, const TurnAnswer& answer);

// Same, for the answer to a batch: all its operations fail in this way.
bool SaysNotMine(std::string_view name, const BatchAnswer& answer);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_NOT_MINE_H_
