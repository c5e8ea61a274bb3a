#include "service/orchestration/entity_batch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/bounds.h"
#include "service/orchestration/legacy_answers.h"

namespace leasehold {
namespace {

HistoryEvent FromOutside(Timestamp now, EventBody body) {
  return {HistoryEvent::kFromOutside, now, std::move(body)};
}

bool TooLarge(const Payload& payload, const TurnLimits& limits) {
  return payload.has_value() && payload->size() > limits.payload_bytes_max;
}

// Why nothing of the answer can be kept; empty: it can.
std::string BrokenLimit(const BatchAnswer& answer, const TurnLimits& limits) {
  if (TooLarge(answer.state, limits)) {
    return PayloadTooLarge("the state of the entity would have",
                           answer.state->size(), limits);
  }
  for (const EntityAction& action : answer.actions) {
    const auto* signal = std::get_if<EntityOperationSignaled>(&action);
    const Payload& input = signal != nullptr
                               ? signal->input
                               : std::get<EntityStart>(action).started.input;
    if (TooLarge(input, limits)) {
      return PayloadTooLarge(signal != nullptr ? "a signal has an input of"
                                               : "a start has an input of",
                             input->size(), limits);
    }
  }
  return "";
}

void AddActions(std::vector<EntityAction> actions, Timestamp now,
                absl::FunctionRef<std::string()> new_id,
                CommittedBatch& batch) {
  for (EntityAction& action : actions) {
    if (auto* signal = std::get_if<EntityOperationSignaled>(&action)) {
      // Workers expect a UUID of each operation.
      signal->request_id = new_id();
      std::string target = signal->target.value_or("");
      batch.messages.push_back({std::move(target), std::nullopt,
                                FromOutside(now, std::move(*signal))});
      continue;
    }
    ExecutionStarted& started = std::get<EntityStart>(action).started;
    if (started.orchestration.instance_id.empty()) {
      started.orchestration.instance_id = new_id();
    }
    batch.starts.push_back(std::move(started));
  }
}

}  // namespace

CommittedBatch CommitBatch(const std::vector<const EntityMessage*>& sent,
                           BatchAnswer answer, const TurnLimits& limits,
                           Timestamp now,
                           absl::FunctionRef<std::string()> new_id) {
  CommittedBatch batch;
  batch.limit = BrokenLimit(answer, limits);
  const size_t count = std::min(sent.size(), answer.results.size());
  for (size_t i = 0; i < count; ++i) {
    const EntityMessage& message = *sent[i];
    OperationResult& result = answer.results[i];
    batch.done.push_back(message.sequence);
    std::string why = batch.limit;
    if (why.empty() && TooLarge(result.output, limits)) {
      why = PayloadTooLarge("the result has", result.output->size(), limits);
    }
    if (!why.empty()) {
      result.failure = MakeFailure("PayloadTooLarge", std::move(why));
    }
    if (message.kind != EntityMessage::Kind::kCall) continue;
    if (message.IsFromOutside()) {
      const bool kept = !message.caller_execution.empty();
      batch.ended.push_back(
          {kept ? message.caller_execution : message.request_id, kept,
           std::move(result)});
      continue;
    }
    EventBody body;
    if (message.legacy) {
      body = LegacyAnswer(message.request_id, result.output, result.failure);
    } else if (result.failure.has_value()) {
      body =
          EntityOperationFailed{message.request_id, std::move(result.failure)};
    } else {
      body = EntityOperationCompleted{message.request_id,
                                      std::move(result.output)};
    }
    batch.messages.push_back({message.caller, message.caller_execution,
                              FromOutside(now, std::move(body))});
  }
  batch.keeps_state = answer.keeps_state || !batch.limit.empty();
  if (!batch.limit.empty()) return batch;
  batch.state = std::move(answer.state);
  AddActions(std::move(answer.actions), now, new_id, batch);
  return batch;
}

BatchAnswer FailingFirst(OpaqueMessage failure) {
  BatchAnswer answer;
  answer.results.push_back({std::nullopt, std::move(failure)});
  answer.keeps_state = true;
  return answer;
}

std::ostream& operator<<(std::ostream& out, const CommittedBatch& batch) {
  out << (batch.keeps_state         ? "keeps its state"
          : batch.state.has_value() ? "has a state"
                                    : "has no state")
      << "; done";
  for (const int64_t sequence : batch.done) out << ' ' << sequence;
  for (const TurnOutcome::Message& message : batch.messages) {
    out << "; tells " << message.instance_id;
  }
  for (const EndedCall& call : batch.ended) {
    out << "; ends " << call.request_id << (call.kept ? " (kept)" : "");
  }
  for (const ExecutionStarted& started : batch.starts) {
    out << "; starts " << started.orchestration.instance_id;
  }
  return out;
}

}  // namespace leasehold
