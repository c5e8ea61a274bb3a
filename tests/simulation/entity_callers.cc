#include "tests/simulation/entity_callers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/test_key.h"

namespace leasehold {

void EntityCallers::Call(Entities& entities, const std::string& entity) {
  if (!named_.empty() && OneIn(random_, 2)) {
    ++counts_.again;
    // The late ones more often: they may still wait.
    const size_t first = OneIn(random_, 2) ? 0 : named_.size() - 1;
    return Make(entities, named_[Uniform(random_, first, named_.size() - 1)],
                /*has_name=*/true);
  }
  const Named call{absl::StrCat("k", ++last_label_), entity};
  const bool has_name = !OneIn(random_, 3);
  if (has_name) named_.push_back(call);
  Make(entities, call, has_name);
}

void EntityCallers::CallAllAgain(Entities& entities) {
  for (const Named& call : named_) Make(entities, call, /*has_name=*/true);
}

void EntityCallers::Make(Entities& entities, const Named& call, bool has_name) {
  auto caller = std::make_shared<Caller>(Caller{call.label});
  callers_.push_back(caller);
  ledger_.Begin(call.label, call.entity, /*is_call=*/true, now_);
  caller->id = entities.Call(
      {.key = TestKey(call.entity),
       .operation = "append",
       .input = call.label,
       .request_id = has_name ? call.label : ""},
      [this, caller](const absl::StatusOr<OperationResult>& outcome) {
        OnOutcome(*caller, outcome);
      });
}

void EntityCallers::OnOutcome(Caller& caller,
                              const absl::StatusOr<OperationResult>& outcome) {
  ++now_;
  if (!std::exchange(caller.waits, false)) {
    violation_ = absl::StrCat("call ", caller.label,
                              " was answered to one who waits no longer");
  } else if (outcome.ok() && !outcome->failure.has_value()) {
    ++counts_.answers;
    ledger_.Answer(caller.label, outcome->output.value_or(""), now_);
  } else if (absl::IsUnavailable(outcome.status())) {
    ++counts_.unknown;
  } else {
    violation_ = absl::StrCat("call ", caller.label,
                              " failed: ", outcome.status().ToString());
  }
}

void EntityCallers::GiveUp(Entities& entities) {
  std::vector<Caller*> waiting;
  for (const std::shared_ptr<Caller>& caller : callers_) {
    if (caller->waits) waiting.push_back(caller.get());
  }
  if (waiting.empty()) return;
  Caller& caller = *waiting[Uniform(random_, size_t{0}, waiting.size() - 1)];
  if (!entities.CancelCall(caller.id)) return;
  caller.waits = false;
  ++counts_.given_up;
}

void EntityCallers::OnCrash() {
  for (const std::shared_ptr<Caller>& caller : callers_) {
    if (std::exchange(caller->waits, false)) ++counts_.unknown;
  }
}

std::optional<std::string> EntityCallers::FindLeft() const {
  if (violation_.has_value()) return violation_;
  for (const std::shared_ptr<Caller>& caller : callers_) {
    if (caller->waits) {
      return absl::StrCat("call ", caller->label, " is never answered");
    }
  }
  return std::nullopt;
}

}  // namespace leasehold
