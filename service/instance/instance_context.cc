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
                                       uint64_t generation, bool id_generated) {
  const size_t front = FrontBytes(key.tenant.size() + key.id.size());
  char* const memory =
      static_cast<char*>(::operator new(front + sizeof(InstanceContext)));
  char* const object = memory + front;
  key.id.copy(object - key.id.size(), key.id.size());
  key.tenant.copy(object - key.id.size() - key.tenant.size(),
                  key.tenant.size());
  return *new (object)
      InstanceContext(home, mu, key, key_hash, generation, id_generated);
}

void InstanceContext::Free() {
  const size_t front = FrontBytes(tenant_size_ + id_size_);
  this->~InstanceContext();
  ::operator delete(reinterpret_cast<char*>(this) - front);
}

InstanceContext::InstanceContext(ContextHome& home, Mutex& mu,
                                 const InstanceKey& key, size_t key_hash,
                                 uint64_t generation, bool id_generated)
    : home_(home),
      tenant_size_(static_cast<uint32_t>(key.tenant.size())),
      id_size_(static_cast<uint32_t>(key.id.size())),
      mu_(mu),
      key_hash_(key_hash),
      generation_(generation),
      create_time_(home.clock_.WallNow()),
      id_generated_(id_generated) {}

InstanceContext::~InstanceContext() {
  // The registry has detached and destroyed the extensions.
  delete slots_.load(std::memory_order_acquire);
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
  {
    MutexLock lock(mu_);
    detached = FindType(tag);
    if (detached == nullptr) return false;
    auto slots = std::make_unique<Slots>();
    for (const Slot& slot : *slots_.load(std::memory_order_relaxed)) {
      if (slot.extension != detached) slots->push_back(slot);
    }
    ReplaceSlotsLocked(std::move(slots));
    ExtrasLocked().old_extensions.emplace_back(detached);
  }
  word_.PinAgain();  // The hook sees the context, so it keeps it open.
  home_.executor_.Post([this, detached, done = std::move(done)] {
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
                        [this, answer, done] {
                          if (done) done(*answer);
                          Unpin();
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
  // Not a load: what is written here is what the next BeginAsking reads.
  Asking no = Asking::kNo;
  return !asking_.compare_exchange_strong(no, Asking::kNo);
}

absl::Duration InstanceContext::lease_remaining() const {
  if (word_.Load().pins() > 0) return idle_timeout();
  return std::max(absl::ZeroDuration(), Lease::deadline() - home_.clock_.Now());
}

void InstanceContext::AddHolder(const HeldPin& pin, PinKind kind,
                                std::shared_ptr<ReleaseListener> listener) {
  bool released = false;
  {
    MutexLock lock(mu_);
    released = word_.Load().state() == ContextState::kClosing;
    ExtrasLocked().holders.push_back({&pin, kind, listener});
    // So that the extras are freed when the context is idle.
    word_.WantAttention();
  }
  // The force came between the pin and its being held.
  if (released && listener != nullptr) listener->OnForcedRelease();
}

void InstanceContext::RemoveHolder(const HeldPin& pin) {
  MutexLock lock(mu_);
  std::vector<Holder>& holders = ExtrasLocked().holders;
  const auto it =
      std::find_if(holders.begin(), holders.end(),
                   [&pin](const Holder& holder) { return holder.pin == &pin; });
  *it = std::move(holders.back());
  holders.pop_back();
}

InstanceInfo InstanceContext::DescribeLocked() const {
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
  if (info.state == InstanceState::kIdle && home_.leased_) {
    info.lease_remaining = lease_remaining();
  }
  // A busy context is used now.
  info.last_use_time = home_.clock_.WallNow();
  if (info.state == InstanceState::kIdle) {
    // Two clocks are read, a moment apart; the same use is to show one time.
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
  // Every pin that says nothing else is a call's. (A holder is counted a moment
  // before its pin is gone.)
  if (word.pins() > held) pins[PinKind::kCall] += word.pins() - held;
  for (const auto& [kind, count] : pins) info.pins.push_back({kind, count});
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
  // If another pin has come meanwhile, its own unpin will look after things.
  if (word_.Unpin(/*held=*/true, attend) == ContextWord::Unpinned::kLast) {
    home_.OnLastUnpin(*this);
  }
  Unref();
}

}  // namespace leasehold
