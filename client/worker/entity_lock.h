// EntityLock: the entities that an orchestrator has to itself.
//
//   const EntityLock lock = co_await ctx.LockEntities(from, to);
//   co_await ctx.CallEntity<int>(from, "withdraw", 5);
//
// They are unlocked when it is destroyed, and when the orchestration ends in
// whatever way. Meanwhile the orchestrator may call only these entities, and
// each with one call at a time; it may neither signal them, nor lock others,
// nor call sub-orchestrations: EntityLockError.
//
// Thread-safety: one thread: the one that runs the turn.   Lifetime: a variable
// of the orchestrator, or of a coroutine that it calls.
#ifndef LEASEHOLD_CLIENT_WORKER_ENTITY_LOCK_H_
#define LEASEHOLD_CLIENT_WORKER_ENTITY_LOCK_H_

#include <cstdint>
#include <utility>

namespace leasehold::worker {

namespace internal {
class Turn;
}

class [[nodiscard]] EntityLock {
 public:
  // By the context. `task_id`: of the request for the lock.
  EntityLock(internal::Turn& turn, int32_t task_id)
      : turn_(&turn), task_id_(task_id) {}
  EntityLock(EntityLock&& other) noexcept
      : turn_(std::exchange(other.turn_, nullptr)), task_id_(other.task_id_) {}
  EntityLock& operator=(EntityLock&& other) noexcept {
    if (this == &other) return *this;
    Unlock();
    turn_ = std::exchange(other.turn_, nullptr);
    task_id_ = other.task_id_;
    return *this;
  }
  ~EntityLock() { Unlock(); }

  // Before it is destroyed. Idempotent.
  void Unlock();

 private:
  internal::Turn* turn_;  // Null: it holds nothing.
  int32_t task_id_;
};

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_ENTITY_LOCK_H_
