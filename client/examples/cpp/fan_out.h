// The code of fan_out.cc: many activities at once.
#ifndef FAN_OUT_H_
#define FAN_OUT_H_

#include <utility>
#include <vector>

#include "leasehold/client/worker/orchestration_context.h"
#include "leasehold/client/worker/task.h"
#include "leasehold/client/worker/when.h"

using leasehold::worker::OrchestrationContext;
using leasehold::worker::Task;
using leasehold::worker::WhenAll;

inline int Square(int n) { return n * n; }

inline Task<int> SumOfSquares(OrchestrationContext& context, int count) {
  std::vector<Task<int>> squares;
  for (int n = 1; n <= count; ++n) {
    squares.push_back(context.CallActivity<int>("Square", n));
  }
  const std::vector<int> all = co_await WhenAll(std::move(squares));
  int sum = 0;
  for (const int square : all) sum += square;
  co_return sum;
}

#endif  // FAN_OUT_H_
