#include "service/instance/instance_registry.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "service/base/invariant.h"
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
    : ContextHome(clock, executor),
      clock_(clock),
      executor_(executor),
      provider_(provider),
      initializers_(std::move(initializers)),
      initializers_block_(std::any_of(
          initializers_.begin(), initializers_.end(),
          [](const ContextInitializer* i) { return i->MayBlock(); })),
      observers_(std::move(observers)),
      options_(options),
      providers_(provider),
      generations_(clock),
      bounds_(options.contexts_max),
      leases_(clock, *this),
      alarms_(clock),
      timer_access_(clock, executor, absl::InfiniteDuration()),
      callback_door_(std::make_shared<CallbackDoor>()) {
  MutexLock lock(callback_door_->mu);
  callback_door_->registry = this;
}

InstanceRegistry::Counts InstanceRegistry::counts() const {
  Counts counts{.live = bounds_.live(),
                .leases = leases_.size(),
                .refused = refused_.value(),
                .lateness = leases_.lateness()};
  // One that closes meanwhile is counted once.
  counts.closing = std::max(bounds_.size(), counts.live) - counts.live;
  for (size_t kind = 0; kind < kPinKinds; ++kind) {
    counts.held[kind] = held_[kind].value();
  }
  return counts;
}

InstanceRegistry::~InstanceRegistry() {
  {
    MutexLock lock(callback_door_->mu);
    callback_door_->registry = nullptr;
  }
  leases_.Stop();
  alarms_.Stop();
  CheckInvariant(size() == 0, "no context outlives its registry");
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
    InstanceContextProvider* const own = waiter.request_.provider;
    if (own != nullptr) {
      waiter.providers_ =
          own == &provider_ ? &providers_.server() : &providers_.Of(*own);
    }
    InstanceContextProvider& provider = own != nullptr ? *own : provider_;
    if (std::optional<InstanceKey> key = provider.KeyOf(waiter.request_)) {
      waiter.request_.key = *std::move(key);
    }
  } catch (...) {
    const InstanceKey& key = waiter.request().key;
    observers_.TellThrew(key.tenant, key.id, 0,
                         "InstanceContextProvider::KeyOf", WhatWasThrown());
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
  if (acquired.full) refused_.Add();
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
    TouchLocked(context, waiter);
    if (!acquired.was_idle &&
        use_watchers_.load(std::memory_order_relaxed) > 0) {
      LookAtPinsLaterLocked(context);
    }
    acquired.answer = PinGrant{.pin = Pin(&context)};
  } else {
    context.mu_.AssertHeld();  // It is the shard's.
    // Before waiting: Open does not know which requests waited.
    if (state == ContextState::kOpening) TouchLocked(context, waiter);
    WaitLocked(context, waiter, /*opens=*/false, acquired);
  }
  return acquired;
}

void InstanceRegistry::TouchLocked(InstanceContext& context,
                                   const PinWaiter& waiter) {
  if (waiter.providers_ != nullptr) {
    const ProviderSet* const has =
        context.providers_.load(std::memory_order_relaxed);
    // It may have a lease from now on, which the last unpin grants: contexts
    // without one always want attention.
    if (has != waiter.providers_) {
      context.providers_.store(&providers_.Union(*has, *waiter.providers_),
                               std::memory_order_release);
    }
  }
  const InstanceRequest& request = waiter.request();
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
  if (!bounds_.Take(promised)) {
    acquired.full = true;
    acquired.answer =
        WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat(
                           "the server holds ", bounds_.live_max(),
                           " instance contexts, its maximum (--max-contexts); ",
                           Name(key.id), " was not created")),
                       kRetryWhenFull);
    return;
  }
  gate_.Enter();
  auto& context = InstanceContext::Make(
      *this, shard.mu, request.key, key.hash, generations_.Next(),
      request.id_generated,
      waiter.providers_ != nullptr ? *waiter.providers_ : providers_.server());
  context.mu_.AssertHeld();  // It is the shard's.
  context.timeout_chosen_ = request.idle_timeout.has_value();
  leases_.SetTimeout(context,
                     Bounded(request.idle_timeout.value_or(
                         request.service_idle_timeout > absl::ZeroDuration()
                             ? request.service_idle_timeout
                             : options_.idle_timeout)));
  if (!context.leased()) context.word_.WantAttention();
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
  if (request.metadata != nullptr) {
    opening->metadata = request.metadata->Copy();
    opening->method = request.metadata->Method();
    opening->peer = request.metadata->Peer();
  }
  acquired.opening = MakeOpeningLocked(context, std::move(opening));
  WaitLocked(context, waiter, /*opens=*/true, acquired);
}

void InstanceRegistry::Settle(const Acquired& acquired) {
  if (acquired.created != nullptr) {
    InstanceContext& context = *acquired.created;
    if (initializers_.empty()) {
      // The caller's pin keeps it open until its lease is granted.
      if (context.leased()) GrantLease(context, /*from_now=*/true);
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
  const bool first = extras.waiters.Join(context, waiter, opens);
  // The first call to wait for a closing context starts timing its hooks.
  if (first && context.detaching_.load() != nullptr) {
    TimeHooksLocked(context);
  }
}

bool InstanceRegistry::CancelWait(PinWaiter& waiter) {
  const ContextTable::KeyView key = ContextTable::View(waiter.request().key);
  MutexLock lock(table_.ShardOf(key.hash).mu);
  if (waiter.context_ == nullptr) return false;
  InstanceContext& context = *waiter.context_;
  context.mu_.AssertHeld();  // It is the shard's.
  context.ExtrasLocked().waiters.Leave(waiter);
  return true;
}

std::vector<PinWaiter*> InstanceRegistry::TakeWaitersLocked(
    InstanceContext& context) {
  if (context.extras_ == nullptr) return {};
  return context.extras_->waiters.TakeAll();
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
      if (context.leased() && !shutting_down_.load()) {
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
  } else if (!context.leased() || !leases_.Lookup(context).running) {
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

void InstanceRegistry::Decide(InstanceContext& context, bool in_own_task) {
  bool timers_wait = false;
  if (context.BeginAsking()) {
    do {
      ContextTimers* const timers = TimersOf(context);
      timers_wait = timers != nullptr && timers->ready();
      // It may be closing by now; its extensions go later, and here.
      if (timers_wait && in_own_task) {
        timers->Run();
        timers_wait = false;
      }
      DecideOnce(context);
    } while (context.AskedAgain());
  }
  if (timers_wait) return OnTimersDue(context);
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
    if (context.leased()) {
      if (leases_.Lookup(context).running) return;
      const bool busy = seen.pins() > 0;
      if (busy || context.Lease::deadline() > clock_.Now()) {
        GrantLease(context, /*from_now=*/busy);
        // It was parked, and has been renewed since.
        if (context.held_by_provider_.exchange(false) && !busy &&
            use_watchers_.load() > 0) {
          Observe(Event(InstanceEventKind::kRenewed, context));
        }
        // A thread that closed it meanwhile found no lease to revoke.
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
      if (context.leased())
        Observe(Event(InstanceEventKind::kExpired, context));
      Close(context, DetachReason::kIdle);
      return;
    }
  }
}

bool InstanceRegistry::AskIsIdle(InstanceContext& context) {
  const auto ask_again =
      [door = callback_door_,
       key = InstanceKey{.tenant = std::string(context.tenant()),
                         .id = std::string(context.id())},
       generation = context.generation()] {
        InstanceRegistry* registry;
        {
          MutexLock lock(door->mu);
          registry = door->registry;
          if (registry == nullptr || !registry->gate_.TryEnter()) return;
        }
        registry->OnProviderIdle(key, generation);
        registry->gate_.Leave();
      };
  // A provider that comes meanwhile comes with a pin: then it does not close.
  const ProviderSet& set = *context.providers_.load(std::memory_order_acquire);
  try {
    return std::all_of(set.providers.begin(), set.providers.end(),
                       [&](InstanceContextProvider* provider) {
                         provider->NotifyIdle(ask_again, context);
                         return provider->IsIdle(context);
                       });
  } catch (...) {
    OnThrew(context, "InstanceContextProvider");
    return false;
  }
}

// ---- Closing

void InstanceRegistry::Shutdown(std::function<void()> done) {
  gate_.SetDone(std::move(done));
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
  gate_.Leave();
}

void InstanceRegistry::Post(std::function<void()> task) {
  gate_.Enter();
  executor_.Post([this, task = std::move(task)]() mutable {
    task();
    task = nullptr;  // Destroys its captures while the registry still lives.
    gate_.Leave();
  });
}

bool InstanceRegistry::TryClose(InstanceContext& context,
                                ContextWord::Value seen) {
  if (!context.word_.TryClose(seen)) return false;
  bounds_.Leave();
  return true;
}

// ---- Telling

void InstanceRegistry::OnThrew(const InstanceContext& context,
                               std::string_view code) {
  TellThrew(context, code, WhatWasThrown());
}

void InstanceRegistry::OnThrew(const InstanceKey& key, uint64_t generation,
                               std::string_view code) {
  observers_.TellThrew(key.tenant, key.id, generation, code, WhatWasThrown());
}

void InstanceRegistry::TellThrew(const InstanceContext& context,
                                 std::string_view code, std::string_view what) {
  observers_.TellThrew(context.tenant(), context.id(), context.generation(),
                       code, what);
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
