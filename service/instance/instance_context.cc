#include "service/instance/instance_context.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "service/instance/hook.h"

namespace leasehold {

InstanceContext::InstanceContext(ContextHome& home, Mutex& mu,
                                 const InstanceKey& key, size_t key_hash,
                                 uint64_t generation)
    : home_(home),
      mu_(mu),
      key_(absl::StrCat(key.tenant, key.id)),
      key_hash_(key_hash),
      generation_(generation),
      tenant_size_(static_cast<uint32_t>(key.tenant.size())) {}

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

void InstanceContext::Unpin() {
  Lease::Renew(home_.clock_.Now());
  if (word_.Unpin(/*held=*/false) != ContextWord::Unpinned::kNotYet) return;
  Ref();
  // If another pin has come meanwhile, its own unpin will look after things.
  if (word_.Unpin(/*held=*/true) == ContextWord::Unpinned::kLast) {
    home_.OnLastUnpin(*this);
  }
  Unref();
}

}  // namespace leasehold
