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
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "service/instance/instance_key.h"
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

struct EntityInfo {
  std::string id;
  absl::Time modified = {};
  bool has_state = false;
  Payload state = {};      // Set only on request.
  size_t waiting = 0;      // Messages that wait for it, now or for later.
  std::optional<EntityLock> lock = {};
  // For people: why its operations do not run now. Empty: not known, or in a
  // list.
  std::string waiting_for = {};
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

  // Ends locks of orchestrations that are not open. Answers how many. None is
  // expected: a lock ends with its holder.
  virtual void ReleaseOrphanedLocks(std::string tenant, Done<int64_t> done) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENTITIES_H_
