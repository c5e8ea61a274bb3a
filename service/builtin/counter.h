// Counter: the eternal counter, a singleton that lives until someone ends it.
//
// Its state is its input: after a fixed number of operations it continues as
// new with its current value, so its history never grows long.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_BUILTIN_COUNTER_H_
#define LEASEHOLD_SERVICE_BUILTIN_COUNTER_H_

#include <cstdint>
#include <optional>

#include "client/worker/orchestration_context.h"
#include "client/worker/task.h"
#include "nlohmann/json.hpp"

namespace leasehold::builtin {

// Operations per execution.
inline constexpr int kOperationsOfARun = 100;

// `value`: the initial value; 0 if absent. Returns the final value.
worker::Task<int64_t> Counter(worker::OrchestrationContext& context,
                              std::optional<int64_t> value);

// Applies `operation` to `value`; nullopt if it is not an operation ("end" does
// not count as one here), or if the result would overflow.
std::optional<int64_t> Apply(const nlohmann::json& operation, int64_t value);

}  // namespace leasehold::builtin

#endif  // LEASEHOLD_SERVICE_BUILTIN_COUNTER_H_
