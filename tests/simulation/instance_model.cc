#include "tests/simulation/instance_model.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace leasehold {

std::string_view RuleName(Rule rule) {
  switch (rule) {
    case Rule::kOneContext:
      return "one context";
    case Rule::kBusyStaysOpen:
      return "busy stays open";
    case Rule::kNeverEarly:
      return "never early";
    case Rule::kGoneInTime:
      return "gone in time";
    case Rule::kAnswer:
      return "answer";
    case Rule::kAnswered:
      return "answered";
    case Rule::kGenerationGrows:
      return "generation grows";
    case Rule::kHookOrder:
      return "hook order";
    case Rule::kHookOnce:
      return "hook once";
    case Rule::kEventOrder:
      return "event order";
    case Rule::kDescribed:
      return "described";
    case Rule::kProvider:
      return "provider";
    case Rule::kNothingLeft:
      return "nothing left";
  }
  return "unknown";
}

void InstanceModel::Require(bool kept, Rule rule, std::string_view what,
                            int key) {
  if (kept || violation_.has_value()) return;
  violation_ = {rule, std::string(what)};
  if (key >= 0) absl::StrAppend(&violation_->what, " (key ", key, ")");
}

// ---- Callers

std::optional<InstanceModel::Answer> InstanceModel::Acquire(
    int call, int key, const InstanceRequest& request, Instant now,
    bool promised) {
  Context& context = contexts_[key];
  const bool wants_new = request.expect == Expect::kNew;
  switch (context.state) {
    case State::kNone:
      if (request.expect == Expect::kExisting) {
        return Answer{.code = absl::StatusCode::kNotFound};
      }
      if (shutting_down_) return Answer{.code = absl::StatusCode::kUnavailable};
      if (!promised) {
        // Calls that were promised a place may exceed the limit.
        size_t too_many = 0;
        if (live() >= options_.contexts_max) {
          too_many = live() - options_.contexts_max + 1;
        }
        const bool too_many_close = contexts() >= 2 * options_.contexts_max;
        if (options_.evict_idle && !too_many_close) {
          const size_t idle = std::count_if(
              contexts_.begin(), contexts_.end(), [](const Context& other) {
                return other.state == State::kOpen && other.pins == 0;
              });
          evicting_ = std::min(too_many, idle);
          too_many -= evicting_;
        }
        if (too_many > 0 || too_many_close) {
          return Answer{.code = absl::StatusCode::kResourceExhausted};
        }
      }
      context.timeout = options_.idle_timeout;
      if (request.service_idle_timeout > absl::ZeroDuration()) {
        context.timeout = request.service_idle_timeout;
      }
      context.timeout_chosen = request.idle_timeout.has_value();
      context.timeout = Bounded(request.idle_timeout.value_or(context.timeout));
      context.last_use = now;
      if (options_.initializers) {
        context.state = State::kOpening;
        context.waiters.push_back({call, request, /*opens=*/true});
        return std::nullopt;
      }
      context.state = State::kOpen;
      context.pins = 1;
      return Answer{.created = true};
    case State::kOpening:
      if (wants_new) return Answer{.code = absl::StatusCode::kAlreadyExists};
      Touch(context, request);
      break;
    case State::kOpen:
      if (wants_new) return Answer{.code = absl::StatusCode::kAlreadyExists};
      Touch(context, request);
      ++context.pins;
      return Answer{};
    case State::kClosing:
      break;
  }
  context.waiters.push_back({call, request, /*opens=*/false});
  return std::nullopt;
}

void InstanceModel::Cancel(int call, int key) {
  std::erase_if(contexts_[key].waiters,
                [call](const Waiter& waiter) { return waiter.call == call; });
}

void InstanceModel::DropPin(int key, Instant now) {
  Context& context = contexts_[key];
  --context.pins;
  context.last_use = now;
  if (context.pins == 0) context.questions += 2;
  if (context.pins == 0 && shutting_down_ && context.state == State::kOpen) {
    Close(context, DetachReason::kShutdown);
  }
}

void InstanceModel::DropHold(int key, Instant now) {
  --contexts_[key].holds;
  DropPin(key, now);
}

void InstanceModel::CallBack(int key, uint64_t generation) {
  if (contexts_[key].generation == generation) contexts_[key].questions += 2;
}

absl::StatusCode InstanceModel::KeepAlive(int key, Instant now) {
  if (contexts_[key].state == State::kOpening) return absl::StatusCode::kOk;
  if (contexts_[key].state != State::kOpen) return absl::StatusCode::kNotFound;
  contexts_[key].last_use = now;
  contexts_[key].questions += 2;
  return absl::StatusCode::kOk;
}

absl::StatusCode InstanceModel::SetIdleTimeout(int key,
                                               absl::Duration timeout) {
  Context& context = contexts_[key];
  if (context.state != State::kOpen && context.state != State::kOpening) {
    return absl::StatusCode::kNotFound;
  }
  context.timeout = Bounded(timeout);
  context.timeout_chosen = true;
  context.questions += 2;
  return absl::StatusCode::kOk;
}

absl::StatusCode InstanceModel::Release(int key, bool force, int told) {
  Context& context = contexts_[key];
  if (context.state == State::kNone) return absl::StatusCode::kNotFound;
  if (context.state == State::kOpening ||
      (context.state == State::kOpen && context.pins > 0 && !force)) {
    return absl::StatusCode::kFailedPrecondition;
  }
  if (context.state == State::kOpen) Close(context, DetachReason::kReleased);
  if (told >= 0) context.told.push_back(told);
  return absl::StatusCode::kOk;
}

void InstanceModel::Touch(Context& context, const InstanceRequest& request) {
  if (context.timeout_chosen) return;
  context.timeout =
      std::max(context.timeout, Bounded(request.service_idle_timeout));
}

absl::Duration InstanceModel::Bounded(absl::Duration timeout) const {
  return std::clamp(timeout, options_.idle_timeout_min,
                    options_.idle_timeout_max);
}

void InstanceModel::Shutdown() {
  shutting_down_ = true;
  for (Context& context : contexts_) {
    if (context.state == State::kOpen && context.pins == 0) {
      Close(context, DetachReason::kShutdown);
    }
  }
}

void InstanceModel::Close(Context& context, DetachReason reason) {
  context.state = State::kClosing;
  context.reason = reason;
}

// ---- The registry

void InstanceModel::See(int key, uint64_t generation) {
  Context& context = contexts_[key];
  if (context.generation == generation) return;
  Require(context.generation == 0, Rule::kOneContext,
          "two generations at a time", key);
  Require(generation > last_[key], Rule::kGenerationGrows,
          "the generation did not grow", key);
  context.generation = last_[key] = generation;
}

void InstanceModel::OnEvent(int key, const InstanceEvent& event, Instant now) {
  Context& context = contexts_[key];
  if (event.kind == InstanceEventKind::kCreated) {
    Require(context.state != State::kClosing && !context.created_told,
            Rule::kOneContext, "created while another is there", key);
  }
  See(key, event.generation);
  switch (event.kind) {
    case InstanceEventKind::kCreated:
      return OnCreated(key, now);
    case InstanceEventKind::kIdle:
      Require(context.pins == 0 && context.created_told && !context.idle_told &&
                  !context.closing_told,
              Rule::kEventOrder, "idle", key);
      context.idle_told = true;
      break;
    case InstanceEventKind::kBusy:
      Require(context.state == State::kOpen && context.idle_told,
              Rule::kEventOrder, "busy", key);
      context.idle_told = false;
      break;
    case InstanceEventKind::kRenewed:
      Require(context.state == State::kOpen, Rule::kEventOrder,
              "renewed while not open", key);
      break;
    case InstanceEventKind::kPinsChanged:
      Require(context.state == State::kOpen, Rule::kEventOrder,
              "pins of one that is not open", key);
      break;
    case InstanceEventKind::kHeldByProvider:
      break;
    case InstanceEventKind::kThrew:
      Require(false, Rule::kEventOrder, "something threw", key);
      break;
    default:
      OnEndEvent(key, event, now);
  }
}

void InstanceModel::OnCreated(int key, Instant now) {
  Context& context = contexts_[key];
  Require(context.state != State::kNone, Rule::kEventOrder,
          "created, but nobody asked", key);
  context.created_told = true;
  if (context.state != State::kOpening) return;
  context.state = State::kOpen;
  context.last_use = now;
  context.questions += 2;
  for (const Waiter& waiter : context.waiters) {
    owed_[waiter.call] = {.created = waiter.opens};
  }
  context.pins = context.waiters.size();
  context.waiters.clear();
  if (context.pins == 0 && shutting_down_) {
    Close(context, DetachReason::kShutdown);
  }
}

void InstanceModel::OnEndEvent(int key, const InstanceEvent& event,
                               Instant now) {
  Context& context = contexts_[key];
  switch (event.kind) {
    case InstanceEventKind::kExpired:
      Require(options_.leased, Rule::kEventOrder, "expired without lease", key);
      Require(context.state == State::kOpen, Rule::kEventOrder, "expired", key);
      Require(context.pins == 0, Rule::kBusyStaysOpen, "expired while busy",
              key);
      Require(now >= deadline(key), Rule::kNeverEarly, "expired early", key);
      Close(context, DetachReason::kIdle);
      break;
    case InstanceEventKind::kClosing:
      Require(context.pins == 0, Rule::kBusyStaysOpen, "closes while busy",
              key);
      if (!options_.leased && context.state == State::kOpen) {
        Close(context, DetachReason::kIdle);
      }
      Require(context.state == State::kClosing && !context.closing_told,
              Rule::kEventOrder, "closing", key);
      Require(event.reason == context.reason, Rule::kHookOrder,
              "closing for another reason", key);
      context.closing_told = true;
      context.hooks_since = now;
      break;
    case InstanceEventKind::kDetachFailed:
      if (event.reason == DetachReason::kRemoved) break;  // It stays open.
      Require(context.hook_failed, Rule::kEventOrder, "a hook failed", key);
      context.hook_failed = false;
      break;
    case InstanceEventKind::kClosed:
      Require(context.closing_told, Rule::kEventOrder, "closed", key);
      Require(event.reason == context.reason, Rule::kHookOrder,
              "closed for another reason", key);
      Gone(key, absl::StatusCode::kOk, now);
      break;
    case InstanceEventKind::kOpenFailed:
      Require(!context.created_told && context.failure == event.status.code() &&
                  !event.status.ok(),
              Rule::kEventOrder, "opening failed", key);
      Gone(key, context.failure, now);
      break;
    default:
      Require(false, Rule::kEventOrder, "an event that the model does not know",
              key);
  }
}

void InstanceModel::Gone(int key, absl::StatusCode failure, Instant now) {
  Context& context = contexts_[key];
  Require(context.attached.empty() && !context.hook_runs, Rule::kHookOnce,
          "gone, but not all hooks have run", key);
  Require(!context.hook_failed, Rule::kEventOrder,
          "gone, but nobody was told that a hook failed", key);
  const std::deque<Waiter> waiters = std::move(context.waiters);
  to_tell_.insert(to_tell_.end(), context.told.begin(), context.told.end());
  context = Context();
  for (const Waiter& waiter : waiters) {
    // The calls that waited come a moment later, in order.
    const std::optional<Answer> answer =
        failure != absl::StatusCode::kOk
            ? Answer{.code = failure}
            : Acquire(waiter.call, key, waiter.request, now,
                      /*promised=*/true);
    if (answer.has_value()) owed_[waiter.call] = *answer;
  }
}

void InstanceModel::OnAnswer(int call, int key, Answer answer,
                             uint64_t generation, Instant now) {
  const auto owed = owed_.find(call);
  if (owed == owed_.end()) {
    // Unless it waits for a hook that hangs.
    Require(
        answer.code == absl::StatusCode::kUnavailable && HooksMayHang(key, now),
        Rule::kAnswer, "an answer that is not owed", key);
    return Cancel(call, key);
  }
  Require(owed->second.code == answer.code &&
              owed->second.created == answer.created,
          Rule::kAnswer,
          absl::StrCat("answered ", absl::StatusCodeToString(answer.code),
                       " rather than ",
                       absl::StatusCodeToString(owed->second.code)),
          key);
  owed_.erase(owed);
  if (answer.code == absl::StatusCode::kOk) See(key, generation);
}

void InstanceModel::OnEvicted(int key) {
  Context& context = contexts_[key];
  Require(evicting_ > 0, Rule::kAnswer, "evicted without need", key);
  --evicting_;
  Require(context.state == State::kOpen, Rule::kAnswer, "evicted, but not open",
          key);
  Require(context.pins == 0, Rule::kBusyStaysOpen, "evicted while busy", key);
  Close(context, DetachReason::kEvicted);
}

void InstanceModel::OnToldClosed(int told) {
  Require(std::erase(to_tell_, told) == 1, Rule::kAnswered,
          "told that it is gone, but it is not, or it was told before");
}

bool InstanceModel::HooksMayHang(int key, Instant now) const {
  const Context& context = contexts_[key];
  return context.state == State::kClosing && context.hooks_since.has_value() &&
         now >= *context.hooks_since + options_.detach_timeout;
}

void InstanceModel::OnInitializer(int key, uint64_t generation, int step) {
  Context& context = contexts_[key];
  Require(context.state == State::kOpening && context.initialized == step &&
              context.failure == absl::StatusCode::kOk,
          Rule::kHookOrder, "an initializer out of turn", key);
  See(key, generation);
}

void InstanceModel::OnInitialized(int key, absl::StatusCode code) {
  contexts_[key].failure = code;
  ++contexts_[key].initialized;
}

void InstanceModel::OnAttach(int key, uint64_t generation, int extension) {
  See(key, generation);
  contexts_[key].attached.push_back(extension);
}

void InstanceModel::OnRemove(int key, int extension) {
  std::erase(contexts_[key].attached, extension);
  AddPin(key);  // The hook's, until it has answered.
}

void InstanceModel::OnDetach(int key, uint64_t generation, int extension,
                             DetachReason reason, Instant now) {
  if (reason == DetachReason::kRemoved) return;
  Context& context = contexts_[key];
  if (context.state == State::kOpening && !context.attached.empty()) {
    Require(context.failure != absl::StatusCode::kOk, Rule::kHookOrder,
            "taken down, but no initializer has failed", key);
    Close(context, DetachReason::kFailedInitializer);
    context.closing_told = true;
    context.hooks_since = now;
  }
  Require(context.pins == 0, Rule::kBusyStaysOpen, "detached while busy", key);
  Require(context.generation == generation && context.closing_told,
          Rule::kHookOrder, "a hook of a context that does not close", key);
  Require(context.reason == reason, Rule::kHookOrder,
          "a hook is told another reason", key);
  Require(!context.hook_runs && !context.hook_failed, Rule::kHookOrder,
          "a hook runs before the one before has answered", key);
  Require(!context.attached.empty() && context.attached.back() == extension,
          Rule::kHookOrder, "not in reverse order of attachment", key);
  context.hook_runs = true;
  if (!context.attached.empty()) context.attached.pop_back();
}

void InstanceModel::OnDetached(int key, bool ok) {
  contexts_[key].hook_runs = false;
  contexts_[key].hook_failed = !ok;
}

void InstanceModel::OnAsked(int key, uint64_t generation, Instant now) {
  Context& context = contexts_[key];
  Require(options_.leased || --context.questions >= 0, Rule::kProvider,
          "asked again, though nothing has happened", key);
  Require(context.state == State::kOpen && context.generation == generation,
          Rule::kProvider, "asked about a context that is not open", key);
  Require(context.pins == 0, Rule::kBusyStaysOpen, "asked while busy", key);
  Require(!options_.leased || now >= deadline(key), Rule::kNeverEarly,
          "asked while the lease runs", key);
}

void InstanceModel::OnLeasesOver(size_t count, Instant now) {
  size_t may_be = 0;
  for (int key = 0; key < options_.keys; ++key) {
    const Context& context = contexts_[key];
    // A use renews the lease at its end, so the lease of a busy one may be
    // over.
    const bool busy = context.state == State::kOpen && context.pins > 0;
    if (busy || HooksMayHang(key, now) ||
        (context.state != State::kNone && now >= deadline(key))) {
      ++may_be;
    }
  }
  Require(count <= may_be, Rule::kNeverEarly, "a lease is handed out early");
}

// ---- Checks

size_t InstanceModel::live() const {
  return std::count_if(contexts_.begin(), contexts_.end(),
                       [](const Context& context) {
                         return context.state == State::kOpening ||
                                context.state == State::kOpen;
                       });
}

size_t InstanceModel::contexts() const {
  return std::count_if(
      contexts_.begin(), contexts_.end(),
      [](const Context& context) { return context.state != State::kNone; });
}

void InstanceModel::CheckStep() {
  Require(owed_.empty(), Rule::kAnswered, "a call that waited was not woken");
  Require(to_tell_.empty(), Rule::kAnswered, "gone, and nobody was told");
  Require(evicting_ == 0, Rule::kAnswer,
          "there was no room, and none was made");
  for (int key = 0; key < options_.keys; ++key) {
    const Context& context = contexts_[key];
    if (context.state != State::kOpen) continue;
    Require(context.created_told, Rule::kEventOrder, "created untold", key);
    Require(!options_.use_events || context.idle_told == (context.pins == 0),
            Rule::kEventOrder, "busy or idle untold", key);
  }
}

void InstanceModel::CheckSettled(Instant now, bool hooks_answer) {
  CheckStep();
  for (int key = 0; key < options_.keys; ++key) {
    const Context& context = contexts_[key];
    Require(context.waiters.empty() || !context.hooks_since.has_value() ||
                now < *context.hooks_since + options_.detach_timeout +
                          options_.tick,
            Rule::kAnswered, "waits for a hook that hangs", key);
    if (!hooks_answer) continue;
    // After a forced release it lasts as long as its pins.
    const bool in_between =
        context.state == State::kOpening ||
        (context.state == State::kClosing && context.pins == 0);
    Require(!in_between, Rule::kAnswered, "opens or closes forever", key);
    Require(context.waiters.empty() || context.pins > 0, Rule::kAnswered,
            "waits forever", key);
    if (context.state != State::kOpen || context.pins > 0) continue;
    Require(options_.leased && now < deadline(key) + options_.tick,
            Rule::kGoneInTime, "idle and over, but still there", key);
  }
}

void InstanceModel::CheckEnd() {
  Require(contexts() == 0, Rule::kNothingLeft, "a context is left");
  Require(owed_.empty(), Rule::kAnswered, "an answer is owed");
}

}  // namespace leasehold
