#include "service/orchestration/engine_observer.h"

namespace leasehold {

std::string_view WorkEventName(WorkEventKind kind) {
  switch (kind) {
    case WorkEventKind::kWorkerConnected:
      return "worker_connected";
    case WorkEventKind::kWorkerGone:
      return "worker_gone";
    case WorkEventKind::kWorkerSilent:
      return "worker_silent";
    case WorkEventKind::kWorkerAnswers:
      return "worker_answers";
    case WorkEventKind::kLost:
      return "work_lost";
    case WorkEventKind::kGivenBack:
      return "work_given_back";
    case WorkEventKind::kNotMine:
      return "work_not_known";
    case WorkEventKind::kUnwanted:
      return "work_unwanted";
    case WorkEventKind::kTimedOut:
      return "work_timed_out";
    case WorkEventKind::kFailedByLimit:
      return "failed_by_limit";
    case WorkEventKind::kAnswerRefused:
      return "answer_refused";
    case WorkEventKind::kEndedByServer:
      return "ended_by_server";
    case WorkEventKind::kSetAside:
      return "set_aside";
    case WorkEventKind::kLockExpired:
      return "lock_expired";
    case WorkEventKind::kOrchestrationStarted:
      return "orchestration_started";
    case WorkEventKind::kOrchestrationEnded:
      return "orchestration_ended";
    case WorkEventKind::kOrchestrationFailed:
      return "orchestration_failed";
  }
  return "";
}

}  // namespace leasehold
