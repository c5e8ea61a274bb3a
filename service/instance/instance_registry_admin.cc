// The part of InstanceRegistry that inspects and manages contexts from outside:
// Describe, List, KeepAlive, SetIdleTimeout, Release, and eviction.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "service/base/page_token.h"
#include "service/instance/instance_registry.h"

namespace leasehold {
namespace {

constexpr size_t kPageSizeMax = 1000;

absl::Status NoSuch(const InstanceKey& key) {
  if (key.tenant.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the key of instance ", QuoteForMessage(key.id),
                     " names no tenant; Instances::Key makes keys that do"));
  }
  return absl::NotFoundError(
      absl::StrCat("there is no instance ", QuoteForMessage(key.id)));
}

absl::Status ReleasedWhileOpening(const InstanceKey& key) {
  return absl::AbortedError(
      absl::StrCat("instance ", QuoteForMessage(key.id),
                   " was released by force while it was opening"));
}

// Where a listing continues: a shard, and the hash of the last one returned.
struct PagePlace {
  uint64_t shard = 0;
  uint64_t after_hash = 0;
  bool from_start = true;  // Of the shard.
};

PageScope ScopeOf(std::string_view tenant, const InstanceQuery& query) {
  PageScope scope("instances", tenant);
  scope.Add(query.id_prefix);
  scope.AddNumber(query.state.has_value()
                      ? std::optional(static_cast<int64_t>(*query.state))
                      : std::nullopt);
  return scope;
}

PageTokens::Position PositionOf(const PagePlace& place) {
  return {place.shard << 1 | (place.from_start ? 1 : 0), place.after_hash};
}

PagePlace PlaceOf(const PageTokens::Position& position) {
  return {.shard = position[0] >> 1,
          .after_hash = position[1],
          .from_start = (position[0] & 1) != 0};
}

bool Matches(const InstanceInfo& info, const InstanceQuery& query) {
  return !query.state.has_value() || info.state == *query.state;
}

}  // namespace

// ---- Looking

std::optional<InstanceInfo> InstanceRegistry::Describe(const InstanceKey& key,
                                                       size_t held_max) {
  const ContextTable::KeyView view = ContextTable::View(key);
  ContextTable::Shard& shard = table_.ShardOf(view.hash);
  MutexLock lock(shard.mu);
  const InstanceContext* context = shard.Find(view);
  if (context == nullptr) return std::nullopt;
  context->mu_.AssertHeld();  // It is the shard's.
  return context->DescribeLocked(held_max);
}

absl::StatusOr<InstancePage> InstanceRegistry::List(
    std::string_view tenant, const InstanceQuery& query) {
  const PageScope scope = ScopeOf(tenant, query);
  PagePlace place;
  if (!query.page_token.empty()) {
    const auto position = page_tokens_.Read(scope, query.page_token);
    if (!position.has_value()) {
      return IsNotATokenOfThisList("page_token", query.page_token);
    }
    place = PlaceOf(*position);
  }
  const size_t page_size = std::clamp<size_t>(query.page_size, 1, kPageSizeMax);
  InstancePage page;
  while (place.shard < ContextTable::kShards &&
         page.instances.size() < page_size) {
    const std::optional<uint64_t> last = ListShard(
        tenant, query, place.shard,
        place.from_start ? std::nullopt : std::optional(place.after_hash),
        page_size, page.instances);
    place.from_start = !last.has_value();
    if (last.has_value()) {
      place.after_hash = *last;
    } else {
      ++place.shard;
    }
  }
  if (place.shard < ContextTable::kShards) {
    page.next_page_token = page_tokens_.Make(scope, PositionOf(place));
  }
  return page;
}

std::optional<uint64_t> InstanceRegistry::ListShard(
    std::string_view tenant, const InstanceQuery& query, size_t index,
    std::optional<uint64_t> after_hash, size_t count_max,
    std::vector<InstanceInfo>& found) {
  ContextTable::Shard& shard = table_.shard(index);
  MutexLock lock(shard.mu);
  std::vector<const InstanceContext*> rest;
  for (const InstanceContext* context : shard.contexts()) {
    const absl::string_view id = {context->id().data(), context->id().size()};
    if ((!after_hash.has_value() || context->key_hash_ > *after_hash) &&
        context->tenant() == tenant && absl::StartsWith(id, query.id_prefix)) {
      rest.push_back(context);
    }
  }
  // By hash, which a context keeps for life: so whatever comes and goes between
  // two pages, a context that stays is listed once.
  const size_t count = std::min(rest.size(), count_max - found.size());
  std::partial_sort(rest.begin(), rest.begin() + count, rest.end(),
                    [](const InstanceContext* a, const InstanceContext* b) {
                      return a->key_hash_ < b->key_hash_;
                    });
  for (size_t i = 0; i < count; ++i) {
    rest[i]->mu_.AssertHeld();  // It is the shard's.
    InstanceInfo info = rest[i]->DescribeLocked();
    if (Matches(info, query)) found.push_back(std::move(info));
  }
  if (count == rest.size()) return std::nullopt;
  return rest[count - 1]->key_hash_;
}

// ---- Handling

absl::StatusOr<InstanceInfo> InstanceRegistry::KeepAlive(
    const InstanceKey& key) {
  InstanceContext* context = Find(key);
  if (context == nullptr) return NoSuch(key);
  // In this order: a thread that still sees the word from before the touch
  // fails to close, and one that sees the word after it sees the renewal. (The
  // hooks of a closing context are timed from when its closing began.)
  if (context->word_.Load().state() == ContextState::kOpen) {
    context->Lease::Renew(clock_.Now());
  }
  absl::StatusOr<InstanceInfo> info = NoSuch(key);
  const bool touched = context->word_.TryTouch();
  {
    MutexLock lock(context->mu_);
    // The lease of an opening context has yet to begin.
    if (touched || context->word_.Load().state() == ContextState::kOpening) {
      info = context->DescribeLocked();
    }
  }
  if (touched) Observe(Event(InstanceEventKind::kRenewed, *context));
  context->Unref();
  return info;
}

absl::StatusOr<InstanceInfo> InstanceRegistry::SetIdleTimeout(
    const InstanceKey& key, absl::Duration timeout) {
  InstanceContext* context = Find(key);
  if (context == nullptr) return NoSuch(key);
  absl::StatusOr<InstanceInfo> info = NoSuch(key);
  {
    MutexLock lock(context->mu_);
    const ContextState state = context->word_.Load().state();
    if (state == ContextState::kOpen || state == ContextState::kOpening) {
      leases_.SetTimeout(*context, Bounded(timeout));
      context->timeout_chosen_ = true;
      if (context->word_.TryTouch() || state == ContextState::kOpening) {
        info = context->DescribeLocked();
      }
    }
  }
  context->Unref();
  return info;
}

absl::Status InstanceRegistry::Release(const InstanceKey& key, bool force,
                                       std::function<void()> closed) {
  InstanceContext* context = Find(key);
  if (context == nullptr) return NoSuch(key);
  absl::Status status;
  std::vector<std::shared_ptr<ReleaseListener>> listeners;
  std::vector<PinWaiter*> waiters;  // For it to open.
  std::shared_ptr<HookChain> chain;
  bool begin = false;
  {
    MutexLock lock(context->mu_);
    const ContextWord::Value seen = context->word_.Load();
    const std::string name = absl::StrCat("instance ", QuoteForMessage(key.id));
    if (seen.state() == ContextState::kClosed) {
      status = NoSuch(key);
    } else if (seen.state() == ContextState::kOpening && !force) {
      status = absl::FailedPreconditionError(absl::StrCat(
          name, " is opening; until it is open, only force can release it"));
    } else if (seen.state() == ContextState::kOpen && seen.pins() > 0 &&
               !force) {
      status = absl::FailedPreconditionError(
          absl::StrCat(name, " is busy with ", seen.pins(),
                       seen.pins() == 1 ? " pin" : " pins",
                       "; only an idle one can be released without force"));
    } else {
      InstanceContext::Extras& extras = context->ExtrasLocked();
      if (closed) extras.closed.push_back(std::move(closed));
      if (seen.state() == ContextState::kOpening) {
        if (extras.opening->ended_) {
          extras.opening->release_when_open_ = true;  // It opens at any moment.
        } else {
          waiters =
              GiveUpLocked(*context, *extras.opening, ReleasedWhileOpening(key),
                           DetachReason::kReleased);
          chain = extras.opening->chain_.lock();
        }
      } else {
        // Pins of an idle context are taken only under this lock: so an open
        // idle context stays idle, and a closing one stays closing.
        begin = context->word_.ForceClose();
        if (begin) bounds_.Leave();
      }
      if (begin) {
        for (const InstanceContext::Holder& holder : extras.holders) {
          if (holder.listener != nullptr) listeners.push_back(holder.listener);
        }
      }
    }
  }
  for (PinWaiter* waiter : waiters) waiter->OnGrant(ReleasedWhileOpening(key));
  if (chain != nullptr) chain->Abandon();
  if (begin) {
    context->close_reason_.store(DetachReason::kReleased);
    // A thread that releases the last pin after this sees the reason; one that
    // has done so before is noticed here.
    if (context->word_.WantAttention().pins() == 0) {
      context->Ref();
      PostDecide({context});
    }
    for (const auto& listener : listeners) context->TellForced(listener.get());
  }
  context->Unref();
  return status;
}

void InstanceRegistry::TellDraining() {
  draining_.store(true);
  for (size_t i = 0; i < ContextTable::kShards; ++i) {
    std::vector<std::pair<InstanceContext*, std::shared_ptr<ReleaseListener>>>
        told;
    ContextTable::Shard& shard = table_.shard(i);
    {
      MutexLock lock(shard.mu);
      for (InstanceContext* context : shard.contexts()) {
        context->mu_.AssertHeld();  // It is the shard's.
        if (context->extras_ == nullptr) continue;
        for (InstanceContext::Holder& holder : context->extras_->holders) {
          if (std::exchange(holder.told_of_drain, true)) continue;
          context->Ref();
          told.emplace_back(context, holder.listener);
        }
      }
    }
    for (const auto& [context, listener] : told) {
      context->TellDraining(listener.get());
      context->Unref();
    }
  }
}

// ---- Pins, while someone watches

// Delay until calls beside a holder are reported, and until their end is: so
// short calls beside a holder cost next to nothing.
constexpr absl::Duration kLookAtPinsAfter = absl::Milliseconds(500);

class InstanceRegistry::PinsLook final : public Alarm {
 public:
  PinsLook(InstanceRegistry& registry, const InstanceContext& context)
      : registry_(registry),
        key_{.tenant = std::string(context.tenant()),
             .id = std::string(context.id())},
        generation_(context.generation()) {}
  void OnDue() override { registry_.LookAtPins(key_, generation_); }

 private:
  InstanceRegistry& registry_;
  const InstanceKey key_;
  const uint64_t generation_;
};

void InstanceRegistry::OnPinsChanged(InstanceContext& context) {
  Observe(Event(InstanceEventKind::kPinsChanged, context));
  MutexLock lock(context.mu_);
  // Calls that are in flight are reported now, and may end at once.
  if (context.extras_ != nullptr &&
      context.word_.Load().pins() > context.extras_->holders.size()) {
    LookAtPinsLaterLocked(context);
  }
}

void InstanceRegistry::LookAtPinsLaterLocked(InstanceContext& context) {
  InstanceContext::Extras* extras = context.extras_.get();
  // Without a holder, the context becomes idle when calls end, which is
  // reported.
  if (extras == nullptr || extras->holders.empty() ||
      std::exchange(extras->pins_looked_at_later, true)) {
    return;
  }
  alarms_.Set(std::make_shared<PinsLook>(*this, context), kLookAtPinsAfter);
}

void InstanceRegistry::LookAtPins(const InstanceKey& key, uint64_t generation) {
  InstanceContext* context = Find(key);
  if (context == nullptr) return;
  bool tell = false;
  if (context->generation() == generation && use_watchers_.load() > 0) {
    MutexLock lock(context->mu_);
    InstanceContext::Extras* extras = context->extras_.get();
    const ContextWord::Value word = context->word_.Load();
    if (extras != nullptr && word.state() == ContextState::kOpen) {
      extras->pins_looked_at_later = false;
      const bool calls = word.pins() > extras->holders.size();
      tell = !extras->holders.empty() && !(calls && extras->calls_told);
      extras->calls_told = calls;
      if (calls) LookAtPinsLaterLocked(*context);
    }
  }
  if (tell) Observe(Event(InstanceEventKind::kPinsChanged, *context));
  context->Unref();
}

// ---- Room

bool InstanceRegistry::EvictOne(size_t first) {
  if (!options_.evict_idle || bounds_.TooManyAreClosing()) return false;
  if (bounds_.HasRoom()) return true;  // By now.
  for (size_t i = 0; i < ContextTable::kShards; ++i) {
    if (EvictFrom(table_.shard((first + i) % ContextTable::kShards))) {
      return true;
    }
  }
  return false;
}

bool InstanceRegistry::EvictFrom(ContextTable::Shard& shard) {
  ContextBounds::Victim victim;
  {
    MutexLock lock(shard.mu);
    victim = ContextBounds::ChooseVictim(shard.contexts());
    if (victim.context == nullptr) return false;
    // A KeepAlive may have come between; then the caller tries the next one.
    if (!TryClose(*victim.context, victim.seen)) return true;
    victim.context->Ref();
  }
  BeginClosing(*victim.context, DetachReason::kEvicted);
  victim.context->Unref();
  return true;
}

absl::Duration InstanceRegistry::Bounded(absl::Duration idle_timeout) const {
  return std::clamp(idle_timeout, options_.idle_timeout_min,
                    options_.idle_timeout_max);
}

}  // namespace leasehold
