// WholeFailure: all of a failure, as the Durable Task contract has it. What
// only passes a failure on keeps it as bytes (OpaqueMessage).
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_WHOLE_FAILURE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_WHOLE_FAILURE_H_

#include <string>

#include "service/orchestration/wire.h"

namespace leasehold {

struct WholeFailure {
  std::string type;
  std::string message;
  Payload stack_trace;
  OpaqueMessage cause;
  bool non_retriable = false;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.type);
    field(2, self.message);
    field(3, self.stack_trace);
    field(4, self.cause);
    field(5, self.non_retriable);
  }
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_WHOLE_FAILURE_H_
