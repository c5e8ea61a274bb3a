// Which calls begin traces of their own.
//
// Thread-safety: a pure function.
#ifndef LEASEHOLD_SERVICE_RPC_BEGINS_TRACE_H_
#define LEASEHOLD_SERVICE_RPC_BEGINS_TRACE_H_

#include "service/rpc/method_info.h"

namespace leasehold {

// Health, renewals, and what workers do for others do not: what they are for
// has its trace already. They are in their caller's trace, if he has one.
inline bool BeginsTrace(const MethodInfo& method) {
  return method.call_class != CallClass::kEssential &&
         method.lasting != Lasting::kWorker;
}

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_BEGINS_TRACE_H_
