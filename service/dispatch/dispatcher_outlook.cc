// Dispatcher: who could get a piece of work. For people, so it may look at all
// workers.
#include <vector>

#include "service/dispatch/dispatcher.h"

namespace leasehold {

Dispatcher::Reach Dispatcher::ReachOf(const Work& work) const {
  Reach reach;
  const uint64_t fingerprint = FingerprintOf(work);
  for (const auto& [id, worker] : workers_) {
    if (worker.options.last_resort || !worker.Serves(work.tenant)) continue;
    ++reach.workers;
    if (!worker.ClaimOf(work).has_value()) continue;
    if (worker.disowned.contains(fingerprint)) {
      ++reach.disowns;
    } else if (worker.silent) {
      ++reach.silent;
    } else {
      ++reach.takes;
    }
  }
  return reach;
}

Dispatcher::Outlook Dispatcher::OutlookOf(const Work& work) const {
  Outlook outlook{.reach = ReachOf(work), .offered = work.offered};
  const auto kind = static_cast<size_t>(work.kind);
  for (const WorkerId id : TakersOf(work)) {
    const KnownWorker& worker = workers_.at(id);
    ++outlook.takers;
    outlook.used += worker.out[kind];
    outlook.slots += worker.options.slots[kind];
    if (worker.silent) {
      ++outlook.silent;
    } else if (worker.out[kind] >= worker.options.slots[kind]) {
      ++outlook.full;
    } else if (worker.info->IsFull()) {
      ++outlook.unread;
    } else if (work.alone && worker.alone > 0) {
      ++outlook.suspect;
    }
  }
  return outlook;
}

}  // namespace leasehold
