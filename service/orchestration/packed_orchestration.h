// PackedOrchestration: a parked orchestration in one small block of memory.
//
// Most open orchestrations wait: for a timer, an event, a child. There may be
// millions, so one that nobody looks at is kept packed (about 110 bytes with an
// ID of 36) and becomes an Orchestration again when it is looked for.
//
// Thread-safety: none; callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_PACKED_ORCHESTRATION_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_PACKED_ORCHESTRATION_H_

#include <cstddef>
#include <memory>
#include <string_view>

#include "service/orchestration/orchestration.h"
#include "service/storage/records.h"

namespace leasehold {

using PackedOrchestration = std::unique_ptr<const char[]>;

// False: it cannot be packed, because something is under way, or waits for its
// next turn.
bool MayPack(const Orchestration& orchestration);

// Whether nothing keeps it from that but a commit, or somebody who uses it.
bool MayPackSoon(const Orchestration& orchestration);

// Only of what may be packed.
PackedOrchestration Pack(const Orchestration& orchestration);
std::shared_ptr<Orchestration> Unpack(const char* packed);

// What is known without unpacking.
RunNumber NumberOf(const char* packed);
std::string_view TenantOf(const char* packed);
std::string_view IdOf(const char* packed);
bool IsBegunByWork(const char* packed);
size_t PackedBytes(const char* packed);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_PACKED_ORCHESTRATION_H_
