// Backoff: how long to wait before the next attempt to reach a lost server.
//
// Each wait is twice the one before, from 100 ms up to 5 s, less up to a
// quarter at random: clients that lost a server together do not come back
// together.
//
// Thread-safety: callers synchronise.   Lifetime: no references.
#ifndef LEASEHOLD_CLIENT_WIRE_BACKOFF_H_
#define LEASEHOLD_CLIENT_WIRE_BACKOFF_H_

#include <algorithm>
#include <random>

#include "absl/time/time.h"

namespace leasehold::client {

class Backoff {
 public:
  static constexpr absl::Duration kFirst = absl::Milliseconds(100);
  static constexpr absl::Duration kMax = absl::Seconds(5);

  Backoff() : random_(std::random_device()()) {}

  absl::Duration Next() {
    const absl::Duration wait = next_;
    next_ = std::min(next_ * 2, kMax);
    return wait * std::uniform_real_distribution<>(0.75, 1.0)(random_);
  }

  // The server was reached: the waits start short again.
  void Reset() { next_ = kFirst; }

 private:
  std::minstd_rand random_;
  absl::Duration next_ = kFirst;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WIRE_BACKOFF_H_
