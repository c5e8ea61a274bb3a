// EchoInstance: the in-memory instance of the Echo service, an extension.
//
// It counts the echoes of its context, over all channels, and lives and dies
// with the context.
//
// Thread-safety: safe.   Lifetime: as every Extension.
#ifndef LEASEHOLD_SERVICE_ECHO_ECHO_INSTANCE_H_
#define LEASEHOLD_SERVICE_ECHO_ECHO_INSTANCE_H_

#include <atomic>
#include <cstdint>

#include "service/instance/extension.h"
#include "service/instance/instance_context.h"

namespace leasehold {

class EchoInstance final : public Extension {
 public:
  // The one of `context`, made by the first call that asks.
  static EchoInstance& Of(InstanceContext& context);

  // Counts one echo. Returns its number, from 1.
  uint64_t Count();

 private:
  std::atomic<uint64_t> echoes_{0};
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ECHO_ECHO_INSTANCE_H_
