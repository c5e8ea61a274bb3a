#include "service/instance/watch_hub.h"

#include <algorithm>

namespace leasehold {

WatchHub::Batch WatchHub::Watcher::Take() {
  MutexLock lock(mu_);
  pins_queued_.clear();
  return std::exchange(queued_, {});
}

bool WatchHub::Watcher::Wants(const InstanceEvent& event) const {
  return event.tenant == tenant_ &&
         event.instance_id.substr(0, id_prefix_.size()) == id_prefix_;
}

void WatchHub::Watcher::Tell(const std::shared_ptr<const Event>& event) {
  {
    MutexLock lock(mu_);
    if (event->kind == InstanceEventKind::kPinsChanged &&
        !pins_queued_.insert(event->generation).second) {
      return;
    }
    if (queued_.events.size() >= kQueuedMax) {
      queued_.events.clear();
      pins_queued_.clear();
      queued_.lagged = true;
    }
    queued_.events.push_back(event);
  }
  wake_();
}

void WatchHub::Add(const std::shared_ptr<Watcher>& watcher) {
  MutexLock lock(mu_);
  auto watchers = std::make_shared<Watchers>(*watchers_);
  watchers->push_back(watcher);
  watchers_ = std::move(watchers);
  count_.fetch_add(1);
}

void WatchHub::Remove(const std::shared_ptr<Watcher>& watcher) {
  MutexLock lock(mu_);
  auto watchers = std::make_shared<Watchers>(*watchers_);
  watchers->erase(std::remove(watchers->begin(), watchers->end(), watcher),
                  watchers->end());
  watchers_ = std::move(watchers);
  count_.fetch_sub(1);
}

void WatchHub::OnEvent(const InstanceEvent& event) {
  if (count_.load(std::memory_order_acquire) == 0) return;
  std::shared_ptr<const Watchers> watchers;
  {
    MutexLock lock(mu_);
    watchers = watchers_;
  }
  std::shared_ptr<const Event> kept;
  for (const std::shared_ptr<Watcher>& watcher : *watchers) {
    if (!watcher->Wants(event)) continue;
    if (kept == nullptr) {
      kept = std::make_shared<const Event>(
          Event{.kind = event.kind,
                .key = {.tenant = std::string(event.tenant),
                        .id = std::string(event.instance_id)},
                .generation = event.generation,
                .create_time = event.create_time,
                .idle_timeout = event.idle_timeout,
                .reason = event.reason});
    }
    watcher->Tell(kept);
  }
}

}  // namespace leasehold
