// Passes gRPC's frames to a FrameGuard and a HalfSent: functions that the
// linker puts around six of gRPC's own (`ld --wrap`), where its transport calls
// its parsers and its table of streams.
//
// This works with the static archive of exactly gRPC 1.51.1, whose symbols and
// argument layouts these functions know; CMake checks for both at configuration
// time (frame_wraps.cmake). In other builds nothing is limited.
//
// Thread-safety: call Install from one thread, while no connection is open.
#ifndef LEASEHOLD_SERVICE_NETWORK_FRAME_WRAPS_H_
#define LEASEHOLD_SERVICE_NETWORK_FRAME_WRAPS_H_

#include "service/network/frame_guard.h"
#include "service/network/half_sent.h"

namespace leasehold {

// Whether this program was linked with the wraps.
bool HasFrameWraps();

// From now on they decide about all connections, and must live until others are
// installed. Null: no limits.
void InstallFrameGuard(FrameGuard* guard);
void InstallHalfSent(HalfSent* requests);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_NETWORK_FRAME_WRAPS_H_
