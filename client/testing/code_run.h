// A worker's answers to work: the code of a test, run on items in the form of
// the protocol.
//
// (A separate file without the engine's names, because some are also the names
// of protocol messages.)
//
// Thread-safety: one thread: the test's.   Lifetime: values.
#ifndef LEASEHOLD_CLIENT_TESTING_CODE_RUN_H_
#define LEASEHOLD_CLIENT_TESTING_CODE_RUN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/testing/test_code.h"
#include "client/worker/failure.h"
#include "client/worker/log.h"
#include "durabletask/orchestrator_service.pb.h"

namespace leasehold::testkit {

// An encoded OrchestratorResponse, ActivityResponse or EntityBatchResult.
// TestError: the code that the item needs is missing.
std::string AnswerTurnItem(const TestCode& code, const ::WorkItem& item,
                           const worker::LogSink& log);
std::string AnswerActivityItem(const TestCode& code, const ::WorkItem& item);
std::string AnswerEntityItem(const TestCode& code, const ::WorkItem& item);
// The answer of an activity that fails.
std::string FailActivityItem(const ::WorkItem& item,
                             const worker::TaskFailure& failure);

// What an orchestration with this history waits for, of which `task_id` names
// an activity, a sub-orchestration or a timer.
struct AwaitedThing {
  std::optional<int32_t> task_id;
  std::string what;
};
std::vector<AwaitedThing> AwaitedBy(const TestCode& code,
                                    const std::string& orchestrator,
                                    const ::OrchestratorRequest& request);

// Of an encoded TaskFailureDetails.
worker::TaskFailure DecodeFailure(const std::string& bytes);

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_CODE_RUN_H_
