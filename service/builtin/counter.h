// Counter: the eternal counter, a singleton that lives for as long as nobody
// ends it.
//
// Its state is its input: every so many operations it continues as new with the
// value that it has come to, so its history never grows long.
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

// Operations that one execution sees.
inline constexpr int kOperationsOfARun = 100;

// `value`: what it begins with; none: 0. Ends with the value.
worker::Task<int64_t> Counter(worker::OrchestrationContext& context,
                              std::optional<int64_t> value);

// What `operation` makes of `value`; nullopt: it is none ("end" is not one of
// those), or leaves the numbers.
std::optional<int64_t> Apply(const nlohmann::json& operation, int64_t value);

}  // namespace leasehold::builtin

#endif  // LEASEHOLD_SERVICE_BUILTIN_COUNTER_H_
