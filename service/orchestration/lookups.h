// Lookups: reads the rows of keys that are not open, one lookup at a time for
// each key.
//
// A lookup lasts until End: meanwhile nobody else decides what becomes of its
// key. It is outdated if the key has lost an orchestration since it began to
// read, or if memory was discarded (a reload): its row may then be from before
// that. While a tenant is wiped none of its lookups begins: those that
// run already are outdated, and the others read the store after the wipe.
//
// Thread-safety: none; callers synchronise. Lookups themselves run on a reader,
// without the lock.   Lifetime: store and readers outlive it.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_LOOKUPS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_LOOKUPS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "service/instance/executor.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/keyed_line.h"
#include "service/storage/store.h"

namespace leasehold {

class Lookups {
 public:
  // Receives the store's row of the key, and the reload in which it began.
  using Lookup = std::function<void(absl::StatusOr<std::optional<RunRow>>,
                                    uint64_t reload)>;

  Lookups(Store& store, Executor& readers) : store_(store), readers_(readers) {}
  Lookups(const Lookups&) = delete;
  Lookups& operator=(const Lookups&) = delete;

  // Calls `lookup` on a reader, after those of the same key have ended.
  void Add(const InstanceKey& key, Lookup lookup);
  // Whether the lookup of that reload must not be decided by.
  bool IsOutdated(const InstanceKey& key, uint64_t reload) const;
  // The running lookup has decided; the next one of its key begins. No effect
  // on lookups of an earlier reload, which are forgotten already.
  void End(const InstanceKey& key, uint64_t reload);

  // An orchestration of that key (Directory::NameOf) has ended.
  void OnEnd(const std::string& name);

  // Everything of the tenant is being erased, until as many calls of Release,
  // or a reload.
  void Hold(const std::string& tenant);
  void Release(const std::string& tenant);
  bool IsHeld(const std::string& tenant) const {
    return held_.contains(tenant);
  }

  // How often memory was discarded. What belongs to an earlier reload is
  // forgotten. (An epoch is the partition's: it was opened again.)
  uint64_t reload() const { return reload_; }
  // Memory is being discarded. Returns those that have not begun; a running one
  // finds out by itself.
  [[nodiscard]] std::vector<Lookup> BeginReload();

 private:
  // Lookups of a tenant that will begin later.
  struct Held {
    int times = 0;
    std::vector<InstanceKey> keys;
  };

  void Begin(const InstanceKey& key, const std::string& name);

  Store& store_;
  Executor& readers_;
  uint64_t reload_ = 0;
  KeyedLine<Lookup> lookups_;
  // The keys that have lost an orchestration since their lookup began.
  absl::flat_hash_set<std::string> outdated_;
  absl::flat_hash_map<std::string, Held> held_;  // By tenant.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_LOOKUPS_H_
