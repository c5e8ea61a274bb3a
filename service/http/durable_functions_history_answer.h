// FinishWithHistory: answers a call with the status of an orchestration and its
// history, however long that is.
//
// The history is read twice (durable_functions_history.h says why), page by
// page, and the second time only as fast as the client reads.
//
// Thread-safety: safe.   Lifetime: the port outlives the call.
#ifndef LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_HISTORY_ANSWER_H_
#define LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_HISTORY_ANSWER_H_

#include <functional>
#include <string>

#include "service/http/durable_functions_call.h"
#include "service/http/durable_functions_history.h"
#include "service/orchestration/orchestrations.h"

namespace leasehold {

struct HistoryAnswer {
  std::string execution_id;
  HistoryEventsWriter::Options shown = {};
  std::string head;  // The status, without the brace at its end.
  // Begins anew: this execution has ended since, and another one goes on.
  std::function<void()> again;
};

// Finishes `call` with `response`, whose body is the status with
// `historyEvents`, or with an error.
void FinishWithHistory(Orchestrations& orchestrations, const HttpCallPtr& call,
                       const InstanceKey& key, HistoryAnswer answer,
                       HttpResponse response);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_HISTORY_ANSWER_H_
