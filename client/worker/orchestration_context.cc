#include "client/worker/orchestration_context.h"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/worker/entity_id.h"
#include "client/worker/entity_lock.h"
#include "client/worker/proto_time.h"
#include "client/worker/turn.h"

namespace leasehold::worker {
namespace {

using internal::PayloadSink;
using internal::RequireUtf8;
using internal::TaskAccess;

// Throws for a name that is not UTF-8, and for such an option.
template <typename Options>
void RequireUtf8(std::string_view what, std::string_view name,
                 const Options& options) {
  RequireUtf8(what, name);
  RequireUtf8("the version", options.version().value_or(""));
  for (const auto& [key, value] : options.tags()) {
    RequireUtf8("the key of a tag", key);
    RequireUtf8("the tag", value);
  }
}

// Sets what activities and children have in common.
template <typename Message, typename Options>
void Describe(std::string_view name, const Payload& input,
              const Options& options, Message& message) {
  message.set_name(std::string(name));
  if (input.has_value()) message.mutable_input()->set_value(*input);
  if (options.version().has_value()) {
    message.mutable_version()->set_value(*options.version());
  }
  for (const auto& [key, value] : options.tags()) {
    (*message.mutable_tags())[key] = value;
  }
}

// The result of `attempt`, or of one of the later ones that `again` makes.
Task<Payload> Retried(OrchestrationContext& context, RetryPolicy policy,
                      absl::Time began, Task<Payload> attempt,
                      std::function<Task<Payload>()> again) {
  for (int attempts = 1;; ++attempts) {
    std::exception_ptr error;
    std::optional<absl::Duration> wait;
    try {
      const Payload result = co_await std::move(attempt);
      co_return result;
    } catch (const TaskFailedError& failed) {
      error = std::current_exception();
      wait = policy.NextWait(attempts, failed.failure(), context.Now() - began);
    }
    if (!wait.has_value()) std::rethrow_exception(error);
    co_await context.CreateTimer(*wait);
    attempt = again();
  }
}

}  // namespace

const std::string& OrchestrationContext::instance_id() const {
  return turn_.instance_id();
}
const std::string& OrchestrationContext::execution_id() const {
  return turn_.execution_id();
}
const std::string& OrchestrationContext::name() const { return turn_.name(); }
const std::optional<std::string>& OrchestrationContext::version() const {
  return turn_.version();
}
const std::optional<std::string>& OrchestrationContext::parent_instance_id()
    const {
  return turn_.parent_instance_id();
}
absl::Time OrchestrationContext::Now() const { return turn_.now(); }
std::string OrchestrationContext::NewUuid() { return turn_.NewUuid(); }
bool OrchestrationContext::IsReplaying() const { return turn_.replaying(); }
void OrchestrationContext::Log(std::string_view message) { turn_.Log(message); }

void OrchestrationContext::ScheduleActivity(std::string_view name,
                                            const Payload& input,
                                            const ActivityOptions& options,
                                            std::shared_ptr<PayloadSink> sink) {
  RequireUtf8("the name of the activity", name, options);
  OrchestratorAction& action = turn_.NewAction();
  Describe(name, input, options, *action.mutable_scheduletask());
  turn_.OpenTask(action, std::move(sink));
}

void OrchestrationContext::ScheduleChild(std::string_view name,
                                         const Payload& input,
                                         const SubOrchestrationOptions& options,
                                         std::shared_ptr<PayloadSink> sink) {
  RequireUtf8("the name of the sub-orchestration", name, options);
  turn_.CheckChild(
      absl::StrCat("sub-orchestration \"", std::string(name), "\""));
  RequireUtf8("the instance ID", options.instance_id().value_or(""));
  OrchestratorAction& action = turn_.NewAction();
  CreateSubOrchestrationAction& child =
      *action.mutable_createsuborchestration();
  Describe(name, input, options, child);
  child.set_instanceid(
      options.instance_id().has_value()
          ? *options.instance_id()
          : absl::StrCat(
                execution_id().empty() ? instance_id() : execution_id(),
                absl::StrFormat(":%04x", action.id())));
  turn_.OpenTask(action, std::move(sink));
}

Task<Payload> OrchestrationContext::RetryActivity(
    std::string_view name, Payload input, const ActivityOptions& options) {
  std::function<Task<Payload>()> call = [this, name = std::string(name),
                                         input = std::move(input), options] {
    const auto state = std::make_shared<internal::DurableState<Payload>>();
    ScheduleActivity(name, input, options, state);
    return TaskAccess::Make<Payload>(state);
  };
  return BeginRetries(*options.retry(), std::move(call));
}

Task<Payload> OrchestrationContext::RetryChild(
    std::string_view name, Payload input,
    const SubOrchestrationOptions& options) {
  std::function<Task<Payload>()> call = [this, name = std::string(name),
                                         input = std::move(input), options] {
    const auto state = std::make_shared<internal::DurableState<Payload>>();
    ScheduleChild(name, input, options, state);
    return TaskAccess::Make<Payload>(state);
  };
  return BeginRetries(*options.retry(), std::move(call));
}

Task<Payload> OrchestrationContext::BeginRetries(
    const RetryPolicy& policy, std::function<Task<Payload>()> call) {
  // The first attempt starts at once, like every call.
  Task<Payload> first = call();
  Task<Payload> retried =
      Retried(*this, policy, Now(), std::move(first), std::move(call));
  TaskAccess::State(retried)->Start(turn_.queue());
  return retried;
}

Task<void> OrchestrationContext::CreateTimer(absl::Duration delay) {
  return CreateTimer(Now() + delay);
}

Task<void> OrchestrationContext::CreateTimer(absl::Time fire_at) {
  OrchestratorAction& action = turn_.NewAction();
  *action.mutable_createtimer()->mutable_fireat() = internal::ToProto(fire_at);
  const auto state = std::make_shared<internal::DurableState<void>>();
  turn_.OpenTask(action, state);
  return TaskAccess::Make<void>(state);
}

void OrchestrationContext::AwaitEvent(
    std::string_view name, const std::shared_ptr<PayloadSink>& sink) {
  RequireUtf8("the name of the event", name);
  turn_.AwaitEvent(name, sink);
}

Task<bool> OrchestrationContext::InTime(Task<void> event, Task<void> timer) {
  const Task<void> awaited = std::move(event);
  const size_t first = co_await WhenAny(awaited, timer);
  co_return first == 0;
}

void OrchestrationContext::SendEvent(std::string_view instance_id,
                                     std::string_view name) {
  SendPayload(instance_id, name, std::nullopt);
}

void OrchestrationContext::SendPayload(std::string_view instance_id,
                                       std::string_view name,
                                       const Payload& data) {
  RequireUtf8("the instance ID", instance_id);
  RequireUtf8("the name of the event", name);
  SendEventAction& sent = *turn_.NewAction().mutable_sendevent();
  sent.mutable_instance()->set_instanceid(std::string(instance_id));
  sent.set_name(std::string(name));
  if (data.has_value()) sent.mutable_data()->set_value(*data);
}

// ---- Entities ---------------------------------------------------------------

namespace {

// The state of a task that brings a lock.
class LockState final : public internal::TaskState<EntityLock>,
                        public PayloadSink {
 public:
  explicit LockState(internal::Turn& turn) : turn_(turn) {}

  void SetTaskId(int32_t id) { task_id_ = id; }
  void Complete(const Payload&) override {
    SetValue(EntityLock(turn_, task_id_));
  }
  void Fail(std::exception_ptr error) override { SetError(std::move(error)); }

 private:
  internal::Turn& turn_;
  int32_t task_id_ = 0;
};

}  // namespace

void OrchestrationContext::SendCall(const EntityId& id,
                                    std::string_view operation,
                                    const Payload& input,
                                    std::shared_ptr<PayloadSink> sink) {
  RequireUtf8("the name of the operation", operation);
  turn_.CallEntity(id, operation, input, std::move(sink));
}

void OrchestrationContext::SendSignal(const EntityId& id,
                                      std::string_view operation,
                                      const Payload& input,
                                      std::optional<absl::Time> at) {
  RequireUtf8("the name of the operation", operation);
  turn_.SignalEntity(id, operation, input, at);
}

Task<EntityLock> OrchestrationContext::LockEntities(
    const std::vector<EntityId>& ids) {
  const auto state = std::make_shared<LockState>(turn_);
  state->SetTaskId(turn_.LockEntities(ids, state));
  return TaskAccess::Make<EntityLock>(state);
}

void OrchestrationContext::SetStatusPayload(const Payload& status) {
  turn_.SetCustomStatus(status);
}

void OrchestrationContext::ContinueWithPayload(const Payload& input,
                                               UnreadEvents unread) {
  turn_.ContinueAsNew(input, unread);
}

}  // namespace leasehold::worker
