// MethodInfo: what is known of a method before anybody calls it.
//
// Thread-safety: values.   Lifetime: names are those of the table of methods
// (served.h), which outlives the server.
#ifndef LEASEHOLD_SERVICE_RPC_METHOD_INFO_H_
#define LEASEHOLD_SERVICE_RPC_METHOD_INFO_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "service/rpc/caller.h"

namespace leasehold {

// Calls by how much is lost if one is refused, from the most to the least.
// Limits choose by it.
enum class CallClass : uint8_t {
  // Work that is answered, leases that are renewed, health: to refuse these
  // would undo what was accepted before. They have no rate.
  kEssential,
  kCall,   // Of an instance or an entity, that waits for its answer.
  kEvent,  // Something for an orchestration or an entity that is there.
  kStart,  // Of an orchestration.
  kRead,   // Lists, states, histories, watches.
};
inline constexpr size_t kCallClasses = 5;
// `call`, `event`, `start`, `read`; `essential`.
std::string_view NameOf(CallClass call_class);

// How a call stays open, if it does.
enum class Lasting : uint8_t {
  kNo,
  kStream,  // As long as the client likes.
  kWait,    // Until something happens.
  kWatch,   // A stream that tells of changes.
  kWorker,  // A worker's connection.
};
inline constexpr size_t kLastings = 5;
// `stream`, `wait`, `watch`, `worker`.
std::string_view NameOf(Lasting lasting);

struct MethodInfo {
  std::string_view service = {};  // With its package.
  std::string_view name = {};
  Role role = Role::kOperator;  // What it asks of its callers.
  CallClass call_class = CallClass::kCall;
  Lasting lasting = Lasting::kNo;
  // It keeps an instance that is there: counted as others of its class, but an
  // overload refuses it no more than what is essential.
  bool keeps_lease = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_METHOD_INFO_H_
