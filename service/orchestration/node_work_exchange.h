// NodeWorkExchange: where the workers of a node connect, once, whatever the
// number of engines that have work for them.
//
// An answer goes to the engine whose work it answers: the one whose work went
// out with its token. Answers without a token, and those whose work is no
// longer out, go to the engine that owns their instance.
//
// Thread-safety: safe.   Lifetime: clock and observer outlive it; it outlives
// its engines, and its workers' connections.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_NODE_WORK_EXCHANGE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_NODE_WORK_EXCHANGE_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/base/page_token.h"
#include "service/dispatch/shared_dispatcher.h"
#include "service/orchestration/connected_workers.h"
#include "service/orchestration/engine_observer.h"
#include "service/orchestration/work_exchange.h"

namespace leasehold {

struct WorkExchangeOptions {
  // How long a worker may keep a turn or a batch, or an activity, before it is
  // lost (`--turn-timeout-on-worker`, `--activity-timeout`). 0: no limit.
  absl::Duration turn_timeout = absl::ZeroDuration();
  absl::Duration activity_timeout = absl::ZeroDuration();
  // As EngineOptions.
  bool check_invariants = false;
};

class NodeWorkExchange final : public WorkExchange, public ConnectedWorkers {
 public:
  NodeWorkExchange(const Clock& clock, WorkObserver& observer,
                   const WorkExchangeOptions& options);
  NodeWorkExchange(const NodeWorkExchange&) = delete;
  NodeWorkExchange& operator=(const NodeWorkExchange&) = delete;

  // Where engines register, and queue their work.
  SharedDispatcher& dispatcher() { return dispatcher_; }

  WorkerId Connect(WorkerOptions options,
                   std::shared_ptr<WorkSink> sink) override;
  void Disconnect(WorkerId id) override;
  void OnWorkTaken() override;
  // Unavailable: there is no engine any more.
  void CompleteTurn(const WorkName& name, TurnAnswer answer,
                    DoneStatus done) override;
  void CompleteActivity(const WorkName& name, EventBody end,
                        DoneStatus done) override;
  void CompleteEntity(const WorkName& name, BatchAnswer answer,
                      DoneStatus done) override;
  void RefuseAnswer(WorkKind kind, const WorkName& name,
                    std::string_view reason) override;
  void Abandon(WorkKind kind, const WorkName& name) override;
  absl::StatusOr<WorkersPage> ListWorkers(
      const WorkersQuery& query) const override;

 private:
  // Whose work it is, or was; none: there is no engine.
  SharedDispatcher::Visit FindOwner(WorkKind kind, const WorkName& name);
  SharedDispatcher::Visit FindOwnerByKey(const InstanceKey& key);
  void Observe(const WorkEvent& event);
  WatchTime Now() const { return clock_.Now().ns / 1000; }

  const Clock& clock_;
  WorkObserver& observer_;
  // Good for as long as the workers' connections.
  const PageTokens page_tokens_{PageTokens::NewKey()};
  SharedDispatcher dispatcher_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_NODE_WORK_EXCHANGE_H_
