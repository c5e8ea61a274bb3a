#include "service/orchestration/turn.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/bounds.h"
#include "service/orchestration/run_spans.h"

namespace leasehold {
namespace {

size_t SizeOf(const Payload& payload) {
  return payload.has_value() ? payload->size() : 0;
}

// The size of the payload in an action.
struct PayloadSize {
  size_t operator()(const TaskScheduled& task) { return SizeOf(task.input); }
  size_t operator()(const SubOrchestrationCreated& child) {
    return SizeOf(child.input);
  }
  size_t operator()(const EventSent& sent) { return SizeOf(sent.input); }
  size_t operator()(const EntityOperationSignaled& signal) {
    return SizeOf(signal.input);
  }
  size_t operator()(const EntityOperationCalled& call) {
    return SizeOf(call.input);
  }
  size_t operator()(const LegacyEntityMessage& legacy) {
    return SizeOf(legacy.sent.input);
  }
  size_t operator()(const CompleteExecution& completion) {
    return SizeOf(completion.result);
  }
  size_t operator()(const TerminateOther& other) {
    return SizeOf(other.reason);
  }
  size_t operator()(const auto&) { return 0; }
};

struct Refused {
  std::string type;
  std::string message;
};

// The first action that ends the execution; nullptr: none.
const OrchestratorAction* FindEnd(const TurnAnswer& answer) {
  for (const OrchestratorAction& action : answer.actions) {
    if (std::holds_alternative<CompleteExecution>(action.what)) return &action;
  }
  return nullptr;
}

bool ContinuesAsNew(const OrchestratorAction& end) {
  return std::get<CompleteExecution>(end.what).status ==
         OrchestrationStatus::kContinuedAsNew;
}

// All ask for locks in one order, each once: otherwise two could wait for each
// other for ever. SDKs sort too, but each in its own order.
void PutInOrder(EntityLockRequested& lock) {
  if (lock.position != 0) return;
  std::set<std::string> names;
  for (std::string& id : lock.lock_set) names.insert(NormalId(std::move(id)));
  lock.lock_set.assign(names.begin(), names.end());
}

// Finds what the server refuses in an answer.
std::optional<Refused> FindRefused(const RuntimeState& state,
                                   const TurnAnswer& answer,
                                   const TurnLimits& limits,
                                   bool continues_as_new) {
  if (answer.refusal.has_value()) {
    return Refused{answer.refusal->type, answer.refusal->message};
  }
  for (const OrchestratorAction& action : answer.actions) {
    if (std::holds_alternative<RewindHistory>(action.what)) {
      return Refused{
          "NotRewinding",
          "the worker answered with a history to go on with, and was not asked "
          "to rewind"};
    }
    // Stored events must be readable; otherwise the orchestration is lost.
    const auto* end = std::get_if<CompleteExecution>(&action.what);
    if (end != nullptr &&
        !std::all_of(
            end->carried_over.begin(), end->carried_over.end(),
            [](const auto& bytes) { return DecodeEvent(bytes).has_value(); })) {
      return Refused{"UnreadableEvent",
                     "the worker continued as new with an event to carry over "
                     "that is not a HistoryEvent"};
    }
    const size_t size = std::visit(PayloadSize{}, action.what);
    if (size > limits.payload_bytes_max) {
      return Refused{"PayloadTooLarge",
                     PayloadTooLarge(absl::StrCat("action ", action.id,
                                                  " has a payload of"),
                                     size, limits)};
    }
  }
  if (const absl::Status status = CheckAnswer(answer); !status.ok()) {
    return Refused{"InvalidAction", std::string(status.message())};
  }
  if (SizeOf(answer.custom_status) > limits.payload_bytes_max) {
    return Refused{"PayloadTooLarge",
                   PayloadTooLarge("the custom status has",
                                   SizeOf(answer.custom_status), limits)};
  }
  const int64_t events =
      state.event_count + static_cast<int64_t>(answer.actions.size());
  if (events > limits.history_events_max && !continues_as_new) {
    return Refused{
        "HistoryTooLong",
        absl::StrCat("the history would have ", events, " events; at most ",
                     limits.history_events_max,
                     " are allowed (--max-history-events); an orchestration "
                     "that runs forever must continue as new")};
  }
  return std::nullopt;
}

// Carries out actions one after the other.
class Conclusion {
 public:
  Conclusion(const RuntimeState& state, const std::string& id, Timestamp now,
             bool continues_as_new)
      : state_(state), id_(id), now_(now), as_new_(continues_as_new) {}

  void Do(int32_t id, TaskScheduled task) {
    if (as_new_) return;  // No one would wait for it.
    task.trace = TraceOfAction(state_, id, std::move(task.trace));
    outcome_.tasks.push_back({id, task});
    Echo(id, std::move(task));
  }

  void Do(int32_t id, TimerCreated timer) {
    if (as_new_) return;
    outcome_.timers.push_back({id, timer.fire_at});
    Echo(id, timer);
  }

  void Do(int32_t id, SubOrchestrationCreated child) {
    if (child.instance_id.empty()) {
      child.instance_id = absl::StrFormat("%s:%04x", id_, id);
    }
    child.trace = TraceOfAction(state_, id, std::move(child.trace));
    if (absl::Status status = CheckChildId(child.instance_id); status.ok()) {
      Start(id, child);
    } else {
      RefuseChild(id, std::string(status.message()));
    }
    Echo(id, std::move(child));
  }

  void Do(int32_t id, EventSent sent) {
    outcome_.messages.push_back(
        {sent.instance_id, std::nullopt,
         FromOutside(EventRaised{sent.name, sent.input})});
    Echo(id, std::move(sent));
  }

  // What is sent to an entity says who sends it, also in the history.
  void Do(int32_t id, EntityOperationSignaled signal) {
    Tell(signal);
    Echo(id, std::move(signal));
  }

  void Do(int32_t id, EntityOperationCalled call) {
    call.caller = id_;
    call.caller_execution = execution_id();
    Tell(call);
    Echo(id, std::move(call));
  }

  void Do(int32_t id, EntityLockRequested lock) {
    lock.requester = id_;
    Tell(lock);
    Echo(id, std::move(lock));
  }

  void Do(int32_t id, EntityUnlockSent unlock) {
    unlock.holder = id_;
    Tell(unlock);
    Echo(id, std::move(unlock));
  }

  void Do(int32_t id, LegacyEntityMessage legacy) {
    std::visit([this](auto& message) { Tell(std::move(message)); },
               legacy.message);
    Echo(id, std::move(legacy.sent));
  }

  void Do(int32_t, TerminateOther other) {
    outcome_.messages.push_back(
        {other.instance_id, std::nullopt,
         FromOutside(ExecutionTerminated{other.reason, other.recursive})});
  }

  // Was refused before: this is not a rewind turn.
  void Do(int32_t, const RewindHistory&) {}

  void Do(int32_t id, CompleteExecution completion) {
    if (as_new_) {
      ContinueAsNew(std::move(completion));
    } else {
      Complete(id, std::move(completion));
    }
  }

  TurnOutcome Take() { return std::move(outcome_); }

 private:
  HistoryEvent FromOutside(EventBody body) const {
    return {HistoryEvent::kFromOutside, now_, std::move(body)};
  }

  void Echo(int32_t id, EventBody body) {
    if (!as_new_) outcome_.events.push_back({id, now_, std::move(body)});
  }

  void Tell(EntityOperationSignaled signal) {
    std::string target = signal.target.value_or("");
    TellEntity(std::move(target), std::move(signal));
  }
  void Tell(EntityOperationCalled call) {
    // Only this execution waits for the answer.
    call.caller = id_;
    call.caller_execution = execution_id();
    std::string target = call.target.value_or("");
    TellEntity(std::move(target), std::move(call));
  }
  void Tell(EntityLockRequested lock) {
    lock.requester = id_;
    // Only this execution can use it.
    lock.requester_execution = execution_id().value_or("");
    PutInOrder(lock);
    std::string first = lock.lock_set[lock.position];
    TellEntity(std::move(first), std::move(lock));
  }
  void Tell(EntityUnlockSent unlock) {
    unlock.holder = id_;
    std::string target = unlock.target.value_or("");
    TellEntity(std::move(target), std::move(unlock));
  }

  void TellEntity(std::string entity, EventBody body) {
    outcome_.messages.push_back(
        {std::move(entity), std::nullopt, FromOutside(std::move(body))});
  }

  const Payload& execution_id() const {
    return state_.started.orchestration.execution_id;
  }

  void Start(int32_t id, const SubOrchestrationCreated& child) {
    ExecutionStarted started = StartOfChild(state_, id_, id, child);
    created_.insert(child.instance_id);
    outcome_.children.push_back({id, std::move(started)});
  }

  void RefuseChild(int32_t id, std::string why) {
    outcome_.messages.push_back(
        {id_, execution_id(),
         FromOutside(SubOrchestrationFailed{
             id, MakeFailure("InvalidInstanceId", std::move(why))})});
  }

  void ContinueAsNew(CompleteExecution completion) {
    TurnOutcome::Next next;
    next.started = state_.started;
    next.started.orchestration.execution_id.reset();
    next.started.scheduled_start.reset();
    next.started.input = std::move(completion.result);
    if (completion.new_version.has_value()) {
      next.started.version = std::move(completion.new_version);
    }
    next.carried_over = std::move(completion.carried_over);
    // Their senders were told OK, and workers do not carry them over.
    if (state_.terminated.has_value()) {
      next.carried_over.push_back(EncodeEvent(FromOutside(*state_.terminated)));
    } else if (state_.status == OrchestrationStatus::kSuspended) {
      next.carried_over.push_back(
          EncodeEvent(FromOutside(ExecutionSuspended{})));
    }
    outcome_.next = std::move(next);
  }

  void Complete(int32_t id, CompleteExecution completion) {
    TellParent(completion);
    if (state_.terminated.has_value() && state_.terminated->recursive) {
      TerminateChildren(*state_.terminated);
    }
    Echo(id, ExecutionCompleted{static_cast<int32_t>(completion.status),
                                std::move(completion.result),
                                std::move(completion.failure)});
  }

  void TellParent(const CompleteExecution& completion) {
    const std::optional<ParentLink>& parent = state_.started.parent;
    if (!parent.has_value()) return;
    EventBody body =
        EndOfChild(id_, parent->task_scheduled_id, completion.status,
                   completion.result, completion.failure);
    outcome_.messages.push_back({parent->orchestration.instance_id,
                                 parent->orchestration.execution_id,
                                 FromOutside(std::move(body))});
  }

  void TerminateChildren(const ExecutionTerminated& terminated) {
    std::set<std::string> children = created_;
    for (const auto& [id, child] : state_.children) children.insert(child);
    for (const std::string& child : children) {
      outcome_.messages.push_back(
          {child, std::nullopt, FromOutside(terminated)});
    }
  }

  const RuntimeState& state_;
  const std::string& id_;
  const Timestamp now_;
  const bool as_new_;
  std::set<std::string> created_;  // Children of this turn.
  TurnOutcome outcome_;
};

}  // namespace

std::string PayloadTooLarge(std::string_view what, size_t size,
                            const TurnLimits& limits) {
  return absl::StrCat(std::string(what), " ", size, " bytes; at most ",
                      limits.payload_bytes_max, " are allowed (--max-payload)");
}

absl::Status CheckPayload(const Payload& payload, std::string_view what,
                          const TurnLimits& limits) {
  if (!payload.has_value() || payload->size() <= limits.payload_bytes_max) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      PayloadTooLarge(what, payload->size(), limits));
}

absl::Status CheckChildId(const std::string& id) {
  if (id.starts_with('@')) {
    return absl::InvalidArgumentError(
        "instance IDs that begin with @ are those of entities");
  }
  // The rules are the same in each tenant; a child is in its parent's.
  return MakeInstanceKey(/*tenant=*/{}, id, "its instance ID").status();
}

ExecutionStarted StartOfChild(const RuntimeState& state, const std::string& id,
                              int32_t action_id,
                              const SubOrchestrationCreated& child) {
  ExecutionStarted started;
  started.name = child.name;
  started.version = child.version;
  started.input = child.input;
  started.orchestration.instance_id = child.instance_id;
  started.parent = ParentLink{action_id,
                              state.started.name,
                              state.started.version,
                              {id, state.started.orchestration.execution_id}};
  started.trace = child.trace;
  started.tags = child.tags;
  return started;
}

EventBody EndOfChild(const std::string& id, int32_t action_id,
                     OrchestrationStatus status, const Payload& result,
                     const OpaqueMessage& failure) {
  if (status == OrchestrationStatus::kCompleted) {
    return SubOrchestrationCompleted{action_id, result};
  }
  if (failure.has_value()) return SubOrchestrationFailed{action_id, failure};
  const bool terminated = status == OrchestrationStatus::kTerminated;
  return SubOrchestrationFailed{
      action_id,
      MakeFailure(
          terminated ? "SubOrchestrationTerminated" : "SubOrchestrationFailed",
          absl::StrCat("the sub-orchestration ", QuoteForMessage(id),
                       terminated ? " was terminated" : " failed"))};
}

TurnOutcome ConcludeTurn(const RuntimeState& state, const std::string& id,
                         TurnAnswer answer, const TurnLimits& limits,
                         Timestamp now) {
  // Some workers send actions in any order: the end is processed last.
  const OrchestratorAction* end = FindEnd(answer);
  bool continues_as_new = end != nullptr && ContinuesAsNew(*end);
  std::string limit;
  if (std::optional<Refused> refused =
          FindRefused(state, answer, limits, continues_as_new)) {
    limit = refused->message;
    CompleteExecution failed;
    failed.status = OrchestrationStatus::kFailed;
    failed.failure =
        MakeFailure(std::move(refused->type), std::move(refused->message));
    answer.actions.clear();
    end =
        &answer.actions.emplace_back(OrchestratorAction{0, std::move(failed)});
    continues_as_new = false;
  }
  const bool unheeded =
      state.terminated.has_value() &&
      (end == nullptr || (continues_as_new && answer.terminate_is_old));
  if (unheeded) {
    CompleteExecution terminated;
    terminated.status = OrchestrationStatus::kTerminated;
    terminated.result = state.terminated->output;
    end = &answer.actions.emplace_back(
        OrchestratorAction{HistoryEvent::kFromOutside, std::move(terminated)});
    continues_as_new = false;
  }
  Conclusion conclusion(state, id, now, continues_as_new);
  for (OrchestratorAction& action : answer.actions) {
    if (std::holds_alternative<CompleteExecution>(action.what)) continue;
    std::visit([&](auto& what) { conclusion.Do(action.id, std::move(what)); },
               action.what);
  }
  if (end != nullptr) {
    conclusion.Do(end->id, std::get<CompleteExecution>(end->what));
  }
  TurnOutcome outcome = conclusion.Take();
  outcome.limit = std::move(limit);
  outcome.terminate_unheeded = unheeded;
  return outcome;
}

}  // namespace leasehold
