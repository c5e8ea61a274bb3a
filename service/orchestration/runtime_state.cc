#include "service/orchestration/runtime_state.h"

#include <utility>
#include <variant>

#include "service/orchestration/trace_message.h"

namespace leasehold {
namespace {

// What each event changes; events not listed change nothing.
struct Fold {
  RuntimeState& state;
  const HistoryEvent& event;

  void Begin(RuntimeState::UnderWay what, const OpaqueMessage& trace = {},
             std::string request_id = "") {
    if (!state.started.span_id.has_value()) return;
    what.time = event.time;
    if (const auto context = ContextIn(trace)) what.span = context->span;
    const int32_t id = request_id.empty() ? event.id : 0;
    state.under_way[{id, std::move(request_id)}] = std::move(what);
  }
  void End(int32_t id, const std::string& request_id = "") {
    if (!state.under_way.empty()) state.under_way.erase({id, request_id});
  }

  void operator()(const OrchestratorStarted&) { state.turn_time = event.time; }
  void operator()(const ExecutionStarted& started) {
    state.started = started;
    state.status = OrchestrationStatus::kRunning;
  }
  void operator()(const ExecutionCompleted& completed) {
    state.status = static_cast<OrchestrationStatus>(completed.status);
    state.output = completed.result;
    state.failure = completed.failure;
  }
  void operator()(const ExecutionTerminated& terminated) {
    state.terminated = terminated;
  }
  void operator()(const ExecutionSuspended&) {
    state.status = OrchestrationStatus::kSuspended;
  }
  void operator()(const ExecutionResumed&) {
    state.status = OrchestrationStatus::kRunning;
  }
  void operator()(const ExecutionRewound&) {
    state.status = OrchestrationStatus::kRunning;
    state.output.reset();
    state.failure = {};
    state.terminated.reset();
  }
  void operator()(const TaskScheduled& task) {
    state.tasks.insert(event.id);
    Begin({.time = {}, .name = task.name, .version = task.version}, task.trace);
  }
  void operator()(const TaskCompleted& completed) {
    state.tasks.erase(completed.task_scheduled_id);
    End(completed.task_scheduled_id);
  }
  void operator()(const TaskFailed& failed) {
    state.tasks.erase(failed.task_scheduled_id);
    End(failed.task_scheduled_id);
  }
  void operator()(const TimerCreated& created) {
    state.timers[event.id] = created.fire_at;
    Begin({.time = {}});
  }
  void operator()(const TimerFired& fired) {
    state.timers.erase(fired.timer_id);
    End(fired.timer_id);
  }
  void operator()(const SubOrchestrationCreated& created) {
    state.children[event.id] = created.instance_id;
    Begin({.time = {},
           .name = created.name,
           .version = created.version,
           .target = created.instance_id},
          created.trace);
  }
  void operator()(const SubOrchestrationCompleted& completed) {
    state.children.erase(completed.task_scheduled_id);
    End(completed.task_scheduled_id);
  }
  void operator()(const SubOrchestrationFailed& failed) {
    state.children.erase(failed.task_scheduled_id);
    End(failed.task_scheduled_id);
  }
  void operator()(const EventSent&) {}
  void operator()(const EventRaised&) {}
  void operator()(const EntityOperationSignaled&) {}
  void operator()(const EntityOperationCalled& call) {
    Begin({.time = {},
           .name = call.operation,
           .target = call.target.value_or("")},
          {}, call.request_id);
  }
  void operator()(const EntityOperationCompleted& completed) {
    End(0, completed.request_id);
  }
  void operator()(const EntityOperationFailed& failed) {
    End(0, failed.request_id);
  }
  void operator()(const EntityLockRequested&) {}
  void operator()(const EntityLockGranted&) {}
  void operator()(const EntityUnlockSent&) {}
  void operator()(const OtherEvent&) {}
};

}  // namespace

void RuntimeState::Apply(const HistoryEvent& event) {
  ++event_count;
  std::visit(Fold{*this, event}, event.body);
}

bool RuntimeState::ApplyFrames(std::string_view frames) {
  bool good = true;
  const bool framed = ForEachFrame(frames, [&](std::string_view bytes) {
    const std::optional<HistoryEvent> event = DecodeEvent(bytes);
    if (event.has_value()) {
      Apply(*event);
    } else {
      good = false;
    }
  });
  return framed && good;
}

}  // namespace leasehold
