#include "tests/simulation/orchestration_program.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

void ReadBatch(std::string_view bytes, Item& item) {
  item.batch = true;
  WireReader request(bytes);
  while (request.Next()) {
    if (request.field() == 1) item.id = request.bytes();
    if (request.field() == 3) request.Read(item.state);
    if (request.field() == 4) item.events.emplace_back(request.bytes());
  }
}

}  // namespace

Item ReadItem(const std::string& bytes) {
  Item item;
  WireReader work(bytes);
  while (work.Next()) {
    if (work.field() == 10) item.token = work.bytes();
    if (work.field() == 5) ReadBatch(work.bytes(), item);
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

namespace {

// The answer that a program writes, action by action.
class Writer {
 public:
  template <typename Action>
  void Add(int32_t id, Action what) {
    answer_.actions.push_back({id, std::move(what)});
  }
  void End(OrchestrationStatus status, Payload result) {
    CompleteExecution completion;
    completion.status = status;
    completion.result = std::move(result);
    Add(99, std::move(completion));
  }
  void Complete(std::string result) {
    End(OrchestrationStatus::kCompleted, std::move(result));
  }
  void Fail() { End(OrchestrationStatus::kFailed, std::nullopt); }
  void Schedule(int32_t id, const char* name = "act") {
    TaskScheduled task;
    task.name = name;
    Add(id, std::move(task));
  }
  TurnAnswer Take() { return std::move(answer_); }

 private:
  TurnAnswer answer_;
};

// ---- The programs, by kind

void Collect(const Replay& replay, const Item&, Writer& writer) {
  std::vector<std::string> seen = replay.raised;
  if (std::erase(seen, "end") == 0) return;
  writer.Complete(absl::StrCat(replay.label, "|", absl::StrJoin(seen, ",")));
}

void Chain(const Replay& replay, const Item&, Writer& writer) {
  if (replay.completed == 3) {
    writer.Complete(absl::StrCat(replay.label, "|3"));
  } else if (replay.scheduled == replay.completed) {
    writer.Schedule(replay.completed + 1);
  }
}

void Fan(const Replay& replay, const Item&, Writer& writer) {
  if (replay.scheduled == 0) {
    for (int32_t id = 1; id <= 4; ++id) writer.Schedule(id);
  } else if (replay.completed == 4) {
    writer.Complete(absl::StrCat(replay.label, "|4"));
  }
}

void Timer(const Replay& replay, const Item&, Writer& writer) {
  if (!replay.timer) {
    writer.Add(1, TimerCreated{ToTimestamp(ToTime(replay.now) +
                                           absl::Milliseconds(50))});
  } else if (replay.fired) {
    writer.Complete(absl::StrCat(replay.label, "|t"));
  }
}

void Flaky(const Replay& replay, const Item&, Writer& writer) {
  if (replay.task_failed) {
    writer.Fail();
  } else if (replay.completed == 1) {
    writer.Complete(absl::StrCat(replay.label, "|f"));
  } else if (replay.scheduled == 0) {
    writer.Schedule(1, kFlakyActivity);
  }
}

// Its child is a chain, or (`hopeful`) one that may fail.
void Parent(const Replay& replay, const Item&, Writer& writer) {
  const bool hopes = replay.kind == "hopeful";
  if (!replay.child) {
    SubOrchestrationCreated start;
    start.instance_id = absl::StrCat("child-", replay.label);
    start.name = "world";
    start.input =
        absl::StrCat(hopes ? "flaky" : "chain", ":child-", replay.label);
    writer.Add(1, std::move(start));
  } else if (hopes && replay.child_result == "failed") {
    writer.Fail();
  } else if (replay.child_result.has_value()) {
    writer.Complete(absl::StrCat(replay.label, "|", *replay.child_result));
  }
}

void Eternal(const Replay& replay, const Item& item, Writer& writer) {
  if (replay.round == kEternalRounds) {
    writer.Complete(absl::StrCat(replay.label, "|end"));
  } else if (!replay.raised.empty()) {
    CompleteExecution next;
    next.status = OrchestrationStatus::kContinuedAsNew;
    next.result = absl::StrCat("eternal:", replay.label, ":", replay.round + 1);
    for (size_t i = 1; i < replay.raised.size(); ++i) {
      next.carried_over.push_back(
          EncodeEvent({HistoryEvent::kFromOutside, replay.now,
                       EventRaised{"e", replay.raised[i]}}));
    }
    writer.Add(99, std::move(next));
    if (replay.round == 0) writer.Add(98, EventSent{item.id, "e", "self"});
  }
}

struct Program {
  std::string_view kind;
  void (*run)(const Replay& replay, const Item& item, Writer& writer);
};
constexpr Program kPrograms[] = {{"collect", Collect}, {"chain", Chain},
                                 {"fan", Fan},         {"timer", Timer},
                                 {"flaky", Flaky},     {"parent", Parent},
                                 {"hopeful", Parent},  {"eternal", Eternal}};

}  // namespace

TurnAnswer Replay::Answer(const Item& item) const {
  Writer writer;
  if (rewinds) {
    writer.Add(HistoryEvent::kFromOutside, GoOnWith(item));
  } else if (terminated.has_value()) {
    writer.End(OrchestrationStatus::kTerminated, *terminated);
  } else if (!suspended) {  // Suspended, it buffers incoming events.
    for (const Program& program : kPrograms) {
      if (program.kind == kind) program.run(*this, item, writer);
    }
  }
  return writer.Take();
}

}  // namespace leasehold
