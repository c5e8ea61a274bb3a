// WatchHub: tells watchers what happens to contexts.
//
// An observer of a registry. Each watcher has a bounded queue; one that falls
// behind loses everything queued and is told once that it has lagged: it should
// then read all state again. A change of a context's pins is queued only once,
// however often they change: the watcher reads the pins when it takes the
// event.
//
// Thread-safety: safe.   Lifetime: outlives the registry that it observes.
#ifndef LEASEHOLD_SERVICE_INSTANCE_WATCH_HUB_H_
#define LEASEHOLD_SERVICE_INSTANCE_WATCH_HUB_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "lease/base/mutex.h"
#include "service/instance/instance_key.h"
#include "service/instance/instance_observer.h"

namespace leasehold {

class WatchHub final : public InstanceObserver {
 public:
  static constexpr size_t kQueuedMax = 10'000;

  // A copy of an event, shared by all watchers.
  struct Event {
    InstanceEventKind kind;
    InstanceKey key;
    uint64_t generation;
    absl::Time create_time;
    absl::Duration idle_timeout;
    DetachReason reason;
  };
  struct Batch {
    bool lagged = false;  // Events were lost before these.
    std::vector<std::shared_ptr<const Event>> events;
  };

  class Watcher {
   public:
    // `wake` is called, from any thread, when there is something to take; it
    // must not block. The watcher sees only IDs of `tenant` that begin with
    // `id_prefix`.
    Watcher(std::string tenant, std::string id_prefix,
            std::function<void()> wake)
        : tenant_(std::move(tenant)),
          id_prefix_(std::move(id_prefix)),
          wake_(std::move(wake)) {}

    // The events since the last call; may be empty.
    Batch Take() ABSL_LOCKS_EXCLUDED(mu_);

   private:
    friend class WatchHub;
    bool Wants(const InstanceEvent& event) const;
    void Tell(const std::shared_ptr<const Event>& event)
        ABSL_LOCKS_EXCLUDED(mu_);

    const std::string tenant_;
    const std::string id_prefix_;
    const std::function<void()> wake_;
    Mutex mu_;
    Batch queued_ ABSL_GUARDED_BY(mu_);
    // Generations that have a kPinsChanged in the queue.
    absl::flat_hash_set<uint64_t> pins_queued_ ABSL_GUARDED_BY(mu_);
  };

  void Add(const std::shared_ptr<Watcher>& watcher) ABSL_LOCKS_EXCLUDED(mu_);
  void Remove(const std::shared_ptr<Watcher>& watcher) ABSL_LOCKS_EXCLUDED(mu_);

  void OnEvent(const InstanceEvent& event) override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Watchers = std::vector<std::shared_ptr<Watcher>>;

  // Makes events cost nothing while there are no watchers.
  std::atomic<size_t> count_{0};
  Mutex mu_;
  // Replaced, never changed, so that notifying needs no lock.
  std::shared_ptr<const Watchers> watchers_ ABSL_GUARDED_BY(mu_) =
      std::make_shared<const Watchers>();
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_WATCH_HUB_H_
