#include "tests/simulation/entity_program.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace leasehold {

void EntityProgram::See(const HistoryEvent& event) {
  if (const auto* started = event.As<ExecutionStarted>()) {
    const std::vector<std::string> words =
        absl::StrSplit(started->input.value_or(""), ' ');
    locks_ = words[0] == "lock";
    entities_ = absl::StrSplit(words[1], ',');
    rounds_ = std::stoi(words[2]);
  }
  asked_ = asked_ || event.As<EntityLockRequested>() != nullptr;
  granted_ = granted_ || event.As<EntityLockGranted>() != nullptr;
  calls_ += event.As<EntityOperationCalled>() != nullptr ? 1 : 0;
  terminated_ = terminated_ || event.As<ExecutionTerminated>() != nullptr;
  if (const auto* answer = event.As<EntityOperationCompleted>()) {
    for (const auto& [label, log] : answers_) {
      if (label == answer->request_id) twice_ = label;
    }
    answers_.emplace_back(answer->request_id, answer->output.value_or(""));
  }
}

OrchestratorAction EntityProgram::Call(int32_t id,
                                       const std::string& entity) const {
  EntityOperationCalled call{.request_id = absl::StrCat(execution_id_, "/", id),
                             .operation = "append"};
  call.target = entity;
  return {id, std::move(call)};
}

std::vector<OrchestratorAction> EntityProgram::End(bool unlocks) const {
  std::vector<OrchestratorAction> actions;
  int32_t id = 80;
  if (locks_ && unlocks) {
    for (const std::string& entity : entities_) {
      actions.push_back({id++, EntityUnlockSent{execution_id_, {}, entity}});
    }
  }
  CompleteExecution end;
  if (locks_ && rounds_ > 0) {
    end.status = OrchestrationStatus::kContinuedAsNew;
    end.result =
        absl::StrCat("lock ", absl::StrJoin(entities_, ","), " ", rounds_ - 1);
  }
  actions.push_back({99, std::move(end)});
  return actions;
}

std::vector<OrchestratorAction> EntityProgram::Answer(bool unlocks) const {
  if (terminated_) {
    CompleteExecution end;
    end.status = OrchestrationStatus::kTerminated;
    return {{99, std::move(end)}};
  }
  if (!locks_) {
    if (calls_ > answers_.size()) return {};
    if (calls_ == static_cast<size_t>(rounds_)) return End(unlocks);
    return {Call(static_cast<int32_t>(10 + calls_), entities_[0])};
  }
  if (!asked_) return {{1, EntityLockRequested{execution_id_, entities_}}};
  if (!granted_) return {};
  if (section_is_over()) return End(unlocks);
  if (calls_ > answers_.size()) return {};
  std::vector<OrchestratorAction> calls;
  for (const std::string& entity : entities_) {
    calls.push_back(
        Call(static_cast<int32_t>(10 + calls_ + calls.size()), entity));
  }
  return calls;
}

}  // namespace leasehold
