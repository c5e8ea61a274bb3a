// EngineOptions: limits and times of the engine of orchestrations.
//
// Thread-safety: a value.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_OPTIONS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "service/orchestration/kept_calls.h"
#include "service/orchestration/retention_rules.h"
#include "service/orchestration/turn.h"
#include "service/tracing/span.h"

namespace leasehold {

class Strips;

struct EngineOptions {
  // The minimum idle timeout that orchestrations request for their contexts
  // (`--idle-timeout=...,orchestration=D`).
  absl::Duration idle_timeout = absl::ZeroDuration();
  TurnLimits limits = {};
  // Maximum number of waits for orchestrations per connection.
  size_t waits_max = 10'000;
  // Work fails after it was lost this many times in a row (`--max-deliveries`):
  // its worker went away with it, or the server ended while it had it.
  int deliveries_max = 10;
  // Maximum size of what callers have sent to one orchestration and no turn has
  // taken yet (`--max-inbox-bytes`).
  size_t inbox_bytes_max = size_t{256} << 20;
  // Work that no connected worker knows fails; otherwise it waits for a worker
  // that does (`--unknown-work`).
  bool unknown_work_fails = false;
  // Locks of entities end by themselves after this time
  // (`--entity-lock-timeout`). 0: only when their holders end them, or end.
  absl::Duration entity_lock_timeout = absl::ZeroDuration();
  // How many orchestrations that its callers began a tenant may have open at
  // once; 0: as many as it likes. Asked for each start, under the engine's
  // lock. Null: no tenant has a limit.
  std::function<uint64_t(const std::string& tenant)> open_max_of_tenant =
      nullptr;
  // How many bytes a tenant may have in the store before nothing new is
  // accepted from its callers (storage_room.h); 0: as many as it likes. Null:
  // no tenant has a limit.
  std::function<uint64_t(const std::string& tenant)>
      stored_bytes_max_of_tenant = nullptr;
  // How many outcomes of entities' calls are kept, of all tenants together;
  // the tenant with the most loses its oldest first.
  KeptCallLimits kept_calls = {};
  // How long orchestrations are kept that have ended (`--retention`). It may be
  // changed later (Engine::SetRetention).
  RetentionRules retention = {};
  // Whether to check the rules of life.h each time the lock is released; a
  // broken rule ends the process. Debug and sanitizer builds always check.
  bool check_invariants = false;
  // Whether an event for another orchestration is in the commit of its cause.
  // Tests turn it off: then each is a row of the outbox, and its effect a
  // commit of its own, as between two partitions. What needs rows to be read
  // first (a rewind, a purge or a forced end of children) always is.
  bool outbox_shortcut = true;
  // Takes the spans of runs, and outlives the engine. Null: none are made.
  SpanSink* spans = nullptr;
  // Is told of runs and of starts, and outlives the engine. Null: nobody is.
  Strips* strips = nullptr;
  // Where execution IDs come from, so that a test has the same ones each time.
  // Empty: they cannot be guessed.
  std::optional<uint64_t> seed = std::nullopt;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_OPTIONS_H_
