// Cell, SharedCell and Histogram: numbers that busy code counts in, and others
// read now and then.
//
// A Cell has one writer at a time (a thread, or whoever holds a lock), so that
// counting needs neither a lock nor a locked instruction; a SharedCell has any
// number of writers. Readers see each number whole, but not two of them at the
// same moment: a histogram's sum may be one call behind its counts.
//
//   Histogram<kTimeBounds> waits;      // waits.Add(nanoseconds)
//   waits.Read().counts[0]             // of those up to kTimeBounds[0]
//
// Thread-safety: as above; reading is safe.   Lifetime: values.
#ifndef LEASEHOLD_LEASE_BASE_CELLS_H_
#define LEASEHOLD_LEASE_BASE_CELLS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace leasehold {

// What different threads count stands this far apart, so that they do not wait
// for each other's caches.
inline constexpr size_t kCellsApart = 64;

class Cell {
 public:
  void Add(uint64_t n = 1) {
    value_.store(value() + n, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class SharedCell {
 public:
  void Add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  void Subtract(uint64_t n = 1) {
    value_.fetch_sub(n, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// What a histogram has counted: `counts[i]` values up to the i-th bound that
// are above the bound before; the last count is of those above all bounds.
struct HistogramReading {
  std::vector<uint64_t> counts = {};
  uint64_t sum = 0;

  void Add(const HistogramReading& other) {
    if (counts.size() < other.counts.size()) counts.resize(other.counts.size());
    for (size_t i = 0; i < other.counts.size(); ++i) {
      counts[i] += other.counts[i];
    }
    sum += other.sum;
  }
};

// From 10 us to 10 s, in nanoseconds.
inline constexpr std::array<int64_t, 19> kTimeBounds = {
    10'000,        25'000,        50'000,        100'000,       250'000,
    500'000,       1'000'000,     2'500'000,     5'000'000,     10'000'000,
    25'000'000,    50'000'000,    100'000'000,   250'000'000,   500'000'000,
    1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};
// Of things that come together.
inline constexpr std::array<int64_t, 11> kSizeBounds = {
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

// `kBounds`: in ascending order. `Count`: Cell or SharedCell.
template <const auto& kBounds, typename Count = Cell>
class Histogram {
 public:
  void Add(int64_t value) {
    if (value < 0) value = 0;
    size_t i = 0;
    while (i < kBounds.size() && value > kBounds[i]) ++i;
    counts_[i].Add();
    sum_.Add(static_cast<uint64_t>(value));
  }

  HistogramReading Read() const {
    HistogramReading reading;
    for (const Count& count : counts_) reading.counts.push_back(count.value());
    reading.sum = sum_.value();
    return reading;
  }

 private:
  std::array<Count, kBounds.size() + 1> counts_ = {};
  Count sum_;
};

using TimeHistogram = Histogram<kTimeBounds>;
using SharedTimeHistogram = Histogram<kTimeBounds, SharedCell>;
using SizeHistogram = Histogram<kSizeBounds>;

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_CELLS_H_
