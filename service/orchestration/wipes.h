// Wipes: erases everything of one tenant at once, also what runs.
//
//   forgotten ─▶ one commit: the rows of the tenant, and its letters ─▶ told
//
// Memory is discarded when the commit gets its place in the queue, so nothing
// that is decided later rests on what goes. Until the commit is durable, no row
// of the tenant is looked up for a decision. If the commit fails, memory is
// read from the store again, which has all of it or nothing.
//
// Nothing of another tenant is touched: nothing that a tenant has refers to
// another, and letters stay in their tenant (Mail::SendLocked checks that).
//
// Thread-safety: functions take the engine's lock.   Lifetime: a part of the
// engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_WIPES_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_WIPES_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "service/orchestration/requests.h"

namespace leasehold {

class Engine;

class Wipes {
 public:
  explicit Wipes(Engine& engine) : engine_(engine) {}
  Wipes(const Wipes&) = delete;
  Wipes& operator=(const Wipes&) = delete;

  void Wipe(std::string tenant, DoneStatus done);

 private:
  // A wipe, and those who wait for what it erases.
  struct WipeJob;

  // Forgets everything of the tenant, and takes who waits for it.
  void ForgetLocked(WipeJob& job);
  void Tell(const WipeJob& job, const absl::Status& status);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_WIPES_H_
