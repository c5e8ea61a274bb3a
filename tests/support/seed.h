// Seeds of random tests: the same in each run, printed on failure, replaceable.
//
// A random test is a body that ForEachSeed calls with a new generator for each
// seed. Seeds are consecutive numbers from a fixed base. Two environment
// variables change that: LEASEHOLD_SEED is the first seed, LEASEHOLD_SEEDS
// their number. So a failure can be repeated with its own seed, and a long run
// can use a fresh base and many seeds.
//
// Thread-safety: one thread, that of the test.   Lifetime: nothing is kept.
#ifndef LEASEHOLD_TESTS_SUPPORT_SEED_H_
#define LEASEHOLD_TESTS_SUPPORT_SEED_H_

#include <cstdint>
#include <random>

#include "absl/functional/function_ref.h"

namespace leasehold {

using Random = std::mt19937_64;

// LEASEHOLD_SEED, or the fixed default. Ends the program if it is not a number.
uint64_t BaseSeed();

// LEASEHOLD_SEEDS, or `by_default`. Ends the program if it is not a number.
uint64_t SeedCount(uint64_t by_default);

// Calls `body` once per seed, with a generator made from the seed. Stops after
// the first seed whose body fails; the failure's trace names the seed, and how
// to repeat it.
void ForEachSeed(uint64_t count_by_default,
                 absl::FunctionRef<void(Random& random)> body);

// A number in [low, high]. Not std::uniform_int_distribution, whose result
// depends on the library: a seed must mean the same everywhere. The bias is far
// too small for a test to notice.
inline uint64_t Uniform(Random& random, uint64_t low, uint64_t high) {
  const uint64_t span = high - low;
  return span == UINT64_MAX ? random() : low + random() % (span + 1);
}

// True once in `n` on average.
inline bool OneIn(Random& random, uint64_t n) { return random() % n == 0; }

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SUPPORT_SEED_H_
