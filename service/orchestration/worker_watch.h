// WorkerWatch: what becomes of work that is out with a hanging worker. Which
// work that is, the dispatcher says.
//
// A worker may hang without dying: its process is stopped, an orchestrator
// loops, an answer was forgotten. So work that has been out for its time limit
// is lost, as if its worker had gone, and goes to another one. If the worker
// has answered nothing at all since it was sent that work, it is silent: other
// workers come first until it answers again. Any answer, even a late one, ends
// the silence.
//
// A worker takes more turns than it runs at once. While it answers earlier
// turns, one that it has not reached is not late: if sent again, it would wait
// at the end of the same line, and its first answer would be refused.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_WORKER_WATCH_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_WORKER_WATCH_H_

#include <optional>
#include <string>

#include "service/dispatch/shared_dispatcher.h"
#include "service/orchestration/work_exchange.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

class WorkerWatch {
 public:
  explicit WorkerWatch(Engine& engine) : engine_(engine) {}
  WorkerWatch(const WorkerWatch&) = delete;
  WorkerWatch& operator=(const WorkerWatch&) = delete;

  // Work was sent, or gets more time: its time limit starts now. Returns now.
  StoredTime WatchLocked(Work& work);
  void TakeLateWorkLocked(StoredTime now);
  // When to call that, on the monotonic clock; nullopt: nothing is watched.
  std::optional<StoredTime> NextLookLocked() const;
  // A worker has answered work of that name; `work`: that work, if known. An
  // answer with a token was heard by the dispatcher before.
  void HearLocked(const WorkName& name, const Work* work);
  // "its turn has been with worker 3 ..."; empty: nothing to report.
  std::string WithWhomLocked(const Work& work);

 private:
  void TakeBackLateLocked(const SharedDispatcher::Late& late);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_WORKER_WATCH_H_
