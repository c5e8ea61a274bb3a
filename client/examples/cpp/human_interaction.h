// The code of human_interaction.cc: a person is asked, with a time-out.
#ifndef HUMAN_INTERACTION_H_
#define HUMAN_INTERACTION_H_

#include <optional>
#include <string>

#include "leasehold/client/worker/orchestration_context.h"
#include "leasehold/client/worker/task.h"

using leasehold::worker::OrchestrationContext;
using leasehold::worker::Task;

inline Task<std::string> Approval(OrchestrationContext& context,
                                  int patience_ms) {
  context.SetCustomStatus("asked");
  const std::optional<bool> approved = co_await context.WaitForEvent<bool>(
      "decision", absl::Milliseconds(patience_ms));
  if (!approved.has_value()) co_return "nobody answered";
  co_return *approved ? "approved" : "refused";
}

#endif  // HUMAN_INTERACTION_H_
