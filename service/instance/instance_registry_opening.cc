// The part of InstanceRegistry that opens contexts: the initializers, and what
// happens to a context whose initializers fail, take too long, or are given up.
#include <memory>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/instance/context_opening.h"
#include "service/instance/instance_registry.h"

namespace leasehold {

void ContextOpening::OnDue() { registry_.OnOpeningDue(*this); }

std::string InstanceRegistry::InitializerName(size_t i) const {
  const ContextInitializer& initializer = *initializers_[i];
  const ExtensionType named = {&typeid(initializer), nullptr, {}};
  return absl::StrCat("its initializer ", ExtensionTypeName(named));
}

std::shared_ptr<HookChain> InstanceRegistry::MakeOpeningLocked(
    InstanceContext& context,
    std::shared_ptr<const InitializerRequest> request) {
  auto opening = std::make_shared<ContextOpening>(*this, context, table_owner_);
  HookChain::Steps steps;
  steps.count = initializers_.size();
  steps.run = [this, opening, request = std::move(request)](size_t i,
                                                            HookDone done) {
    opening->begun_.store(i + 1);
    initializers_[i]->Initialize(opening->context_, *request, std::move(done));
  };
  steps.answered = [opening](size_t i, const absl::Status& status) {
    opening->answered_ = i + 1;
    opening->status_ = status;
    return status.ok();
  };
  steps.end = [this, opening] { EndOpening(*opening); };
  steps.name = [this, opening](size_t i) {
    return absl::StrCat("instance ", QuoteForMessage(opening->context_.id()),
                        ": ", InitializerName(i));
  };
  std::shared_ptr<HookChain> chain =
      HookChain::Make(executor_, std::move(steps));
  opening->chain_ = chain;
  context.ExtrasLocked().opening = std::move(opening);
  return chain;
}

void InstanceRegistry::RunInitializers(
    InstanceContext& context, const std::shared_ptr<HookChain>& chain) {
  if (!initializers_block_) {
    context.ShareMemory();  // It may be gone when they have run.
    chain->Begin();
  }
  {
    MutexLock lock(context.mu_);
    const InstanceContext::Extras* extras = context.extras_.get();
    // Usually it is open by now, and needs no alarm.
    if (extras != nullptr && extras->opening != nullptr &&
        !extras->opening->ended_ &&
        options_.open_timeout < absl::InfiniteDuration()) {
      alarms_.Set(extras->opening, options_.open_timeout);
    }
  }
  if (initializers_block_) {
    Post([chain] { chain->Begin(); });
  } else {
    context.DropMemory();
  }
}

void InstanceRegistry::EndOpening(ContextOpening& opening) {
  InstanceContext& context = opening.context_;
  alarms_.Cancel(opening);
  bool opens;
  {
    MutexLock lock(context.mu_);
    opens = !opening.given_up_.has_value() && opening.status_.ok();
    opening.ended_ = true;
    if (!opens && !opening.given_up_.has_value()) {
      context.word_.MoveTo(ContextState::kClosing);
      bounds_.Leave();
    }
  }
  if (opens) return Open(opening);
  if (initializers_block_) return TakeDown(opening);
  // This may be a call's thread, which must not run detach hooks.
  Post([this, kept = opening.shared_from_this()] { TakeDown(*kept); });
}

void InstanceRegistry::Open(ContextOpening& opening) {
  InstanceContext& context = opening.context_;
  Observe(Event(InstanceEventKind::kCreated, context));
  std::vector<std::pair<PinWaiter*, absl::StatusOr<PinGrant>>> answers;
  std::shared_ptr<ContextOpening> opened;
  std::unique_ptr<InstanceContext::Extras> old;
  context.Ref();
  bool release = false;
  {
    MutexLock lock(context.mu_);
    // One pin for each waiter, and one for this function.
    const std::vector<PinWaiter*> waiters = TakeWaitersLocked(context);
    context.word_.Open(waiters.size() + 1);
    for (PinWaiter* waiter : waiters) {
      answers.emplace_back(
          waiter, PinGrant{.pin = Pin(&context), .created = waiter->opens_});
    }
    opened = std::move(context.extras_->opening);
    release = opening.release_when_open_;
    // Most contexts never need them again.
    if (context.extras_->unused()) old = std::move(context.extras_);
  }
  if (context.leased()) GrantLease(context, /*from_now=*/true);
  if (release) {
    // The release was requested already; the context cannot be gone, because it
    // is pinned here.
    Release({.tenant = std::string(context.tenant()),
             .id = std::string(context.id())},
            /*force=*/true)
        .IgnoreError();
  }
  if (HasReadyTimers(context)) {  // They were due while it opened.
    context.Ref();
    OnTimersDue(context);
  }
  // Before the answers: a caller that has one may finish, and release the
  // instance.
  context.Unpin();
  for (auto& [waiter, grant] : answers) waiter->OnGrant(std::move(grant));
  context.Unref();
}

void InstanceRegistry::TakeDown(ContextOpening& opening) {
  InstanceContext& context = opening.context_;
  const bool given_up = opening.given_up_.has_value();
  const absl::Status status = given_up ? *opening.given_up_ : opening.status_;
  // An initializer that has begun and not answered may still use the extensions
  // that it attached.
  context.keeps_extensions_ = opening.begun_.load() != opening.answered_;
  CloseTimers(context);
  DetachAll(context, opening.reason_, /*in_own_task=*/true,
            [this, &context, given_up, status,
             idle_timeout = context.idle_timeout()] {
              InstanceEvent event =
                  Event(InstanceEventKind::kOpenFailed, context);
              event.idle_timeout = idle_timeout;
              event.status = status;
              Observe(event);
              // Calls that came after it was given up may try again.
              Erase(context, given_up ? absl::OkStatus() : status);
            });
}

std::vector<PinWaiter*> InstanceRegistry::GiveUpLocked(
    InstanceContext& context, ContextOpening& opening,
    const absl::Status& status, DetachReason reason) {
  opening.given_up_ = status;
  opening.reason_ = reason;
  context.word_.MoveTo(ContextState::kClosing);
  bounds_.Leave();
  return TakeWaitersLocked(context);
}

void InstanceRegistry::OnOpeningDue(ContextOpening& opening) {
  InstanceContext& context = opening.context_;
  const size_t begun = opening.begun_.load();
  const absl::Status status = absl::UnavailableError(
      absl::StrCat("instance ", QuoteForMessage(context.id()),
                   " has been opening for longer than ",
                   absl::FormatDuration(options_.open_timeout),
                   " (open timeout): it waits for ",
                   begun > 0 ? InitializerName(begun - 1)
                             : "a user thread to run its initializers on"));
  std::vector<PinWaiter*> waiters;
  std::shared_ptr<HookChain> chain;
  {
    MutexLock lock(context.mu_);
    if (opening.ended_) return;
    opening.refuses_ = status;
    // It may have been released by force before; new calls have come since.
    waiters = opening.given_up_.has_value()
                  ? TakeWaitersLocked(context)
                  : GiveUpLocked(context, opening, status,
                                 DetachReason::kFailedInitializer);
    chain = opening.chain_.lock();
  }
  // Here, because initializers that hang may occupy all threads of the
  // executor.
  for (PinWaiter* waiter : waiters) waiter->OnGrant(status);
  if (chain != nullptr) chain->Abandon();
}

}  // namespace leasehold
