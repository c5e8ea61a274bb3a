#include "service/instance/instance_context.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "service/instance/hook.h"

namespace leasehold {

size_t InstanceContext::FrontBytes(size_t key_bytes) {
  constexpr size_t kAlign = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
  static_assert(alignof(InstanceContext) <= kAlign);
  return (key_bytes + kAlign - 1) / kAlign * kAlign;
}

InstanceContext& InstanceContext::Make(ContextHome& home, Mutex& mu,
                                       const InstanceKey& key, size_t key_hash,
                                       uint64_t generation, bool id_generated,
                                       const ProviderSet& providers) {
  const size_t front = FrontBytes(key.tenant.size() + key.id.size());
  char* const memory =
      static_cast<char*>(::operator new(front + sizeof(InstanceContext)));
  char* const object = memory + front;
  key.id.copy(object - key.id.size(), key.id.size());
  key.tenant.copy(object - key.id.size() - key.tenant.size(),
                  key.tenant.size());
  return *new (object) InstanceContext(home, mu, key, key_hash, generation,
                                       id_generated, providers);
}

void InstanceContext::Free() {
  const size_t front = FrontBytes(tenant_size_ + id_size_);
  this->~InstanceContext();
  ::operator delete(reinterpret_cast<char*>(this) - front);
}

InstanceContext::InstanceContext(ContextHome& home, Mutex& mu,
                                 const InstanceKey& key, size_t key_hash,
                                 uint64_t generation, bool id_generated,
                                 const ProviderSet& providers)
    : home_(home),
      tenant_size_(static_cast<uint32_t>(key.tenant.size())),
      id_size_(static_cast<uint32_t>(key.id.size())),
      mu_(mu),
      key_hash_(key_hash),
      generation_(generation),
      create_time_(home.clock_.WallNow()),
      id_generated_(id_generated),
      providers_(&providers) {}

InstanceContext::~InstanceContext() {
  // The registry has detached the extensions, and usually destroyed them.
  const Slots* slots = slots_.load(std::memory_order_acquire);
  if (keeps_extensions_ && slots != nullptr) {
    for (auto slot = slots->rbegin(); slot != slots->rend(); ++slot) {
      delete slot->extension;
    }
  }
  delete slots;
}

Extension* InstanceContext::FindType(const InterfaceTag* tag) const {
  const Slots* slots = slots_.load(std::memory_order_acquire);
  if (slots == nullptr) return nullptr;
  for (const Slot& slot : *slots) {
    if (slot.type->tag == tag) return slot.extension;
  }
  return nullptr;
}

void* InstanceContext::FindInterface(const InterfaceTag* tag) const {
  const Slots* slots = slots_.load(std::memory_order_acquire);
  if (slots == nullptr) return nullptr;
  for (const Slot& slot : *slots) {
    for (const ExtensionInterface& as : slot.type->interfaces) {
      if (as.tag == tag) return as.cast(slot.extension);
    }
  }
  return nullptr;
}

Extension* InstanceContext::AttachOrFind(const ExtensionType& type,
                                         std::unique_ptr<Extension> made) {
  Extension* attached = made.get();
  {
    MutexLock lock(mu_);
    if (Extension* found = FindType(type.tag)) return found;
    const Slots* old = slots_.load(std::memory_order_relaxed);
    auto slots = std::make_unique<Slots>();
    slots->reserve((old == nullptr ? 0 : old->size()) + 1);
    if (old != nullptr) *slots = *old;
    slots->push_back({&type, made.release()});
    ReplaceSlotsLocked(std::move(slots));
  }
  attached->OnAttach(*this);
  return attached;
}

bool InstanceContext::DetachType(const InterfaceTag* tag,
                                 std::function<void(absl::Status)> done) {
  Extension* detached = nullptr;
  const ExtensionType* type = nullptr;
  {
    MutexLock lock(mu_);
    detached = FindType(tag);
    if (detached == nullptr) return false;
    auto slots = std::make_unique<Slots>();
    for (const Slot& slot : *slots_.load(std::memory_order_relaxed)) {
      if (slot.extension != detached) {
        slots->push_back(slot);
      } else {
        type = slot.type;
      }
    }
    ReplaceSlotsLocked(std::move(slots));
    ExtrasLocked().old_extensions.emplace_back(detached);
  }
  word_.PinAgain();  // The hook sees the context, so keep it open.
  home_.executor_.Post([this, detached, type, done = std::move(done)] {
    auto answer = std::make_shared<absl::Status>();
    HookChain::Run(home_.executor_,
                   {.count = 1,
                    .run =
                        [this, detached](size_t, HookDone hook_done) {
                          detached->OnDetach(*this, DetachReason::kRemoved,
                                             std::move(hook_done));
                        },
                    .answered =
                        [answer](size_t, const absl::Status& status) {
                          *answer = status;
                          return true;
                        },
                    .end =
                        [this, type, answer, done] {
                          Ref();
                          Unpin();  // First: `done` may release it.
                          if (!answer->ok()) {
                            home_.OnRemovalFailed(*this, *type, *answer);
                          }
                          try {
                            if (done) done(*answer);
                          } catch (...) {
                            home_.OnThrew(*this, "the `done` of Detach");
                          }
                          Unref();
                        }});
  });
  return true;
}

void InstanceContext::ReplaceSlotsLocked(std::unique_ptr<const Slots> slots) {
  std::unique_ptr<const Slots> old(
      slots_.exchange(slots.release(), std::memory_order_acq_rel));
  if (old == nullptr) return;
  ExtrasLocked().old_slots.push_back(std::move(old));
  word_.WantAttention();
}

InstanceContext::Extras& InstanceContext::ExtrasLocked() {
  if (extras_ == nullptr) extras_ = std::make_unique<Extras>();
  return *extras_;
}

bool InstanceContext::BeginAsking() {
  Asking asking = Asking::kNo;
  while (!asking_.compare_exchange_weak(
      asking, asking == Asking::kNo ? Asking::kYes : Asking::kYesAndAgain)) {
  }
  return asking == Asking::kNo;
}

bool InstanceContext::AskedAgain() {
  Asking asking = Asking::kYes;
  while (!asking_.compare_exchange_weak(
      asking, asking == Asking::kYes ? Asking::kNo : Asking::kYes)) {
  }
  return asking == Asking::kYesAndAgain;
}

bool InstanceContext::BeingAsked() {
  // Not a load: the next BeginAsking must read what is written here.
  Asking no = Asking::kNo;
  return !asking_.compare_exchange_strong(no, Asking::kNo);
}

absl::Duration InstanceContext::lease_remaining() const {
  if (word_.Load().pins() > 0) return idle_timeout();
  return std::max(absl::ZeroDuration(), Lease::deadline() - home_.clock_.Now());
}

void InstanceContext::AddHolder(const HeldPin& pin, PinKind kind,
                                std::shared_ptr<ReleaseListener> listener,
                                std::unique_ptr<const PinHolder> who) {
  const Instant now = home_.clock_.Now();
  home_.held_[static_cast<size_t>(kind)].Add();
  bool released = false;
  bool draining = false;
  {
    MutexLock lock(mu_);
    released = word_.Load().state() == ContextState::kClosing;
    // If not set yet, the registry has yet to visit this context, and tells it.
    draining = home_.draining_.load();
    ExtrasLocked().holders.push_back(
        {&pin, kind, listener, draining, std::move(who), now});
    // So that the extras are freed when the context becomes idle.
    word_.WantAttention();
  }
  // The forced release came between taking the pin and registering its holder.
  if (released) TellForced(listener.get());
  if (draining) TellDraining(listener.get());
  TellPinsChanged();
}

void InstanceContext::RemoveHolder(const HeldPin& pin, Pin& held) {
  {
    MutexLock lock(mu_);
    std::vector<Holder>& holders = ExtrasLocked().holders;
    const auto it = std::find_if(
        holders.begin(), holders.end(),
        [&pin](const Holder& holder) { return holder.pin == &pin; });
    home_.held_[static_cast<size_t>(it->kind)].Subtract();
    *it = std::move(holders.back());
    holders.pop_back();
  }
  // The event is sent after the pin is released: otherwise the pin would be
  // shown as a call's.
  Ref();
  held.Reset();
  TellPinsChanged();
  Unref();
}

void InstanceContext::TellForced(ReleaseListener* listener) {
  if (listener == nullptr) return;
  try {
    listener->OnForcedRelease();
  } catch (...) {
    home_.OnThrew(*this, "ReleaseListener::OnForcedRelease");
  }
}

void InstanceContext::TellDraining(ReleaseListener* listener) {
  if (listener == nullptr) return;
  try {
    listener->OnDraining();
  } catch (...) {
    home_.OnThrew(*this, "ReleaseListener::OnDraining");
  }
}

void InstanceContext::TellPinsChanged() {
  if (home_.use_watchers_.load(std::memory_order_relaxed) == 0) return;
  const ContextWord::Value word = word_.Load();
  if (word.state() != ContextState::kOpen || word.pins() == 0) return;
  home_.OnPinsChanged(*this);
}

void InstanceContext::DestroyExtensions() {
  std::vector<std::unique_ptr<Extension>> removed;
  {
    MutexLock lock(mu_);
    if (extras_ != nullptr) removed.swap(extras_->old_extensions);
  }
  removed.clear();
  const Slots* slots = slots_.load();
  if (slots == nullptr || keeps_extensions_) return;
  for (auto slot = slots->rbegin(); slot != slots->rend(); ++slot) {
    delete slot->extension;
  }
}

std::vector<InstanceInfo::Held> InstanceContext::HeldLocked(size_t max) const {
  std::vector<InstanceInfo::Held> held;
  if (extras_ == nullptr || max == 0) return held;
  std::vector<const Holder*> oldest;
  for (const Holder& holder : extras_->holders) oldest.push_back(&holder);
  max = std::min(max, oldest.size());
  std::partial_sort(
      oldest.begin(), oldest.begin() + max, oldest.end(),
      [](const Holder* a, const Holder* b) { return a->since < b->since; });
  oldest.resize(max);
  const Instant now = home_.clock_.Now();
  for (const Holder* holder : oldest) {
    held.push_back(
        {.kind = holder->kind,
         .holder = holder->who == nullptr ? PinHolder() : *holder->who,
         .age = now - holder->since});
  }
  return held;
}

InstanceInfo InstanceContext::DescribeLocked(size_t held_max) const {
  const ContextWord::Value word = word_.Load();
  InstanceInfo info;
  info.key = {.tenant = std::string(tenant()), .id = std::string(id())};
  info.generation = generation_;
  info.idle_timeout = idle_timeout();
  info.create_time = create_time_;
  switch (word.state()) {
    case ContextState::kOpening:
      info.state = InstanceState::kOpening;
      break;
    case ContextState::kOpen:
      info.state =
          word.pins() > 0 ? InstanceState::kBusy : InstanceState::kIdle;
      break;
    case ContextState::kClosing:
    case ContextState::kClosed:
      info.state = InstanceState::kClosing;
      break;
  }
  if (info.state == InstanceState::kIdle) {
    info.held_by_provider = held_by_provider_.load();
    if (leased() && !info.held_by_provider) {
      info.lease_remaining = lease_remaining();
    }
  }
  // A busy context is in use now.
  info.last_use_time = home_.clock_.WallNow();
  if (info.state == InstanceState::kIdle) {
    // The two clocks are read at slightly different times, but one use must
    // always show the same time.
    info.last_use_time =
        std::max(create_time_,
                 absl::FromUnixMillis(absl::ToUnixMillis(
                     info.last_use_time - (home_.clock_.Now() - last_use()))));
  }
  std::map<PinKind, uint64_t> pins;
  uint64_t held = 0;
  if (extras_ != nullptr) {
    info.idle_timeout = extras_->idle_timeout.value_or(info.idle_timeout);
    held = extras_->holders.size();
    for (const Holder& holder : extras_->holders) ++pins[holder.kind];
  }
  // Every pin without a stated purpose is a call's. (A holder is counted until
  // just before its pin is released.)
  if (word.pins() > held) pins[PinKind::kCall] += word.pins() - held;
  for (const auto& [kind, count] : pins) info.pins.push_back({kind, count});
  info.held = HeldLocked(held_max);
  if (const Slots* slots = slots_.load(std::memory_order_acquire)) {
    for (const Slot& slot : *slots) {
      info.extensions.push_back(ExtensionTypeName(*slot.type));
    }
  }
  return info;
}

void InstanceContext::Unpin() {
  Lease::Renew(home_.clock_.Now());
  const bool attend = home_.use_watchers_.load(std::memory_order_relaxed) > 0;
  if (word_.Unpin(/*held=*/false, attend) != ContextWord::Unpinned::kNotYet) {
    return;
  }
  Ref();
  // If another pin has been taken meanwhile, its own unpin does the work.
  if (word_.Unpin(/*held=*/true, attend) == ContextWord::Unpinned::kLast) {
    home_.OnLastUnpin(*this);
  }
  Unref();
}

}  // namespace leasehold
