// Turn: one execution of an orchestrator against its history.
//
// A pure function: registry and request in, response out; no clock, no I/O. The
// orchestrator's coroutine starts from the beginning in each turn. It gets the
// events of the history and then the new ones, one by one, and after each it
// runs until it waits. What it starts gets a number, its ID. The history
// confirms it under this ID (`TaskScheduled`), or, if this is the turn that
// starts it, it becomes an action of the response:
//
//   past  OrchestratorStarted, ExecutionStarted      runs; calls activity 1
//   past  TaskScheduled 1                            confirmed
//   new   OrchestratorStarted, TaskCompleted 1       runs on; calls activity 2
//   response: [ScheduleTask 2]
//
// In the history, each turn confirms all that it started before the next turn
// begins. So code that does something other than before is found right there,
// and fails the orchestration with NonDeterminismError.
//
// While an orchestration is suspended, results and events wait for its resume.
//
// Thread-safety: one thread.   Lifetime: registry, request and log outlive it.
#ifndef LEASEHOLD_CLIENT_WORKER_TURN_H_
#define LEASEHOLD_CLIENT_WORKER_TURN_H_

#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "client/worker/critical_section.h"
#include "client/worker/durable_state.h"
#include "client/worker/entity_id.h"
#include "client/worker/log.h"
#include "client/worker/orchestration_context.h"
#include "client/worker/registry.h"
#include "client/worker/task.h"
#include "client/worker/task_state.h"
#include "durabletask/orchestrator_service.pb.h"

namespace leasehold::worker::internal {

// In a response, beside the fields of the contract: the names of events that
// the orchestrator waits for, a few of them.
inline constexpr int kAwaitedEventsField = 1000;
inline constexpr int kAwaitedEventsMax = 10;

// Something that an orchestrator waits for.
struct Wait {
  std::optional<int32_t> task_id;  // Empty: an event.
  std::string what;                // `activity "Pay"`, `event "x"`, …
};

class Turn {
 public:
  Turn(const Registry& registry, const OrchestratorRequest& request,
       const LogSink& log);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  // REQUIRES: called once.
  OrchestratorResponse Run();
  // After Run: what is outstanding. Names of events are in lower case.
  std::vector<Wait> Waits() const;

  // For the context.
  const std::string& instance_id() const { return request_.instanceid(); }
  const std::string& execution_id() const { return execution_id_; }
  const std::string& name() const { return started_->name(); }
  const std::optional<std::string>& version() const { return version_; }
  const std::optional<std::string>& parent_instance_id() const {
    return parent_instance_id_;
  }
  absl::Time now() const { return now_; }
  bool replaying() const { return replaying_; }
  RunQueue& queue() { return queue_; }
  std::string NewUuid();
  void Log(std::string_view message);

  // An action with a new ID, for the caller to fill.
  OrchestratorAction& NewAction();
  // The history will have a result of `action`, which goes to `sink`.
  void OpenTask(const OrchestratorAction& action,
                std::shared_ptr<PayloadSink> sink);
  void AwaitEvent(std::string_view name,
                  const std::shared_ptr<PayloadSink>& sink);
  // These throw EntityLockError.
  void CallEntity(const EntityId& entity, std::string_view operation,
                  const Payload& input, std::shared_ptr<PayloadSink> sink);
  void SignalEntity(const EntityId& entity, std::string_view operation,
                    const Payload& input, std::optional<absl::Time> at);
  // Returns the task ID of the request.
  int32_t LockEntities(const std::vector<EntityId>& entities,
                       std::shared_ptr<PayloadSink> sink);
  void CheckChild(std::string_view what) const { section_.CheckChild(what); }
  // Ends the lock that this task has brought, if it has not ended.
  void UnlockEntities(int32_t task_id);
  void SetCustomStatus(Payload status);
  void ContinueAsNew(Payload input, UnreadEvents unread);

 private:
  // A result whose kind is not the task's is non-determinism too.
  struct Open {
    OrchestratorAction::OrchestratorActionTypeCase kind;
    std::string name;
    std::shared_ptr<PayloadSink> sink;
  };
  struct EntityCall {
    int32_t task_id;
    EntityId entity;
  };
  struct Unread {
    uint64_t arrival;
    const HistoryEvent* event;
  };

  void HandleAll(
      const google::protobuf::RepeatedPtrField<HistoryEvent>& events);
  // Handles the event, unless it has to wait for a resume.
  void Handle(const HistoryEvent& event);
  void Apply(const HistoryEvent& event);
  void Begin(const ExecutionStartedEvent& started);
  void BeginTurn(const HistoryEvent& event);
  // `event` says that the history has this action, which is then no longer
  // open.
  void Confirm(const HistoryEvent& event);
  // The task that `event` is the result of; null if there is none.
  std::shared_ptr<PayloadSink> TakeTask(
      const HistoryEvent& event, int32_t id,
      OrchestratorAction::OrchestratorActionTypeCase kind);
  void FailTask(const HistoryEvent& event, int32_t id,
                OrchestratorAction::OrchestratorActionTypeCase kind,
                const TaskFailureDetails& details);
  void Raise(const HistoryEvent& event);
  // Of a request to an entity; the same each time.
  std::string RequestId(int32_t task_id) const;
  // `event` confirms `action`. The request may have gone out under another ID
  // than it would have now.
  void NoteRequestId(const HistoryEvent& event,
                     const OrchestratorAction& action);
  // The task that this request belongs to.
  std::optional<int32_t> TakeEntityCall(const std::string& request_id);
  // Applies the event if it is about entities.
  void ApplyOfEntity(const HistoryEvent& event);
  void EndEntityCall(const HistoryEvent& event);
  void GrantLock(const HistoryEvent& event);
  // Runs the coroutines until each one waits or has ended.
  void RunReady();
  void NoteEnd();
  // An orchestration that nothing can wake would be RUNNING for ever.
  void FailIfStuck();
  void Complete(OrchestrationStatus status, const Payload& result);
  void Fail(TaskFailureDetails details);
  // Events that are kept for the next execution, in order.
  void AddCarriedOver(CompleteOrchestrationAction& completion) const;
  void AddAwaitedEvents(OrchestratorResponse& response) const;
  OrchestratorResponse Response();

  // Constant after construction.
  const Registry& registry_;
  const OrchestratorRequest& request_;
  const LogSink& log_;

  // From ExecutionStarted on.
  const ExecutionStartedEvent* started_;
  std::string execution_id_;
  const bool rewound_;  // Its history may lack what the code starts.
  std::optional<std::string> version_;
  std::optional<std::string> parent_instance_id_;

  absl::Time now_ = absl::UnixEpoch();
  bool replaying_ = true;
  bool begun_ = false;
  bool suspended_ = false;
  bool ended_ = false;  // Nothing that the code does counts any more.
  std::deque<const HistoryEvent*> held_;  // Until it is resumed.
  uint64_t uuids_ = 0;

  int32_t next_id_ = 1;
  // Actions that the history has not confirmed: at the end, those of this turn.
  std::map<int32_t, OrchestratorAction> unconfirmed_;
  std::map<int32_t, Open> open_tasks_;
  CriticalSection section_;
  std::map<std::string, EntityCall> entity_calls_;  // By request IDs.
  // By names in lower case. A task that is destroyed no longer waits.
  std::map<std::string, std::deque<std::weak_ptr<PayloadSink>>> waiting_;
  // As the code writes them.
  std::map<std::string, std::string> event_names_;
  std::map<std::string, std::deque<Unread>> unread_;
  uint64_t arrivals_ = 0;

  std::optional<Payload> custom_status_;
  std::optional<CompleteOrchestrationAction> completion_;
  bool keep_unread_ = false;
  // Events that came after the end.
  std::vector<const HistoryEvent*> late_;

  // These outlive the coroutines.
  RunQueue queue_;
  OrchestrationContext context_{*this};
  std::optional<Task<Payload>> root_;
};

// What an orchestration with this history waits for; nothing if it has ended.
std::vector<Wait> WaitsOf(const Registry& registry,
                          const OrchestratorRequest& request);

// The turn that a server asks for. `log` may be null.
OrchestratorResponse RunTurn(const Registry& registry,
                             const OrchestratorRequest& request,
                             const LogSink& log);

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_TURN_H_
