// BuiltinWork: the built-in orchestrators and activities, and the conversion of
// a work item into its answer.
//
// (A separate file without the engine's names, because some are also the names
// of protocol messages.)
//
// Thread-safety: safe.   Lifetime: objects that `log` refers to outlive it.
#ifndef LEASEHOLD_SERVICE_BUILTIN_BUILTIN_WORK_H_
#define LEASEHOLD_SERVICE_BUILTIN_BUILTIN_WORK_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/worker/log.h"
#include "durabletask/orchestrator_service.pb.h"
#include "grpcpp/channel.h"

namespace leasehold {

class BuiltinWork {
 public:
  // `channel`: to the server, for the activity Echo.
  BuiltinWork(std::shared_ptr<grpc::Channel> channel, worker::LogSink log);
  ~BuiltinWork();
  BuiltinWork(const BuiltinWork&) = delete;
  BuiltinWork& operator=(const BuiltinWork&) = delete;

  // As Registry::status.
  absl::Status status() const;
  std::vector<std::string> OrchestratorNames() const;
  std::vector<std::string> ActivityNames() const;

  // Returns an encoded OrchestratorResponse.
  std::string DoTurn(const WorkItem& item) const;
  // Returns an encoded ActivityResponse. Blocks for as long as the activity
  // runs, which can check `stopping`.
  std::string DoActivity(const WorkItem& item,
                         const std::atomic<bool>& stopping) const;

 private:
  struct Rep;

  const std::unique_ptr<const Rep> rep_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BUILTIN_BUILTIN_WORK_H_
