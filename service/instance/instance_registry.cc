#include "service/instance/instance_registry.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

absl::string_view AbslView(std::string_view s) { return {s.data(), s.size()}; }

std::string Name(std::string_view id) {
  return absl::StrCat("instance ", QuoteForMessage(id));
}

}  // namespace

InstanceRegistry::InstanceRegistry(
    Clock& clock, Executor& executor, InstanceContextProvider& provider,
    std::vector<ContextInitializer*> initializers, InstanceObserver* observer,
    InstanceRegistryOptions options)
    : ContextHome(clock, executor),
      clock_(clock),
      executor_(executor),
      provider_(provider),
      initializers_(std::move(initializers)),
      observer_(observer),
      options_(options),
      leased_(provider.Leased()),
      use_events_(observer != nullptr && observer->WantsUseEvents()),
      generations_(clock),
      leases_(clock, *this),
      shards_(std::make_unique<Shard[]>(kShards)) {}

InstanceRegistry::~InstanceRegistry() {
  leases_.Stop();
  if (size() != 0) std::abort();  // A context would outlive its home.
}

InstanceRegistry::KeyView InstanceRegistry::View(const InstanceKey& key) {
  return {.tenant = key.tenant,
          .id = key.id,
          .hash = absl::HashOf(AbslView(key.tenant), AbslView(key.id))};
}

InstanceRegistry::Shard& InstanceRegistry::ShardOf(const KeyView& key) {
  // The table uses the low bits, so the shard takes others.
  return shards_[(key.hash >> 32) % kShards];
}

InstanceContext* InstanceRegistry::Find(const InstanceKey& key) {
  const KeyView view = View(key);
  Shard& shard = ShardOf(view);
  MutexLock lock(shard.mu);
  const auto it = shard.contexts.find(view);
  if (it == shard.contexts.end()) return nullptr;
  (*it)->Ref();
  return *it;
}

// ---- Acquiring

std::optional<absl::StatusOr<PinGrant>> InstanceRegistry::Acquire(
    PinWaiter& waiter) {
  const KeyView key = View(waiter.request().key);
  Shard& shard = ShardOf(key);
  Acquired acquired;
  {
    MutexLock lock(shard.mu);
    acquired = AcquireLocked(shard, key, waiter);
  }
  Settle(acquired);
  return std::move(acquired.answer);
}

InstanceRegistry::Acquired InstanceRegistry::AcquireLocked(Shard& shard,
                                                           const KeyView& key,
                                                           PinWaiter& waiter) {
  const InstanceRequest& request = waiter.request();
  Acquired acquired;
  const auto it = shard.contexts.find(key);
  if (it == shard.contexts.end()) {
    const absl::StatusOr<InstanceContext*> created =
        CreateLocked(shard, key, request);
    if (!created.ok()) {
      acquired.answer = created.status();
      return acquired;
    }
    InstanceContext& context = **created;
    acquired.created = &context;
    if (initializers_.empty()) {
      context.word_.Open(/*pins=*/1);
      acquired.answer = PinGrant{.pin = Pin(&context), .created = true};
    } else {
      acquired.opening_request =
          std::make_shared<const InstanceRequest>(request);
      WaitLocked(shard, context, waiter, /*opens=*/true);
    }
    return acquired;
  }
  InstanceContext& context = **it;
  const ContextState state = context.word_.Load().state();
  if (request.expect == Expect::kNew &&
      (state == ContextState::kOpening || state == ContextState::kOpen)) {
    acquired.answer = absl::AlreadyExistsError(
        absl::StrCat(Name(key.id), " exists; the call expects a new one"));
  } else if (context.word_.TryPin(acquired.was_idle)) {
    acquired.answer = PinGrant{.pin = Pin(&context)};
  } else {
    WaitLocked(shard, context, waiter, /*opens=*/false);
  }
  return acquired;
}

absl::StatusOr<InstanceContext*> InstanceRegistry::CreateLocked(
    Shard& shard, const KeyView& key, const InstanceRequest& request) {
  if (request.expect == Expect::kExisting) {
    return absl::NotFoundError(absl::StrCat(
        "there is no ", Name(key.id), "; the call expects an existing one"));
  }
  if (shutting_down_.load(std::memory_order_acquire)) {
    return absl::UnavailableError("the server is shutting down");
  }
  if (size_.fetch_add(1, std::memory_order_relaxed) >= options_.contexts_max) {
    size_.fetch_sub(1, std::memory_order_relaxed);
    return absl::ResourceExhaustedError(
        absl::StrCat("the server holds ", options_.contexts_max,
                     " instance contexts, as many as it may (--max-contexts); ",
                     Name(key.id), " was not created"));
  }
  Hold();
  auto* context = new InstanceContext(*this, shard.mu, request.key, key.hash,
                                      generations_.Next());
  leases_.SetTimeout(
      *context,
      std::clamp(request.idle_timeout.value_or(options_.idle_timeout),
                 options_.idle_timeout_min, options_.idle_timeout_max));
  if (!leased_ || use_events_) context->word_.WantAttention();
  shard.contexts.insert(context);
  return context;
}

void InstanceRegistry::Settle(const Acquired& acquired) {
  if (acquired.created != nullptr) {
    InstanceContext& context = *acquired.created;
    if (initializers_.empty()) {
      // The caller's pin keeps it open until its lease is there.
      if (leased_) GrantLease(context, /*from_now=*/true);
      Observe(Event(InstanceEventKind::kCreated, context));
    } else {
      RunInitializers(context, acquired.opening_request);
    }
  } else if (use_events_ && acquired.was_idle) {
    Observe(Event(InstanceEventKind::kBusy, *(*acquired.answer)->pin));
  }
}

// ---- Waiting

void InstanceRegistry::WaitLocked(Shard& shard, InstanceContext& context,
                                  PinWaiter& waiter, bool opens) {
  (void)shard;
  context.mu_.AssertHeld();  // It is the shard's.
  InstanceContext::Extras& extras = context.ExtrasLocked();
  waiter.context_ = &context;
  waiter.opens_ = opens;
  waiter.prev_ = extras.last_waiter;
  waiter.next_ = nullptr;
  (waiter.prev_ != nullptr ? waiter.prev_->next_ : extras.first_waiter) =
      &waiter;
  extras.last_waiter = &waiter;
}

bool InstanceRegistry::CancelWait(PinWaiter& waiter) {
  Shard& shard = ShardOf(View(waiter.request().key));
  MutexLock lock(shard.mu);
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

// ---- Opening

void InstanceRegistry::RunInitializers(
    InstanceContext& context, std::shared_ptr<const InstanceRequest> request) {
  Post([this, &context, request = std::move(request)] {
    auto failure = std::make_shared<absl::Status>();
    HookChain::Run(executor_,
                   {.count = initializers_.size(),
                    .run =
                        [this, &context, request](size_t i, HookDone done) {
                          initializers_[i]->Initialize(context, *request,
                                                       std::move(done));
                        },
                    .answered =
                        [failure](size_t, const absl::Status& status) {
                          *failure = status;
                          return status.ok();
                        },
                    .end =
                        [this, &context, failure] {
                          if (failure->ok()) {
                            Open(context);
                          } else {
                            FailOpening(context, *failure);
                          }
                        }});
  });
}

void InstanceRegistry::Open(InstanceContext& context) {
  Observe(Event(InstanceEventKind::kCreated, context));
  std::vector<std::pair<PinWaiter*, absl::StatusOr<PinGrant>>> answers;
  context.Ref();
  {
    MutexLock lock(context.mu_);
    // One pin for each waiter, and one that this function holds.
    const std::vector<PinWaiter*> waiters = TakeWaitersLocked(context);
    context.word_.Open(waiters.size() + 1);
    for (PinWaiter* waiter : waiters) {
      answers.emplace_back(
          waiter, PinGrant{.pin = Pin(&context), .created = waiter->opens_});
    }
  }
  if (leased_) GrantLease(context, /*from_now=*/true);
  for (auto& [waiter, grant] : answers) waiter->OnGrant(std::move(grant));
  context.Unpin();
  context.Unref();
}

void InstanceRegistry::FailOpening(InstanceContext& context,
                                   const absl::Status& status) {
  context.word_.MoveTo(ContextState::kClosing);
  DetachAll(
      context, DetachReason::kFailedInitializer, [this, &context, status] {
        InstanceEvent event = Event(InstanceEventKind::kOpenFailed, context);
        event.status = status;
        Observe(event);
        Erase(context, status);
      });
}

// ---- Idle

void InstanceRegistry::GrantLease(InstanceContext& context, bool from_now) {
  context.Ref();
  if (from_now) {
    leases_.Grant(context, context.idle_timeout());
  } else {
    leases_.GrantAgain(context);
  }
}

void InstanceRegistry::RevokeLease(InstanceContext& context) {
  // If it is over already, whoever was told of it drops its reference.
  if (leases_.Revoke(context)) context.Unref();
}

void InstanceRegistry::OnLeasesOver(absl::Span<Lease* const> leases) {
  std::vector<InstanceContext*> contexts;
  contexts.reserve(leases.size());
  for (Lease* lease : leases) {
    contexts.push_back(static_cast<InstanceContext*>(lease));
  }
  PostDecide(std::move(contexts));
}

void InstanceRegistry::PostDecide(std::vector<InstanceContext*> contexts) {
  Post([this, contexts = std::move(contexts)] {
    for (InstanceContext* context : contexts) Decide(*context);
  });
}

void InstanceRegistry::OnLastUnpin(InstanceContext& context) {
  if (use_events_) Observe(Event(InstanceEventKind::kIdle, context));
  std::unique_ptr<InstanceContext::Extras> old;
  {
    MutexLock lock(context.mu_);
    // Another pin's own unpin will look after things.
    if (!context.word_.Load().idle()) return;
    // Pins of an idle context are taken under this lock, so with none left, and
    // no provider asked, nobody can be reading what was replaced.
    if (!context.BeingAsked()) {
      old = std::move(context.extras_);
      if (leased_ && !use_events_ && !shutting_down_.load()) {
        context.word_.ClearAttention();
      }
    }
  }
  if (old != nullptr && !old->old_extensions.empty()) {
    // Destructors are other people's code too.
    Post([old = std::shared_ptr<InstanceContext::Extras>(std::move(old))] {});
  }
  if (shutting_down_.load(std::memory_order_acquire)) {
    const ContextWord::Value word = context.word_.Load();
    if (word.idle() && context.word_.TryClose(word)) {
      BeginClosing(context, DetachReason::kShutdown);
    }
  } else if (!leased_ || !leases_.Lookup(context).running) {
    // Even if a pin has come meanwhile: with the attention cleared, its unpin
    // would not have the lease granted again.
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
  for (;;) {
    const ContextWord::Value seen = context.word_.Load();
    if (seen.state() == ContextState::kClosing) {
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
        // Whoever closed it meanwhile found no lease to revoke.
        if (context.word_.Load().state() != ContextState::kOpen) {
          RevokeLease(context);
        }
        return;
      }
    } else if (seen.pins() > 0) {
      return;  // Asked again at the last unpin.
    }
    provider_.NotifyIdle(
        [this,
         key = InstanceKey{.tenant = std::string(context.tenant()),
                           .id = std::string(context.id())},
         generation = context.generation()] {
          OnProviderIdle(key, generation);
        },
        context);
    if (!provider_.IsIdle(context)) {
      // Parked: the next last unpin, or the callback, has it decided anew.
      if (!context.word_.WantAttention().attention()) continue;
      return;
    }
    if (context.word_.TryClose(seen)) {
      if (leased_) Observe(Event(InstanceEventKind::kExpired, context));
      Close(context, DetachReason::kIdle);
      return;
    }
  }
}

// ---- Closing

absl::Status InstanceRegistry::Release(const InstanceKey& key) {
  InstanceContext* context = Find(key);
  if (context == nullptr) {
    return absl::NotFoundError(absl::StrCat("there is no ", Name(key.id)));
  }
  absl::Status status;
  for (;;) {
    const ContextWord::Value seen = context->word_.Load();
    if (seen.state() == ContextState::kOpening) {
      status = absl::FailedPreconditionError(
          absl::StrCat(Name(key.id), " is opening; it cannot be released yet"));
      break;
    }
    if (seen.state() != ContextState::kOpen) break;  // On its way out.
    if (seen.pins() > 0) {
      status = absl::FailedPreconditionError(
          absl::StrCat(Name(key.id), " is busy with ", seen.pins(),
                       " pins; only an idle one can be released"));
      break;
    }
    if (context->word_.TryClose(seen)) {
      BeginClosing(*context, DetachReason::kReleased);
      break;
    }
  }
  context->Unref();
  return status;
}

void InstanceRegistry::Shutdown(std::function<void()> done) {
  {
    MutexLock lock(shutdown_mu_);
    shutdown_done_ = std::move(done);
  }
  shutting_down_.store(true, std::memory_order_release);
  std::vector<InstanceContext*> idle;
  for (size_t i = 0; i < kShards; ++i) {
    MutexLock lock(shards_[i].mu);
    for (InstanceContext* context : shards_[i].contexts) {
      context->word_.WantAttention();
      // No pin can be taken under this lock, so an idle one stays idle.
      const ContextWord::Value seen = context->word_.Load();
      if (seen.idle() && context->word_.TryClose(seen)) {
        context->close_reason_.store(DetachReason::kShutdown);
        context->Ref();
        idle.push_back(context);
      }
    }
  }
  // The oldest first, wherever they stood: so a simulated run can be repeated.
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
    task = nullptr;  // What it holds goes before the registry may.
    Unhold();
  });
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
  DetachAll(context, reason, [this, &context, reason] {
    InstanceEvent event = Event(InstanceEventKind::kClosed, context);
    event.reason = reason;
    Observe(event);
    Erase(context, absl::OkStatus());
  });
}

void InstanceRegistry::DetachAll(InstanceContext& context, DetachReason reason,
                                 std::function<void()> end) {
  const InstanceContext::Slots* slots =
      context.slots_.load(std::memory_order_acquire);
  if (slots == nullptr || slots->empty()) return end();
  const auto slot = [slots](size_t step) -> const InstanceContext::Slot& {
    return (*slots)[slots->size() - 1 - step];  // Last in, first out.
  };
  HookChain::Run(
      executor_,
      {.count = slots->size(),
       .run =
           [&context, slot, reason](size_t i, HookDone done) {
             slot(i).extension->OnDetach(context, reason, std::move(done));
           },
       .answered =
           [this, &context, slot](size_t i, const absl::Status& s) {
             if (s.ok()) return true;
             InstanceEvent event =
                 Event(InstanceEventKind::kDetachFailed, context);
             const std::string name = ExtensionTypeName(*slot(i).type);
             event.status = s;
             event.extension = name;
             Observe(event);
             return true;
           },
       .end = std::move(end)});
}

void InstanceRegistry::Erase(InstanceContext& context,
                             const absl::Status& status) {
  // Nobody can reach its extensions any more: they go before the key is free.
  std::vector<std::unique_ptr<Extension>> removed;
  {
    MutexLock lock(context.mu_);
    if (context.extras_ != nullptr) {
      removed.swap(context.extras_->old_extensions);
    }
  }
  removed.clear();
  // In reverse, as they were detached.
  if (const InstanceContext::Slots* slots = context.slots_.load()) {
    for (auto slot = slots->rbegin(); slot != slots->rend(); ++slot) {
      delete slot->extension;
    }
  }
  Shard& shard = ShardOf({.tenant = {}, .id = {}, .hash = context.key_hash_});
  std::vector<PinWaiter*> waiters;
  std::vector<Acquired> answers;
  {
    MutexLock lock(shard.mu);
    context.mu_.AssertHeld();  // It is the shard's.
    shard.contexts.erase(&context);
    context.word_.MoveTo(ContextState::kClosed);
    size_.fetch_sub(1, std::memory_order_relaxed);  // Room for who waited.
    waiters = TakeWaitersLocked(context);
    for (PinWaiter* waiter : waiters) {
      waiter->opens_ = false;
      if (status.ok()) {
        // As if it had come a moment later. The first one creates.
        answers.push_back(
            AcquireLocked(shard, View(waiter->request().key), *waiter));
      } else {
        answers.push_back({.answer = status});
      }
    }
  }
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
          .idle_timeout = context.idle_timeout()};
}

void InstanceRegistry::Observe(const InstanceEvent& event) {
  if (observer_ != nullptr) observer_->OnEvent(event);
}

}  // namespace leasehold
