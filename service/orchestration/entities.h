// Entities: what callers can ask of entities. The doors know this interface,
// not the engine.
//
// An entity is a state under an ID `@name@key`, and operations that change it,
// one after the other. Workers run them. It need not be created: it exists once
// an operation has given it a state, and until one takes that away.
//
// Thread-safety: safe. Callbacks run on any thread, once each, under no lock;
// they must not block.   Lifetime: outlives the calls.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENTITIES_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENTITIES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/entity_batch.h"
#include "service/orchestration/entity_queue.h"
#include "service/orchestration/requests.h"
#include "service/orchestration/wire.h"

namespace leasehold {

struct EntitySignal {
  InstanceKey key;
  std::string operation;
  Payload input = {};
  std::string request_id = {};              // Empty: a new one.
  std::optional<Timestamp> scheduled = {};  // Not before this time.
};

struct EntityCall {
  InstanceKey key;
  std::string operation;
  Payload input = {};
  // The caller's name for it: what comes of it is kept under that name. Empty:
  // it has none.
  std::string request_id = {};
  std::string peer = {};  // The caller's connection.
  bool kept = false;      // Set by the engine.
};

struct EntityInfo {
  std::string id;
  absl::Time modified = {};
  bool has_state = false;
  Payload state = {};  // Set only on request.
  size_t waiting = 0;  // Messages that wait for it, now or for later.
  // Who holds it, which critical section, since when, and until when at most.
  std::optional<EntityLock> lock = {};
  // For people: why its operations do not run now. Empty: not known, or in a
  // list.
  std::string waiting_for = {};
  // Of all that watchers are told of: another one, if that is not the same.
  uint64_t print = 0;
};

using SharedEntity = std::shared_ptr<const EntityInfo>;

struct EntityWait {
  InstanceKey key;
  bool state = false;                 // The answer has the state.
  std::optional<uint64_t> seen = {};  // EntityInfo::print; nullopt: nothing.
  std::string peer = {};              // The caller's connection.
};

// A limit for the critical section that has an entity now.
struct EntityLockLimit {
  InstanceKey key;
  std::string section_id = {};  // The one that is meant; empty: any.
  // From now on. 0: it ends at once. Infinite: it has no limit any more.
  absl::Duration timeout = absl::ZeroDuration();
};

struct EntityListQuery {
  std::string tenant;
  std::string id_prefix = {};
  std::optional<StoredTime> modified_from = {};  // Inclusive.
  std::optional<StoredTime> modified_to = {};    // Exclusive.
  bool with_state = false;                       // The list has their states.
  bool with_stateless = false;  // It has those without a state, too.
  PageToken page_token = {};
  size_t count_max = 100;  // At least 1.
};

struct EntityList {
  std::vector<EntityInfo> entities;
  std::string next_page_token = {};  // Empty: this is the last page.
};

class Entities {
 public:
  virtual ~Entities() = default;

  // Sends an operation that nobody waits for. OK: it is durable, and will run.
  //   InvalidArgument: the ID is not that of an entity, or something in the
  //     signal breaks a limit.
  //   ResourceExhausted: the input is too large, or too much waits for the
  //     entity already (inbox_bytes_max).
  virtual void Signal(EntitySignal signal, DoneStatus done) = 0;

  using WaitId = uint64_t;

  // Sends an operation, and answers with what comes of it, as the worker says,
  // once that is durable. It was durable before the operation ran, and runs
  // once, whether or not its caller still waits. A call with a request ID that
  // waits already is the same call; one that has ended is answered again, as
  // long as that is kept (KeptCalls), also after a restart.
  //   InvalidArgument: as of Signal; or another call had its request ID.
  //   ResourceExhausted: as of Signal; or the caller's connection has begun so
  //     many calls since that this one, its oldest, makes room.
  //   DeadlineExceeded: no answer came for ten minutes; it still runs.
  //   DataLoss: the entity cannot be read.
  //   Unavailable: nobody can wait now. With a request ID, ask again.
  //   Aborted: everything was erased.
  virtual WaitId Call(EntityCall call, Done<OperationResult> done) = 0;
  // The caller waits no longer. True: `done` will not be called.
  virtual bool CancelCall(WaitId id) = 0;

  // Answers with the entity once what it shows is not `wait.seen`: at once, if
  // nothing was seen. Changes between two waits are seen as one. Of an ID of
  // which there is nothing, the answer is an entity without a state.
  //   DataLoss: it cannot be read.
  //   ResourceExhausted: as of Call.
  virtual WaitId AwaitChange(EntityWait wait, Done<SharedEntity> done) = 0;
  // True: `done` will not be called.
  virtual bool CancelWait(const InstanceKey& key, WaitId id) = 0;

  // nullopt: there is nothing of this ID. One without a state does not exist
  // for its users: something waits for it, or somebody holds it.
  //   DataLoss: it cannot be read.
  virtual void GetEntity(const InstanceKey& key, bool state,
                         Done<std::optional<EntityInfo>> done) = 0;

  // Lists, page by page, in order of the IDs.
  //   InvalidArgument: the page token is not one of this list.
  virtual void QueryEntities(EntityListQuery query, Done<EntityList> done) = 0;

  // Takes its state away. What waits for it still runs; a batch that is with a
  // worker runs again. False: it had none.
  virtual void EraseEntity(const InstanceKey& key, Done<bool> done) = 0;

  // Says how long a critical section lasts at most from now on, in place of the
  // limit that it had (entity_lock_timeout), so it can be a renewal. When the
  // time is over, the next in line get its locks, of all entities (with a part
  // of them it could wait for its own successor); the unlocks of who had them
  // change nothing, and their calls wait like those of others. False: nobody
  // holds the entity, or not that section.
  //   InvalidArgument: the time is negative.
  //   FailedPrecondition: the section still waits for other entities.
  virtual void LimitLock(EntityLockLimit limit, Done<bool> done) = 0;

  // Ends locks of orchestrations that are not open. Answers how many. None is
  // expected: a lock ends with its holder.
  virtual void ReleaseOrphanedLocks(std::string tenant, Done<int64_t> done) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENTITIES_H_
