#include "service/http/durable_functions_history.h"

#include <optional>
#include <string_view>
#include <variant>

#include "service/http/durable_functions_json.h"
#include "service/http/durable_functions_status.h"

namespace leasehold {
namespace {

// Events of the contract that the engine does not read.
constexpr int kOrchestratorCompleted = 15;
constexpr int kGenericEvent = 18;

// A message that has a text as its first field.
struct OneText {
  Payload text;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.text);
  }
};

// The action whose end an event is.
std::optional<int32_t> EndedBy(const HistoryEvent& event) {
  return std::visit(
      [](const auto& body) -> std::optional<int32_t> {
        if constexpr (requires { body.task_scheduled_id; }) {
          return body.task_scheduled_id;
        } else {
          return std::nullopt;
        }
      },
      event.body);
}

}  // namespace

void HistoryOutline::Add(const HistoryEvent& event) {
  ++events;
  if (const std::optional<int32_t> action = EndedBy(event)) ++ends[*action];
}

// Writes an event, by its kind. An operator returns false if the event is not
// shown, and has written nothing then.
struct HistoryEventsWriter::Words {
  HistoryEventsWriter& writer;
  const HistoryEvent& event;
  std::string& out;

  bool operator()(const OrchestratorStarted&) const { return false; }
  bool operator()(const OtherEvent& e) const {
    if (e.number == kOrchestratorCompleted || e.number == 0) return false;
    if (e.number == kGenericEvent) {
      JsonObject object = Begin("GenericEvent");
      const auto data = DecodeMessage<OneText>(e.bytes).value_or(OneText{});
      object.Json("Data", PayloadJson(data.text));
      return End(object);
    }
    JsonObject object = Begin("Other");
    object.Integer("Number", e.number);
    return End(object);
  }
  bool operator()(const ExecutionStarted& e) const {
    JsonObject object = Begin("ExecutionStarted");
    object.Text("FunctionName", e.name);
    Input(object, e.input);
    return End(object);
  }
  bool operator()(const ExecutionCompleted& e) const {
    JsonObject object = Begin("ExecutionCompleted");
    object.Text("OrchestrationStatus",
                RuntimeStatusOf(static_cast<OrchestrationStatus>(e.status)));
    Result(object, e.result);
    if (e.failure.has_value()) {
      object.Json("FailureDetails", FailureJson(e.failure));
    }
    return End(object);
  }
  bool operator()(const ExecutionTerminated& e) const {
    JsonObject object = Begin("ExecutionTerminated");
    object.Json("Input", PayloadJson(e.output));
    return End(object);
  }
  bool operator()(const ExecutionSuspended& e) const {
    return Paused("ExecutionSuspended", e.reason);
  }
  bool operator()(const ExecutionResumed& e) const {
    return Paused("ExecutionResumed", e.reason);
  }
  bool operator()(const ExecutionRewound& e) const {
    return Paused("ExecutionRewound", e.reason);
  }

  bool operator()(const TaskScheduled& e) const {
    if (Hold(e.name, e.input)) return false;
    JsonObject object = Begin("TaskScheduled");
    Names(object, e.name);
    Input(object, e.input);
    return End(object);
  }
  bool operator()(const SubOrchestrationCreated& e) const {
    if (Hold(e.name, e.input)) return false;
    JsonObject object = Begin("SubOrchestrationInstanceCreated");
    Names(object, e.name);
    object.Text("InstanceId", e.instance_id);
    Input(object, e.input);
    return End(object);
  }
  bool operator()(const TaskCompleted& e) const {
    return Completed("TaskCompleted", e);
  }
  bool operator()(const SubOrchestrationCompleted& e) const {
    return Completed("SubOrchestrationInstanceCompleted", e);
  }
  bool operator()(const TaskFailed& e) const { return Failed("TaskFailed", e); }
  bool operator()(const SubOrchestrationFailed& e) const {
    return Failed("SubOrchestrationInstanceFailed", e);
  }

  bool operator()(const TimerCreated& e) const {
    return Timer("TimerCreated", e.fire_at);
  }
  bool operator()(const TimerFired& e) const {
    return Timer("TimerFired", e.fire_at);
  }
  bool operator()(const EventRaised& e) const {
    JsonObject object = Begin("EventRaised");
    object.Text("Name", e.name);
    Input(object, e.input);
    return End(object);
  }
  bool operator()(const EventSent& e) const {
    JsonObject object = Begin("EventSent");
    object.Text("InstanceId", e.instance_id);
    object.Text("Name", e.name);
    Input(object, e.input);
    return End(object);
  }

  bool operator()(const EntityOperationSignaled& e) const {
    return Operation("EntityOperationSignaled", e);
  }
  bool operator()(const EntityOperationCalled& e) const {
    return Operation("EntityOperationCalled", e);
  }
  bool operator()(const EntityOperationCompleted& e) const {
    JsonObject object = Begin("EntityOperationCompleted");
    Result(object, e.output);
    return End(object);
  }
  bool operator()(const EntityOperationFailed& e) const {
    JsonObject object = Begin("EntityOperationFailed");
    Failure(object, e.failure);
    return End(object);
  }
  bool operator()(const EntityLockRequested& e) const {
    JsonObject object = Begin("EntityLockRequested");
    object.Integer("Entities", static_cast<int64_t>(e.lock_set.size()));
    return End(object);
  }
  bool operator()(const EntityLockGranted&) const {
    JsonObject object = Begin("EntityLockGranted");
    return End(object);
  }
  bool operator()(const EntityUnlockSent& e) const {
    JsonObject object = Begin("EntityUnlockSent");
    object.Text("InstanceId", e.target.value_or(""));
    return End(object);
  }

  // ---- What several have ----

  JsonObject Begin(std::string_view type) const {
    if (!writer.first_) out += ',';
    writer.first_ = false;
    JsonObject object(out);
    object.Text("EventType", type);
    return object;
  }
  bool End(JsonObject& object) const {
    object.Json("Timestamp", TicksJson(event.time));
    object.End();
    return true;
  }
  // Whether it is folded into its end, which is still to come.
  bool Hold(const std::string& name, const Payload& input) const {
    const auto ends = writer.outline_.ends.find(event.id);
    if (ends == writer.outline_.ends.end() || ends->second == 0) return false;
    writer.scheduled_[event.id] = {
        name, event.time, writer.options_.inputs ? input : std::nullopt};
    return true;
  }
  // The reference has `Name` in what is pending, and `FunctionName` in what has
  // ended.
  static void Names(JsonObject& object, const std::string& name) {
    object.Text("Name", name);
    object.Text("FunctionName", name);
  }
  void Input(JsonObject& object, const Payload& input) const {
    if (!writer.options_.inputs || !input.has_value()) return;
    object.Json("Input", PayloadJson(input));
  }
  void Result(JsonObject& object, const Payload& result) const {
    if (!writer.options_.outputs || !result.has_value()) return;
    object.Json("Result", PayloadJson(result));
  }
  static void Failure(JsonObject& object, const OpaqueMessage& message) {
    const WholeFailure failure = ReadFailure(message);
    object.Text("Reason", failure.message);
    if (failure.stack_trace.has_value()) {
      object.Text("Details", *failure.stack_trace);
    } else {
      object.Json("Details", "null");
    }
    object.Json("FailureDetails", FailureJson(message));
  }
  // Begins the end of what an action scheduled.
  JsonObject BeginEnd(std::string_view type, int32_t action) const {
    JsonObject object = Begin(type);
    const auto ends = writer.outline_.ends.find(action);
    if (ends != writer.outline_.ends.end()) --ends->second;
    const auto found = writer.scheduled_.find(action);
    if (found == writer.scheduled_.end()) return object;
    Names(object, found->second.name);
    object.Json("ScheduledTime", TicksJson(found->second.time));
    Input(object, found->second.input);
    writer.scheduled_.erase(found);
    return object;
  }
  template <typename Event>
  bool Completed(std::string_view type, const Event& e) const {
    JsonObject object = BeginEnd(type, e.task_scheduled_id);
    Result(object, e.result);
    return End(object);
  }
  template <typename Event>
  bool Failed(std::string_view type, const Event& e) const {
    JsonObject object = BeginEnd(type, e.task_scheduled_id);
    Failure(object, e.failure);
    return End(object);
  }
  bool Paused(std::string_view type, const Payload& reason) const {
    JsonObject object = Begin(type);
    object.Text("Reason", reason.value_or(""));
    return End(object);
  }
  bool Timer(std::string_view type, const Timestamp& fire_at) const {
    JsonObject object = Begin(type);
    object.Json("FireAt", TicksJson(fire_at));
    return End(object);
  }
  template <typename Event>
  bool Operation(std::string_view type, const Event& e) const {
    JsonObject object = Begin(type);
    object.Text("InstanceId", e.target.value_or(""));
    object.Text("Operation", e.operation);
    Input(object, e.input);
    return End(object);
  }
};

void HistoryEventsWriter::Write(const HistoryEvent& event, std::string& out) {
  if (outline_.events == 0) return;
  --outline_.events;
  std::visit(Words{*this, event, out}, event.body);
}

}  // namespace leasehold
