#include "tests/simulation/singleton_history.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

using Kind = Operation::Kind;
using Status = OrchestrationStatus;

// The execution of a start whose result is unknown.
constexpr char kAny[] = "?";

// The model: an ID, and its orchestration, if there is one.
struct Singleton {
  std::string execution;  // Empty: there is none.
  Status status = Status::kPending;
  bool told_to_end = false;

  auto Tie() const { return std::tie(execution, status, told_to_end); }

  std::optional<Status> present() const {
    return execution.empty() ? std::nullopt : std::optional(status);
  }
  // Whether the orchestration may be that execution. If so, it now is.
  bool Is(const std::string& named) {
    if (execution == kAny) execution = named;
    return execution == named;
  }
};

std::optional<Singleton> Start(const Operation& operation, Singleton state) {
  const StartDecision decision = DecideStart(state.present(), operation.policy);
  const bool creates =
      decision == StartDecision::kCreate || decision == StartDecision::kReplace;
  if (operation.unknown) {
    if (creates) state = {.execution = kAny};
    return state;
  }
  if (operation.refused) {
    if (decision != StartDecision::kRefuse) return std::nullopt;
    return state;
  }
  if (operation.done != creates) return std::nullopt;
  if (creates) return Singleton{.execution = operation.execution};
  if (decision != StartDecision::kAttach) return std::nullopt;
  if (!state.Is(operation.execution)) return std::nullopt;
  return state;
}

std::optional<Singleton> Get(const Operation& operation, Singleton state) {
  if (operation.execution.empty()) {
    if (!state.execution.empty()) return std::nullopt;
    return state;
  }
  if (state.execution.empty() || !state.Is(operation.execution)) {
    return std::nullopt;
  }
  if (state.status != operation.status) return std::nullopt;
  return state;
}

std::optional<Singleton> Terminate(const Operation& operation,
                                   Singleton state) {
  const bool open = !state.execution.empty() && !IsFinished(state.status);
  if (operation.unknown) {
    state.told_to_end = state.told_to_end || open;
    return state;
  }
  const bool finished = !state.execution.empty() && !open;
  if (operation.done != open || operation.refused != finished) {
    return std::nullopt;
  }
  state.told_to_end = state.told_to_end || open;
  return state;
}

std::optional<Singleton> Purge(const Operation& operation,
                               const Singleton& state) {
  const bool finished = !state.execution.empty() && IsFinished(state.status);
  if (!operation.unknown && operation.done != finished) return std::nullopt;
  return finished ? Singleton{} : state;
}

std::optional<Singleton> Turn(const Operation& operation, Singleton state) {
  const bool open = !state.execution.empty() && !IsFinished(state.status);
  if (!open || !state.Is(operation.execution)) {
    // Too late to count; only an accepted one proves that it was not.
    if (operation.unknown) return state;
    return std::nullopt;
  }
  if (*operation.status == Status::kTerminated && !state.told_to_end) {
    return std::nullopt;
  }
  state.status = *operation.status;
  return state;
}

// The state after the operation; nullopt: its answer would have been different.
std::optional<Singleton> Apply(const Operation& operation,
                               const Singleton& state) {
  switch (operation.kind) {
    case Kind::kStart:
      return Start(operation, state);
    case Kind::kGet:
      return Get(operation, state);
    case Kind::kTerminate:
      return Terminate(operation, state);
    case Kind::kPurge:
      return Purge(operation, state);
    case Kind::kTurn:
      return Turn(operation, state);
  }
  return std::nullopt;
}

class Search {
 public:
  explicit Search(const std::vector<Operation>& operations)
      : operations_(operations) {}

  // Whether the operations that are not in `explained` follow from `state`.
  bool Explain(uint64_t explained, const Singleton& state) {
    int first_end = Operation::kNever;
    bool all = true;
    for (size_t i = 0; i < operations_.size(); ++i) {
      if (explained >> i & 1) continue;
      first_end = std::min(first_end, End(operations_[i]));
      all = all && operations_[i].unknown;
    }
    if (all) return true;  // The rest may never have happened.
    if (!tried_
             .emplace(explained, state.execution,
                      static_cast<int>(state.status), state.told_to_end)
             .second) {
      return false;
    }
    for (size_t i = 0; i < operations_.size(); ++i) {
      const Operation& operation = operations_[i];
      if (explained >> i & 1 || operation.begin > first_end) continue;
      const std::optional<Singleton> next = Apply(operation, state);
      if (!next.has_value()) continue;
      // If it has no effect here, it may as well take effect later.
      if (operation.unknown && next->Tie() == state.Tie()) continue;
      if (Explain(explained | uint64_t{1} << i, *next)) return true;
    }
    return false;
  }

 private:
  static int End(const Operation& operation) {
    return operation.unknown ? Operation::kNever : operation.end;
  }

  const std::vector<Operation>& operations_;
  std::set<std::tuple<uint64_t, std::string, int, bool>> tried_;
};

}  // namespace

std::string Describe(const Operation& operation) {
  std::string text = absl::StrCat(
      operation.begin, " to ",
      operation.unknown ? "nobody knows" : absl::StrCat(operation.end), ": ");
  const char* const names[] = {"start", "get", "terminate", "purge", "turn"};
  text += names[static_cast<int>(operation.kind)];
  if (operation.done) text += " did it";
  if (operation.refused) text += " was refused";
  if (!operation.execution.empty()) {
    absl::StrAppend(&text, ", execution ", operation.execution);
  }
  if (operation.status.has_value()) {
    absl::StrAppend(&text, ", ", std::string(StatusName(*operation.status)));
  }
  return text;
}

std::optional<std::string> FindContradiction(
    const std::vector<Operation>& operations) {
  if (Search(operations).Explain(0, {})) return std::nullopt;
  std::string text = "no order explains:\n";
  for (const Operation& operation : operations) {
    text += Describe(operation) + "\n";
  }
  return text;
}

}  // namespace leasehold
