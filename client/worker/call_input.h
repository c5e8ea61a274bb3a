// The input of a call that an orchestrator or an entity makes.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_CLIENT_WORKER_CALL_INPUT_H_
#define LEASEHOLD_CLIENT_WORKER_CALL_INPUT_H_

#include <optional>
#include <type_traits>

#include "client/worker/payload.h"

namespace leasehold::worker {

// The input of a call that has options but no input.
struct NoInput {};

namespace internal {

template <typename Input>
Payload InputPayload(const Input& input) {
  if constexpr (std::is_same_v<Input, NoInput>) {
    return std::nullopt;
  } else {
    return ToPayload(input);
  }
}

}  // namespace internal
}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_CALL_INPUT_H_
