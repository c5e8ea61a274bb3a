// The steps of a World.

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/instance/held_pin.h"
#include "tests/simulation/instance_world.h"
#include "tests/simulation/world.h"

namespace leasehold {

void World::Step() {
  if (Broken() || registry_ == nullptr) return;
  const uint64_t dice = Uniform(random_, 0, 99);
  if (dice < 14) return StartCall();
  if (dice < 29) return DropPin();
  if (dice < 31) return ClonePin();
  if (dice < 33) return HoldPin();
  if (dice < 35) return DropHold();
  if (dice < 39) return UseExtension();
  if (dice < 43) return RemoveExtension();
  if (dice < 45) return CancelCall();
  if (dice < 56) return PassTime();
  if (dice < 63) return RunDue();
  if (dice < 79) return RunTask();
  if (dice < 85) return AnswerHook();
  if (dice < 88) return Release();
  if (dice < 92) return CallBack();
  if (dice < 94) return KeepAlive();
  if (dice < 95) return SetIdleTimeout();
  if (dice < 97) return LookAtOne();
  if (dice < 98) return LookAtAll();
  if (depth_ > 0) return;
  if (dice < 99) return LetHooksHang();
  Settle();
}

void World::Meanwhile(int key) {
  if (settling_ || depth_ >= 2 || !Draw(3)) return;
  ++depth_;
  const int target = std::exchange(target_, key);
  for (int i = Draw(3) ? Draw(10, 60) : Draw(1, 4); i > 0; --i) Step();
  target_ = target;
  --depth_;
}

Call* World::AnyCall(bool waiting) {
  if (calls_.empty()) return nullptr;
  const size_t first = Uniform(random_, 0, calls_.size() - 1);
  Call* found = nullptr;
  for (size_t i = 0; i < calls_.size(); ++i) {
    Call& call = *calls_[(first + i) % calls_.size()];
    if (waiting ? !call.waiting : call.pins.empty()) continue;
    if (found == nullptr || call.key == target_) found = &call;
  }
  return found;
}

void World::StartCall() {
  if (calls_.size() >= 12) {
    std::erase_if(calls_, [](const std::unique_ptr<Call>& call) {
      return !call->waiting && call->pins.empty();
    });
    if (calls_.size() >= 12) return;
  }
  InstanceRequest request;
  const int key = ChooseKey(request);
  if (key < 0) return;
  if (Draw(6)) request.expect = Draw(2) ? Expect::kNew : Expect::kExisting;
  if (Draw(3)) {
    constexpr int64_t kTimeouts[] = {0,          5'000'000,  10'000'001,
                                     30'300'000, 50'000'000, 10'000'000'000};
    request.idle_timeout = absl::Nanoseconds(kTimeouts[Draw(0, 5)]);
  }
  if (Draw(4)) request.service_idle_timeout = absl::Milliseconds(Draw(5, 40));
  calls_.push_back(std::make_unique<Call>(*this, next_number_++, key, request));
  Call& call = *calls_.back();
  Note("call, key", call.number, key);
  if (model_.state(key) == InstanceModel::State::kClosing) {
    ++counts_.waits_for_closing;
  }
  if (being_asked_[key]) ++counts_.uses_while_asked;
  const std::optional<InstanceModel::Answer> expected =
      model_.Acquire(call.number, key, request, clock_.Now());
  std::optional<absl::StatusOr<PinGrant>> answer = registry_->Acquire(call);
  if (Broken()) return;
  if (model_.evicting()) LookForEvicted(key);
  if (answer.has_value() && !expected.has_value() &&
      absl::IsUnavailable(answer->status()) &&
      model_.HooksMayHang(key, clock_.Now())) {
    ++counts_.refused_hanging;
    return model_.Cancel(call.number, key);
  }
  model_.Require(answer.has_value() == expected.has_value(), Rule::kAnswer,
                 answer.has_value() ? "answered rather than made to wait"
                                    : "made to wait rather than answered",
                 key);
  if (!answer.has_value()) {
    call.waiting = true;
    return;
  }
  const absl::StatusCode code = answer->status().code();
  model_.Require(
      !expected.has_value() ||
          (code == expected->code &&
           (!answer->ok() || (*answer)->created == expected->created)),
      Rule::kAnswer,
      absl::StrCat("the call got ", absl::StatusCodeToString(code)), key);
  if (answer->ok()) {
    call.pins.push_back(std::move((*answer)->pin));
  } else if (code == absl::StatusCode::kResourceExhausted) {
    ++counts_.refused_full;
  } else if (code == absl::StatusCode::kUnavailable) {
    ++counts_.refused_shutdown;
  }
}

int World::ChooseKey(InstanceRequest& request) {
  const int key = AnyKey();
  request.key = KeyOf(key);
  switch (setup_.mode) {
    case Mode::kNamed:
      return key;
    case Mode::kSingle:
      return 0;
    case Mode::kPerCall:
      for (int fresh = 0; fresh < setup_.model.keys; ++fresh) {
        if (model_.state(fresh) != InstanceModel::State::kNone) continue;
        fresh_key_ = KeyOf(fresh);
        return fresh;
      }
  }
  return -1;
}

void World::LookForEvicted(int key) {
  for (int other = 0; other < setup_.model.keys; ++other) {
    if (other == key || model_.state(other) != InstanceModel::State::kOpen) {
      continue;
    }
    const std::optional<InstanceInfo> info = registry_->Describe(KeyOf(other));
    if (info.has_value() && info->state != InstanceState::kClosing) continue;
    Note("evicted, key", other);
    ++counts_.evicted;
    if (being_asked_[other]) ++counts_.closes_while_asked;
    model_.OnEvicted(other);
  }
}

void World::Granted(Call& call, const absl::StatusOr<PinGrant>& grant) {
  Note("granted, status", call.number,
       static_cast<int64_t>(grant.status().code()));
  model_.Require(call.waiting, Rule::kAnswer, "answered twice", call.key);
  call.waiting = false;
  if (grant.ok()) {
    ++counts_.granted_after_wait;
  } else if (absl::IsUnavailable(grant.status()) && !model_.shutting_down()) {
    ++counts_.waits_for_hanging;
  }
  model_.OnAnswer(
      call.number, call.key,
      {.code = grant.status().code(), .created = grant.ok() && grant->created},
      grant.ok() ? grant->pin->generation() : 0, clock_.Now());
}

void World::DropPin() {
  Call* call = AnyCall(/*waiting=*/false);
  if (call == nullptr) return;
  Note("drop a pin, key", call->number, call->key);
  model_.DropPin(call->key, clock_.Now());
  Pin pin = std::move(call->pins.back());
  call->pins.pop_back();
  pin.Reset();
}

void World::ClonePin() {
  Call* call = AnyCall(/*waiting=*/false);
  if (call == nullptr || call->pins.size() >= 3) return;
  Note("clone a pin, key", call->number, call->key);
  model_.AddPin(call->key);
  call->pins.push_back(call->pins.back().Clone());
}

void World::HoldPin() {
  Call* call = AnyCall(/*waiting=*/false);
  if (call == nullptr || holdings_.size() >= 4) return;
  const int key = call->key;
  Note("hold a pin, key", call->number, key);
  constexpr PinKind kKindsOfPins[] = {PinKind::kEchoStream, PinKind::kJoin,
                                      PinKind::kHold};
  model_.AddHold(key);
  Pin pin = std::move(call->pins.back());
  call->pins.pop_back();
  holdings_.push_back(std::make_unique<Holding>(
      std::move(pin), kKindsOfPins[Draw(0, 2)], key,
      model_.state(key) == InstanceModel::State::kClosing));
}

void World::DropHold() {
  if (holdings_.empty()) return;
  const size_t i = Uniform(random_, 0, holdings_.size() - 1);
  const std::unique_ptr<Holding> holding = std::move(holdings_[i]);
  holdings_.erase(holdings_.begin() + i);
  Note("let a hold go, key", holding->key);
  model_.Require(holding->listener->told == holding->to_tell, Rule::kAnswered,
                 "a holder was not told of a release by force, or twice",
                 holding->key);
  model_.DropHold(holding->key, clock_.Now());
}

void World::KeepAlive() {
  const int key = AnyKey();
  Note("keep alive, key", key);
  const absl::StatusCode expected = model_.KeepAlive(key, clock_.Now());
  const absl::StatusOr<InstanceInfo> info = registry_->KeepAlive(KeyOf(key));
  model_.Require(info.status().code() == expected, Rule::kAnswer,
                 absl::StrCat("keep-alive got ", info.status().ToString()),
                 key);
  if (info.ok()) {
    ++counts_.kept_alive;
    if (being_asked_[key]) ++counts_.uses_while_asked;
  }
}

void World::SetIdleTimeout() {
  const int key = AnyKey();
  const absl::Duration timeout = absl::Milliseconds(Draw(0, 100));
  Note("set the idle timeout, key", key);
  const absl::StatusCode expected = model_.SetIdleTimeout(key, timeout);
  const absl::StatusOr<InstanceInfo> info =
      registry_->SetIdleTimeout(KeyOf(key), timeout);
  model_.Require(info.status().code() == expected, Rule::kAnswer,
                 absl::StrCat("set-timeout got ", info.status().ToString()),
                 key);
}

void World::LookAtOne() {
  const int key = AnyKey();
  Note("look at, key", key);
  const std::optional<InstanceInfo> info = registry_->Describe(KeyOf(key));
  const InstanceModel::State state = model_.state(key);
  model_.Require(info.has_value() == (state != InstanceModel::State::kNone),
                 Rule::kDescribed, "there or not there", key);
  if (!info.has_value()) return;
  InstanceState expected = InstanceState::kClosing;
  if (state == InstanceModel::State::kOpening) {
    expected = InstanceState::kOpening;
  } else if (state == InstanceModel::State::kOpen) {
    expected =
        model_.pins(key) > 0 ? InstanceState::kBusy : InstanceState::kIdle;
  }
  model_.Require(info->state == expected, Rule::kDescribed, "state", key);
  model_.Require(info->idle_timeout == model_.timeout(key), Rule::kDescribed,
                 "idle timeout", key);
  model_.Require(info->lease_remaining.has_value() ==
                     (setup_.model.leased && expected == InstanceState::kIdle &&
                      !info->held_by_provider),
                 Rule::kDescribed, "with or without a lease", key);
  if (info->lease_remaining.has_value()) {
    model_.Require(
        *info->lease_remaining ==
            std::max(absl::ZeroDuration(), model_.deadline(key) - clock_.Now()),
        Rule::kDescribed, "what remains of the lease", key);
  }
  uint64_t calls = 0;
  uint64_t holds = 0;
  for (const InstanceInfo::Pins& pins : info->pins) {
    (pins.kind == PinKind::kCall ? calls : holds) += pins.count;
  }
  model_.Require(
      holds == model_.holds(key) && calls + holds == model_.pins(key),
      Rule::kDescribed, "pins", key);
}

void World::LookAtAll() {
  Note("look at all");
  std::vector<int> seen(setup_.model.keys);
  for (const std::string_view tenant : {"red", "blue"}) {
    InstanceQuery query;
    query.page_size = Draw(1, 3);
    do {
      const absl::StatusOr<InstancePage> page = registry_->List(tenant, query);
      if (!page.ok()) {
        return model_.Require(false, Rule::kDescribed,
                              page.status().ToString());
      }
      for (const InstanceInfo& info : page->instances) {
        ++seen[KeyOf(info.key.tenant, info.key.id)];
      }
      query.page_token = page->next_page_token;
    } while (!query.page_token.empty());
  }
  for (int key = 0; key < setup_.model.keys; ++key) {
    model_.Require(
        seen[key] == (model_.state(key) != InstanceModel::State::kNone),
        Rule::kDescribed, "listed not once", key);
  }
}

void World::UseExtension() {
  Call* call = AnyCall(/*waiting=*/false);
  if (call == nullptr) return;
  InstanceContext& context = *call->pins.back();
  const int kind = Draw(0, kKinds - 1);
  Note("use an extension, key", call->number, call->key);
  Probe* before = Get(context, call->key, kind, /*attach=*/false);
  Probe* probe = Get(context, call->key, kind, /*attach=*/true);
  model_.Require(before == nullptr || before == probe, Rule::kOneContext,
                 "two extensions of a type", call->key);
  model_.Require(
      probe->key() == call->key && probe->generation() == context.generation(),
      Rule::kOneContext, "an extension of another context", call->key);
  probe->Count();
}

void World::RemoveExtension() {
  Call* call = AnyCall(/*waiting=*/false);
  if (call == nullptr) return;
  InstanceContext& context = *call->pins.back();
  const int key = call->key;
  Probe* probe = Get(context, key, 0, /*attach=*/false);
  if (probe == nullptr) return;
  Note("remove an extension, key", probe->number(), key);
  ++counts_.removed;
  probe->set_removed();
  model_.OnRemove(key, probe->number());
  const bool removed = context.Detach<ProbeOf<0>>([this, key](absl::Status) {
    Note("removed, key", key);
    if (ended_removals_[key] > 0) {
      --ended_removals_[key];
    } else {
      EndRemoval(key);
      --ended_removals_[key];
    }
  });
  ++removals_[key];
  model_.Require(removed, Rule::kHookOnce, "not removed", key);
}

void World::EndRemoval(int key) {
  model_.DropPin(key, clock_.Now());
  --removals_[key];
  ++ended_removals_[key];
}

void World::CancelCall() {
  Call* call = AnyCall(/*waiting=*/true);
  if (call == nullptr) return;
  Note("cancel, key", call->number, call->key);
  ++counts_.waits_cancelled;
  if (model_.state(call->key) == InstanceModel::State::kOpening) {
    ++counts_.openers_cancelled;
  }
  model_.Cancel(call->number, call->key);
  model_.Require(registry_->CancelWait(*call), Rule::kAnswered,
                 "a wait that cannot be cancelled", call->key);
  call->waiting = false;
}

void World::PassTime() {
  const Instant now = clock_.Now();
  Instant to = now;
  switch (Draw(0, 7)) {
    case 0:
      to = now + absl::Nanoseconds(1);
      break;
    case 1:
    case 2:
      to = now + absl::Nanoseconds(Draw(0, 3'000'000));
      break;
    case 3:
      to = now + absl::Milliseconds(Draw(1, 60));
      break;
    case 4:
      to = now + absl::Seconds(2);
      break;
    default: {
      // Just before a deadline, at it, or a tick later.
      const int key = AnyKey();
      if (model_.state(key) == InstanceModel::State::kClosing) {
        // Within the time that its hooks may take.
        to = now + setup_.model.detach_timeout / Draw(1, 4);
        break;
      }
      if (model_.state(key) != InstanceModel::State::kOpen) return;
      to = model_.deadline(key) + absl::Nanoseconds(Draw(-1, 1)) +
           (Draw(3) ? setup_.model.tick : absl::ZeroDuration());
    }
  }
  clock_.AdvanceTo(to);
  Note("time passes");
}

void World::RunDue() {
  Note("look at the leases");
  const size_t count = registry_->RunDueLeases();
  model_.OnLeasesOver(count, clock_.Now());
}

void World::RunTask() {
  if (executor_.size() == 0) return;
  Note("run one of the tasks", static_cast<int64_t>(executor_.size()));
  executor_.RunAny(random_);
}

void World::AnswerHook() {
  if (hooks_.empty()) return;
  if (!stale_hooks_.empty() && Draw(2)) {
    HookDone done = std::move(stale_hooks_.back());
    stale_hooks_.pop_back();
    done();  // Has no effect any more.
  }
  const size_t i = Uniform(random_, 0, hooks_.size() - 1);
  PendingHook hook = std::move(hooks_[i]);
  std::vector<PendingHook> rest;  // HookDone cannot be assigned.
  for (size_t j = 0; j < hooks_.size(); ++j) {
    if (j != i) rest.push_back(std::move(hooks_[j]));
  }
  hooks_.swap(rest);
  Note("a hook answers, key", hook.key);
  const bool fails = setup_.hooks_fail && Draw(4);
  Answer(std::move(hook),
         fails ? absl::AbortedError("later") : absl::OkStatus());
}

void World::Release() {
  const int key = AnyKey();
  // The model does not cover openings that are given up (instance_opening_test
  // does).
  const bool force =
      Draw(2) && model_.state(key) != InstanceModel::State::kOpening;
  const int told = Draw(2) ? next_number_++ : -1;
  Note(force ? "release by force, key" : "release, key", key);
  const bool was_open = model_.state(key) == InstanceModel::State::kOpen;
  const size_t pins = model_.pins(key);
  const absl::StatusCode expected = model_.Release(key, force, told);
  if (was_open && expected == absl::StatusCode::kOk) {
    for (const auto& holding : holdings_) {
      if (holding->key == key) holding->to_tell = 1;
    }
  }
  std::function<void()> closed;
  if (told >= 0) closed = [this, told] { model_.OnToldClosed(told); };
  const absl::StatusCode code =
      registry_->Release(KeyOf(key), force, std::move(closed)).code();
  if (code == absl::StatusCode::kOk) {
    ++counts_.released;
    if (was_open && pins > 0) ++counts_.released_by_force;
    if (being_asked_[key]) ++counts_.closes_while_asked;
  }
  model_.Require(code == expected, Rule::kAnswer,
                 absl::StrCat("release got ", absl::StatusCodeToString(code)),
                 key);
}

void World::CallBack() {
  if (callbacks_.empty()) return;
  if (const int key = AnyKey(); Draw(2) && last_callback_[key]) {
    Note("the provider calls back, key", key);
    model_.CallBack(key, handed_callback_[key]);
    return last_callback_[key]();
  }
  // Any callback that ever existed: also twice, also of contexts that are gone.
  const Callback callback =
      callbacks_[Uniform(random_, 0, callbacks_.size() - 1)];
  Note("the provider calls back", static_cast<int64_t>(callback.generation));
  if (handed_callback_[callback.key] != callback.generation) {
    ++counts_.callbacks_late;
  }
  model_.CallBack(callback.key, callback.generation);
  callback.call();
}

void World::BeginShutdown() {
  Note("shutdown");
  shutting_down_ = true;
  model_.Shutdown();
  registry_->Shutdown([this] { OnShutdownDone(); });
}

void World::OnShutdownDone() {
  Note("shutdown is done");
  ++done_;
  model_.CheckEnd();
  model_.Require(probes_.empty(), Rule::kNothingLeft,
                 "done, but an extension lives");
  model_.Require(executor_.size() == 0 && hooks_.empty() && in_hooks_ == 0,
                 Rule::kNothingLeft, "done, but something runs");
  model_.Require(registry_->size() == 0, Rule::kNothingLeft,
                 "done, but a context is left");
  if (destroy_in_done_ && !Broken()) registry_.reset();
}

}  // namespace leasehold
