#include "client/testing/event_text.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "client/worker/echo_check.h"
#include "client/worker/failure_messages.h"
#include "lease/base/utf8.h"

namespace leasehold::testkit {
namespace {

using google::protobuf::StringValue;

std::string Brief(std::string_view text) {
  constexpr size_t kBytes = 200;
  const std::string_view brief = Utf8Front(text, kBytes);
  return absl::StrCat(std::string(brief),
                      brief.size() < text.size() ? "…" : "");
}

std::string With(const char* what, bool present, const StringValue& value) {
  return present ? absl::StrCat(", ", what, " ", Brief(value.value())) : "";
}

std::string Why(const TaskFailureDetails& details) {
  return absl::StrCat(": ",
                      Brief(FailureText(worker::internal::FromProto(details))));
}

std::string EndText(const ExecutionCompletedEvent& end) {
  switch (end.orchestrationstatus()) {
    case ORCHESTRATION_STATUS_COMPLETED:
      return absl::StrCat("it completed",
                          With("output", end.has_result(), end.result()));
    case ORCHESTRATION_STATUS_FAILED:
      return absl::StrCat("it failed", Why(end.failuredetails()));
    case ORCHESTRATION_STATUS_TERMINATED:
      return absl::StrCat("it was terminated",
                          With("output", end.has_result(), end.result()));
    default:
      return absl::StrCat("it ended as ", end.orchestrationstatus());
  }
}

std::string WhatHappened(const ::HistoryEvent& event) {
  using ::HistoryEvent;
  switch (event.eventType_case()) {
    case HistoryEvent::kOrchestratorStarted:
      return "a turn began";
    case HistoryEvent::kOrchestratorCompleted:
      return "the turn ended";
    case HistoryEvent::kExecutionStarted: {
      const ExecutionStartedEvent& started = event.executionstarted();
      return absl::StrCat("\"", started.name(), "\" was started",
                          With("input", started.has_input(), started.input()));
    }
    case HistoryEvent::kExecutionCompleted:
      return EndText(event.executioncompleted());
    case HistoryEvent::kExecutionTerminated:
      return "it was told to terminate";
    case HistoryEvent::kExecutionSuspended:
      return "it was suspended";
    case HistoryEvent::kExecutionResumed:
      return "it was resumed";
    case HistoryEvent::kExecutionRewound:
      return "it was rewound";
    case HistoryEvent::kTaskScheduled:
      return With("input", event.taskscheduled().has_input(),
                  event.taskscheduled().input());
    case HistoryEvent::kTaskCompleted:
      return With("result", event.taskcompleted().has_result(),
                  event.taskcompleted().result());
    case HistoryEvent::kTaskFailed:
      return Why(event.taskfailed().failuredetails());
    case HistoryEvent::kSubOrchestrationInstanceCreated: {
      const auto& child = event.suborchestrationinstancecreated();
      return absl::StrCat(" as \"", child.instanceid(), "\"",
                          With("input", child.has_input(), child.input()));
    }
    case HistoryEvent::kSubOrchestrationInstanceCompleted: {
      const auto& done = event.suborchestrationinstancecompleted();
      return With("result", done.has_result(), done.result());
    }
    case HistoryEvent::kSubOrchestrationInstanceFailed:
      return Why(event.suborchestrationinstancefailed().failuredetails());
    case HistoryEvent::kEventRaised:
      return With("data", event.eventraised().has_input(),
                  event.eventraised().input());
    case HistoryEvent::kEntityOperationCalled:
      return With("input", event.entityoperationcalled().has_input(),
                  event.entityoperationcalled().input());
    case HistoryEvent::kEntityOperationSignaled:
      return With("input", event.entityoperationsignaled().has_input(),
                  event.entityoperationsignaled().input());
    case HistoryEvent::kEntityOperationCompleted:
      return With("result", event.entityoperationcompleted().has_output(),
                  event.entityoperationcompleted().output());
    case HistoryEvent::kEntityOperationFailed:
      return Why(event.entityoperationfailed().failuredetails());
    default:
      return "";
  }
}

// Whether WhatHappened continues what the worker says of the event.
bool IsOfTask(const ::HistoryEvent& event) {
  switch (event.eventType_case()) {
    case ::HistoryEvent::kOrchestratorStarted:
    case ::HistoryEvent::kOrchestratorCompleted:
    case ::HistoryEvent::kExecutionStarted:
    case ::HistoryEvent::kExecutionCompleted:
    case ::HistoryEvent::kExecutionTerminated:
    case ::HistoryEvent::kExecutionSuspended:
    case ::HistoryEvent::kExecutionResumed:
    case ::HistoryEvent::kExecutionRewound:
      return false;
    default:
      return true;
  }
}

}  // namespace

std::string EventLine(const ::HistoryEvent& event, absl::Time start) {
  const absl::Time time = absl::FromUnixSeconds(event.timestamp().seconds()) +
                          absl::Nanoseconds(event.timestamp().nanos());
  return absl::StrCat("+", absl::FormatDuration(time - start), "  ",
                      IsOfTask(event) ? worker::internal::EventText(event) : "",
                      WhatHappened(event));
}

std::string FailureText(const worker::TaskFailure& failure) {
  std::string text =
      absl::StrCat(failure.error_type, ": ", failure.error_message);
  if (failure.inner != nullptr) {
    absl::StrAppend(&text, ", because of ", FailureText(*failure.inner));
  }
  return text;
}

}  // namespace leasehold::testkit
