#include "service/instance/context_bounds.h"

#include <algorithm>

#include "absl/random/random.h"
#include "service/instance/instance_context.h"

namespace leasehold {
namespace {

// How many contexts are examined, and how many idle ones of them are compared.
constexpr size_t kLookedAtMax = 256;
constexpr size_t kSamples = 16;

}  // namespace

bool ContextBounds::Take(bool promised) {
  const size_t live = live_.fetch_add(1, std::memory_order_relaxed);
  const size_t size = size_.fetch_add(1, std::memory_order_relaxed);
  if (promised || (live < live_max_ && size < 2 * live_max_)) return true;
  live_.fetch_sub(1, std::memory_order_relaxed);
  size_.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

ContextBounds::Victim ContextBounds::ChooseVictim(
    const std::vector<InstanceContext*>& contexts) {
  thread_local absl::InsecureBitGen random;
  Victim victim;
  if (contexts.empty()) return victim;
  const size_t start = absl::Uniform<size_t>(random, 0, contexts.size());
  const auto better = [](const InstanceContext* a, const InstanceContext* b) {
    if (a->id_generated_ != b->id_generated_) return a->id_generated_;
    return a->last_use() < b->last_use();
  };
  size_t samples = 0;
  for (size_t i = 0; i < std::min(kLookedAtMax, contexts.size()); ++i) {
    InstanceContext* context = contexts[(start + i) % contexts.size()];
    const ContextWord::Value seen = context->word_.Load();
    if (!seen.idle()) continue;
    if (victim.context == nullptr || better(context, victim.context)) {
      victim = {context, seen};
    }
    if (++samples == kSamples) break;
  }
  return victim;
}

}  // namespace leasehold
