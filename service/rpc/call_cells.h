// CallCells: how the calls of one method, from one queue, have ended, and how
// long they took.
//
// Their queue's thread alone counts, so that it costs a call a few
// instructions. To read the clock twice would cost more than all of that; so of
// the calls that do nothing but use an instance, one in 16 is timed, and all
// others of a single request.
//
// Thread-safety: one thread counts; reading is safe.   Lifetime: belongs to its
// MethodQueue.
#ifndef LEASEHOLD_SERVICE_RPC_CALL_CELLS_H_
#define LEASEHOLD_SERVICE_RPC_CALL_CELLS_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "lease/base/cells.h"
#include "service/rpc/method_info.h"

namespace leasehold {

// As gRPC numbers them.
inline constexpr size_t kStatusCodes = 17;

// What is known of the calls of a method, from all queues.
struct MethodCalls {
  MethodInfo method;
  uint64_t arrived = 0;
  std::array<uint64_t, kStatusCodes> ended = {};  // By code.
  // From the moment when the server takes up a call until its answer; of those
  // that were timed. Streams are not.
  HistogramReading times = {};
};

class alignas(kCellsApart) CallCells {
 public:
  explicit CallCells(const MethodInfo& method)
      : timed_one_in_(method.lasting != Lasting::kNo          ? 0
                      : method.call_class == CallClass::kCall ? kFewTimed
                                                              : 1) {}

  // A call has arrived. Whether it is to be timed.
  bool OnArrived() {
    const uint64_t before = arrived_.value();
    arrived_.Add();
    return timed_one_in_ != 0 && before % timed_one_in_ == 0;
  }
  void OnEnded(absl::StatusCode code) {
    const auto index = static_cast<size_t>(code);
    ended_[index < kStatusCodes ? index : kUnknown].Add();
  }
  void OnTimed(int64_t ns) { times_.Add(ns); }

  void AddTo(MethodCalls& calls) const {
    for (size_t code = 0; code < kStatusCodes; ++code) {
      calls.ended[code] += ended_[code].value();
    }
    calls.arrived += arrived_.value();
    calls.times.Add(times_.Read());
  }

 private:
  static constexpr uint32_t kFewTimed = 16;
  static constexpr auto kUnknown =
      static_cast<size_t>(absl::StatusCode::kUnknown);

  const uint32_t timed_one_in_;  // 0: none is.
  Cell arrived_;
  std::array<Cell, kStatusCodes> ended_ = {};
  TimeHistogram times_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_CALL_CELLS_H_
