// ExecutionIds: IDs for executions, and for whatever else has none of its own.
//
// With a seed they are the same in each run of the program, for tests.
//
// Thread-safety: none; callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_EXECUTION_IDS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_EXECUTION_IDS_H_

#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include "absl/random/random.h"
#include "absl/strings/str_format.h"

namespace leasehold {

class ExecutionIds {
 public:
  explicit ExecutionIds(std::optional<uint64_t> seed) {
    if (seed.has_value()) seeded_.emplace(*seed);
  }

  // 32 hexadecimal digits.
  std::string Next() {
    const uint64_t first = Number();
    return absl::StrFormat("%016x%016x", first, Number());
  }

 private:
  uint64_t Number() {
    return seeded_.has_value() ? (*seeded_)()
                               : absl::Uniform<uint64_t>(random_);
  }

  absl::BitGen random_;
  std::optional<std::mt19937_64> seeded_;  // Set if there is a seed.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_EXECUTION_IDS_H_
