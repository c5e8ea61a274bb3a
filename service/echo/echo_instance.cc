#include "service/echo/echo_instance.h"

namespace leasehold {

EchoInstance& EchoInstance::Of(InstanceContext& context) {
  return *context.GetOrAttach<EchoInstance>();
}

uint64_t EchoInstance::Count() {
  return echoes_.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace leasehold
