#include "service/orchestration/pending_actions.h"

#include <algorithm>
#include <variant>

#include "absl/strings/str_cat.h"
#include "lease/base/utf8.h"
#include "service/base/hash.h"

namespace leasehold {
namespace {

constexpr size_t kBriefBytes = 300;
// Failures that no attempt has followed: the oldest are forgotten.
constexpr size_t kFailedMax = 10'000;

uint64_t PrintOf(std::string_view kind, const std::string& name,
                 const Payload& input) {
  uint64_t print = HashBytes(kind);
  print = HashBytes(name, print);
  return HashBytes(input.value_or(""), HashBytes("/", print));
}

}  // namespace

std::string BriefText(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  if (text.size() <= kBriefBytes) return std::string(text);
  return std::string(Utf8Front(text, kBriefBytes)) + "...";
}

std::string BriefFailure(const OpaqueMessage& failure) {
  if (!failure.has_value()) return "";
  const auto details = DecodeMessage<FailureDetails>(*failure.bytes);
  if (!details.has_value()) return "";
  if (details->type.empty()) return BriefText(details->message);
  return BriefText(absl::StrCat(details->type, ": ", details->message));
}

// What each event changes; events not listed change nothing.
struct PendingActions::Fold {
  PendingActions& to;
  const HistoryEvent& event;

  void operator()(const OrchestratorStarted&) { to.EndTurn(); }
  void operator()(const TaskScheduled& e) {
    to.Begin(to.activities_, event.id,
             {.name = e.name, .print = PrintOf("activity", e.name, e.input)});
  }
  void operator()(const TaskCompleted& e) {
    to.activities_.erase(e.task_scheduled_id);
  }
  void operator()(const TaskFailed& e) {
    to.Fail(to.activities_, e.task_scheduled_id, e.failure);
  }
  void operator()(const SubOrchestrationCreated& e) {
    to.Begin(to.children_, event.id,
             {.name = e.name,
              .instance_id = e.instance_id,
              .print = PrintOf("child", e.name, e.input)});
  }
  void operator()(const SubOrchestrationCompleted& e) {
    to.children_.erase(e.task_scheduled_id);
  }
  void operator()(const SubOrchestrationFailed& e) {
    to.Fail(to.children_, e.task_scheduled_id, e.failure);
  }
  void operator()(const TimerCreated& e) {
    to.timers_[event.id] = {.fire_at = e.fire_at};
    to.turn_timers_.push_back(event.id);
  }
  void operator()(const TimerFired& e) { to.timers_.erase(e.timer_id); }
  void operator()(const EntityOperationCalled& e) {
    to.calls_[e.request_id] = {.instance_id = e.target.value_or(""),
                               .operation = e.operation};
  }
  void operator()(const EntityOperationCompleted& e) {
    to.calls_.erase(e.request_id);
  }
  void operator()(const EntityOperationFailed& e) {
    to.calls_.erase(e.request_id);
  }
  void operator()(const EntityLockRequested& e) {
    to.locks_[e.section_id] = e.lock_set;
  }
  void operator()(const EntityLockGranted& e) { to.locks_.erase(e.section_id); }
  void operator()(const ExecutionSuspended& e) {
    to.suspension_ = {.since = event.time,
                      .reason = BriefText(e.reason.value_or(""))};
  }
  void operator()(const ExecutionResumed&) { to.suspension_.reset(); }
  template <typename Other>
  void operator()(const Other&) {}
};

void PendingActions::Apply(const HistoryEvent& event) {
  std::visit(Fold{*this, event}, event.body);
}

bool PendingActions::ApplyFrames(std::string_view frames) {
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

void PendingActions::Begin(std::map<int32_t, Action>& actions, int32_t id,
                           Action action) {
  if (const auto failed = failed_.find(action.print); failed != failed_.end()) {
    action.before = std::move(failed->second);
    failed_.erase(failed);
  }
  actions[id] = std::move(action);
}

void PendingActions::Fail(std::map<int32_t, Action>& actions, int32_t id,
                          const OpaqueMessage& failure) {
  auto node = actions.extract(id);
  if (node.empty()) return;
  Action& action = node.mapped();
  ++action.before.failed;
  action.before.last_failure = BriefFailure(failure);
  if (failed_.size() == kFailedMax) failed_.clear();
  failed_.emplace(action.print, action.before);
  turn_failures_.push_back(std::move(action));
}

void PendingActions::EndTurn() {
  // If there are more failures than timers, not all are tried again, and nobody
  // knows which are.
  if (turn_failures_.size() == turn_timers_.size()) {
    for (size_t i = 0; i < turn_timers_.size(); ++i) {
      const auto timer = timers_.find(turn_timers_[i]);
      if (timer == timers_.end()) continue;
      timer->second.retries = std::move(turn_failures_[i]);
    }
  }
  turn_failures_.clear();
  turn_timers_.clear();
}

}  // namespace leasehold
