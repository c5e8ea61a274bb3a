#include "tests/simulation/entity_worker.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace leasehold {

std::string EntityWorker::AnyEntity() {
  return absl::StrCat("@c@", Uniform(random_, 0, kEntities - 1));
}

std::string EntityWorker::AnyProgram() {
  if (OneIn(random_, 3)) return absl::StrCat("call ", AnyEntity(), " 3");
  std::vector<std::string> set;
  for (size_t i = 0; i < kEntities; ++i) {
    if (OneIn(random_, 2)) set.push_back(absl::StrCat("@c@", i));
  }
  if (set.empty()) set.push_back(AnyEntity());
  return absl::StrCat("lock ", absl::StrJoin(set, ","), " ",
                      Uniform(random_, 0, 1));
}

TurnAnswer EntityWorker::AnswerTurn(const EntityProgram& program,
                                    const std::string& execution_id,
                                    bool section_counts, int& now) {
  if (program.twice().has_value()) {
    violation_ = absl::StrCat(*program.twice(), " was answered twice");
  }
  for (const auto& [label, log] : program.answers()) {
    ++answers_;
    ledger_.Answer(label, log, ++now);
  }
  if (program.section_is_over() && section_counts) {
    ledger_.EndSection(execution_id + "/", program.entities(),
                       EntityProgram::kCallsEach);
  }
  TurnAnswer answer;
  answer.actions = program.Answer(OneIn(random_, 2));
  for (const OrchestratorAction& action : answer.actions) {
    const auto* call = std::get_if<EntityOperationCalled>(&action.what);
    if (call == nullptr) continue;
    ledger_.Begin(call->request_id, *call->target, /*is_call=*/true, now);
  }
  return answer;
}

BatchAnswer EntityWorker::AnswerBatch(
    const Payload& state, const std::vector<HistoryEvent>& operations,
    bool calm) {
  BatchAnswer answer;
  if (!calm && OneIn(random_, 15)) {
    answer.failure = MakeFailure("Odd", "not today");
    return answer;
  }
  const size_t count = OneIn(random_, 4)
                           ? Uniform(random_, 1, operations.size())
                           : operations.size();
  std::string log = state.value_or("");
  for (size_t i = 0; i < count; ++i) {
    log = Append(std::move(log), operations[i], calm, answer);
    answer.results.push_back({log, {}});
  }
  answer.state = log;
  return answer;
}

std::string EntityWorker::Append(std::string log, const HistoryEvent& operation,
                                 bool calm, BatchAnswer& answer) {
  if (const auto* call = operation.As<EntityOperationCalled>()) {
    // One from outside has its label as its input.
    return AppendEntry(std::move(log), call->input.value_or(call->request_id),
                       "");
  }
  const auto& signal = *operation.As<EntityOperationSignaled>();
  // One that an entity has sent has its label as its input.
  const bool is_told = signal.input.has_value();
  const std::string label = is_told ? *signal.input : signal.request_id;
  if (is_told || calm || !OneIn(random_, 3)) {
    return AppendEntry(std::move(log), label, "");
  }
  const std::string to = AnyEntity();
  answer.actions.push_back(EntityOperationSignaled{
      .operation = "append", .input = label + ">", .target = to});
  return AppendEntry(std::move(log), label, to);
}

}  // namespace leasehold
