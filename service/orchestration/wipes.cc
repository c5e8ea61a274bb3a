#include "service/orchestration/wipes.h"

#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {

struct Wipes::WipeJob {
  std::string tenant;
  DoneStatus done;
  std::vector<WaitList::Waiter> waiters = {};
  std::vector<Done<OperationResult>> callers = {};  // Of entities.
  std::vector<LetterPtr> letters = {};
};

void Wipes::Wipe(std::string tenant, DoneStatus done) {
  const auto job = std::make_shared<WipeJob>(
      WipeJob{.tenant = std::move(tenant), .done = std::move(done)});
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.serving(); !status.ok()) {
    return engine_.RefuseLocked(job->done, status);
  }
  ForgetLocked(*job);
  PendingCommit commit;
  commit.changes.push_back(EraseTenant{job->tenant});
  for (const LetterPtr& letter : job->letters) {
    commit.changes.push_back(TakeOutbox{letter->key});
  }
  commit.apply.push_back([this, job] {
    engine_.mu_.AssertHeld();
    engine_.lookups_.Release(job->tenant);
    engine_.entity_watches_.OnTenantChangedLocked(job->tenant);
    engine_.answers_.ObserveWipedLocked(job->tenant);
  });
  commit.done = [this, job](const absl::Status& status) { Tell(*job, status); };
  engine_.commits_.Submit(std::move(commit));
}

void Wipes::ForgetLocked(WipeJob& job) {
  engine_.mu_.AssertHeld();
  const std::string& tenant = job.tenant;
  engine_.lookups_.Hold(tenant);
  job.waiters = engine_.wait_list_.TakeForTenantLocked(tenant);
  job.callers = engine_.outside_calls_.ForgetTenantLocked(tenant);
  job.letters = engine_.mail_.ForgetTenantLocked(tenant);
  absl::flat_hash_set<RunNumber> gone;
  for (const RunNumber number : engine_.directory_.NumbersOf(tenant)) {
    engine_.EndLocked(*engine_.directory_.FindByNumber(number));
    gone.insert(number);
  }
  for (const RunNumber number : engine_.batches_.ForgetTenantLocked(tenant)) {
    gone.insert(number);
  }
  // Those that were parked have timers in no other place.
  engine_.schedule_.CancelAll(gone);
}

void Wipes::Tell(const WipeJob& job, const absl::Status& status) {
  const absl::Status erased =
      absl::AbortedError("everything was erased, and the operation with it");
  const absl::Status& ended = status.ok() ? erased : status;
  {
    Engine::Section section(engine_);
    for (const LetterPtr& letter : job.letters) {
      engine_.mail_.EndPartLocked(*letter, ended);
    }
  }
  for (const auto& caller : job.callers) caller(ended);
  for (const WaitList::Waiter& waiter : job.waiters) {
    if (status.ok()) {
      waiter.done(nullptr);
    } else {
      waiter.done(status);
    }
  }
  job.done(status);
}

}  // namespace leasehold
