// Seeds of random tests: the same in each run, printed on failure, replaceable.
//
// A random test is a body that ForEachSeed calls with a generator a seed. The
// seeds follow each other from a fixed base. Two environment variables replace
// that: LEASEHOLD_SEED is the first seed, LEASEHOLD_SEEDS the number of them.
// So a failure is run again by its own seed, and a long run takes a fresh base
// and many.
//
// Thread-safety: one thread, that of the test.   Lifetime: nothing is kept.
#ifndef LEASEHOLD_TESTS_SUPPORT_SEED_H_
#define LEASEHOLD_TESTS_SUPPORT_SEED_H_

#include <cstdint>
#include <random>

#include "absl/functional/function_ref.h"

namespace leasehold {

using Random = std::mt19937_64;

// LEASEHOLD_SEED, or the fixed default. Ends the program if it is no number.
uint64_t BaseSeed();

// LEASEHOLD_SEEDS, or `by_default`. Ends the program if it is no number.
uint64_t SeedCount(uint64_t by_default);

// Calls `body` once a seed, with a generator that the seed has made. Stops
// after the first seed whose body fails; the failure's trace says which it was,
// and how to run it again.
void ForEachSeed(uint64_t count_by_default,
                 absl::FunctionRef<void(Random& random)> body);

// A number of [low, high]. Not std::uniform_int_distribution, which each
// library implements as it likes: a seed means the same everywhere. The bias is
// far below what a test could notice.
inline uint64_t Uniform(Random& random, uint64_t low, uint64_t high) {
  const uint64_t span = high - low;
  return span == UINT64_MAX ? random() : low + random() % (span + 1);
}

// True once in `n` on average.
inline bool OneIn(Random& random, uint64_t n) { return random() % n == 0; }

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SUPPORT_SEED_H_
