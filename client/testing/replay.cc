#include "client/testing/replay.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/testing/event_text.h"
#include "client/testing/test_error.h"
#include "client/worker/echo_check.h"
#include "client/worker/failure_messages.h"
#include "client/worker/turn.h"

namespace leasehold::testkit {
namespace {

constexpr char kNonDeterminism[] = "NonDeterminismError";
constexpr char kSame[] = "; orchestrator code must do the same on each replay";

const ExecutionStartedEvent* FindStart(const ExportedHistory& history) {
  for (const ::HistoryEvent& event : history.events) {
    if (event.has_executionstarted()) return &event.executionstarted();
  }
  return nullptr;
}

// How many events there are before the one that ends it.
size_t EndOf(const ExportedHistory& history) {
  const auto end = std::find_if(history.events.begin(), history.events.end(),
                                [](const ::HistoryEvent& event) {
                                  return event.has_executioncompleted();
                                });
  return static_cast<size_t>(end - history.events.begin());
}

class Replayed {
 public:
  Replayed(const worker::Registry& registry, const ExportedHistory& history)
      : registry_(registry), history_(history), end_(EndOf(history)) {}

  absl::Status Check() const {
    const OrchestratorResponse all = Run(end_);
    if (const std::string wrong = NonDeterminism(all); !wrong.empty()) {
      return Differs(FirstDifference(), wrong);
    }
    if (end_ == history_.events.size()) return CheckUnfinished(all);
    return CheckEnd(all);
  }

 private:
  // The code's answer to the first `count` events.
  OrchestratorResponse Run(size_t count) const {
    OrchestratorRequest request;
    request.set_instanceid(history_.instance_id);
    for (size_t i = 0; i < count; ++i) {
      *request.add_pastevents() = history_.events[i];
    }
    return worker::internal::RunTurn(registry_, request, nullptr);
  }

  static const CompleteOrchestrationAction* EndIn(
      const OrchestratorResponse& response) {
    for (const auto& action : response.actions()) {
      if (action.has_completeorchestration()) {
        return &action.completeorchestration();
      }
    }
    return nullptr;
  }
  // Empty: the code does what the history says.
  static std::string NonDeterminism(const OrchestratorResponse& response) {
    const CompleteOrchestrationAction* const end = EndIn(response);
    if (end == nullptr ||
        end->failuredetails().errortype() != kNonDeterminism) {
      return "";
    }
    return end->failuredetails().errormessage();
  }

  // The index of the event at which the code does something else for the first
  // time. REQUIRES: there is one.
  size_t FirstDifference() const {
    size_t good = 0;
    size_t bad = end_;
    while (good + 1 < bad) {
      const size_t middle = good + (bad - good) / 2;
      (NonDeterminism(Run(middle)).empty() ? good : bad) = middle;
    }
    return bad - 1;
  }

  // `what` begins with "the history has" or "the code".
  absl::Status Differs(size_t event, const std::string& what) const {
    return absl::FailedPreconditionError(
        absl::StrCat("orchestration \"", history_.instance_id, "\", event ",
                     event + 1, " of ", history_.events.size(), " (line ",
                     history_.lines[event], "): ", what));
  }

  // Its last turn has ended, and it waits for something.
  absl::Status CheckUnfinished(const OrchestratorResponse& response) const {
    if (response.actions().empty() || history_.events.empty()) {
      return absl::OkStatus();
    }
    const OrchestratorAction& action = response.actions(0);
    if (!action.has_completeorchestration()) {
      return Differs(history_.events.size() - 1,
                     absl::StrCat("the history ends here, the code now ",
                                  worker::internal::ActionText(action),
                                  " as task ", action.id(), kSame));
    }
    return Differs(
        history_.events.size() - 1,
        absl::StrCat("the history ends here, and the orchestration "
                     "goes on, the code now ",
                     EndText(action.completeorchestration()), kSame));
  }

  absl::Status CheckEnd(const OrchestratorResponse& response) const {
    const ExecutionCompletedEvent& had =
        history_.events[end_].executioncompleted();
    // Whoever terminates an orchestration needs none of its code.
    if (had.orchestrationstatus() == ORCHESTRATION_STATUS_TERMINATED) {
      return absl::OkStatus();
    }
    CompleteOrchestrationAction was;
    was.set_orchestrationstatus(had.orchestrationstatus());
    if (had.has_result()) *was.mutable_result() = had.result();
    *was.mutable_failuredetails() = had.failuredetails();
    const std::string had_text = EndText(was);
    const CompleteOrchestrationAction* const now = EndIn(response);
    const std::string now_text =
        now == nullptr ? NotEnded(response) : EndText(*now);
    if (had_text == now_text) return absl::OkStatus();
    return Differs(end_, absl::StrCat("the history has that it ", had_text,
                                      ", the code now ", now_text, kSame));
  }

  static std::string NotEnded(const OrchestratorResponse& response) {
    if (response.actions().empty()) return "waits for something";
    return absl::StrCat(worker::internal::ActionText(response.actions(0)),
                        " as task ", response.actions(0).id());
  }

  static std::string EndText(const CompleteOrchestrationAction& end) {
    const std::string result =
        end.has_result() ? end.result().value() : "no output";
    switch (end.orchestrationstatus()) {
      case ORCHESTRATION_STATUS_COMPLETED:
        return absl::StrCat("completes with ", result);
      case ORCHESTRATION_STATUS_FAILED: {
        // Where the code failed may have moved.
        worker::TaskFailure failure =
            worker::internal::FromProto(end.failuredetails());
        return absl::StrCat("fails with ", FailureText(failure));
      }
      case ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
        return absl::StrCat("continues as new with ", result);
      default:
        return absl::StrCat("ends as ", end.orchestrationstatus());
    }
  }

  const worker::Registry& registry_;
  const ExportedHistory& history_;
  const size_t end_;
};

}  // namespace

absl::Status ReplayHistory(const TestCode& code,
                           const ExportedHistory& history) {
  const ExecutionStartedEvent* const start = FindStart(history);
  if (start == nullptr) {
    return absl::InvalidArgumentError(
        "the history has no event \"execution_started\", which names the "
        "orchestrator");
  }
  try {
    return Replayed(code.Orchestrator(start->name()), history).Check();
  } catch (const TestError& error) {
    return absl::NotFoundError(error.what());
  }
}

}  // namespace leasehold::testkit
