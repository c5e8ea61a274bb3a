// Dice: everything that a test environment leaves to chance.
//
// A seed decides all of it, and means the same on every machine.
//
// Thread-safety: one thread: the test's.
#ifndef LEASEHOLD_CLIENT_TESTING_DICE_H_
#define LEASEHOLD_CLIENT_TESTING_DICE_H_

#include <cstddef>
#include <cstdint>
#include <random>

namespace leasehold::testkit {

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}

  uint64_t Number() { return random_(); }
  // One of [0, count). Not std::uniform_int_distribution, whose result depends
  // on the library. REQUIRES: count > 0.
  size_t OneOf(size_t count) { return random_() % count; }
  // `chance`: from 0 to 1. Uses no number if it is 0.
  bool Happens(double chance) {
    if (chance <= 0) return false;
    return static_cast<double>(random_() >> 11) * 0x1p-53 < chance;
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_DICE_H_
