// ContextTable: the contexts of a registry by key, in shards.
//
// A shard is a lock, a hash table over the keys, and a plain array of the same
// contexts, from which eviction samples and List takes its pages.
//
// Thread-safety: functions that need a shard's lock say so.   Lifetime: the
// registry owns the contexts; the table owns none.
#ifndef LEASEHOLD_SERVICE_INSTANCE_CONTEXT_TABLE_H_
#define LEASEHOLD_SERVICE_INSTANCE_CONTEXT_TABLE_H_

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "lease/base/mutex.h"
#include "service/instance/instance_context.h"
#include "service/instance/instance_key.h"

namespace leasehold {

class ContextTable {
 public:
  // A key with its hash, for lookups without a copy.
  struct KeyView {
    std::string_view tenant;
    std::string_view id;
    size_t hash;
  };
  static KeyView View(const InstanceKey& key);

  class alignas(64) Shard {
   public:
    Mutex mu;

    // Returns nullptr if the key is not in the table.
    InstanceContext* Find(const KeyView& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
    // REQUIRES: its key is not in the table.
    void Insert(InstanceContext& context) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
    // REQUIRES: it is in the table.
    void Erase(InstanceContext& context) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
    // In no order.
    const std::vector<InstanceContext*>& contexts() const
        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
      return contexts_;
    }

   private:
    struct Hash {
      using is_transparent = void;
      size_t operator()(const KeyView& key) const { return key.hash; }
      size_t operator()(const InstanceContext* c) const { return c->key_hash_; }
    };
    struct Equal {
      using is_transparent = void;
      bool operator()(const InstanceContext* a,
                      const InstanceContext* b) const {
        return a == b;
      }
      bool operator()(const InstanceContext* c, const KeyView& key) const {
        return c->tenant() == key.tenant && c->id() == key.id;
      }
    };

    absl::flat_hash_set<InstanceContext*, Hash, Equal> by_key_
        ABSL_GUARDED_BY(mu);
    std::vector<InstanceContext*> contexts_ ABSL_GUARDED_BY(mu);
  };

  static constexpr size_t kShards = 64;

  // The index of a key's shard. The hash table uses the low bits of the hash,
  // so this uses others.
  static size_t ShardIndex(size_t hash) { return (hash >> 32) % kShards; }
  Shard& ShardOf(size_t hash) { return shards_[ShardIndex(hash)]; }
  Shard& shard(size_t index) { return shards_[index]; }

 private:
  std::array<Shard, kShards> shards_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_CONTEXT_TABLE_H_
