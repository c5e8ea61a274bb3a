// Messages for entities as some workers of .NET send them: events to the ID
// `@name@key`, whose data is JSON text.
//
//   name             data
//   op, op@<time>    op, signal, input, id, due: an operation
//   op               id, lockset [{name, key}], pos, and no op: a lock request
//   release          id: the end of a lock
//
// Other members are ignored. The engine answers such workers with events, too.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_DOORS_LEGACY_ENTITY_MESSAGES_H_
#define LEASEHOLD_SERVICE_DOORS_LEGACY_ENTITY_MESSAGES_H_

#include "service/orchestration/turn.h"

namespace leasehold {

// What an event to the ID of an entity says. If it says nothing that an entity
// can be sent, `problem` says why not.
LegacyEntityMessage ReadLegacyMessage(EventSent sent);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_LEGACY_ENTITY_MESSAGES_H_
