#include "service/instance/instance_registry.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "service/base/retry_after.h"

namespace leasehold {
namespace {

// When a full server may have room again: an estimate.
constexpr absl::Duration kRetryWhenFull = absl::Seconds(1);

std::string Name(std::string_view id) {
  return absl::StrCat("instance ", QuoteForMessage(id));
}

}  // namespace

InstanceRegistry::InstanceRegistry(
    Clock& clock, Executor& executor, InstanceContextProvider& provider,
    std::vector<ContextInitializer*> initializers,
    std::vector<InstanceObserver*> observers, InstanceRegistryOptions options)
    : ContextHome(clock, executor, provider.Leased()),
      clock_(clock),
      executor_(executor),
      provider_(provider),
      initializers_(std::move(initializers)),
      initializers_block_(std::any_of(
          initializers_.begin(), initializers_.end(),
          [](const ContextInitializer* i) { return i->MayBlock(); })),
      observers_(std::move(observers)),
      options_(options),
      leased_(provider.Leased()),
      generations_(clock),
      leases_(clock, *this),
      alarms_(clock),
      callback_door_(std::make_shared<CallbackDoor>()) {
  MutexLock lock(callback_door_->mu);
  callback_door_->registry = this;
}

InstanceRegistry::~InstanceRegistry() {
  {
    MutexLock lock(callback_door_->mu);
    callback_door_->registry = nullptr;
  }
  leases_.Stop();
  alarms_.Stop();
  if (size() != 0) std::abort();  // A context would outlive its home.
}

InstanceContext* InstanceRegistry::Find(const InstanceKey& key) {
  const ContextTable::KeyView view = ContextTable::View(key);
  ContextTable::Shard& shard = table_.ShardOf(view.hash);
  MutexLock lock(shard.mu);
  InstanceContext* context = shard.Find(view);
  if (context != nullptr) context->Ref();
  return context;
}

// ---- Acquiring

std::optional<absl::StatusOr<PinGrant>> InstanceRegistry::Acquire(
    PinWaiter& waiter) {
  try {
    if (std::optional<InstanceKey> key = provider_.KeyOf(waiter.request_)) {
      waiter.request_.key = *std::move(key);
    }
  } catch (...) {
    const InstanceKey& key = waiter.request().key;
    TellThrew(key.tenant, key.id, 0, "InstanceContextProvider::KeyOf",
              WhatWasThrown());
    return absl::InternalError(
        absl::StrCat(Name(key.id), ": the provider threw: ", WhatWasThrown()));
  }
  const ContextTable::KeyView key = ContextTable::View(waiter.request().key);
  ContextTable::Shard& shard = table_.ShardOf(key.hash);
  Acquired acquired;
  do {
    MutexLock lock(shard.mu);
    acquired = AcquireLocked(shard, key, waiter, waiter.request().promised);
  } while (acquired.full && EvictOne(ContextTable::ShardIndex(key.hash)));
  Settle(acquired);
  return std::move(acquired.answer);
}

InstanceRegistry::Acquired InstanceRegistry::AcquireLocked(
    ContextTable::Shard& shard, const ContextTable::KeyView& key,
    PinWaiter& waiter, bool promised) {
  const InstanceRequest& request = waiter.request();
  Acquired acquired;
  InstanceContext* const found = shard.Find(key);
  if (found == nullptr) {
    CreateLocked(shard, key, waiter, promised, acquired);
    return acquired;
  }
  InstanceContext& context = *found;
  const ContextState state = context.word_.Load().state();
  if (request.expect == Expect::kNew &&
      (state == ContextState::kOpening || state == ContextState::kOpen)) {
    acquired.answer = absl::AlreadyExistsError(
        absl::StrCat(Name(key.id), " exists; the call expects a new one"));
  } else if (context.word_.TryPin(acquired.was_idle)) {
    context.mu_.AssertHeld();  // It is the shard's.
    TouchLocked(context, request);
    if (!acquired.was_idle &&
        use_watchers_.load(std::memory_order_relaxed) > 0) {
      LookAtPinsLaterLocked(context);
    }
    acquired.answer = PinGrant{.pin = Pin(&context)};
  } else {
    context.mu_.AssertHeld();  // It is the shard's.
    // Before waiting: Open does not know which requests waited.
    if (state == ContextState::kOpening) TouchLocked(context, request);
    WaitLocked(context, waiter, /*opens=*/false, acquired);
  }
  return acquired;
}

void InstanceRegistry::TouchLocked(InstanceContext& context,
                                   const InstanceRequest& request) {
  if (context.timeout_chosen_ ||
      request.service_idle_timeout <= context.idle_timeout()) {
    return;
  }
  leases_.SetTimeout(context, Bounded(request.service_idle_timeout));
}

void InstanceRegistry::CreateLocked(ContextTable::Shard& shard,
                                    const ContextTable::KeyView& key,
                                    PinWaiter& waiter, bool promised,
                                    Acquired& acquired) {
  const InstanceRequest& request = waiter.request();
  if (request.expect == Expect::kExisting) {
    acquired.answer = absl::NotFoundError(absl::StrCat(
        "there is no ", Name(key.id), "; the call expects an existing one"));
    return;
  }
  if (shutting_down_.load(std::memory_order_acquire)) {
    acquired.answer = absl::UnavailableError("the server is shutting down");
    return;
  }
  if (!TakeRoom(promised)) {
    acquired.full = true;
    acquired.answer =
        WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat(
                           "the server holds ", options_.contexts_max,
                           " instance contexts, its maximum (--max-contexts); ",
                           Name(key.id), " was not created")),
                       kRetryWhenFull);
    return;
  }
  Hold();
  auto& context =
      InstanceContext::Make(*this, shard.mu, request.key, key.hash,
                            generations_.Next(), request.id_generated);
  context.mu_.AssertHeld();  // It is the shard's.
  context.timeout_chosen_ = request.idle_timeout.has_value();
  leases_.SetTimeout(context,
                     Bounded(request.idle_timeout.value_or(
                         request.service_idle_timeout > absl::ZeroDuration()
                             ? request.service_idle_timeout
                             : options_.idle_timeout)));
  if (!leased_) context.word_.WantAttention();
  shard.Insert(context);
  acquired.created = &context;
  if (initializers_.empty()) {
    context.word_.Open(/*pins=*/1);
    acquired.answer = PinGrant{.pin = Pin(&context), .created = true};
    return;
  }
  // A copy, because the first caller may go away.
  auto opening = std::make_shared<InitializerRequest>();
  opening->request = request;
  opening->request.metadata = nullptr;
  if (request.metadata != nullptr) opening->metadata = request.metadata->Copy();
  acquired.opening = MakeOpeningLocked(context, std::move(opening));
  WaitLocked(context, waiter, /*opens=*/true, acquired);
}

void InstanceRegistry::Settle(const Acquired& acquired) {
  if (acquired.created != nullptr) {
    InstanceContext& context = *acquired.created;
    if (initializers_.empty()) {
      // The caller's pin keeps it open until its lease is granted.
      if (leased_) GrantLease(context, /*from_now=*/true);
      Observe(Event(InstanceEventKind::kCreated, context));
    } else {
      RunInitializers(context, acquired.opening);
    }
  } else if (acquired.was_idle && use_watchers_.load() > 0 &&
             acquired.answer.has_value() && acquired.answer->ok()) {
    Observe(Event(InstanceEventKind::kBusy, *(*acquired.answer)->pin));
  }
}

// ---- Waiting

void InstanceRegistry::WaitLocked(InstanceContext& context, PinWaiter& waiter,
                                  bool opens, Acquired& acquired) {
  InstanceContext::Extras& extras = context.ExtrasLocked();
  if (extras.hangs) {
    acquired.answer = Hangs(context);
    return;
  }
  if (extras.opening != nullptr && !extras.opening->refuses_.ok()) {
    acquired.answer = extras.opening->refuses_;
    return;
  }
  waiter.context_ = &context;
  waiter.opens_ = opens;
  waiter.prev_ = extras.last_waiter;
  waiter.next_ = nullptr;
  (waiter.prev_ != nullptr ? waiter.prev_->next_ : extras.first_waiter) =
      &waiter;
  extras.last_waiter = &waiter;
  // The first call to wait for a closing context starts timing its hooks.
  if (waiter.prev_ == nullptr && context.detaching_.load() != nullptr) {
    TimeHooksLocked(context);
  }
}

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
      Name(context.id()), " has been closing for longer than ",
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

bool InstanceRegistry::CancelWait(PinWaiter& waiter) {
  const ContextTable::KeyView key = ContextTable::View(waiter.request().key);
  MutexLock lock(table_.ShardOf(key.hash).mu);
  if (waiter.context_ == nullptr) return false;
  InstanceContext& context = *waiter.context_;
  context.mu_.AssertHeld();  // It is the shard's.
  InstanceContext::Extras& extras = context.ExtrasLocked();
  (waiter.prev_ != nullptr ? waiter.prev_->next_ : extras.first_waiter) =
      waiter.next_;
  (waiter.next_ != nullptr ? waiter.next_->prev_ : extras.last_waiter) =
      waiter.prev_;
  waiter.context_ = nullptr;
  return true;
}

std::vector<PinWaiter*> InstanceRegistry::TakeWaitersLocked(
    InstanceContext& context) {
  std::vector<PinWaiter*> waiters;
  if (context.extras_ == nullptr) return waiters;
  for (PinWaiter* w = context.extras_->first_waiter; w != nullptr;
       w = w->next_) {
    w->context_ = nullptr;
    waiters.push_back(w);
  }
  context.extras_->first_waiter = context.extras_->last_waiter = nullptr;
  return waiters;
}

// ---- Idle

void InstanceRegistry::GrantLease(InstanceContext& context, bool from_now) {
  context.Ref();
  if (from_now) context.RenewLease();
  // With its current timeout: another thread may be changing it right now.
  leases_.GrantAgain(context);
}

void InstanceRegistry::RevokeLease(InstanceContext& context) {
  // If it is already over, the thread that was told drops its reference.
  if (leases_.Revoke(context)) context.Unref();
}

void InstanceRegistry::OnLeasesOver(absl::Span<Lease* const> leases) {
  std::vector<InstanceContext*> contexts;
  contexts.reserve(leases.size());
  for (Lease* lease : leases) {
    auto* context = static_cast<InstanceContext*>(lease);
    // Here, because hooks that hang may occupy all threads of the executor.
    if (context->word_.Load().state() == ContextState::kClosing) {
      FailWaitersOfHangingHook(*context);
    }
    contexts.push_back(context);
  }
  PostDecide(std::move(contexts));
}

void InstanceRegistry::PostDecide(std::vector<InstanceContext*> contexts) {
  Post([this, contexts = std::move(contexts)] {
    for (InstanceContext* context : contexts) Decide(*context);
  });
}

void InstanceRegistry::OnLastUnpin(InstanceContext& context) {
  if (context.word_.Load().closing_unpinned()) {  // Released by force.
    context.Ref();
    PostDecide({&context});
    return;
  }
  if (use_watchers_.load() > 0) {
    Observe(Event(InstanceEventKind::kIdle, context));
  }
  context.held_by_provider_.store(false);
  std::unique_ptr<InstanceContext::Extras> old;
  {
    MutexLock lock(context.mu_);
    // Another pin's own unpin does the work.
    if (!context.word_.Load().idle()) return;
    // Pins of an idle context are taken under this lock, so while there are
    // none, and no provider is being asked, nobody can be reading the replaced
    // slots.
    if (!context.BeingAsked()) {
      old = std::move(context.extras_);
      if (leased_ && !shutting_down_.load()) {
        context.word_.ClearAttention();
      }
    }
  }
  if (old != nullptr && !old->old_extensions.empty()) {
    // Destructors are user code too.
    Post([old = std::shared_ptr<InstanceContext::Extras>(std::move(old))] {});
  }
  if (shutting_down_.load(std::memory_order_acquire)) {
    const ContextWord::Value word = context.word_.Load();
    if (word.idle() && TryClose(context, word)) {
      BeginClosing(context, DetachReason::kShutdown);
    }
  } else if (!leased_ || !leases_.Lookup(context).running) {
    // Even if a pin has been taken meanwhile: attention is now cleared, so its
    // unpin would not grant the lease again.
    context.Ref();
    PostDecide({&context});
  }
}

void InstanceRegistry::OnProviderIdle(const InstanceKey& key,
                                      uint64_t generation) {
  InstanceContext* context = Find(key);
  if (context == nullptr) return;
  if (context->generation() != generation) return context->Unref();
  PostDecide({context});
}

void InstanceRegistry::Decide(InstanceContext& context) {
  if (context.BeginAsking()) {
    do {
      DecideOnce(context);
    } while (context.AskedAgain());
  }
  context.Unref();
}

void InstanceRegistry::DecideOnce(InstanceContext& context) {
  const bool held_before = context.held_by_provider_.load();
  for (;;) {
    const ContextWord::Value seen = context.word_.Load();
    if (seen.closing_unpinned()) {
      const std::optional<DetachReason> reason =
          context.close_reason_.exchange(std::nullopt);
      if (reason.has_value()) Close(context, *reason);
    }
    if (seen.state() != ContextState::kOpen) return;
    if (leased_) {
      if (leases_.Lookup(context).running) return;
      const bool busy = seen.pins() > 0;
      if (busy || context.Lease::deadline() > clock_.Now()) {
        GrantLease(context, /*from_now=*/busy);
        // It was parked, and has been renewed since.
        if (context.held_by_provider_.exchange(false) && !busy &&
            use_watchers_.load() > 0) {
          Observe(Event(InstanceEventKind::kRenewed, context));
        }
        // Whoever closed it meanwhile found no lease to revoke.
        if (context.word_.Load().state() != ContextState::kOpen) {
          RevokeLease(context);
        }
        return;
      }
    } else if (seen.pins() > 0) {
      return;  // The last unpin asks again.
    }
    if (!AskIsIdle(context)) {
      context.held_by_provider_.store(true);
      // Parked: the next last unpin, or the callback, triggers another
      // decision.
      if (!context.word_.WantAttention().attention()) continue;
      if (!held_before && use_watchers_.load() > 0 &&
          context.word_.Load().idle()) {
        Observe(Event(InstanceEventKind::kHeldByProvider, context));
      }
      return;
    }
    if (TryClose(context, seen)) {
      if (leased_) Observe(Event(InstanceEventKind::kExpired, context));
      Close(context, DetachReason::kIdle);
      return;
    }
  }
}

bool InstanceRegistry::AskIsIdle(InstanceContext& context) {
  try {
    provider_.NotifyIdle(
        [door = callback_door_,
         key = InstanceKey{.tenant = std::string(context.tenant()),
                           .id = std::string(context.id())},
         generation = context.generation()] {
          InstanceRegistry* registry;
          {
            MutexLock lock(door->mu);
            registry = door->registry;
            if (registry == nullptr || !registry->TryHold()) return;
          }
          registry->OnProviderIdle(key, generation);
          registry->Unhold();
        },
        context);
    return provider_.IsIdle(context);
  } catch (...) {
    OnThrew(context, "InstanceContextProvider");
    return false;
  }
}

// ---- Closing

void InstanceRegistry::Shutdown(std::function<void()> done) {
  {
    MutexLock lock(shutdown_mu_);
    shutdown_done_ = std::move(done);
  }
  shutting_down_.store(true, std::memory_order_release);
  std::vector<InstanceContext*> idle;
  for (size_t i = 0; i < ContextTable::kShards; ++i) {
    ContextTable::Shard& shard = table_.shard(i);
    MutexLock lock(shard.mu);
    for (InstanceContext* context : shard.contexts()) {
      context->word_.WantAttention();
      // No pin can be taken under this lock, so an idle context stays idle.
      const ContextWord::Value seen = context->word_.Load();
      if (seen.idle() && TryClose(*context, seen)) {
        context->close_reason_.store(DetachReason::kShutdown);
        context->Ref();
        idle.push_back(context);
      }
    }
  }
  // Oldest first, whichever shard they are in: so a simulated run is
  // repeatable.
  std::sort(idle.begin(), idle.end(), [](const auto* a, const auto* b) {
    return a->generation() < b->generation();
  });
  constexpr size_t kBatchMax = 256;
  for (size_t i = 0; i < idle.size(); i += kBatchMax) {
    PostDecide({idle.begin() + i,
                idle.begin() + std::min(i + kBatchMax, idle.size())});
  }
  Unhold();
}

void InstanceRegistry::Post(std::function<void()> task) {
  Hold();
  executor_.Post([this, task = std::move(task)]() mutable {
    task();
    task = nullptr;  // Destroys its captures while the registry still lives.
    Unhold();
  });
}

bool InstanceRegistry::TryHold() {
  size_t holds = holds_.load(std::memory_order_relaxed);
  do {
    if (holds == 0) return false;
  } while (!holds_.compare_exchange_weak(holds, holds + 1,
                                         std::memory_order_relaxed));
  return true;
}

void InstanceRegistry::Unhold() {
  if (holds_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  std::function<void()> done;
  {
    MutexLock lock(shutdown_mu_);
    done = std::exchange(shutdown_done_, nullptr);
  }
  if (done) done();
}

bool InstanceRegistry::TryClose(InstanceContext& context,
                                ContextWord::Value seen) {
  if (!context.word_.TryClose(seen)) return false;
  LeaveRoom();
  return true;
}

void InstanceRegistry::BeginClosing(InstanceContext& context,
                                    DetachReason reason) {
  context.close_reason_.store(reason);
  context.Ref();
  PostDecide({&context});
}

void InstanceRegistry::Close(InstanceContext& context, DetachReason reason) {
  RevokeLease(context);
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
    if (context.extras_ != nullptr &&
        context.extras_->first_waiter != nullptr) {
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
  // Nobody can reach its extensions any more: destroy them before the key is
  // free.
  std::vector<std::unique_ptr<Extension>> removed;
  {
    MutexLock lock(context.mu_);
    if (context.extras_ != nullptr) {
      removed.swap(context.extras_->old_extensions);
    }
  }
  removed.clear();
  // In reverse order, as they were detached.
  const InstanceContext::Slots* slots = context.slots_.load();
  if (slots != nullptr && !context.keeps_extensions_) {
    for (auto slot = slots->rbegin(); slot != slots->rend(); ++slot) {
      delete slot->extension;
    }
  }
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
    size_.fetch_sub(1, std::memory_order_relaxed);
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

// ---- Telling

InstanceEvent InstanceRegistry::Event(InstanceEventKind kind,
                                      const InstanceContext& context) const {
  return {.kind = kind,
          .tenant = context.tenant(),
          .instance_id = context.id(),
          .generation = context.generation(),
          .create_time = context.create_time(),
          .idle_timeout = context.idle_timeout()};
}

void InstanceRegistry::Observe(const InstanceEvent& event) {
  for (InstanceObserver* observer : observers_) {
    try {
      observer->OnEvent(event);
    } catch (...) {
      // Exceptions thrown while reporting an exception are not reported.
      if (event.kind == InstanceEventKind::kThrew) continue;
      TellThrew(event.tenant, event.instance_id, event.generation,
                "InstanceObserver::OnEvent", WhatWasThrown());
    }
  }
}

void InstanceRegistry::Tell(const InstanceContext& context,
                            const std::function<void()>& closed) {
  try {
    closed();
  } catch (...) {
    OnThrew(context, "the `closed` of Release");
  }
}

void InstanceRegistry::OnThrew(const InstanceContext& context,
                               std::string_view code) {
  TellThrew(context, code, WhatWasThrown());
}

void InstanceRegistry::OnThrew(const InstanceKey& key, uint64_t generation,
                               std::string_view code) {
  TellThrew(key.tenant, key.id, generation, code, WhatWasThrown());
}

void InstanceRegistry::TellThrew(const InstanceContext& context,
                                 std::string_view code, std::string_view what) {
  TellThrew(context.tenant(), context.id(), context.generation(), code, what);
}

void InstanceRegistry::TellThrew(std::string_view tenant, std::string_view id,
                                 uint64_t generation, std::string_view code,
                                 std::string_view what) {
  Observe({.kind = InstanceEventKind::kThrew,
           .tenant = tenant,
           .instance_id = id,
           .generation = generation,
           .status = absl::InternalError(std::string(what)),
           .code = code});
}

void InstanceRegistry::OnRemovalFailed(const InstanceContext& context,
                                       const ExtensionType& type,
                                       const absl::Status& status) {
  const std::string name = ExtensionTypeName(type);
  InstanceEvent event = Event(InstanceEventKind::kDetachFailed, context);
  event.reason = DetachReason::kRemoved;
  event.status = status;
  event.extension = name;
  Observe(event);
}

}  // namespace leasehold
