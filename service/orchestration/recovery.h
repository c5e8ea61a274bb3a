// Recovery: the engine's memory is built from the store, and discarded when a
// commit fails.
//
//   open ─ a commit fails ─▶ failed: memory is discarded ─ retried every 0.1 to
//   2 s ─▶ the store opens: memory is read anew ─▶ open
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_RECOVERY_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_RECOVERY_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/orchestration/directory.h"
#include "service/orchestration/orchestration.h"
#include "service/storage/records.h"
#include "service/storage/witness.h"

namespace leasehold {

class Engine;

class Recovery {
 public:
  explicit Recovery(Engine& engine) : engine_(engine) {}
  Recovery(const Recovery&) = delete;
  Recovery& operator=(const Recovery&) = delete;

  // Opens the store and loads open orchestrations. Blocks. As Store::Open.
  absl::Status Open();

  // A commit has failed: discards memory, and opens the store again later.
  void FailLocked(const absl::Status& status);
  void ForgetAllLocked();
  // When the store is tried again, on the monotonic clock; nullopt: it is open.
  std::optional<StoredTime> retry_at() const { return retry_at_; }
  // Tries again on the writer, if it is time.
  void RetryIfDueLocked(StoredTime now);
  void NeverRetryLocked() { retry_at_.reset(); }
  // Notes in the store's witness that the server has this work, or no longer
  // has it.
  void NoteOutLocked(Work& work);
  void NoteInLocked(Work& work);
  // Ignores an unreadable orchestration until it is purged.
  void SetAsideLocked(Orchestration& orchestration, std::string why);
  // Does so if `read` says that it is unreadable. Returns whether it did.
  bool SetAsideIfLostLocked(Orchestration& orchestration,
                            const absl::Status& read);
  // Why the open orchestration of that row is set aside; empty: it is not.
  std::string DamageOf(const RunRow& row);

 private:
  // Earlier notes about work, by its name; each is removed when it is found.
  using LeftWork = std::map<Witness::Name, Witness::Left>;

  void Recover();
  absl::Status Load(const OpenedPartition& opened);
  bool LoadOneLocked(OpenRun stored, LeftWork& left);
  void TakeLossesLocked(Work& work, LeftWork& left);
  // Ends work that was lost too often because the server died.
  void EndLostLocked(Orchestration& orchestration);
  void FailWithoutWorker(const OrchestrationPtr& orchestration,
                         const OpaqueMessage& failure);

  Engine& engine_;
  std::optional<StoredTime> retry_at_;
  absl::Duration retry_delay_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_RECOVERY_H_
