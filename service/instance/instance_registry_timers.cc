// The part of InstanceRegistry that runs the timers of contexts.
#include <atomic>

#include "service/instance/context_timers.h"
#include "service/instance/instance_registry.h"

namespace leasehold {

void InstanceRegistry::OnTimersDue(InstanceContext& context) {
  // A task of their own, because they may take a while.
  Post([this, &context] { Decide(context, /*in_own_task=*/true); });
}

ContextTimers* InstanceRegistry::TimersOf(InstanceContext& context) {
  // One that is not open yet runs none, and one that closes has none any more.
  if (context.word_.Load().state() != ContextState::kOpen) return nullptr;
  return context.Get<ContextTimers>();
}

bool InstanceRegistry::HasReadyTimers(InstanceContext& context) {
  const ContextTimers* const timers = TimersOf(context);
  return timers != nullptr && timers->ready();
}

void InstanceRegistry::CloseTimers(InstanceContext& context) {
  // Whoever sets one attaches them, and then looks whether it closes.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  ContextTimers* const timers = context.Get<ContextTimers>();
  if (timers != nullptr) timers->Close();
}

}  // namespace leasehold
