// TurnConclusionTest: a base of tests of ConcludeTurn: the state of a run "a",
// which is to be filled in, and what becomes of a worker's actions.
#ifndef LEASEHOLD_TESTS_ORCHESTRATION_TURN_CONCLUSION_FIXTURE_H_
#define LEASEHOLD_TESTS_ORCHESTRATION_TURN_CONCLUSION_FIXTURE_H_

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "service/orchestration/bounds.h"
#include "service/orchestration/turn.h"

namespace leasehold {

inline constexpr Timestamp kNow{100, 5};

class TurnConclusionTest : public testing::Test {
 protected:
  TurnConclusionTest() {
    state_.started.name = "Main";
    state_.started.orchestration = {"a", "e-1"};
    state_.status = OrchestrationStatus::kRunning;
  }

  TurnOutcome Conclude(std::vector<OrchestratorAction> actions) {
    TurnAnswer answer;
    answer.actions = std::move(actions);
    return ConcludeTurn(state_, "a", std::move(answer), limits_, kNow);
  }
  static std::string FailureOf(const TurnOutcome& outcome) {
    if (outcome.events.size() != 1) return "not one event";
    const auto* end = outcome.events[0].As<ExecutionCompleted>();
    if (end == nullptr || end->status != 3) return "not failed";
    const auto details = DecodeMessage<FailureDetails>(*end->failure.bytes);
    return details->type + ": " + details->message;
  }

  RuntimeState state_;
  TurnLimits limits_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_ORCHESTRATION_TURN_CONCLUSION_FIXTURE_H_
