// The events of entities: what is sent to them, and what they answer.
//
// They have the form and the field names of the Durable Task contract. In the
// history of an orchestration that sent one, it says what was sent; to its
// entity it goes as it is. So all that an entity receives is one of these.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_EVENTS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_EVENTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "service/orchestration/wire.h"

namespace leasehold {

// An operation that nobody waits for.
struct EntityOperationSignaled {
  static constexpr int kNumber = 23;
  std::string request_id = {};
  std::string operation = {};
  std::optional<Timestamp> scheduled = {};  // Not before this time.
  Payload input = {};
  Payload target = {};

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.request_id);
    field(2, self.operation);
    field(3, self.scheduled);
    field(4, self.input);
    field(5, self.target);
  }
};

// An operation that an execution of an orchestration waits for.
struct EntityOperationCalled {
  static constexpr int kNumber = 24;
  std::string request_id = {};
  std::string operation = {};
  std::optional<Timestamp> scheduled = {};
  Payload input = {};
  Payload caller = {};
  Payload caller_execution = {};
  Payload target = {};
  // Its caller expects an answer as legacy_answers.h has it. Not of the
  // contract.
  bool legacy = false;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.request_id);
    field(2, self.operation);
    field(3, self.scheduled);
    field(4, self.input);
    field(5, self.caller);
    field(6, self.caller_execution);
    field(7, self.target);
    field(1000, self.legacy);
  }
};

struct EntityOperationCompleted {
  static constexpr int kNumber = 25;
  std::string request_id;
  Payload output;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.request_id);
    field(2, self.output);
  }
};

struct EntityOperationFailed {
  static constexpr int kNumber = 26;
  std::string request_id;
  OpaqueMessage failure;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.request_id);
    field(2, self.failure);
  }
};

// An orchestration wants to have several entities to itself: its critical
// section. The request goes from entity to entity, in the order of the set.
struct EntityLockRequested {
  static constexpr int kNumber = 27;
  std::string section_id;
  std::vector<std::string> lock_set;
  int32_t position = 0;  // In the set.
  Payload requester = {};
  // Which of its executions asks; entities alone are told. Not of the contract.
  std::string requester_execution = {};
  bool legacy = false;  // As above.

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.section_id);
    field(2, self.lock_set);
    field(3, self.position);
    field(4, self.requester);
    field(1000, self.requester_execution);
    field(1001, self.legacy);
  }
};

// It has all of them. Told to the orchestration, and to the entities, because
// the time of their locks begins now.
struct EntityLockGranted {
  static constexpr int kNumber = 28;
  std::string section_id;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.section_id);
  }
};

// Ends the lock of one entity.
struct EntityUnlockSent {
  static constexpr int kNumber = 29;
  std::string section_id;
  Payload holder = {};
  Payload target = {};

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.section_id);
    field(2, self.holder);
    field(3, self.target);
  }
};

// Whether an event of this number is for an entity.
inline bool IsForEntity(int event_number) {
  return event_number == EntityOperationSignaled::kNumber ||
         event_number == EntityOperationCalled::kNumber ||
         event_number == EntityLockRequested::kNumber ||
         event_number == EntityUnlockSent::kNumber;
}

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_EVENTS_H_
