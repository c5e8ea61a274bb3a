// The part of InstanceRegistry that closes contexts: their detach hooks, how
// long calls wait for these, and the calls that come after them.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/instance/instance_registry.h"

namespace leasehold {

void InstanceRegistry::BeginClosing(InstanceContext& context,
                                    DetachReason reason) {
  context.close_reason_.store(reason);
  context.Ref();
  PostDecide({&context});
}

void InstanceRegistry::Close(InstanceContext& context, DetachReason reason) {
  RevokeLease(context);
  CloseTimers(context);
  InstanceEvent event = Event(InstanceEventKind::kClosing, context);
  event.reason = reason;
  Observe(event);
  // While its hooks are timed, the context's timeout is a different one.
  const absl::Duration idle_timeout = event.idle_timeout;
  DetachAll(context, reason, /*in_own_task=*/false,
            [this, &context, reason, idle_timeout] {
              InstanceEvent event = Event(InstanceEventKind::kClosed, context);
              event.reason = reason;
              event.idle_timeout = idle_timeout;
              Observe(event);
              Erase(context, absl::OkStatus());
            });
}

void InstanceRegistry::DetachAll(InstanceContext& context, DetachReason reason,
                                 bool in_own_task, std::function<void()> end) {
  const InstanceContext::Slots* slots =
      context.slots_.load(std::memory_order_acquire);
  if (slots == nullptr || slots->empty()) return end();
  const auto slot = [slots](size_t step) -> const InstanceContext::Slot& {
    return (*slots)[slots->size() - 1 - step];  // Last in, first out.
  };
  const absl::Duration idle_timeout = context.idle_timeout();
  {
    MutexLock lock(context.mu_);
    context.Lease::Renew(clock_.Now());  // The hooks are timed from here.
    context.detaching_.store(slot(0).type);
    // The calls that waited for it to open must not wait forever either.
    if (context.extras_ != nullptr && !context.extras_->waiters.empty()) {
      TimeHooksLocked(context);
    }
  }
  HookChain::Steps steps;
  steps.count = slots->size();
  steps.run = [&context, slot, reason](size_t i, HookDone done) {
    context.detaching_.store(slot(i).type);
    slot(i).extension->OnDetach(context, reason, std::move(done));
  };
  steps.answered = [this, &context, slot, idle_timeout](
                       size_t i, const absl::Status& status) {
    if (status.ok()) return true;
    detach_failures_.fetch_add(1, std::memory_order_relaxed);
    const std::string name = ExtensionTypeName(*slot(i).type);
    InstanceEvent event = Event(InstanceEventKind::kDetachFailed, context);
    event.idle_timeout = idle_timeout;
    event.status = status;
    event.extension = name;
    Observe(event);
    return true;
  };
  steps.end = std::move(end);
  // Hooks that may block run in a task of their own: nothing waits behind them.
  const bool may_block =
      !in_own_task &&
      std::any_of(slots->begin(), slots->end(),
                  [](const auto& each) { return each.extension->MayBlock(); });
  RunHooks(std::move(steps), may_block);
}

void InstanceRegistry::RunHooks(HookChain::Steps steps, bool may_block) {
  if (!may_block) return HookChain::Run(executor_, std::move(steps));
  Post([this, steps = std::move(steps)] { HookChain::Run(executor_, steps); });
}

void InstanceRegistry::Erase(InstanceContext& context,
                             const absl::Status& status) {
  context.DestroyExtensions();  // Before the key is free.
  ContextTable::Shard& shard = table_.ShardOf(context.key_hash_);
  std::vector<PinWaiter*> waiters;
  std::vector<Acquired> answers;
  std::vector<std::function<void()>> closed;
  std::shared_ptr<ContextOpening> opening;
  {
    MutexLock lock(shard.mu);
    context.mu_.AssertHeld();  // It is the shard's.
    shard.Erase(context);
    context.word_.MoveTo(ContextState::kClosed);
    bounds_.Gone();
    if (context.extras_ != nullptr) {
      closed.swap(context.extras_->closed);
      opening.swap(context.extras_->opening);
    }
    waiters = TakeWaitersLocked(context);
    for (PinWaiter* waiter : waiters) {
      waiter->opens_ = false;
      if (status.ok()) {
        // As if the call had arrived a moment later. The first one creates.
        answers.push_back(AcquireLocked(
            shard, ContextTable::View(waiter->request().key), *waiter,
            /*promised=*/true));
      } else {
        answers.push_back({.answer = status});
      }
    }
  }
  RevokeLease(context);  // It timed its hooks.
  for (const std::function<void()>& told : closed) Tell(context, told);
  for (size_t i = 0; i < waiters.size(); ++i) {
    Settle(answers[i]);
    if (answers[i].answer.has_value()) {
      waiters[i]->OnGrant(*std::move(answers[i].answer));
    }
  }
  context.Unref();  // The registry's.
}

void InstanceRegistry::Tell(const InstanceContext& context,
                            const std::function<void()>& closed) {
  try {
    closed();
  } catch (...) {
    OnThrew(context, "the `closed` of Release");
  }
}

// ---- The detach timeout

void InstanceRegistry::TimeHooksLocked(InstanceContext& context) {
  // A closing context has no lease: the lease manager times its hooks instead,
  // from the beginning of the closing, which counts as the last use.
  InstanceContext::Extras& extras = context.ExtrasLocked();
  if (!extras.idle_timeout.has_value()) {
    extras.idle_timeout = context.idle_timeout();
  }
  leases_.SetTimeout(context, options_.detach_timeout);
  if (!leases_.Lookup(context).running) GrantLease(context, /*from_now=*/false);
}

absl::Status InstanceRegistry::Hangs(const InstanceContext& context) const {
  const ExtensionType* type = context.detaching_.load();
  return absl::UnavailableError(absl::StrCat(
      "instance ", QuoteForMessage(context.id()),
      " has been closing for longer than ",
      absl::FormatDuration(options_.detach_timeout),
      " (--detach-timeout): it waits for the detach hook of its extension ",
      type == nullptr ? "?" : ExtensionTypeName(*type)));
}

void InstanceRegistry::FailWaitersOfHangingHook(InstanceContext& context) {
  std::vector<PinWaiter*> waiters;
  {
    MutexLock lock(context.mu_);
    if (context.word_.Load().state() != ContextState::kClosing ||
        context.detaching_.load() == nullptr) {
      return;
    }
    if (context.last_use() + options_.detach_timeout > clock_.Now()) {
      // A keep-alive that raced with the closing has moved the last use.
      if (context.ExtrasLocked().idle_timeout.has_value() &&
          !leases_.Lookup(context).running) {
        GrantLease(context, /*from_now=*/false);
      }
      return;
    }
    waiters = TakeWaitersLocked(context);
    context.ExtrasLocked().hangs = true;
  }
  const absl::Status status = Hangs(context);
  for (PinWaiter* waiter : waiters) waiter->OnGrant(status);
}

}  // namespace leasehold
