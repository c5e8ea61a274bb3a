// BuiltinWork: the built-in orchestrators, activities and entities, and the
// conversion of a work item into its answer.
//
// (A separate file without the engine's names, because some are also the names
// of protocol messages.)
//
// Thread-safety: safe.   Lifetime: objects that `log` refers to outlive it.
#ifndef LEASEHOLD_SERVICE_BUILTIN_BUILTIN_WORK_H_
#define LEASEHOLD_SERVICE_BUILTIN_BUILTIN_WORK_H_

#include <atomic>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/worker/log.h"
#include "durabletask/orchestrator_service.pb.h"
#include "grpcpp/channel.h"
#include "service/builtin/echo_sequence.h"

namespace leasehold {

class BuiltinWork {
 public:
  // `channel`: to the server, for the activity Echo; `self`: what its calls
  // show.
  BuiltinWork(std::shared_ptr<grpc::Channel> channel,
              builtin::ProcessCredential self, worker::LogSink log);
  ~BuiltinWork();
  BuiltinWork(const BuiltinWork&) = delete;
  BuiltinWork& operator=(const BuiltinWork&) = delete;

  // As Registry::status.
  absl::Status status() const;
  std::vector<std::string> OrchestratorNames() const;
  std::vector<std::string> ActivityNames() const;
  std::vector<std::string> EntityNames() const;

  // How often a batch goes back before it is done, since it may be for a worker
  // that is about to connect: programs often have an entity of that name. One
  // with nothing but the operations of a counter goes back for 0.6 s. An entity
  // with a state of another form belongs to such a worker for good.
  static constexpr int kOfACounter = 2;
  static constexpr int kForWorkersOnly = std::numeric_limits<int>::max();
  int GiveBacksOf(const WorkItem& item) const;

  // Returns an encoded OrchestratorResponse.
  std::string DoTurn(const WorkItem& item) const;
  // Returns an encoded ActivityResponse. Blocks for as long as the activity
  // runs, which can check `stopping`.
  std::string DoActivity(const WorkItem& item,
                         const std::atomic<bool>& stopping) const;
  // Returns an encoded EntityBatchResult. REQUIRES: the entity has one of
  // EntityNames.
  std::string DoBatch(const WorkItem& item) const;

 private:
  struct Rep;

  const std::unique_ptr<const Rep> rep_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BUILTIN_BUILTIN_WORK_H_
