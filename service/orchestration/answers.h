// Answers: workers' answers, and work that comes back without one.
//
// Work itself may be at fault: a history that is too long for its workers, or
// an activity that crashes their process. It would come back forever and each
// time take down the other work of its worker. So the engine counts how often
// in a row work is lost. After two losses work is suspect: it goes out again
// after a delay, and a worker gets one suspect item at a time, so that if that
// worker goes too, the cause is known. In the end the work fails.
//
// The death of the server counts as well, for work that it had then: the
// store's witness keeps that work and the counts (recovery.h).
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ANSWERS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ANSWERS_H_

#include <memory>
#include <string>
#include <string_view>

#include "service/dispatch/worker.h"
#include "service/orchestration/engine_observer.h"
#include "service/orchestration/orchestration.h"
#include "service/orchestration/requests.h"
#include "service/orchestration/work_exchange.h"

namespace leasehold {

class Engine;

class Answers {
 public:
  explicit Answers(Engine& engine) : engine_(engine) {}
  Answers(const Answers&) = delete;
  Answers& operator=(const Answers&) = delete;

  // Takes back all work that is out with the worker.
  void OnWorkerGone(WorkerId id);
  void CompleteTurn(const WorkName& name, TurnAnswer answer, DoneStatus done);
  void CompleteActivity(const WorkName& name, EventBody end, DoneStatus done);
  void RefuseAnswer(WorkKind kind, const WorkName& name,
                    std::string_view reason);
  void Abandon(WorkKind kind, const WorkName& name);

  // Takes work from its worker; it goes out again after a delay.
  void RetryLocked(Work& work);
  // Same, for work that no worker has any more.
  void RetryLaterLocked(Work& work);
  // Reports an event about work to the observer after the lock is released.
  void ObserveLocked(WorkEventKind kind, Work& work, int count,
                     std::string_view reason);
  void ObserveLocked(WorkEvent event);
  // The same, that an orchestration has begun, or ended, durably. `parent`: of
  // which it is a sub-orchestration, if it is one.
  void ObserveStartLocked(const Orchestration& orchestration,
                          const Payload& parent);
  void ObserveEndLocked(const Orchestration& orchestration,
                        OrchestrationStatus status,
                        const OpaqueMessage& failure);
  // Only for the strip of its ID: it goes on as a new execution, begins again
  // by a rewind, and then gets another ID of its execution.
  void ObserveNextLocked(const Orchestration& orchestration,
                         const std::string& next);
  void ObserveReopenedLocked(const Orchestration& orchestration);
  void ObserveRenamedLocked(const Orchestration& orchestration);
  // What has happened to an ID, or a tenant, is to be forgotten.
  void ObserveErasedLocked(const InstanceKey& key);
  void ObserveWipedLocked(const std::string& tenant);
  // The work is out and will not come back. Ends it if it was lost too often.
  void CountLossLocked(Work& work, std::string_view how,
                       WorkEventKind kind = WorkEventKind::kLost);
  void ObserveUnwantedLocked();
  // "no connected worker takes ..."; empty: a worker takes it, and answers.
  std::string UnwantedLocked(const Work& work);
  void EndActivityLocked(ActivityWork& activity, EventBody end,
                         DoneStatus done);
  // The worker does not know the name. True: the answer does not count, and the
  // work goes to another worker or waits for one.
  bool DisownLocked(Work& work);
  void RefuseLateLocked(const WorkName& name, const DoneStatus& done);
  // nullptr: it is not out.
  Work* FindWorkLocked(WorkKind kind, const WorkName& name);

 private:
  // Has `note` called after the lock is released, if anything is recorded.
  template <typename Note>
  void RecordLocked(Note note);
  // Whether a turn of the orchestration was sent and can be answered.
  static bool AwaitsAnswer(const Orchestration& orchestration);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ANSWERS_H_
