#include "tests/simulation/orchestration_program.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace leasehold {
namespace {

constexpr int kEternalRounds = 3;

std::vector<HistoryEvent> Decoded(const std::vector<std::string>& events) {
  std::vector<HistoryEvent> decoded;
  for (const std::string& bytes : events) {
    if (auto event = DecodeEvent(bytes)) decoded.push_back(*std::move(event));
  }
  return decoded;
}

// Whether a turn asks for a history to continue with.
bool Asks(const Item& item) {
  const auto has = [](const std::vector<std::string>& events, auto is) {
    const std::vector<HistoryEvent> decoded = Decoded(events);
    return std::any_of(decoded.begin(), decoded.end(), is);
  };
  return has(item.events,
             [](const HistoryEvent& e) {
               return e.As<ExecutionRewound>() != nullptr;
             }) &&
         has(item.past, [](const HistoryEvent& e) {
           return e.As<ExecutionCompleted>() != nullptr;
         });
}

// As SDKs make it: without the failed parts, in another execution.
RewindHistory GoOnWith(const Item& item) {
  std::vector<HistoryEvent> all = Decoded(item.past);
  for (HistoryEvent& event : Decoded(item.events)) {
    all.push_back(std::move(event));
  }
  std::set<int32_t> failed;
  for (const HistoryEvent& event : all) {
    if (const auto* task = event.As<TaskFailed>()) {
      failed.insert(task->task_scheduled_id);
    }
  }
  RewindHistory history;
  for (HistoryEvent& event : all) {
    if (event.As<TaskFailed>() != nullptr ||
        event.As<SubOrchestrationFailed>() != nullptr ||
        event.As<ExecutionCompleted>() != nullptr ||
        (event.As<TaskScheduled>() != nullptr && failed.contains(event.id))) {
      continue;
    }
    if (auto* started = std::get_if<ExecutionStarted>(&event.body)) {
      started->orchestration.execution_id =
          absl::StrCat(item.execution_id, "'");
    }
    history.events.push_back(EncodeEvent(event));
  }
  return history;
}

}  // namespace

Item ReadItem(const std::string& bytes) {
  Item item;
  WireReader work(bytes);
  while (work.Next()) {
    if (work.field() == 10) item.token = work.bytes();
    if (work.field() != 1 && work.field() != 2) continue;
    item.turn = work.field() == 1;
    WireReader request(work.bytes());
    Payload execution_id;
    ExecutionOf of;
    while (request.Next()) {
      if (item.turn) {
        if (request.field() == 1) item.id = request.bytes();
        if (request.field() == 2) request.Read(execution_id);
        if (request.field() == 3) item.past.emplace_back(request.bytes());
        if (request.field() == 4) item.events.emplace_back(request.bytes());
      } else {
        if (request.field() == 1) item.name = request.bytes();
        if (request.field() == 4) request.Read(of);
        if (request.field() == 5) request.Read(item.task_id);
      }
    }
    if (!item.turn) {
      item.id = of.instance_id;
      execution_id = of.execution_id;
    }
    item.execution_id = execution_id.value_or("");
  }
  return item;
}

Replay::Replay(const Item& item) {
  rewinds = Asks(item);
  for (const auto* events : {&item.past, &item.events}) {
    for (const std::string& bytes : *events) {
      if (const auto event = DecodeEvent(bytes)) See(*event);
    }
  }
}

void Replay::See(const HistoryEvent& event) {
  if (event.As<OrchestratorStarted>() != nullptr) now = event.time;
  if (const auto* started = event.As<ExecutionStarted>()) {
    const std::vector<std::string> parts =
        absl::StrSplit(started->input.value_or(""), ':');
    kind = parts[0];
    label = parts[1];
    round = parts.size() > 2 ? std::stoi(parts[2]) : 0;
  }
  if (const auto* one = event.As<EventRaised>()) {
    raised.push_back(one->input.value_or(""));
  }
  task_failed = task_failed || event.As<TaskFailed>() != nullptr;
  scheduled += event.As<TaskScheduled>() != nullptr ? 1 : 0;
  completed += event.As<TaskCompleted>() != nullptr ? 1 : 0;
  timer = timer || event.As<TimerCreated>() != nullptr;
  fired = fired || event.As<TimerFired>() != nullptr;
  child = child || event.As<SubOrchestrationCreated>() != nullptr;
  if (const auto* end = event.As<SubOrchestrationCompleted>()) {
    child_result = end->result.value_or("");
  }
  if (event.As<SubOrchestrationFailed>() != nullptr) child_result = "failed";
  if (const auto* end = event.As<ExecutionTerminated>()) {
    terminated = end->output;
  }
  if (event.As<ExecutionSuspended>() != nullptr) suspended = true;
  if (event.As<ExecutionResumed>() != nullptr) suspended = false;
}

TurnAnswer Replay::Answer(const Item& item) const {
  TurnAnswer answer;
  const auto add = [&answer](int32_t id, auto what) {
    answer.actions.push_back({id, std::move(what)});
  };
  const auto end = [&](OrchestrationStatus status, Payload result) {
    CompleteExecution completion;
    completion.status = status;
    completion.result = std::move(result);
    add(99, std::move(completion));
  };
  const auto schedule = [&](int32_t id, const char* name = "act") {
    TaskScheduled task;
    task.name = name;
    add(id, std::move(task));
  };
  if (rewinds) {
    add(HistoryEvent::kFromOutside, GoOnWith(item));
  } else if (terminated.has_value()) {
    end(OrchestrationStatus::kTerminated, *terminated);
  } else if (suspended) {
    // It buffers incoming events.
  } else if (kind == "collect") {
    std::vector<std::string> seen = raised;
    const auto last = std::find(seen.begin(), seen.end(), "end");
    if (last == seen.end()) return answer;
    std::erase(seen, "end");
    end(OrchestrationStatus::kCompleted,
        absl::StrCat(label, "|", absl::StrJoin(seen, ",")));
  } else if (kind == "chain") {
    if (completed == 3) {
      end(OrchestrationStatus::kCompleted, absl::StrCat(label, "|3"));
    } else if (scheduled == completed) {
      schedule(completed + 1);
    }
  } else if (kind == "fan") {
    if (scheduled == 0) {
      for (int32_t id = 1; id <= 4; ++id) schedule(id);
    } else if (completed == 4) {
      end(OrchestrationStatus::kCompleted, absl::StrCat(label, "|4"));
    }
  } else if (kind == "timer") {
    if (!timer) {
      add(1, TimerCreated{ToTimestamp(ToTime(now) + absl::Milliseconds(50))});
    } else if (fired) {
      end(OrchestrationStatus::kCompleted, absl::StrCat(label, "|t"));
    }
  } else if (kind == "flaky") {
    if (task_failed) {
      end(OrchestrationStatus::kFailed, std::nullopt);
    } else if (completed == 1) {
      end(OrchestrationStatus::kCompleted, absl::StrCat(label, "|f"));
    } else if (scheduled == 0) {
      schedule(1, kFlakyActivity);
    }
  } else if (kind == "parent" || kind == "hopeful") {
    const bool hopes = kind == "hopeful";
    if (!child) {
      SubOrchestrationCreated start;
      start.instance_id = absl::StrCat("child-", label);
      start.name = "world";
      start.input = absl::StrCat(hopes ? "flaky" : "chain", ":child-", label);
      add(1, std::move(start));
    } else if (hopes && child_result == "failed") {
      end(OrchestrationStatus::kFailed, std::nullopt);
    } else if (child_result.has_value()) {
      end(OrchestrationStatus::kCompleted,
          absl::StrCat(label, "|", *child_result));
    }
  } else if (kind == "eternal") {
    if (round == kEternalRounds) {
      end(OrchestrationStatus::kCompleted, absl::StrCat(label, "|end"));
    } else if (!raised.empty()) {
      CompleteExecution next;
      next.status = OrchestrationStatus::kContinuedAsNew;
      next.result = absl::StrCat("eternal:", label, ":", round + 1);
      for (size_t i = 1; i < raised.size(); ++i) {
        next.carried_over.push_back(EncodeEvent(
            {HistoryEvent::kFromOutside, now, EventRaised{"e", raised[i]}}));
      }
      add(99, std::move(next));
      if (round == 0) add(98, EventSent{item.id, "e", "self"});
    }
  }
  return answer;
}

}  // namespace leasehold
