// Entity: what a server says about a durable entity.
//
// The same as the messages of the contract `leasehold.v1.Entities`, with
// Abseil's times.
//
// Thread-safety: values.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_ENTITIES_ENTITY_H_
#define LEASEHOLD_CLIENT_ENTITIES_ENTITY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "leasehold/v1/entities.pb.h"

namespace leasehold::client {

// An orchestration has an entity to itself.
struct EntityLock {
  // The instance ID of the orchestration.
  std::string holder;
  // Its critical section.
  std::string section_id;
  absl::Time lock_time;
  // When it ends by itself; empty: never.
  std::optional<absl::Time> expire_time;
};

// What is known about an entity.
struct EntityInfo {
  std::string instance_id;
  // Whether it has a state. If not, something waits for it or has locked it;
  // or, in a watch, there is nothing with this ID.
  bool exists = false;
  // Only if the call asked for it.
  std::optional<std::string> state;
  // When an operation last put its state; set if it exists.
  std::optional<absl::Time> update_time;
  // Operations and lock requests that wait for it.
  int64_t waiting_count = 0;
  // Set while it is locked.
  std::optional<EntityLock> lock;
  // Why its operations do not run, for people to read; empty if no reason is
  // known. Only in the answer to Get.
  std::string waiting_for;
};

// From the contract's message.
EntityInfo FromProto(const leasehold::v1::EntityInfo& proto);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_ENTITIES_ENTITY_H_
