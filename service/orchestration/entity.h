// Entity: what the engine keeps in memory of an entity that has something to
// do, or whose context is open.
//
// It has something to do while messages wait for it, while somebody holds its
// lock, and while a batch of its operations is with a worker. An entity that
// has nothing to do is in memory only as long as its context; then its row in
// the store is all there is, and if it has no state, not even that.
//
// Thread-safety: guarded by the engine's lock.   Lifetime: as Durable; the
// batches outlive it.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "service/orchestration/durable.h"
#include "service/orchestration/entity_queue.h"
#include "service/orchestration/wire.h"
#include "service/storage/records.h"

namespace leasehold {

class Batches;

// What the store keeps of an entity beside its state: its header.
struct EntityHeader {
  std::optional<EntityLock> lock;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.lock);
  }
};

class Entity final : public Durable {
 public:
  Entity(Batches& batches, RunNumber number, InstanceKey key,
         std::string execution_id)
      : Durable(number, std::move(key)),
        execution_id(std::move(execution_id)),
        batch(*this, WorkKind::kEntity, NameIn(this->key.id), ""),
        batches_(batches) {}

  // The name in the ID `@name@key`.
  static std::string NameIn(const std::string& id) {
    const size_t end = id.find('@', 1);
    return end == std::string::npos ? id : id.substr(1, end - 1);
  }

  std::shared_ptr<Entity> shared_from_this() {
    return std::static_pointer_cast<Entity>(Durable::shared_from_this());
  }
  void ForEachWork(absl::FunctionRef<void(OwnedWork&)> each) override {
    each(batch);
  }
  void OnParked() override;

  // For workers; of no meaning here.
  const std::string execution_id;
  EntityQueue queue;
  int64_t last_sequence = 0;
  // Whether the store has it as awake, once all queued commits are durable.
  bool awake = false;
  StoredTime modified = 0;  // When its state was last put.

  // The durable state, while it is known.
  bool loaded = false;
  Payload state;

  OwnedWork batch;
  std::vector<int64_t> sent;  // Of the batch that is, or was last, out.
  bool committing = false;    // Its answer is being committed.
  StoredTime due = 0;         // When its timer fires; 0: none is set.
  StoredTime lock_due = 0;    // The same for the end of its lock.
  // Why no batch of it goes out, if it cannot be read. Null: it is intact.
  std::unique_ptr<const std::string> damage;

 private:
  Batches& batches_;
};

using EntityPtr = std::shared_ptr<Entity>;

// The entity of a batch.
inline Entity& EntityOf(Work& work) {
  return static_cast<Entity&>(Owned(work).owner);
}

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_H_
