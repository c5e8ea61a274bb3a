#include "service/instance/watch_hub.h"

#include <algorithm>

namespace leasehold {

WatchHub::Batch WatchHub::Watcher::Take() {
  MutexLock lock(mu_);
  return std::exchange(queued_, {});
}

void WatchHub::Watcher::Tell(const InstanceEvent& event) {
  if (event.tenant != tenant_ ||
      event.instance_id.substr(0, id_prefix_.size()) != id_prefix_) {
    return;
  }
  {
    MutexLock lock(mu_);
    if (queued_.events.size() >= kQueuedMax) {
      queued_.events.clear();
      queued_.lagged = true;
    }
    queued_.events.push_back({.kind = event.kind,
                              .key = {.tenant = std::string(event.tenant),
                                      .id = std::string(event.instance_id)},
                              .generation = event.generation,
                              .create_time = event.create_time,
                              .idle_timeout = event.idle_timeout,
                              .reason = event.reason});
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
  for (const std::shared_ptr<Watcher>& watcher : *watchers) {
    watcher->Tell(event);
  }
}

}  // namespace leasehold
