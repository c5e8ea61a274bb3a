// EntityQueue: what waits for an entity, who holds its lock, and what may go to
// a worker next.
//
// Messages are taken in the order in which they came. A message for later
// (a delayed signal) holds up nothing; once it is due, it stands where it came.
//
//   unlocked:  signal call call LOCK signal ...
//              └── a batch ─┘
//   then LOCK is taken, and while the entity is locked, only calls of the
//   holder run, wherever they stand:
//   locked:    signal call(other) call(holder) LOCK(other) call(holder)
//                                 └──────── a batch ───────────┘
//
// It depends on nothing else: what becomes of a lock request, and of a batch,
// is the engine's.
//
// Thread-safety: none; guarded by the engine's lock.   Lifetime: a value.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_QUEUE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "service/orchestration/history.h"
#include "service/storage/records.h"

namespace leasehold {

// Something that an entity has received: a signal, a call or a lock request.
struct EntityMessage {
  enum class Kind { kSignal, kCall, kLock };

  int64_t sequence = 0;
  Kind kind = Kind::kSignal;
  // Of the request; of a lock request, its critical section.
  std::string request_id = {};
  std::string operation = {};  // Empty for a lock request.
  // Who waits for an answer, or wants the lock. Empty for a signal.
  std::string caller = {};
  std::string caller_execution = {};
  bool legacy = false;     // The answer is one of legacy_answers.h.
  StoredTime due = 0;      // Not before this time; 0: at once.
  std::string event = {};  // Encoded.
  bool durable = false;    // It may go to a worker.

  // A call that no orchestration waits for. If what comes of it is kept, the
  // name that its caller gave it stands in `caller_execution`.
  bool IsFromOutside() const { return kind == Kind::kCall && caller.empty(); }

  friend bool operator==(const EntityMessage&, const EntityMessage&) = default;
};

// nullopt: these bytes are not such a message.
std::optional<EntityMessage> ReadEntityMessage(int64_t sequence,
                                               std::string event);

// Who has an entity to itself.
struct EntityLock {
  std::string holder;      // The instance ID of an orchestration.
  std::string section_id;  // Of its critical section.
  StoredTime since = 0;
  // Of the holder's executions the one that asked. Empty: any of them.
  std::string execution_id = {};
  // Then it goes to the next in line, whatever its holder does. 0: never.
  StoredTime until = 0;
  bool granted = false;  // The section has all its entities.
  friend bool operator==(const EntityLock&, const EntityLock&) = default;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.holder);
    field(2, self.section_id);
    field(3, self.since);
    field(4, self.execution_id);
    field(5, self.until);
    field(6, self.granted);
  }
};

class EntityQueue {
 public:
  // Of one batch, beside its first message.
  struct BatchLimits {
    size_t count = 500;
    size_t bytes = 3 << 20;
  };

  // Everything that waits, now or for later, in order.
  std::vector<const EntityMessage*> All() const;
  size_t size() const { return ready_.size() + later_.size(); }
  size_t bytes() const { return bytes_; }
  const std::optional<EntityLock>& lock() const { return lock_; }
  // Nothing waits, and nobody holds it.
  bool idle() const { return size() == 0 && !lock_.has_value(); }

  // Adds a message with a sequence of its own; sequences increase.
  void Add(EntityMessage message);
  // The message may go to a worker from now on.
  void SetDurable(int64_t sequence);
  // nullptr: there is no such message any more.
  const EntityMessage* Find(int64_t sequence) const;
  void Remove(int64_t sequence);

  // What is due at `now` waits no longer.
  void Release(StoredTime now);
  // When the first message for later is due; nullopt: there is none.
  std::optional<StoredTime> NextDue() const;

  // The lock request whose turn it is; nullptr: none. That of the holder's own
  // critical section, which names the entity twice, is one, too.
  const EntityMessage* NextLock() const;
  void Lock(EntityLock lock) { lock_ = std::move(lock); }
  // The section has all its entities, and the lock ends at that time; 0: never.
  // REQUIRES: it is locked.
  void GrantLock(StoredTime until) {
    lock_->granted = true;
    lock_->until = until;
  }
  bool IsLockedBy(std::string_view section_id) const {
    return lock_.has_value() && lock_->section_id == section_id;
  }
  void Unlock() { lock_.reset(); }
  // The lock requests of an orchestration.
  std::vector<int64_t> LocksOf(std::string_view requester) const;

  // The messages of the next batch, in order; empty: nothing may go now.
  std::vector<int64_t> NextBatch(const BatchLimits& limits) const;

 private:
  // A call that runs while it is locked. REQUIRES: it is.
  bool IsOfHolder(const EntityMessage& message) const;

  std::map<int64_t, EntityMessage> ready_;
  std::map<int64_t, EntityMessage> later_;
  std::set<std::pair<StoredTime, int64_t>> due_;  // Of those for later.
  size_t bytes_ = 0;
  std::optional<EntityLock> lock_;
};

// One line, such as `locked by p (c); call 3 get of p/e; lock 4 of q; later:
// signal 5 add`.
std::ostream& operator<<(std::ostream& out, const EntityQueue& queue);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_QUEUE_H_
