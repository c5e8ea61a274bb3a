// CallOutcomes: how calls have ended, in a few words, for whoever draws them.
//
// Thread-safety: safe.   Lifetime: a value.
#ifndef LEASEHOLD_SERVICE_RPC_CALL_OUTCOMES_H_
#define LEASEHOLD_SERVICE_RPC_CALL_OUTCOMES_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "lease/base/cells.h"

namespace leasehold {

enum class CallOutcome : uint8_t {
  kOk,
  kFailed,     // For any other reason than the following ones.
  kRefused,    // Who calls is not known or may not, or a limit is reached.
  kCancelled,  // The client has given up. Most streams end so.
};
inline constexpr size_t kCallOutcomes = 4;
// By CallOutcome: `ok`, `failed`, `refused`, `cancelled`.
inline constexpr std::array<const char*, kCallOutcomes> kCallOutcomeNames = {
    "ok", "failed", "refused", "cancelled"};

inline CallOutcome OutcomeOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return CallOutcome::kOk;
    case absl::StatusCode::kCancelled:
      return CallOutcome::kCancelled;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kResourceExhausted:
      return CallOutcome::kRefused;
    default:
      return CallOutcome::kFailed;
  }
}

class CallOutcomes {
 public:
  using Counts = std::array<uint64_t, kCallOutcomes>;  // By CallOutcome.

  void Count(absl::StatusCode code) {
    cells_[static_cast<size_t>(OutcomeOf(code))].Add();
  }
  Counts Read() const {
    Counts counts{};
    for (size_t i = 0; i < kCallOutcomes; ++i) counts[i] = cells_[i].value();
    return counts;
  }

 private:
  alignas(kCellsApart) std::array<SharedCell, kCallOutcomes> cells_ = {};
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_CALL_OUTCOMES_H_
