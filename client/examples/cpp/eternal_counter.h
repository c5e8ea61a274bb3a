// The code of eternal_counter.cc: an orchestration that lives for ever.
#ifndef ETERNAL_COUNTER_H_
#define ETERNAL_COUNTER_H_

#include <string>

#include "leasehold/client/worker/orchestration_context.h"
#include "leasehold/client/worker/task.h"

using leasehold::worker::OrchestrationContext;
using leasehold::worker::Task;

inline Task<int> Tally(OrchestrationContext& context, int value) {
  context.SetCustomStatus(value);
  const auto operation =
      co_await context.WaitForEvent<std::string>("operation");
  if (operation == "end") co_return value;
  if (operation == "incr") ++value;
  if (operation == "decr") --value;
  context.ContinueAsNew(value);
  co_return value;
}

#endif  // ETERNAL_COUNTER_H_
