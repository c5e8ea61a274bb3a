// Restarts: starts an orchestration again, as it was started.
//
// What it was started with is read from the store, and by the time of the start
// it may have been erased, or have been started anew. So the start is decided
// under the condition that what was read is still there:
//
//   under its own ID    the start replaces the run that was read, or nothing
//   under another ID    the lookup of its key lasts until the copy is durable:
//                       meanwhile nobody purges it; after a wipe it is read
//                       again
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_RESTARTS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_RESTARTS_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/requests.h"
#include "service/tracing/span.h"

namespace leasehold {

class Engine;

class Restarts {
 public:
  explicit Restarts(Engine& engine) : engine_(engine) {}
  Restarts(const Restarts&) = delete;
  Restarts& operator=(const Restarts&) = delete;

  // As Orchestrations::Restart.
  //   Aborted: another run of the ID has begun and ended meanwhile.
  void Restart(const InstanceKey& key, std::optional<std::string> new_id,
               const CallTrace& trace, Done<StartReceipt> done);

 private:
  struct Copy;
  struct Restarted;

  void RestartAgain(const InstanceKey& key, const CallTrace& trace,
                    Done<StartReceipt> done);
  void RestartAsCopyLocked(const InstanceKey& key, std::string new_id,
                           const CallTrace& trace, Done<StartReceipt> done);
  void BeginCopy(const std::shared_ptr<Copy>& copy);
  void EndCopy(const std::shared_ptr<Copy>& copy,
               const absl::StatusOr<StartReceipt>& receipt);
  // Reads the store.
  absl::StatusOr<Restarted> ReadRestarted(const InstanceKey& key);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_RESTARTS_H_
